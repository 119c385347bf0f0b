"""sobre-grpc as a program: the Cluster Autoscaler's expander, scoring, decisions as they are made, over TLS."""
import json
import os
import pathlib
import random
import signal
import ssl
import subprocess
import sys
import threading

import grpc
import pytest
import yaml

from tests import autoscaler, programs
from tests.autoscaler import option
from tests.certificates import Authority, Mount
from tests.harness import ROOT, HttpStub, Process, Sobre, eventually, fetch

# Country of each region, and what a unit there is made of: far apart, so that no two tie.
REGIONS = {"eu-west-3": "FR", "eu-central-1": "DE", "eu-north-1": "SE", "eu-west-2": "GB"}
BEST_OPTIONS = "/grpcplugin.Expander/BestOptions"
JSON = {"Content-Type": "application/json"}
# Else a limit believes no label that a kubelet can set.
TRUSTING = {"limits": {"trust_node_labels": True}}


def node(name: str, region: str, cpu: int = 8, memory_gib: int = 32) -> dict:
    return {"metadata": {"name": name, "labels": {"topology.kubernetes.io/region": region, "sobre.dev/provider": "aws"}},
            "spec": {"providerID": f"aws:///{region}a/{name}"},
            "status": {"allocatable": {"cpu": str(cpu), "memory": f"{memory_gib}Gi"}}}


def pod(name: str, cpu: int = 8, memory_gib: int = 32, **annotations: str) -> dict:
    said = {f"sobre.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return {"metadata": {"name": name, "namespace": "shop", "uid": f"u-{name}", "annotations": said},
            "spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": str(cpu), "memory": f"{memory_gib}Gi"}}}]}}


def prices(**by_node: float) -> list[dict]:
    return [{"signal": "node_price_per_hour", "labels": {"node": name}, "value": price} for name, price in by_node.items()]


