"""`sobre serve` as a program: what it does with bad input, a bad Prometheus, and SIGTERM."""
import http.client
import json
import socket
import subprocess
import threading
import time
import urllib.error

import pytest

from tests.harness import Exporter, HttpStub, Prometheus, Sobre, eventually, fetch

NODES = {"items": [
    {"metadata": {"name": name, "labels": {"topology.kubernetes.io/region": region}},
     "spec": {"providerID": provider_id}, "status": {"allocatable": {"cpu": "8", "memory": "32Gi"}}}
    for name, region, provider_id in [("fr", "eu-west-3", "aws:///a/1"), ("de", "eu-central-1", "aws:///a/2"), ("dark", "", "")]]}
POD = {"metadata": {"name": "p", "namespace": "shop", "uid": "u"},
       "spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "1"}}}]}}
JSON = {"Content-Type": "application/json"}


def args(*names) -> dict:
    return {"Pod": POD, "Nodes": None, "NodeNames": list(names)}


@pytest.fixture
def sobre(tmp_path, sobre_bin):
    (tmp_path / "nodes.json").write_text(json.dumps(NODES))
    sobre = Sobre(tmp_path, {"listen": {"max_body_megabytes": 1}}, "--nodes", tmp_path / "nodes.json")
    yield sobre
    sobre.stop()


def scores(sobre, *names) -> dict[str, int]:
    reply = json.loads(fetch(sobre.url + "/v1/prioritize", "POST", args(*names), JSON))
    return {entry["Host"]: entry["Score"] for entry in reply}


def test_unknown_nodes_score_zero_and_all_unknown_score_the_same(sobre):
    assert scores(sobre, "fr", "de", "dark", "ghost") == {"fr": 10, "de": 1, "dark": 0, "ghost": 0}
    assert scores(sobre, "dark", "ghost") == {"dark": 0, "ghost": 0}


def test_whole_nodes_that_are_strangers_keep_their_names(sobre):
    strangers = [{"metadata": {"name": f"stranger-{i}"}} for i in range(50)]
    known = NODES["items"][:1]
    body = {"Pod": POD, "Nodes": {"items": strangers[:25] + known + strangers[25:]}, "NodeNames": None}
    reply = json.loads(fetch(sobre.url + "/v1/prioritize", "POST", body, JSON))
    assert [e["Host"] for e in reply] == [n["metadata"]["name"] for n in body["Nodes"]["items"]]
    assert len({e["Score"] for e in reply[:25]}) == 1
    kept = json.loads(fetch(sobre.url + "/v1/filter", "POST", body, JSON))["Nodes"]["items"]
    assert [n["metadata"]["name"] for n in kept] == [e["Host"] for e in reply]


@pytest.mark.parametrize("verb", ["filter", "prioritize"])
@pytest.mark.parametrize("body, status, said", [
    (b"{", 400, "not valid JSON"),
    (b"", 400, "not valid JSON"),
    (b"[]", 400, "unexpected type"),
    (json.dumps({"Pod": POD}).encode(), 400, "neither Nodes nor NodeNames"),
    (json.dumps(args("fr", "fr")).encode(), 400, "twice"),
    (b" " * (1 << 20) + b"{}", 413, "the limit is"),
], ids=["cut off", "empty", "no object", "no nodes", "a node twice", "too large"])
def test_bad_bodies_get_a_reason_and_the_next_request_is_served(sobre, verb, body, status, said):
    with pytest.raises(urllib.error.HTTPError) as error:
        fetch(f"{sobre.url}/v1/{verb}", "POST", body, JSON)
    assert error.value.code == status
    assert said in json.loads(error.value.read())["error"]
    assert scores(sobre, "fr")["fr"] == 10


@pytest.mark.parametrize("head, status", [
    (b"POST /v1/filter HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\r\n", b"411"),
    (b"POST /v1/filter HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", b"411"),
    (b"GET /v1/filter HTTP/1.1\r\nHost: localhost\r\n\r\n", b"405"),
    (b"POST /v1/filter HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", b"415"),
])
def test_bad_requests_get_their_status_and_the_next_is_served(sobre, head, status):
    with socket.create_connection(("127.0.0.1", sobre.extender_port), timeout=5) as client:
        client.sendall(head)
        assert client.recv(4096).startswith(b"HTTP/1.1 " + status)
    assert scores(sobre, "fr")["fr"] == 10


def test_an_empty_list_is_answered_with_one(sobre):
    assert scores(sobre) == {}
    assert json.loads(fetch(sobre.url + "/v1/filter", "POST", args(), JSON))["NodeNames"] == []


def test_no_request_is_lost_on_sigterm(tmp_path, sobre_bin):
    """As in a cluster: the endpoint goes first, so nobody connects anew; on kept connections work goes on until they close."""
    (tmp_path / "nodes.json").write_text(json.dumps(NODES))
    sobre = Sobre(tmp_path, {"listen": {"shutdown_grace": "5s"}}, "--nodes", tmp_path / "nodes.json")
    answered, failed, endpoint_removed = [], [], threading.Event()
    body = json.dumps(args("fr")).encode()

    def ask() -> None:
        while not endpoint_removed.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", sobre.extender_port, timeout=30)
            try:
                closing = False
                while not closing:
                    connection.request("POST", "/v1/prioritize", body, JSON)
                    reply = connection.getresponse()
                    closing = reply.getheader("Connection", "").lower() == "close"
                    answered.append(json.loads(reply.read())[0]["Score"])
            except (OSError, http.client.HTTPException, ValueError) as error:
                failed.append(error)
            finally:
                connection.close()
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(answered) > 50, "requests flow")
    endpoint_removed.set()
    assert sobre.stop() == 0
    for thread in threads:
        thread.join()
    assert failed == []


