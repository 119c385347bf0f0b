"""The extender port over TLS: certificates that change, clients that are known, and `sobre probe`."""
import http.client
import json
import os
import socket
import ssl
import subprocess
import threading

import pytest

from tests import promql
from tests.certificates import Authority, Mount
from tests.harness import HttpStub, Sobre, eventually, fetch
from tests.test_service import JSON, NODES, args

BODY = json.dumps(args("fr", "de", "dark")).encode()


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority") / "ca", "test-ca")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger") / "ca", "test-ca")


@pytest.fixture
def start(tmp_path, sobre_bin, authority):
    """Starts Sobre with TLS; what is given goes to listen.tls. Its `mount` holds its certificate."""
    running = []

    def begin(config=None, shutdown_grace: str = "200ms", **tls) -> Sobre:
        folder = tmp_path / f"sobre{len(running)}"
        folder.mkdir()
        (folder / "nodes.json").write_text(json.dumps(NODES))
        mount = Mount(folder / "tls", *authority.issue("first"))
        # Relative to the configuration file.
        tls = {"certificate_file": "tls/tls.crt", "key_file": "tls/tls.key", "check": "50ms"} | tls
        listen = {"tls": tls, "shutdown_grace": shutdown_grace}
        sobre = Sobre(folder, (config or {}) | {"listen": listen}, "--nodes", folder / "nodes.json")
        running.append(sobre)
        sobre.url, sobre.mount = f"https://localhost:{sobre.extender_port}", mount
        return sobre
    yield begin
    for sobre in running:
        sobre.stop()


def connect(sobre: Sobre, context: ssl.SSLContext) -> http.client.HTTPSConnection:
    connection = http.client.HTTPSConnection("localhost", sobre.extender_port, timeout=10, context=context)
    connection.connect()
    return connection


def ask(connection: http.client.HTTPConnection, verb: str = "prioritize") -> tuple[bytes, bool]:
    """The answer, and whether the connection goes on."""
    connection.request("POST", f"/v1/{verb}", BODY, JSON)
    reply = connection.getresponse()
    body = reply.read()
    assert reply.status == 200, body
    return body, reply.getheader("Connection", "").lower() != "close"


def shown(sobre: Sobre, context: ssl.SSLContext) -> str:
    """The common name of the certificate that a new connection gets."""
    connection = connect(sobre, context)
    subject = dict(pair[0] for pair in connection.sock.getpeercert()["subject"])
    connection.close()
    return subject["commonName"]


def metric(sobre: Sobre, series: str) -> float:
    text = fetch(sobre.status_url + "/metrics").decode()
    return next(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(series + " "))


def reloads(sobre: Sobre, outcome: str) -> float:
    return metric(sobre, f'sobre_tls_reloads_total{{outcome="{outcome}"}}')


def warnings(sobre: Sobre, what: str) -> list[str]:
    lines = [json.loads(line) for line in sobre.process.log.read_text().splitlines()]
    return [line["error"] for line in lines if line["level"] == "warning" and what in line["msg"]]


def test_answers_are_those_of_plain_http(start, tmp_path, authority):
    encrypted = start()
    (tmp_path / "nodes.json").write_text(json.dumps(NODES))
    plain = Sobre(tmp_path, {}, "--nodes", tmp_path / "nodes.json")
    try:
        connection = connect(encrypted, authority.trust())
        assert connection.sock.version() == "TLSv1.3"
        assert connection.sock.selected_alpn_protocol() == "http/1.1"
        for verb in ["prioritize", "filter", "prioritize"]:
            assert ask(connection, verb) == (fetch(f"{plain.url}/v1/{verb}", "POST", BODY, JSON), True)
    finally:
        plain.stop()


def test_the_status_port_stays_plain(start):
    assert fetch(start().status_url + "/healthz") == b"ok\n"


def test_plain_http_is_told_what_is_wrong(start):
    with socket.create_connection(("localhost", start().extender_port), timeout=30) as client:
        client.sendall(b"POST /v1/filter HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")
        answer = client.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400 ") and answer.endswith(b"\r\n\r\nThis port speaks TLS: ask by https://\n")