class Grpc:
    """sobre-grpc over nodes that stand still, and a client of the autoscaler's beside it."""

    def __init__(self, folder: pathlib.Path, authority: Authority, config: dict, nodes: list[dict], signals: list[dict] = ()) -> None:
        self.folder, self.authority = folder, authority
        self.mount = Mount(folder / "tls", *authority.issue("sobre-grpc"))
        tls = {"certificate_file": str(self.mount.folder / "tls.crt"), "key_file": str(self.mount.folder / "tls.key"), "check": "1s"}
        own = config.get("grpc", {})
        config = config | {"grpc": {"listen": "127.0.0.1:0"} | own | {"tls": tls | own.get("tls", {})}}
        (folder / "grpc.yaml").write_text(yaml.safe_dump(config))
        (folder / "nodes.json").write_text(json.dumps({"items": nodes}))
        (folder / "signals.json").write_text(json.dumps(list(signals)))
        self.files = ["--config", folder / "grpc.yaml", "--nodes", folder / "nodes.json", "--signals", folder / "signals.json"]
        self.process = Process(folder / "grpc.log", programs.sobre() + "-grpc", *self.files)
        self.port = int(eventually(self._served, "sobre-grpc serves")["grpc_port"])

    def _served(self) -> dict | None:
        assert self.process.running(), self.process.tail()
        return next(iter(self.logged("serving")), None)

    def logged(self, message: str) -> list[dict]:
        lines = [json.loads(line) for line in self.process.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["msg"] == message]

    def grow(self, *questions: dict) -> list[dict]:
        """The answers to {shape, options}, by the Go client."""
        return autoscaler.ask(f"localhost:{self.port}", self.authority.pem, questions)

    def channel(self, client: tuple[pathlib.Path, pathlib.Path] | None = None) -> grpc.Channel:
        pem, key = (path.read_bytes() for path in client) if client else (None, None)
        credentials = grpc.ssl_channel_credentials(self.authority.pem.read_bytes(), key, pem)
        return grpc.secure_channel(f"localhost:{self.port}", credentials, [("grpc.max_send_message_length", -1)])

    def bytes_call(self, channel: grpc.Channel, method: str, request: bytes, timeout: float = 30) -> bytes:
        return channel.unary_unary(method)(request, timeout=timeout)

    def health(self) -> int:
        """1 is SERVING, 2 is not."""
        with self.channel() as channel:
            return self.bytes_call(channel, "/grpc.health.v1.Health/Check", b"")[1]

    def score(self, question: dict, *more: str) -> dict:
        """What `sobre score` says of the pod, on the same files."""
        (self.folder / "pod.json").write_text(json.dumps(question))
        done = subprocess.run([programs.sobre(), "score", "--pod", self.folder / "pod.json", *self.files, *more], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority") / "ca", "test-ca")


@pytest.fixture
def start(tmp_path, authority):
    """start(config, nodes, signals): a Grpc, stopped after the test."""
    running = []

    def begin(config: dict | None = None, nodes: list[dict] = (), signals: list[dict] = ()) -> Grpc:
        running.append(Grpc(tmp_path, authority, config or {}, list(nodes) or [node("here", "eu-west-3")], signals))
        return running[-1]

    yield begin
    for one in running:
        one.process.stop(signal.SIGKILL)


SHAPES = ["typed", "both", "bytes"]
PRICES = {"eu-west-3": 0.45, "eu-central-1": 0.40, "eu-north-1": 0.62, "eu-west-2": 0.25}


def templates(**more) -> dict[str, dict]:
    """A machine in each region; as nodes of the cluster, they tell what such machines cost."""
    return {region: node(region, region, **more) for region in REGIONS}


def question(shape: str, waiting: list[dict], groups: dict[str, dict | None] | None = None, **more) -> dict:
    return {"shape": shape, "options": [option(f"group-{r}", t, waiting, **more) for r, t in (groups or templates()).items()]}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_group_that_grows_is_the_one_that_sobre_score_calls_best(start, shape):
    """A pod that fills a machine, so that the whole machine is what it answers for."""
    sobre = start({}, templates().values(), prices(**PRICES))
    chosen = set()
    for objective in ("carbon", "cost", "balanced", "priced"):
        for tolerance, carbon_price in (("0", "0"), ("10", "50"), ("90", "5000")):
            waiting = pod("web-0", objective=objective, cost_tolerance=tolerance, carbon_price=carbon_price)
            expected = sobre.score(waiting, "--new")
            assert expected["ledger"] == "new capacity"
            answer, = sobre.grow(question(shape, [waiting]))
            assert answer["code"] == "OK", answer
            # Of nodes with the same of the eleven scores the expander still names the better one.
            best = [f"group-{region}" for region in expected["best"]]
            assert answer["groups"] and set(answer["groups"]) <= set(best), (objective, tolerance)
            chosen.add((answer["groups"][0], len(best)))
    assert len({group for group, ties in chosen if ties == 1}) >= 2, "the objectives should not all want the same"


def test_a_limit_is_kept_and_said_and_an_answer_is_empty_only_where_nothing_is_allowed(start):
    sobre = start(TRUSTING, templates().values(), prices(**PRICES))
    here, nowhere = pod("web-0", objective="carbon", allowed_countries="DE,GB"), pod("web-1", allowed_countries="PT")
    alone, both, empty = sobre.grow(*(question("bytes", pods) for pods in ([here], [here, nowhere], [nowhere])))
    assert alone["groups"] == both["groups"] == ["group-eu-west-2"]
    assert "EUR/h" in alone["debug"][0]
    assert (empty["code"], empty["groups"]) == ("OK", [])
    refused = sobre.logged("expander: no group may grow")
    assert {line["group"] for line in refused} == {f"group-{region}" for region in REGIONS}
    assert all("country" in line["why"] for line in refused)


def test_what_is_not_understood_keeps_every_option(start):
    sobre = start()
    answer, = sobre.grow({"shape": "bytes", "options": [option("a", None, [pod("web-0")]), option("b", None, [])]})
    assert answer["groups"] == ["a", "b"]
    assert any("no template" in line["what"] for line in sobre.logged("expander: not understood"))
    nothing, = sobre.grow({"shape": "bytes", "options": []})
    assert (nothing["code"], nothing["groups"]) == ("OK", [])


def test_under_fuzzing_no_answer_is_empty_but_where_every_pod_is_refused(start):
    sobre = start(TRUSTING, templates().values(), prices(**PRICES))
    chance = random.Random(20261126)
    countries = [*REGIONS.values(), "PT", "XX", "not a country", ""]

    def some_pod(i: int) -> dict:
        said = {"objective": chance.choice(["carbon", "cost", "balanced", "priced", "beauty", ""]),
                "mode": chance.choice(["enforce"] * 8 + ["shadow", "off"])}
        if chance.random() < 0.6:
            said["allowed_countries"] = ",".join(chance.sample(countries, chance.randint(1, 4)))
        return pod(f"p{i}", chance.choice([0, 1, 8, 100_000]), chance.choice([0, 1, 32]), **said)

    def allowed(pod: dict, template: dict | None) -> bool | None:
        """Nothing: not to be told from outside."""
        said = pod["metadata"]["annotations"]
        if said["sobre.dev/mode"] != "enforce" or "sobre.dev/allowed-countries" not in said:
            return True
        named = [c.strip() for c in said["sobre.dev/allowed-countries"].split(",")]
        if any(c not in (*REGIONS.values(), "PT") for c in named):  # closed, and every other limit with it
            return None
        return template is None or REGIONS.get(template["metadata"]["labels"]["topology.kubernetes.io/region"]) in named

    questions = []
    for _ in range(300):
        groups = {f"{chance.choice(list(REGIONS))}-{g}": None for g in range(chance.randint(0, 5))}
        options = []
        for name in groups:
            template = node(name, chance.choice([name.rpartition("-")[0]] * 9 + ["on-the-moon-1"])) if chance.random() < 0.9 else None
            options.append(option(name, template, [some_pod(i) for i in range(chance.randint(0, 4))], chance.choice([-3, 0, 1, 7, 2**31 - 1])))
        questions.append({"shape": chance.choice(SHAPES), "options": options})
    empty = refused = 0
    for asked, answer in zip(questions, sobre.grow(*questions)):
        assert answer["code"] == "OK", answer
        offered = {o["group"]: o for o in asked["options"]}
        assert set(answer["groups"]) <= set(offered)
        verdicts = {name: [allowed(p, o["node"]) for p in o["pods"]] for name, o in offered.items()}
        hopeless = {name for name, v in verdicts.items() if v and not any(x or x is None for x in v)}
        fine = {name for name, v in verdicts.items() if not v or any(v)}
        assert not hopeless & set(answer["groups"]), (asked, answer)
        assert answer["groups"] or not fine, (asked, answer)
        empty += not answer["groups"] and bool(offered)
        refused += len(hopeless)
    assert empty and refused, "the questions should have some that nobody may answer"


def test_bytes_that_are_no_question_never_end_it(start):
    """Of what can still be read an answer is given; all else is an error, which keeps every option."""
    sobre = start()
    chance = random.Random(7)
    body = lambda number, value: bytes([number << 3 | 2, len(value)]) + value
    good = body(1, body(1, b"a") + body(5, b"\n\x05\n\x03p-0")) + body(3, body(1, b"a") + body(2, b"\n\x03\n\x01n"))
    told = []
    with sobre.channel() as channel:
        for _ in range(2000):
            broken = bytearray(good)
            for _ in range(chance.randint(1, 4)):
                broken[chance.randrange(len(broken))] = chance.randrange(256)
            try:
                answer = sobre.bytes_call(channel, BEST_OPTIONS, bytes(broken[:chance.randint(0, len(broken))]))
                told.append(bool(answer))
            except grpc.RpcError as error:
                assert error.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT), error
                told.append(None)
    assert sobre.process.running() and {True, None} <= set(told)
    assert sobre.grow(question("bytes", [pod("web-0")]))[0]["groups"]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_hundred_megabytes_are_answered_before_the_autoscaler_gives_up(start, shape):
    sobre = start({}, templates().values(), prices(**PRICES))
    large = pod("web", 1, 4, objective="carbon")
    large["metadata"]["annotations"]["example.com/notes"] = "x" * 4000
    copies = 100_000_000 // 4200 // len(REGIONS) // (2 if shape == "both" else 1) + 100
    answer, = sobre.grow(question(shape, [large], count=copies // 8, copies=copies))
    assert answer["bytes"] > 100_000_000
    assert answer["code"] == "OK" and answer["groups"] == ["group-eu-north-1"], answer


def test_a_question_over_the_limit_is_refused_in_words(start):
    sobre = start({"grpc": {"max_message_megabytes": 1}})
    large = pod("web")
    large["metadata"]["annotations"]["example.com/notes"] = "x" * (1 << 20)
    answer, = sobre.grow(question("bytes", [large]))
    assert answer["code"] == "ResourceExhausted" and "larger than max" in answer["message"]


def test_more_options_than_any_cluster_has_are_refused_in_words(start):
    sobre = start()
    answer, = sobre.grow({"shape": "bytes", "options": [option("", None, [])] * 10_001})
    assert answer["code"] == "ResourceExhausted" and "all of them stand" in answer["message"]


def test_clients_without_a_certificate_may_ask_how_to_grow_and_no_more(start, authority, stubs, tmp_path):
    from proto.sobre.v1 import service_pb2, service_pb2_grpc
    sobre = start({"grpc": {"tls": {"client_ca_file": str(authority.pem)}}})
    assert sobre.grow(question("bytes", [pod("web-0")]))[0]["groups"]
    request = service_pb2.ScoreRequest(pod_json=json.dumps(pod("web-0")))
    with sobre.channel() as channel, pytest.raises(grpc.RpcError) as error:
        service_pb2_grpc.SobreStub(channel).Score(request, timeout=30)
    assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED and "client_ca_file" in error.value.details()
    with sobre.channel(authority.issue("client")) as channel:
        assert service_pb2_grpc.SobreStub(channel).Score(request, timeout=30).best == ["here"]
    stranger = Authority(tmp_path / "stranger", "another-ca")
    with sobre.channel(stranger.issue("client")) as channel, pytest.raises(grpc.RpcError) as error:
        service_pb2_grpc.SobreStub(channel).Score(request, timeout=30)
    assert error.value.code() == grpc.StatusCode.UNAVAILABLE


def reviewing(path: str, body: bytes) -> tuple[str, str]:
    """An API server that knows two tokens: alice may list pods in "shop", root all."""
    asked = json.loads(body)["spec"]
    if path.endswith("tokenreviews"):
        user = {"alice-token": "alice", "root-token": "root"}.get(asked["token"])
        status = {"authenticated": True, "user": {"username": user}} if user else {"authenticated": False}
    else:
        status = {"allowed": asked["user"] == "root" or asked["resourceAttributes"]["namespace"] == "shop"}
    return "application/json", json.dumps({"status": status})


def test_where_the_status_port_wants_a_token_callers_see_what_their_own_lets_them_see(start, stubs, tmp_path):
    from proto.sobre.v1 import service_pb2, service_pb2_grpc
    api = HttpStub(reviewing)
    (tmp_path / "serve").mkdir()
    (tmp_path / "root-token").write_text("root-token")
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump({
        "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": api.url}}], "users": [{"name": "u", "user": {"token": "t"}}]}))
    closed = {"listen": {"status_access": "token"}, "kubernetes": {"kubeconfig": str(tmp_path / "kubeconfig")}}
    (tmp_path / "served.json").write_text(json.dumps({"items": list(templates().values())}))
    service = Sobre(tmp_path / "serve", closed, "--nodes", tmp_path / "served.json")
    try:
        sobre = start(closed | {"grpc": {"decisions": [service.status_url], "decisions_token_file": str(tmp_path / "root-token")}})

        def call(method: str, request, token: str | None):
            with sobre.channel() as channel:
                metadata = [("authorization", f"Bearer {token}")] if token else []
                answer = getattr(service_pb2_grpc.SobreStub(channel), method)(request, timeout=30, metadata=metadata)
                try:
                    return next(answer) if method == "WatchDecisions" else answer
                except grpc.RpcError as error:
                    return error.code(), error.details()

        for namespace in ("bank", "shop"):
            one = pod("web-1")
            one["metadata"]["namespace"] = namespace
            fetch(service.url + "/v1/prioritize", "POST", {"Pod": one, "NodeNames": list(REGIONS)}, JSON)
        watch, bank, everything = (service_pb2.WatchDecisionsRequest(namespace=name, with_recent=True) for name in ("shop", "bank", ""))
        # Nobody is told of others by the rights of sobre-grpc itself, which follows all decisions as root.
        for request, token, code, said in (
                (watch, None, "UNAUTHENTICATED", "who asks"), (watch, "stolen", "UNAUTHENTICATED", "does not know this token"),
                (bank, "alice-token", "PERMISSION_DENIED", "alice may not list pods in namespace bank"),
                (everything, "alice-token", "PERMISSION_DENIED", "alice may not list the pods of all namespaces")):
            found, details = call("WatchDecisions", request, token)
            assert (found.name, said in details) == (code, True), details
        assert call("WatchDecisions", watch, "alice-token").decision.namespace == "shop"
        assert call("WatchDecisions", everything, "root-token").decision.namespace == "bank"
        ask = service_pb2.ScoreRequest(pod_json=json.dumps(pod("web-0")))
        other = pod("web-0")
        other["metadata"]["namespace"] = "bank"
        with pytest.raises(grpc.RpcError) as error:
            call("Score", ask, None)
        assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED
        with pytest.raises(grpc.RpcError) as error:
            call("Score", service_pb2.ScoreRequest(pod_json=json.dumps(other)), "alice-token")
        assert error.value.code() == grpc.StatusCode.PERMISSION_DENIED
        assert call("Score", ask, "alice-token").best == ["here"]
        assert sobre.grow(question("bytes", [pod("web-0")]))[0]["groups"], "the autoscaler, which has no token, is answered"
    finally:
        service.stop()
        api.stop()