def test_metrics_are_what_promtool_accepts(sobre):
    scores(sobre, "fr")
    text = fetch(sobre.status_url + "/metrics")
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_configuration_error_names_file_line_and_key(tmp_path, sobre_bin):
    path = tmp_path / "bad.yaml"
    path.write_text("policy:\n  objectve: carbon\n")
    run = subprocess.run([sobre_bin, "serve", "--config", path], capture_output=True, text=True)
    assert run.returncode == 2
    assert f"{path}:2: unknown key 'policy.objectve'; did you mean 'objective'?" in run.stderr


def test_score_explains_what_it_fell_back_to(tmp_path, sobre_bin):
    (tmp_path / "nodes.json").write_text(json.dumps(NODES))
    (tmp_path / "pod.json").write_text(json.dumps(POD))
    (tmp_path / "signals.json").write_text(json.dumps([
        {"signal": "node_price_per_hour", "labels": {"node": "fr"}, "value": 0.4, "time": "2026-11-22T00:00:00Z"},
        {"signal": "grid_gco2e_per_kwh", "labels": {"zone": "FR"}, "value": -5}]))
    run = subprocess.run([sobre_bin, "score", "--nodes", tmp_path / "nodes.json", "--pod", tmp_path / "pod.json", "--signals",
                          tmp_path / "signals.json", "--at", "2026-11-23T12:00:00Z"], capture_output=True, text=True, check=True)
    decision = json.loads(run.stdout)
    assert decision["best"] == ["fr"]
    assert decision["rankedBy"] == "carbon"
    notes = " ".join(decision["notes"])
    for said in ["no price is known", "36 h old, over the limit of 24 h", "implausible: -5 gCO2e/kWh", "unknown and score 0"]:
        assert said in notes, said