def test_certificates_are_swapped_under_constant_calls_and_none_fails(start, authority):
    sobre = start()
    done, failed, answered = threading.Event(), [], [0, 0]

    def call(kept: bool) -> None:
        context, connection = authority.trust(), None
        while not done.is_set():
            try:
                connection = connection or connect(sobre, context)
                _, goes_on = ask(connection)
                assert goes_on
                answered[kept] += 1
            except (OSError, http.client.HTTPException, AssertionError) as error:
                failed.append(error)
            if not kept and connection:
                connection.close()
                connection = None
    threads = [threading.Thread(target=call, args=(kept,)) for kept in (False, True)]
    for thread in threads:
        thread.start()
    try:
        for number in range(1, 6):
            name, before = f"certificate {number}", list(answered)
            sobre.mount.swap(*authority.issue(name))
            eventually(lambda: shown(sobre, authority.trust()) == name, f"{name} is shown")
            eventually(lambda: all(now > then for now, then in zip(answered, before)), "calls go on")
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert failed == []
    assert (reloads(sobre, "done"), reloads(sobre, "failed")) == (5, 0)


def test_what_cannot_be_used_is_told_once_and_what_works_is_kept(start, authority):
    sobre = start()
    kept = connect(sobre, authority.trust())
    (pem, _), (_, other_key) = authority.issue("mine"), authority.issue("other")
    sobre.mount.swap(pem, other_key)
    eventually(lambda: reloads(sobre, "failed") == 1, "the change is counted")
    assert shown(sobre, authority.trust()) == "first"
    ask(kept)
    (sobre.mount.folder / "..data").unlink()
    eventually(lambda: reloads(sobre, "failed") == 2, "the change is counted")
    assert shown(sobre, authority.trust()) == "first"
    first, second = warnings(sobre, "cannot be used")
    assert "is not the key of the first certificate" in first and str(sobre.mount.folder) in first
    assert "certificate_file" in second and "cannot be read" in second
    sobre.mount.swap(*authority.issue("repaired"))
    eventually(lambda: shown(sobre, authority.trust()) == "repaired", "the repaired certificate is shown")
    assert (reloads(sobre, "done"), reloads(sobre, "failed")) == (1, 2)


def test_the_ends_of_its_certificates_are_those_in_use(start, authority):
    sobre = start(client_ca_file=str(authority.pem))
    end = 'sobre_certificate_expiry_timestamp_seconds{{use="extender_{}",server=""}}'.format
    server, client_ca = metric(sobre, end("server")), metric(sobre, end("client_ca"))
    assert client_ca - server == pytest.approx((365 - 30) * 86400, abs=3600)
    sobre.mount.swap(*authority.issue("longer", days=90))
    eventually(lambda: reloads(sobre, "done") == 1, "the change is counted")
    assert metric(sobre, end("server")) - server == pytest.approx(60 * 86400, abs=3600)
    assert metric(sobre, end("client_ca")) == client_ca


def test_its_metrics_have_the_labels_that_are_documented(start):
    _, labels = promql.exposed(fetch(start().status_url + "/metrics").decode())
    for name in ("sobre_tls_reloads_total", "sobre_tls_refused_total"):
        assert promql.documented()[name] == ("counter", labels[name])


def refused(sobre: Sobre, context: ssl.SSLContext) -> str:
    """Why a call failed, as the client sees it."""
    with pytest.raises(OSError) as error:
        ask(connect(sobre, context))
    return str(error.value)


def test_only_clients_that_are_known_are_answered(start, authority, stranger):
    sobre = start(client_ca_file=str(authority.pem), client_names=["kube-scheduler", "scheduler.example"])
    for client in [authority.issue("kube-scheduler"), authority.issue("x", alternatives="DNS:scheduler.example")]:
        ask(connect(sobre, authority.trust(client)))
    assert "certificate required" in refused(sobre, authority.trust()).lower().replace("_", " ")
    assert "unknown ca" in refused(sobre, authority.trust(stranger.issue("kube-scheduler"))).lower().replace("_", " ")
    assert "alert" in refused(sobre, authority.trust(authority.issue("somebody"))).lower()
    # Of each kind the first in a minute, however many there are.
    for _ in range(3):
        refused(sobre, authority.trust(authority.issue("somebody")))
    # The client hears of it a moment before it is counted.
    expected = {"no_certificate": 1, "untrusted": 1, "name": 4}
    eventually(lambda: {reason: metric(sobre, f'sobre_tls_refused_total{{reason="{reason}"}}') for reason in expected} == expected, "all are counted")
    none, untrusted, name = warnings(sobre, "TLS handshake failed")
    assert none == "peer did not return a certificate" and untrusted.startswith("the client's certificate was refused: ")
    assert name == "the client's certificate has none of the names in client_names; it is for 'localhost', 'somebody'"