def test_a_score_is_what_sobre_score_says(start, stubs):
    from google.protobuf.json_format import ParseDict
    from proto.sobre.v1 import decision_pb2, service_pb2, service_pb2_grpc
    sobre = start({}, templates().values(), prices(**PRICES))
    waiting = pod("web-0", objective="balanced", allowed_countries="FR,DE")
    with sobre.channel() as channel:
        client = service_pb2_grpc.SobreStub(channel)
        decision = client.Score(service_pb2.ScoreRequest(pod_json=json.dumps(waiting)), timeout=30)
        expected = ParseDict(sobre.score(waiting, "--at", decision.time), decision_pb2.Decision())
        # Over gRPC the best come first.
        assert [c.score for c in decision.candidates] == sorted((c.score for c in expected.candidates), reverse=True)
        for one in (decision, expected):
            one.candidates.sort(key=lambda c: c.node)
        assert decision == expected
        few = client.Score(service_pb2.ScoreRequest(pod_json=json.dumps(waiting), candidates=["eu-west-3", "ghost", "eu-north-1"],
                                                    most_candidates=2), timeout=30)
        assert len(few.candidates) == 2 and few.candidates_left_off == 1
        for request, said in ((service_pb2.ScoreRequest(), "no pod"), (service_pb2.ScoreRequest(pod_json="{"), "pod_json"),
                              (service_pb2.ScoreRequest(pod_protobuf=b"\xff"), "pod_protobuf")):
            with pytest.raises(grpc.RpcError) as error:
                client.Score(request, timeout=30)
            assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT and said in error.value.details()