def test_score_reads_what_the_namespace_says(tmp_path, sobre_bin):
    def score(namespace: dict) -> subprocess.CompletedProcess:
        for name, content in [("nodes", NODES), ("pod", POD), ("namespace", namespace)]:
            (tmp_path / f"{name}.json").write_text(json.dumps(content))
        return subprocess.run([sobre_bin, "score", "--nodes", tmp_path / "nodes.json", "--pod", tmp_path / "pod.json",
                               "--namespace", tmp_path / "namespace.json"], capture_output=True, text=True)

    said = {"kind": "Namespace", "metadata": {"name": "shop", "annotations": {"sobre.dev/objective": "carbon", "other/key": "x"}}}
    decision = json.loads(score(said).stdout)
    assert decision["policy"]["objective"] == "carbon"
    assert [(said["key"], said["origin"]) for said in decision["policyFrom"]] == [("objective", "namespace")]
    said["metadata"]["name"] = "elsewhere"
    assert "the pod is in shop, not in elsewhere" in score(said).stderr
    assert "expected what `kubectl get namespace NAME -o json` prints" in score(POD).stderr


def test_a_prometheus_that_is_away_stale_or_wrong_is_noted_and_survived(control_plane, tmp_path, sobre_bin):
    """The same service through every state of a real Prometheus."""
    for node in NODES["items"]:
        control_plane.call("POST", "/api/v1/nodes", node)
    exporter = Exporter()
    prometheus = Prometheus(tmp_path, exporter)
    sobre = Sobre(tmp_path, {"kubernetes": {"kubeconfig": str(control_plane.kubeconfig)}, "prometheus": {
        "url": prometheus.url, "refresh": "300ms", "timeout": "1s",
        "signals": [{"signal": "node_price_per_hour", "query": "node_total_hourly_cost", "max_age": "5s"}]}})
    try:
        def price() -> object:
            return sobre.nodes()["fr"]["eurPerHour"]

        def page() -> str:
            return fetch(sobre.status_url + "/api/v1/overview").decode()
        eventually(lambda: "the query gives no series" in page(), "an empty answer is noted")
        exporter.text = 'node_total_hourly_cost{node="fr"} 0.5\n'
        eventually(lambda: price() == 0.5, "the price is heard")
        for bad in ["NaN", "-1", "+Inf"]:
            exporter.text = f'node_total_hourly_cost{{node="fr"}} {bad}\n'
            eventually(lambda: price() is None and "implausible" in page(), f"{bad} is set aside")
        exporter.text = 'node_total_hourly_cost{node="fr"} 0.5\n'
        eventually(lambda: price() == 0.5, "the price is heard again")
        prometheus.stop()
        eventually(lambda: price() is None and "prometheus: http" in page(), "the last price ages out")
        assert scores(sobre, "fr", "de") == {"fr": 10, "de": 1}
    finally:
        sobre.stop()
        prometheus.stop()
        exporter.stop()


def test_an_hour_old_sample_is_not_believed(control_plane, tmp_path, sobre_bin):
    """A Prometheus that still shows an old sample: only its own time gives it away."""
    def answer(path: str, query: bytes) -> tuple[str, str]:
        value = str(time.time() - 3600) if b"timestamp" in query else "0.5"
        return "application/json", json.dumps({"status": "success", "data": {"resultType": "vector", "result": [
            {"metric": {"node": "old-node"}, "value": [time.time(), value]}]}})
    old = HttpStub(answer)
    control_plane.call("POST", "/api/v1/nodes", {"metadata": {"name": "old-node"}})
    sobre = Sobre(tmp_path, {"kubernetes": {"kubeconfig": str(control_plane.kubeconfig)}, "prometheus": {
        "url": old.url, "refresh": "300ms",
        "signals": [{"signal": "node_price_per_hour", "query": "node_total_hourly_cost", "max_age": "5m"}]}})
    try:
        eventually(lambda: "60 min old, over the limit of 5 min" in fetch(sobre.status_url + "/api/v1/overview").decode(), "the age is noted")
        assert sobre.nodes()["old-node"]["eurPerHour"] is None
    finally:
        sobre.stop()
        old.stop()