def test_who_does_not_finish_a_handshake_keeps_nobody_out(start, authority):
    """A stranger without a certificate, who opens more connections than there are; and the same from the address of whoever is let in."""
    sobre = start(client_ca_file=str(authority.pem), client_names=["kube-scheduler"])
    context = authority.trust(authority.issue("kube-scheduler"))
    beginning = b"\x16\x03\x01\x02\x00\x01"

    def begin() -> list[socket.socket]:
        clients = [socket.create_connection(("127.0.0.1", sobre.extender_port), source_address=(f"127.0.0.{1 + i % 2}", 0)) for i in range(80)]
        for client in clients:
            client.sendall(beginning)
        return clients
    strangers = []
    try:
        for _ in range(5):
            strangers += begin()
            for _ in range(8):
                connection = connect(sobre, context)
                ask(connection)
                connection.close()
        eventually(lambda: metric(sobre, 'sobre_tls_refused_total{reason="timeout"}') >= len(strangers), "each is cut off, and counted")
        assert metric(sobre, 'sobre_connections_turned_away_total{server="extender"}') == 0
        assert "the client did not finish it in time" in warnings(sobre, "TLS handshake failed")
    finally:
        for client in strangers:
            client.close()


@pytest.mark.parametrize("tls, said", [
    ({"key_file": "tls/none"}, "listen.tls: key_file {folder}/tls/none: cannot be read"),
    ({"certificate_file": "tls/tls.key"}, "listen.tls: certificate_file {folder}/tls/tls.key: holds no certificate"),
    ({"key_file": "tls/tls.crt"}, "listen.tls: key_file {folder}/tls/tls.crt: holds no private key"),
    ({"key_file": "other.key"}, "listen.tls: key_file {folder}/other.key: is not the key of the first certificate"),
    ({"client_ca_file": "nodes.json"}, "listen.tls: client_ca_file {folder}/nodes.json: holds no certificate"),
    ({"client_names": ["x"]}, "sobre.yaml:6: listen.tls: client_names: also needs client_ca_file"),
    ({"key_file": ""}, "sobre.yaml:6: listen.tls: certificate_file and key_file are both needed"),
    ({"client_name": "x"}, "unknown key 'listen.tls.client_name'; did you mean 'client_names'?"),
])
def test_bad_files_are_an_error_at_the_start(tmp_path, sobre_bin, authority, tls, said):
    Mount(tmp_path / "tls", *authority.issue("first"))
    (tmp_path / "other.key").write_bytes(authority.issue("other")[1].read_bytes())
    (tmp_path / "nodes.json").write_text(json.dumps(NODES))
    listen = {"extender": "127.0.0.1:0", "status": "127.0.0.1:0",
              "tls": {"certificate_file": "tls/tls.crt", "key_file": "tls/tls.key"} | tls}
    (tmp_path / "sobre.yaml").write_text("# Lines\n# before\nlisten:\n  status: 127.0.0.1:0\n  extender: 127.0.0.1:0\n"
                                         f"  tls: {json.dumps(listen['tls'])}\n")
    done = subprocess.run([sobre_bin, "serve", "--config", tmp_path / "sobre.yaml", "--nodes", tmp_path / "nodes.json"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
    assert said.format(folder=tmp_path) in done.stderr


def test_no_call_fails_while_a_replica_stops(start, authority):
    """As kube-scheduler behind a Service: connections are kept until an answer closes them, and new ones go to who is left."""
    leaving, staying = start(shutdown_grace="8s"), start()
    targets, failed, moved, done = [leaving], [], [], threading.Event()
    answered = [0] * 4

    def call(index: int, pause: float) -> None:
        context, connection = authority.trust(), None
        while not done.wait(pause):
            try:
                if not connection:
                    target = targets[0]
                    connection = connect(target, context)
                _, goes_on = ask(connection)
                answered[index] += 1
                if not goes_on:
                    moved.append(index)
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException) as error:
                failed.append((index, error))
                return
    # Two that are busy, and two that are idle most of the time: each asks at least once while answers still go out.
    threads = [threading.Thread(target=call, args=(i, pause)) for i, pause in enumerate([0, 0.001, 0.3, 0.7])]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: all(answered), "everybody is connected")
        targets[0] = staying
        assert leaving.stop() == 0
        before = list(answered)
        eventually(lambda: all(now > then for now, then in zip(answered, before)), "the other replica answers")
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert failed == []
    assert set(moved) == {0, 1, 2, 3}


