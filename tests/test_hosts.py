"""Who asks, by which name, and how: names of others, headers that two readers read differently, and what strangers are told."""
import contextlib
import http.client
import json
import re
import signal
import socket
import subprocess

import pytest
import yaml

from tests.certificates import Authority
from tests.harness import HttpStub, Sobre, eventually, fetch, free_ports
from tests.test_security import exchange
from tests.test_service import JSON, NODES, args

NAMED = ["sobre.shop.svc"]


@pytest.fixture(scope="module", params=["http", "https"])
def named(request, tmp_path_factory, sobre_bin):
    """A service with a name of its own, and how its extender port is spoken to."""
    folder = tmp_path_factory.mktemp("named")
    (folder / "nodes.json").write_text(json.dumps(NODES))
    listen, context = {"hosts": NAMED}, None
    if request.param == "https":
        authority = Authority(folder / "ca", "test-ca")
        pem, key = authority.issue("sobre")
        listen["tls"], context = {"certificate_file": str(pem), "key_file": str(key)}, authority.trust()
    sobre = Sobre(folder, {"listen": listen}, "--nodes", folder / "nodes.json")
    yield sobre, context
    sobre.stop(signal.SIGKILL)


@pytest.mark.parametrize("host, status", [
    ("127.0.0.1", 200), ("127.0.0.1:8091", 200), ("[::1]:8091", 200), ("localhost:1", 200), ("LOCALHOST", 200), ("10.9.8.7", 200),
    (NAMED[0], 200), (NAMED[0].upper() + ":8091", 200), (NAMED[0] + ".", 200), (socket.gethostname(), 200),
    ("evil.example", 421), ("evil.example:8091", 421), ("localhost.evil.example", 421), ("127.0.0.1.evil.example", 421), ("evil." + NAMED[0], 421),
    ("shop.svc", 421), ("other", 421)])
def test_another_s_name_is_not_answered(named, host, status):
    """DNS that leads a stranger's name here would have the browser of whoever looks by port-forward read everything for a stranger (rebinding)."""
    sobre, context = named
    for port, method, path, data in [(sobre.status_port, "GET", "/api/v1/nodes", None), (sobre.status_port, "GET", "/readyz?verbose", None),
                                     (sobre.status_port, "GET", "/", None),
                                     (sobre.extender_port, "POST", "/v1/prioritize", json.dumps(args("fr", "de")))]:
        connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=30) if context and port == sobre.extender_port \
            else http.client.HTTPConnection("localhost", port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, data, JSON | {"Host": host})
            reply = connection.getresponse()
            said = reply.read().decode()
            assert reply.status == status, (host, path, said)
            if status == 421:
                error = json.loads(said)["error"]
                assert host.split(":")[0] in error and "listen.hosts" in error and "extender.hosts" in error
    if status == 421:
        page = fetch(sobre.status_url + "/metrics").decode()
        assert int(re.search(r'^sobre_http_refused_total{server="extender",status="421"} (\d+)$', page, re.MULTILINE)[1]) > 0


@pytest.mark.parametrize("head", [
    "GET /healthz HTTP/1.1\r\nX: y", "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost", "GET  /healthz HTTP/1.1\r\nHost: localhost",
    "GET /healthz  HTTP/1.1\r\nHost: localhost", "GET\t/healthz HTTP/1.1\r\nHost: localhost", "GET /healthz\tHTTP/1.1\r\nHost: localhost",
    "GET /healthz HTTP/1.1 \r\nHost: localhost", "GET /healthz HTTP/1.1\r\nHost: a b", "GET /healthz HTTP/1.1\r\nHost:",
    "GET /healthz HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b"])
def test_what_two_readers_read_differently_is_no_request(named, head):
    sobre, context = named
    for port in (sobre.status_port, sobre.extender_port):
        if port == sobre.extender_port and context:
            continue  # net/http_server_test.cc speaks TLS
        answer = exchange(port, head.encode() + b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 400 ") and b"error" in answer, answer


def test_a_host_is_a_name(tmp_path, sobre_bin):
    for host in ("http://sobre.example.com", "sobre.example.com:8091", "*.example.com", ""):
        (tmp_path / "sobre.yaml").write_text(yaml.safe_dump({"listen": {"hosts": [host]}}))
        done = subprocess.run([sobre_bin, "serve", "--config", tmp_path / "sobre.yaml"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 2 and "hosts: '" in done.stderr and "expected a host name without scheme and port" in done.stderr, done.stderr


@pytest.fixture
def behind_tokens(tmp_path, sobre_bin):
    """An API server that knows root, who may see all, and alice, who may see nothing; a service that asks it; a Prometheus that is away."""
    def api(path: str, body: bytes) -> tuple[str, str]:
        user = next((name for name in ("root", "alice") if f'"token":"{name}"'.encode() in body), "")
        if "tokenreviews" in path:
            return "application/json", json.dumps({"status": {"authenticated": bool(user), "user": {"username": user}}})
        return "application/json", json.dumps({"status": {"allowed": b'"user":"root"' in body}})
    stub = HttpStub(api)
    (port,) = free_ports(1)
    (tmp_path / "nodes.json").write_text(json.dumps(NODES))
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump({
        "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": stub.url}}], "users": [{"name": "u", "user": {"token": "t"}}]}))
    server = {"name": "secretive", "url": f"http://127.0.0.1:{port}", "signals": [{"signal": "node_price_per_hour", "query": "x"}]}
    sobre = Sobre(tmp_path, {"listen": {"status_access": "token"}, "kubernetes": {"kubeconfig": str(tmp_path / "kubeconfig")},
                             "prometheus": {"refresh": "200ms", "timeout": "1s", "servers": [server]}}, "--nodes", tmp_path / "nodes.json")
    yield sobre, str(port)
    sobre.stop(signal.SIGKILL)
    stub.stop()


def test_a_token_counts_as_it_was_sent(behind_tokens):
    """Not as a library decodes it: whoever reads the header on its way here has seen the same token."""
    sobre, _ = behind_tokens
    for token, status in [("root", b"200"), ("r%6Fot", b"401"), ("%72oot", b"401"), ("root%00", b"401"), ("root%0d%0a", b"401"), ("alice", b"403")]:
        answer = exchange(sobre.status_port, f"GET /api/v1/nodes HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 " + status), (token, answer)


def test_strangers_hear_which_parts_are_well_and_no_more(behind_tokens):
    """Where a token is asked for, probes have none."""
    sobre, port = behind_tokens

    def readyz(token: str = "", accept: str = "*/*") -> str:
        headers = {"Accept": accept} | ({"Authorization": f"Bearer {token}"} if token else {})
        return fetch(sobre.status_url + "/readyz?verbose", headers=headers).decode()
    told = eventually(lambda: "[!]" in readyz("root") and readyz("root"), "Prometheus is away")
    assert port in told and "secretive" in told and f"{len(NODES['items'])} nodes" in told
    for token in ("", "alice", "nobody"):
        for accept in ("*/*", "application/json"):
            said = readyz(token, accept)
            assert "prometheus" in said and "snapshot" in said, said
            assert not re.search(r"\d|secretive|http|onnect", said), said