def test_decisions_are_told_as_they_are_made_and_the_example_shows_them(start, stubs, tmp_path):
    (tmp_path / "serve").mkdir()
    (tmp_path / "served.json").write_text(json.dumps({"items": list(templates().values())}))
    service = Sobre(tmp_path / "serve", {}, "--nodes", tmp_path / "served.json")
    try:
        sobre = start({"grpc": {"decisions": [service.status_url]}})
        (tmp_path / "pod.json").write_text(json.dumps(pod("web-0")))

        def example(*arguments) -> subprocess.Popen:
            return subprocess.Popen([sys.executable, ROOT / "examples" / "grpc_client.py", f"localhost:{sobre.port}", "--ca",
                                     sobre.authority.pem, *map(str, arguments)], env=os.environ | {"PYTHONPATH": str(stubs)},
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

        scored, problem = example("score", tmp_path / "pod.json").communicate(timeout=60)
        assert "here" in scored and "gCO2e" in scored, problem
        watching = example("watch", "--namespace", "shop")
        seen: list[str] = []
        reader = threading.Thread(target=lambda: seen.extend(iter(watching.stdout.readline, "")))
        reader.start()
        try:
            for name, namespace in (("web-1", "shop"), ("web-2", "other"), ("web-3", "shop")):
                one = pod(name)
                one["metadata"]["namespace"] = namespace
                fetch(service.url + "/v1/prioritize", "POST", {"Pod": one, "NodeNames": list(REGIONS)}, JSON)
            eventually(lambda: len(seen) >= 2, "two decisions told")
            assert ["shop/web-1" in seen[0], "shop/web-3" in seen[1], len(seen)] == [True, True, 2]
            assert "eu-north-1" in seen[0]
            # Streams end with the service, in words.
            assert sobre.process.stop() == 0
            assert watching.wait(30) == 1
            assert "UNAVAILABLE: stopping" in watching.stderr.read()
        finally:
            watching.kill()
            reader.join()
    finally:
        service.stop()


def test_health_follows_the_world_reflection_lists_the_services_and_sigterm_ends_it(start):
    sobre = start()
    eventually(lambda: sobre.health() == 1, "healthy")
    with sobre.channel() as channel:
        asks = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        listed = next(iter(asks(iter([b"\x3a\x00"]), timeout=30)))
        for name in (b"grpcplugin.Expander", b"sobre.v1.Sobre", b"grpc.health.v1.Health"):
            assert name in listed
    assert sobre.process.stop() == 0
    assert [line["msg"] for line in map(json.loads, sobre.process.log.read_text().splitlines())][-2:] == ["stopping", "stopped"]


def test_a_renewed_certificate_is_taken_without_a_restart(start, authority):
    sobre = start()
    pem, key = authority.issue("renewed")
    sobre.mount.swap(pem, key)
    served = lambda: ssl.get_server_certificate(("localhost", sobre.port), ca_certs=str(authority.pem))
    wanted = ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert(pem.read_text()[pem.read_text().index("-----BEGIN"):]))
    eventually(lambda: served() == wanted, "the renewed certificate")
    assert sobre.grow(question("bytes", [pod("web-0")]))[0]["groups"]


@pytest.mark.parametrize("change, said", [
    ({"listen": "0.0.0.0:0"}, "needs grpc.tls"),
    ({"listen": "127.0.0.1:0", "max_streams": 0}, "max_streams"),
    ({"listen": "127.0.0.1:0", "tls": {"certificate_file": "missing.pem", "key_file": "missing.key"}}, "missing.pem"),
    ({"listen": "nowhere"}, "expected HOST:PORT"),
    ({"listen": "127.0.0.1:0", "decisions": ["http://sobre:8091"], "decisions_token_file": "token"}, "whoever reaches this port"),
    ({"listen": "localhost:99999"}, "expected HOST:PORT"),
    ({"listen": "127.0.0.1:0", "decisions": ["http://user:secret@sobre"]}, "a password would be printed"),
])
def test_a_wrong_configuration_is_refused_in_words(tmp_path, change, said):
    (tmp_path / "grpc.yaml").write_text(yaml.safe_dump({"grpc": change}))
    (tmp_path / "nodes.json").write_text('{"items": []}')
    done = subprocess.run([programs.sobre() + "-grpc", "--config", "grpc.yaml", "--nodes", "nodes.json"], cwd=tmp_path,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and said in done.stderr, done.stderr