def probe(sobre_bin: str, *arguments) -> subprocess.CompletedProcess:
    return subprocess.run([sobre_bin, "probe", *map(str, arguments)], capture_output=True, text=True, timeout=60)


def test_the_probe_sees_that_all_is_well_and_leaves_nothing(start, sobre_bin, authority, tmp_path):
    records = {"directory": str(tmp_path / "records")}
    sobre = start({"records": records}, client_ca_file=str(authority.pem), client_names=["prober"])
    pem, key = authority.issue("prober")
    done = probe(sobre_bin, "--extender", sobre.url + "/", "--ca", authority.pem, "--certificate", pem, "--key", key,
                 "--status", sobre.status_url)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    seen = [line.split(":")[0].split() for line in lines[:5]]
    assert seen == [["ok", about] for about in ("prioritize", "filter", "preempt", "readyz", "version")]
    assert "2 nodes scored" in lines[0] and "2 of 2 nodes kept" in lines[1]
    ask(connect(sobre, authority.trust((pem, key))))
    written = 'sobre_records_written_total{kind="decision"}'
    eventually(lambda: metric(sobre, written) == 1, "what is asked in earnest is on record")
    listed = json.loads(fetch(sobre.status_url + "/api/v1/decisions"))
    assert "sobre-probe" not in json.dumps(listed) and '"p"' in json.dumps(listed)


def test_the_probe_says_what_is_wrong_and_what_to_do(start, sobre_bin, authority, stranger, tmp_path):
    sobre = start(client_ca_file=str(authority.pem), client_names=["prober"])
    mine, other, foreign = authority.issue("prober"), authority.issue("other"), stranger.issue("prober")

    def fails(extender: str, ca: Authority | None = authority, client=None, status: str | None = None) -> str:
        options = (["--ca", ca.pem] if ca else []) + (["--certificate", client[0], "--key", client[1]] if client else []) \
            + (["--status", status] if status else [])
        done = probe(sobre_bin, "--extender", extender, *options)
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stdout
    assert "-> show a client certificate: --certificate FILE --key FILE" in fails(sobre.url)
    for client in (other, foreign):
        assert "-> show a certificate for clients that listen.tls.client_ca_file signed" in fails(sobre.url, client=client)
    assert "-> give the authority that signed the port's certificate: --ca FILE" in fails(sobre.url, None, mine)
    assert "-> give by --ca the authority that signed" in fails(sobre.url, stranger, mine)
    by_address = sobre.url.replace("localhost", "127.0.0.1")
    assert "-> use a host name that the certificate has" in fails(by_address, client=mine)
    assert "-> say https://" in fails(sobre.url.replace("https", "http"))
    assert "-> the port speaks plain HTTP: say http://" in fails(sobre.status_url.replace("http:", "https:"))
    assert "-> check that this is Sobre's extender port" in fails(sobre.status_url)
    assert "-> check the host name, and DNS" in fails("https://nowhere.invalid:1")
    sobre.stop()
    assert "-> check that Sobre runs" in fails(sobre.url, status=sobre.status_url)


NODE_A, NODE_B = "sobre-probe-1", "sobre-probe-2"
SCORED = json.dumps([{"Host": NODE_A, "Score": 0}, {"Host": NODE_B, "Score": 10}])
KEPT = json.dumps({"NodeNames": [NODE_A, NODE_B], "Error": ""})
VICTIMS = {"Pods": [{"UID": "sobre-probe-victim"}], "NumPDBViolations": 0}
SPARED = json.dumps({"NodeNameToMetaVictims": {NODE_A: VICTIMS, NODE_B: VICTIMS}})


@pytest.mark.parametrize("preempted, said", [
    (SPARED, None),
    (json.dumps({"NodeNameToMetaVictims": {}}), None),
    ("{}", "has no object NodeNameToMetaVictims"),
    (SPARED.replace(NODE_B, "other"), "names a node that was not asked about"),
    (SPARED.replace("victim", "other"), "has other victims"),
])
def test_the_probe_judges_what_it_is_told_of_victims(sobre_bin, preempted, said):
    answers = {"prioritize": SCORED, "filter": KEPT, "preempt": preempted}
    impostor = HttpStub(lambda path, body: ("application/json", answers[path.rsplit("/", 1)[1]]))
    try:
        done = probe(sobre_bin, "--extender", impostor.url)
    finally:
        impostor.stop()
    assert done.returncode == (1 if said else 0), done.stdout
    assert (said or "ok       preempt") in done.stdout


@pytest.mark.parametrize("scored, kept, said", [
    (SCORED, KEPT, None),
    (SCORED, json.dumps({"NodeNames": [NODE_A], "FailedNodes": {NODE_B: "why"}}), None),
    (SCORED, json.dumps({"NodeNames": None, "Error": "not known"}), None),
    ("ok", KEPT, "the answer is no JSON"),
    (json.dumps({"hosts": []}), KEPT, "the answer is no JSON array"),
    (json.dumps([{"Host": NODE_A, "Score": 0}]), KEPT, "scores 1 nodes of 2"),
    (SCORED.replace(NODE_B, NODE_A), KEPT, "does not name the nodes that were asked about"),
    (SCORED.replace("10", "11"), KEPT, "no whole number from 0 to 10"),
    (SCORED.replace("10", "0.5"), KEPT, "no whole number from 0 to 10"),
    (SCORED, "[]", "has no list NodeNames"),
    (SCORED, json.dumps({"NodeNames": [NODE_A, "other"]}), "names a node that was not asked about"),
    (SCORED, json.dumps({"NodeNames": [NODE_A]}), "judges 1 nodes of 2"),
])
def test_the_probe_judges_the_form_of_answers(sobre_bin, scored, kept, said):
    answers = {"prioritize": scored, "filter": kept, "preempt": SPARED}
    impostor = HttpStub(lambda path, body: ("application/json", answers[path.rsplit("/", 1)[1]]))
    try:
        done = probe(sobre_bin, "--extender", impostor.url)
    finally:
        impostor.stop()
    assert done.returncode == (1 if said else 0), done.stdout
    assert (said or "ok       filter") in done.stdout


@pytest.mark.parametrize("arguments, said", [
    ([], "--extender URL is required"),
    (["--extender", "localhost:1"], "--extender: expected http:// or https://"),
    (["--extender", "http://x", "--status", "x"], "--status: expected http:// or https://"),
    (["--extender", "https://x", "--key", os.devnull], "--certificate and --key go together"),
    (["--extender", "https://x", "--ca", "/nowhere"], "--ca: /nowhere: cannot be read"),
    (["--extender", "https://x", "--ca", os.devnull], f"--ca: {os.devnull}: is no PEM file"),
])
def test_the_probe_says_how_it_is_used(sobre_bin, arguments, said):
    done = probe(sobre_bin, *arguments)
    assert done.returncode == 2 and said in done.stderr and done.stdout == ""


def test_the_probe_is_in_the_help(sobre_bin):
    assert "\n  probe " in subprocess.run([sobre_bin, "--help"], capture_output=True, text=True).stdout
    done = probe(sobre_bin, "--help")
    assert done.returncode == 0 and done.stdout.startswith("usage: sobre probe --extender URL")
