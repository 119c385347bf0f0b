"""What strangers write, say or send: both ports, every output and every input file, with text and bytes that mean harm."""
import base64
import contextlib
import http.client
import http.server
import json
import os
import re
import resource
import signal
import socket
import sqlite3
import subprocess
import threading
import time
import unicodedata
import urllib.error
import urllib.parse

import pytest
import yaml

from tests import programs, promql
from tests.browser import Browser
from tests.certificates import Authority
from tests.harness import ROOT, HttpStub, Sobre, eventually, fetch, free_ports
from tests.test_page import PAGES
from tests.test_report import HOUR, row, schema

JSON = {"Content-Type": "application/json"}
MARKUP = "<img src=x onerror=\"window.taken=1\">'\"&</script>"
STEERING = "a\x1b[2J\x1b]0;t\x07\n\r\tb\x7f\x9b31m\u202ec\u2066d\u2069\u200be\ufeff\u2028f"
EVIL = MARKUP + STEERING
LABEL = 'q" b\\ n\nc} evil_metric{x="1"} 1'

ADVICE_FIGURES = ("last_eviction_ms", "evictions", "there_before", "moved", "now_units", "there_units", "requested_vcpus", "suggested_vcpus", "peak_vcpus",
                  "after_hours", "now_eur", "now_g", "there_eur", "there_g", "net_eur", "net_g", "cost_eur", "cost_g", "before_eur", "before_g", "after_eur", "after_g")


def misleading(text: bytes, lines: bool = True) -> list[str]:
    """Characters that a terminal acts upon or an eye is deceived by; bytes that are no UTF-8."""
    try:
        return sorted({repr(c) for c in text.decode() if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") and not (lines and c == "\n")})
    except UnicodeDecodeError as error:
        return [str(error)]


def nodes(*names: str) -> dict:
    return {"items": [{"metadata": {"name": name, "labels": {"topology.kubernetes.io/region": "eu-west-3" if i == 0 else name,
                                                             "node.kubernetes.io/instance-type": name, "sobre.dev/pool": name, "sobre.dev/provider": "aws"}},
                       "spec": {"providerID": f"aws:///a/{name}"}, "status": {"allocatable": {"cpu": "8", "memory": "32Gi"}}}
                      for i, name in enumerate(names)]}


def pod(name: str, annotations=None, **meta) -> dict:
    return {"metadata": {"name": name, "namespace": "shop", "uid": f"uid-{name}", "annotations": annotations or {}} | meta,
            "spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "1"}}}]}}


def ask(sobre: Sobre, verb: str, about: dict, *names: str) -> bytes:
    return fetch(f"{sobre.url}/v1/{verb}", "POST", {"Pod": about, "Nodes": None, "NodeNames": list(names)}, JSON)


def exchange(port: int, data: bytes, seconds: float = 5) -> bytes:
    """All that comes back until the server closes, or says nothing for a while."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as client, contextlib.suppress(OSError):
        client.sendall(data)
        client.settimeout(1)
        while block := client.recv(65536):
            answer += block
    return answer


def records(folder, *rows: dict) -> dict:
    """The configuration's part for a database that somebody else has filled."""
    folder.mkdir()
    with contextlib.closing(sqlite3.connect(folder / "records.db")) as database, database:
        for statement in schema():
            database.execute(statement)
        database.execute("CREATE TABLE schema_version(id BIGINT PRIMARY KEY, step BIGINT NOT NULL)")
        database.execute("INSERT INTO schema_version VALUES(1, ?)", [len(schema())])
        begin = int(time.time() * 1000) // HOUR * HOUR
        database.execute("INSERT INTO accounting VALUES(1, 'nobody', ?)", [begin])
        now, none = int(time.time() * 1000), dict.fromkeys(ADVICE_FIGURES, 0)
        for advice in rows and [none | {"id": "a1", "kind": "move", "state": "open", "namespace": EVIL, "workload": EVIL, "from_place": EVIL,
                                        "to_place": EVIL, "unit": EVIL, "ranked_by": EVIL, "note": EVIL, "opened_ms": now, "changed_ms": now, "held_ms": now, "pods": 1}]:
            database.execute(f"INSERT INTO advice({', '.join(advice)}) VALUES({', '.join('?' * len(advice))})", list(advice.values()))
        for usage in rows:
            usage = usage | {"begin_ms": begin - HOUR}
            database.execute(f"INSERT INTO usage({', '.join(usage)}) VALUES({', '.join('?' * len(usage))})", list(usage.values()))
    return {"records": {"directory": str(folder)}, "accounting": {"every": "1s", "flush": "1s"}}


@pytest.fixture
def start(tmp_path, sobre_bin):
    """start(config, nodes): a service on nodes that stand still."""
    running = []

    def begin(config=None, world=None, signals=()) -> Sobre:
        (tmp_path / "nodes.json").write_text(json.dumps(world or nodes("n1", "n2")))
        (tmp_path / "told.json").write_text(json.dumps(signals))
        running.append(Sobre(tmp_path, config or {}, "--nodes", tmp_path / "nodes.json", "--signals", tmp_path / "told.json"))
        return running[-1]
    yield begin
    for sobre in running:
        sobre.stop(signal.SIGKILL)


@pytest.fixture(scope="module")
def served(tmp_path_factory, sobre_bin):
    """One for all who only try its ports."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "nodes.json").write_text(json.dumps(nodes("n1", "n2")))
    sobre = Sobre(folder, records(folder / "records"), "--nodes", folder / "nodes.json")
    yield sobre
    sobre.stop(signal.SIGKILL)


def addresses() -> list[str]:
    """Of the API, as they are documented."""
    found = re.findall(r"^\| `(/api/v1/[^`]+)`", (ROOT / "docs" / "api.md").read_text(), re.M)
    assert len(found) > 12
    return sorted({path.split("?")[0] for path in found})


# Headers.

def answers(sobre: Sobre, uid: str):
    """Each path with the answer's status and headers; of the stream as far as its header."""
    filled = [path.replace("{id}", uid).replace("{namespace}/{workload}", "shop/web") for path in addresses()]
    assets = re.findall(r'(?:src|href)="(assets/[^"]+)"', fetch(sobre.status_url + "/").decode())
    assert len(assets) >= 2
    asked = [("GET", path) for path in
             ["/", "/healthz", "/readyz", "/metrics", *filled, *("/" + a for a in assets), *(f"/api/v1/reports?format={f}" for f in
              ("json", "csv", "focus", "html", "text")), "/api/v1/labels/model.svg?name=m",
              # errors
              "/nothing", "/api/v1/nothing", "/api/v1/decisions/nobody", "/api/v1/ranking?cpu=x", "/api/v1/overview?x=1", "/assets/", "/" + "x" * 9000]]
    asked += [("HEAD", "/"), ("POST", "/metrics"), ("DELETE", "/api/v1/decisions"), ("TRACE", "/"), ("OPTIONS", "/")]
    for method, path in asked:
        connection = http.client.HTTPConnection("127.0.0.1", sobre.status_port, timeout=30)
        connection.request(method, path, headers={"Accept-Encoding": "gzip"})
        reply = connection.getresponse()
        yield f"{method} {path[:60]}", reply.status, reply.headers
        connection.close()


def test_every_answer_of_the_read_only_port_has_its_headers(start, tmp_path):
    sobre = start(records(tmp_path / "records", row(model="m")))
    ask(sobre, "prioritize", pod("p"), "n1", "n2")
    eventually(lambda: json.loads(fetch(sobre.status_url + "/api/v1/decisions/uid-p")), "the decision is on record")
    seen = set()
    for asked, status, headers in answers(sobre, "uid-p"):
        seen.add(status)
        policy = headers["Content-Security-Policy"] or ""
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy, asked
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer", asked
        assert headers["Cross-Origin-Resource-Policy"] in ("same-origin", "cross-origin"), asked
        assert "charset=utf-8" in headers["Content-Type"], asked
        label, page = "/labels/" in asked and status == 200, "/assets/" in asked or asked.endswith(" /")
        assert headers["Cache-Control"] == ("private, max-age=300" if label else "no-cache" if page and status == 200 else "no-store"), asked
        assert "Server" not in headers and "Set-Cookie" not in headers and "Access-Control-Allow-Origin" not in headers, asked
    assert {200, 400, 404, 405} <= seen
    for broken in (b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /x HTTP/1.1\r\nA\0B: c\r\n\r\n"):
        assert b"\r\nContent-Security-Policy: default-src 'none'" in exchange(sobre.status_port, broken), broken


def test_who_is_turned_away_gets_the_headers_too(start):
    sobre = start({"listen": {"max_connections": 2}})
    held = []
    try:
        def full() -> bytes:
            held.append(socket.create_connection(("127.0.0.1", sobre.status_port)))
            answer = exchange(sobre.status_port, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return answer if answer.startswith(b"HTTP/1.1 503") else b""
        answer = eventually(full, "the port is full")
    finally:
        for connection in held:
            connection.close()
    assert b"\r\nContent-Security-Policy: default-src 'none'" in answer and b"\r\nX-Content-Type-Options: nosniff" in answer


# Paths and framing.

@pytest.mark.parametrize("path", [
    "/../../../../etc/passwd", "/..%2f..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/assets/../../../../etc/passwd",
    "/assets/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/assets/..\\..\\etc\\passwd", "/assets/%00", "/assets/app.js%00.svg", "//etc/passwd", "/./etc/passwd",
    "/api/v1/decisions/..%2f..%2f..%2fetc%2fpasswd", "/api/v1/decisions/%00", "/api/v1/labels/..%2f..%2fetc/passwd.svg", "/api/v1/labels/%00/%00.svg",
    "/api/v1/decisions/%ff%fe", "/api/v1/decisions/" + "%2e%2e%2f" * 600, "/api/v1/decisions/'%20OR%201=1--", "/api/v1/what-if/%22;DROP%20TABLE%20entries",
    "/metrics/..%2f..%2fetc%2fpasswd", "/%0d%0aX-Injected:%201", "/api/v1/overview?%0d%0aX-Injected:%201", "/v1/filter/../../etc/passwd",
    "/api/v1/decisions/" + "x" * 8000, "/api/v1/what-if/" + "/" * 8000, "/api/v1/labels/a/" + "%41" * 2600 + ".svg", "/" + "x" * 8100, "/" + "x" * 60_000,
    "http://169.254.169.254/latest/meta-data", "http://127.0.0.1/etc/passwd", "*"])
def test_a_path_leads_to_nothing_but_what_is_served(served, path):
    for port in (served.status_port, served.extender_port):
        answer = exchange(port, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        head, _, body = answer.partition(b"\r\n\r\n")
        assert re.match(rb"HTTP/1\.1 4\d\d ", head), answer
        assert b"root:" not in answer and b"\nX-Injected" not in head and not misleading(body)
        assert "error" in json.loads(body)
    assert fetch(served.status_url + "/healthz") == b"ok\n"


NEXT = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nPOST /v1/prioritize HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("method, path", [("GET", "/healthz"), ("POST", "/v1/prioritize"), ("HEAD", "/metrics"), ("GET", "/nothing")])
@pytest.mark.parametrize("headers", [
    "Content-Length: {n}\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: {n}", "Content-Length: 0\r\nContent-Length: {n}",
    "Content-Length: {n}\r\nContent-Length: 0", "Content-Length: {n}, {n}", "Content-Length: +{n}", "Content-Length: 0x5", "Content-Length: {n}\r\nContent-Length: {n}",
    "Transfer-Encoding: xchunked", "Transfer-Encoding: chunked, identity", "Transfer-Encoding : chunked", "Content-Length : {n}",
    "Transfer-Encoding:\r\n chunked", "X: y\r\n Transfer-Encoding: chunked", "X: y\nContent-Length: {n}", "\0Content-Length: {n}", "Transfer-Encoding: \x0bchunked",
    "Content-Length: -1", "Content-Length: %30", "X%20: y\r\nX : y", "no colon", "X: y\rZ: w", "Content-Length: 99999999999999999999999", "Content-Length:"])
def test_a_body_is_never_taken_for_the_next_request(served, method, path, headers):
    """Where two readers could disagree about where a request ends, the connection ends with it."""
    for port in (served.status_port, served.extender_port):
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + headers.replace("{n}", str(len(NEXT))) + "\r\n\r\n"
        answer = exchange(port, head.encode() + NEXT)
        assert answer.count(b"HTTP/1.1 ") <= 1, answer
        assert not answer or re.match(rb"HTTP/1\.1 4\d\d ", answer), answer
    assert fetch(served.status_url + "/healthz") == b"ok\n"


def test_two_requests_in_order_are_both_served(served):
    """So that the test above tells something."""
    two = exchange(served.status_port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2)
    assert two.count(b"HTTP/1.1 200 ") == 2


# What is said of strangers.

HOSTILE = {"sobre.dev/model": EVIL, "sobre.dev/objective": EVIL, "sobre.dev/request-source": EVIL, "sobre.dev/data-region": f"{EVIL}/{EVIL}",
           "sobre.dev/deadline": EVIL, "sobre.dev/" + EVIL: EVIL, "sobre.dev/cost-tolerance": "9" * 100_000, "sobre.dev/unit": EVIL}
LIMITS = {"sobre.dev/denied-operators": MARKUP, "sobre.dev/required-certifications": MARKUP, "sobre.dev/allowed-regions": f"x/{MARKUP.replace('/', '')}"}


def program(sobre: Sobre, *arguments, **more) -> subprocess.CompletedProcess:
    return subprocess.run([programs.sobre(), *map(str, arguments)], capture_output=True, timeout=120, **more)


@pytest.fixture
def visited(start, tmp_path):
    """A service to which strangers have said all that they could; the uids of its decisions."""
    world = nodes("n1", EVIL, LABEL)
    usage = {"namespace": EVIL, "pod": EVIL, "workload": EVIL, "team": EVIL, "model": EVIL, "node": EVIL, "provider": EVIL, "region": EVIL,
             "country": EVIL, "hardware_class": EVIL}
    budgets = [{"namespace": EVIL, "eur_per_month": 1}, {"team": EVIL, "kg_co2e_per_month": 1}]
    kept = records(tmp_path / "records", row(**usage), row(workload=LABEL, model=LABEL, pod_uid="u1"))
    kept["accounting"]["team_label"] = "team"
    signals = [{"signal": "grid_gco2e_per_kwh", "labels": {"provider": "aws", "region": region}, "value": 50, "source": EVIL} for region in (EVIL, LABEL)]
    sobre = start(kept | {"budgets": budgets}, world, signals)
    uids = []
    for i, about in enumerate([
            pod("plain", HOSTILE), pod("limited", LIMITS), pod(EVIL, uid=EVIL + "1"), pod("owned", ownerReferences=[{"kind": EVIL, "name": EVIL, "controller": True}]),
            pod("spaced", namespace=EVIL), pod("many", {f"sobre.dev/x{i}": "y" * 50 for i in range(5000)})]):
        for verb in ("filter", "prioritize"):
            ask(sobre, verb, about, "n1", EVIL, LABEL, "stranger" + EVIL)
        uids.append(about["metadata"]["uid"])
    eventually(lambda: len(json.loads(fetch(sobre.status_url + "/api/v1/decisions"))) >= len(uids), "all decisions are told")
    eventually(lambda: json.loads(fetch(f"{sobre.status_url}/api/v1/decisions/uid-many")), "all are on record")
    return sobre, uids


def test_no_answer_has_what_steers_or_deceives(visited):
    sobre, uids = visited
    told = {}
    for path in addresses():
        if path == "/api/v1/stream":
            continue
        for uid in uids if "{id}" in path else [""]:
            url = sobre.status_url + path.replace("{id}", urllib.parse.quote(uid, safe="")).replace("{namespace}/{workload}", urllib.parse.quote(f"{EVIL}/x"))
            try:
                told[path] = fetch(url)
            except urllib.error.HTTPError as error:
                assert error.code < 500, (path, error.read())
                told[path] = error.read()
            assert not misleading(told[path]), path
            assert len(told[path]) < 1_000_000, path
    shown = json.loads(told["/api/v1/decisions"])
    assert {d["pod"] for d in shown} >= {f"shop/{EVIL}", f"{EVIL}/spaced"}, "what was said is escaped, not lost"
    assert all(d["model"] == "" for d in shown) and {d["workload"] for d in shown if d["uid"] == "uid-owned"} == {"owned"}
    assert max(len(d["problems"]) for d in shown) < 50
    for form in ("json", "csv", "focus", "html", "text"):
        for by in ("namespace,workload,model", "team,node,region,country,provider,class,pod"):
            text = fetch(f"{sobre.status_url}/api/v1/reports?format={form}&by={by}")
            assert form == "csv" or form == "focus" or not misleading(text), form
            assert form != "html" or (b"<img" not in text and b"</script" not in text and b"onerror=\"" not in text)
    for name in (EVIL, LABEL):
        label = fetch(f"{sobre.status_url}/api/v1/labels/model.svg?name={urllib.parse.quote(name)}")
        assert not misleading(label) and b"<img" not in label
    stream = exchange(sobre.status_port, b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 0\r\n\r\n")
    assert b"event: decisions" in stream and not misleading(stream.replace(b"\r\n", b""))


def test_metrics_stay_a_page_that_prometheus_reads(visited):
    sobre, _ = visited
    page = fetch(sobre.status_url + "/metrics")
    assert not misleading(page)
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    families = {line.split("{")[0].split(" ")[0] for line in page.decode().splitlines() if line and not line.startswith("#")}
    known = set(promql.documented())
    assert {f for f in families if f not in known and re.sub("_(bucket|sum|count)$", "", f) not in known} == set()
    assert 'region="q\\" b\\\\ n?c} evil_metric{x=\\"1\\"} 1"' in page.decode()


def test_log_lines_are_one_json_each_and_bounded(visited):
    sobre, _ = visited
    exchange(sobre.extender_port, f"POST /v1/{STEERING} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    log = sobre.process.log.read_bytes()
    assert not misleading(log)
    for line in log.splitlines():
        assert json.loads(line)["msg"] and len(line) < 20_000


def test_a_terminal_is_told_nothing_but_text(visited, tmp_path):
    sobre, uids = visited
    config = ["--config", sobre.config]
    for name, content in [("pod", pod(EVIL, HOSTILE | LIMITS)), ("signals", [{"signal": "node_price_per_hour", "labels": {"node": EVIL}, "value": 1,
                                                                              "source": EVIL, "unit": EVIL}])]:
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    (tmp_path / "offers.yaml").write_text(yaml.safe_dump({EVIL: [EVIL]}))
    case = ["--nodes", tmp_path / "nodes.json", "--pod", tmp_path / "pod.json"]
    commands = [["explain", uid, *config, *form] for uid in uids + [f"shop/{EVIL}", EVIL, "nobody" + STEERING] for form in ([], ["--format", "json"])]
    commands += [["report", *config, "--by", "namespace,workload,model,node"], ["verify", *config], ["doctor", "--nodes", tmp_path / "nodes.json", *config],
                 ["score", *case, "--explain"], ["score", *case], ["score", *case, "--signals", tmp_path / "signals.json"], ["regions", "--pod", tmp_path / "pod.json"],
                 ["compare", "--in", tmp_path / "offers.yaml", "--pod", tmp_path / "pod.json"], [EVIL], ["report", "--" + EVIL], ["serve", "--config", "/nowhere/" + STEERING]]
    said = 0
    for command in commands:
        done = program(sobre, *command)
        assert not misleading(done.stdout) and not misleading(done.stderr), command
        assert done.returncode in (0, 1, 2), (command, done.stderr)
        said += len(done.stdout) > 200
    assert said > 15, "most have something to say"
    explained = program(sobre, "explain", "uid-limited", *config).stdout.decode()
    assert "refused" in explained and MARKUP[:20].replace("/", "") in explained


# The dashboard, in a browser.

def test_nothing_that_strangers_write_is_run_by_a_browser(visited, tmp_path):
    sobre, uids = visited
    quoted = urllib.parse.quote(EVIL, safe="")
    report = tmp_path / "report.html"
    assert program(sobre, "report", "--config", sobre.config, "--by", "namespace,workload,model,team,node", "--format", "html", "--out", report).returncode == 0
    routes = PAGES + [f"decisions/{urllib.parse.quote(uid, safe='')}" for uid in uids] + [f"workloads/{quoted}/{quoted}", f"models/{quoted}", quoted, f"decisions/{quoted}"]
    browser = Browser()
    try:
        shown = ""
        for url in [f"{sobre.status_url}/#/{route}" for route in routes] + [report.as_uri()]:
            browser.open(url)
            if url.startswith("http"):
                browser.wait("main")
                eventually(lambda: not browser.all("main [aria-busy='true']"), f"{url} is at rest")
            assert browser.run("return window.taken === undefined && !document.querySelector('img[src=x], [onerror]')"), url
            shown += browser.run("return document.body.innerText")
            if url.startswith("http"):
                browser.run("document.querySelectorAll('main input[type=search], main input[type=text]').forEach(i => {"
                            "i.value = arguments[0]; i.dispatchEvent(new Event('input', {bubbles: true}))})", MARKUP)
                assert browser.run("return window.taken === undefined && !document.querySelector('img[src=x], [onerror]')"), url
        browser.collect()
        # What is not there is 404, and the browser says so.
        assert [p for p in browser.problems if "404" not in p and "400" not in p] == []
        assert not any("Content Security Policy" in p for p in browser.problems)
        assert [u for u in browser.requests if not u.startswith((sobre.status_url, "data:"))] == []
    finally:
        browser.close()
    assert shown.count("<img src=x onerror=") > 8, "it was there to be run"


# What is asked of Prometheus.

def test_what_is_configured_cannot_leave_its_place_in_a_query(tmp_path, start):
    """Each label of `matchers` comes to PromQL as the one string that it is."""
    asked = []

    def answer(path: str, body: bytes) -> tuple[str, str]:
        asked.append(urllib.parse.parse_qs(body.decode()).get("query", [""])[0])
        return "application/json", json.dumps({"status": "success", "data": {"resultType": "vector", "result": [
            {"metric": {"metric": "node_total_hourly_cost", "node": "n1"}, "value": [time.time(), "1"]}]}})
    stub = HttpStub(answer)
    try:
        start({"prometheus": {"url": stub.url, "refresh": "200ms", "presets": ["opencost"], "matchers": {"cluster": LABEL}}})
        query = eventually(lambda: next((q for q in asked if "node_total_hourly_cost{cluster=" in q), ""), "the preset is asked")
    finally:
        stub.stop()
    literal = re.search(r'node_total_hourly_cost\{cluster=("(?:[^"\\\n]|\\.)*")', query)[1]
    assert json.loads(literal) == LABEL, query


# Bombs.

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(20))
DEEP = 200_000


def bombs() -> dict[str, str]:
    return {"laughs": LAUGHS, "laughs in place": LAUGHS + "budgets: *u\nprometheus: {presets: *u, servers: *u}\npolicy: {annotations: {model: *u}}\n",
            "itself": "prometheus: &a {servers: [*a]}\n", "itself as a list": "budgets: &a [*a]\n", "flow": "[" * DEEP, "mapping": "{a: " * DEEP,
            "block": "".join(" " * i + "a:\n" for i in range(2000)), "anchors": "".join(f"a{i}: &a{i} x\n" for i in range(20_000)),
            "long key": "x" * 5_000_000 + ": 1\n", "long value": f"policy: {{objective: {'x' * 5_000_000}}}\n",
            "number": f"records: {{max_megabytes: {'9' * 100_000}}}\n", "exponent": "policy: {carbon_price_eur_per_tonne: 1e999999999}\n",
            "duration": f"accounting: {{every: {'9' * 30}h}}\n", "tag": "!!binary " + "=" * 100_000, "NUL": "policy: {objective: \"a\\0b\"}\n", "bytes": "policy: {objective: \"\udcc3(\"}"}


def limited() -> None:
    """Of the child: what it may take of memory and time."""
    resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))


def refused(*arguments) -> str:
    done = subprocess.run([programs.sobre(), *map(str, arguments)], capture_output=True, timeout=300, preexec_fn=limited)
    assert done.returncode in (1, 2), (done.returncode, done.stderr[-2000:])
    assert not misleading(done.stderr) and 0 < len(done.stderr) < 5000
    return done.stderr.decode()


@pytest.mark.parametrize("name", bombs())
def test_yaml_that_explodes_is_an_error_at_once(tmp_path, sobre_bin, name):
    path, other = tmp_path / "file.yaml", tmp_path / "pod.json"
    path.write_bytes(bombs()[name].encode(errors="surrogateescape"))
    other.write_text(json.dumps(pod("p")))
    assert "file.yaml" in refused("serve", "--config", path)
    refused("compare", "--in", path, "--pod", other)
    (tmp_path / "sobre.yaml").write_text(yaml.safe_dump({"kubernetes": {"kubeconfig": str(path)}}))
    refused("doctor", "--config", tmp_path / "sobre.yaml", "--wait", "1s")
    refused("doctor", "--scheduler-config", path, "--nodes", other)


@pytest.mark.parametrize("name, text", {
    "list": "[" * DEEP, "object": '{"a":' * DEEP, "closed list": "[" * DEEP + "]" * DEEP, "closed object": '{"a":' * DEEP + "1" + "}" * DEEP,
    "number": "9" * 1_000_000, "exponent": '{"a": 1e' + "9" * 1000 + "}", "text": '"' + "x" * 5_000_000 + '"', "escapes": '"' + "\\ud800" * 100_000 + '"',
    "keys": "{" + ",".join(f'"k{i}":1' for i in range(100_000)) + "}", "NUL": "\0" * 1000}.items(), ids=lambda value: value if len(value) < 20 else "")
def test_json_that_explodes_is_an_error_at_once(tmp_path, sobre_bin, name, text):
    path, world, about = tmp_path / "file.json", tmp_path / "nodes.json", tmp_path / "pod.json"
    path.write_text(text)
    world.write_text(json.dumps(nodes("n1")))
    about.write_text(json.dumps(pod("p")))
    refused("score", "--nodes", path, "--pod", about)
    refused("score", "--nodes", world, "--pod", path)
    refused("score", "--nodes", world, "--pod", about, "--namespace", path)
    refused("score", "--nodes", world, "--pod", about, "--signals", path)
    refused("footprint", "--in", path)
    refused("verify", "--in", path)


def test_a_request_that_explodes_is_an_error_at_once(start):
    sobre = start()
    inside = ['{"Pod":{"metadata":{"annotations":%s}},"NodeNames":["n1"]}', '{"Pod":{"spec":%s},"NodeNames":["n1"]}', '{"Pod":{"x":%s},"NodeNames":["n1"]}', "%s"]
    for bomb in ("[" * DEEP + "]" * DEEP, '{"a":' * DEEP + "1" + "}" * DEEP, "9" * 1_000_000):
        for frame in inside:
            for verb in ("filter", "prioritize"):
                with contextlib.suppress(urllib.error.HTTPError):
                    fetch(f"{sobre.url}/v1/{verb}", "POST", (frame % bomb).encode(), JSON)
    assert json.loads(ask(sobre, "prioritize", pod("p"), "n1"))[0]["Host"] == "n1"


def test_a_server_that_answers_with_a_bomb_is_set_aside(start):
    """Prometheus, or somebody in its place."""
    bombs_left = ["[" * DEEP, '{"status":"success","data":{"resultType":"vector","result":' + "[" * DEEP, '{"status":"error","error":"' + "x" * 3_000_000 + '"}',
                  '{"status":"success","data":{"resultType":"vector","result":[{"metric":{' + ",".join(f'"l{i}":"v"' for i in range(100_000)) + '},"value":[1,"1"]}]}}',
                  '{"status":"success","data":{"resultType":"vector","result":[{"metric":{"node":"' + "\\u001b" * 100_000 + '"},"value":[1,"1e9999"]}]}}']
    asked = [0]

    def answer(path: str, body: bytes) -> tuple[str, str]:
        asked[0] += 1
        return "application/json", bombs_left[asked[0] % len(bombs_left)]
    stub = HttpStub(answer)
    try:
        sobre = start({"prometheus": {"url": stub.url, "refresh": "200ms", "timeout": "5s",
                                      "signals": [{"signal": "node_price_per_hour", "query": "x", "name": "x"}]}})
        eventually(lambda: asked[0] > 4 * len(bombs_left), "each was answered")
        assert json.loads(ask(sobre, "prioritize", pod("p"), "n1"))[0]["Host"] == "n1"
        signals = fetch(sobre.status_url + "/api/v1/signals")
        assert not misleading(signals) and len(signals) < 200_000
        assert not misleading(sobre.process.log.read_bytes())
    finally:
        stub.stop()


# Many names.

def test_ten_thousand_names_of_a_tenant_leave_everything_bounded(start, tmp_path):
    """Namespaces, workloads and models of one tenant, each asked about once; then what is kept and told is as large as before."""
    sobre = start({"records": {"directory": str(tmp_path / "records")}, "accounting": {"enabled": False}})

    def memory() -> int:
        return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{sobre.process.child.pid}/status").read())[1]) << 10

    connection = http.client.HTTPConnection("127.0.0.1", sobre.extender_port, timeout=60)

    def flood(first: int, count: int) -> None:
        for i in range(first, first + count):
            about = pod(f"p{i}", {"sobre.dev/model": f"m{i}" + "x" * 200, f"sobre.dev/k{i}": "v", "sobre.dev/request-source": f"s{i}"}, namespace=f"ns{i}",
                        ownerReferences=[{"kind": "Job", "name": f"job-{i}", "controller": True}])
            connection.request("POST", "/v1/prioritize", json.dumps({"Pod": about, "Nodes": None, "NodeNames": ["n1", "n2"]}), JSON)
            reply = connection.getresponse()
            reply.read()
            assert reply.status == 200

    flood(0, 2000)
    series, before = fetch(sobre.status_url + "/metrics").count(b"\n"), memory()
    flood(2000, 10_000)
    assert fetch(sobre.status_url + "/metrics").count(b"\n") <= series + 20
    assert len(fetch(sobre.status_url + "/api/v1/decisions")) < 1_000_000
    assert memory() - before < 40 << 20, "each name would be kept"


# Secrets.

class Echo:
    """A server that refuses everybody, and says with what they came: as a badly made proxy does."""

    def __init__(self) -> None:
        heard = self.heard = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"] or 0))
                heard.append(self.headers.get("Authorization", ""))
                body = json.dumps({"status": "error", "errorType": "x", "error": f"not you: {dict(self.headers)}"}).encode()
                self.send_response(401)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            do_GET = do_POST

            def log_message(self, *arguments) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def test_no_secret_leaves_the_process(tmp_path, sobre_bin):
    """Every secret that the configuration can name, each refused where it is shown, and looked for in all that is told."""
    (tmp_path / "nodes.json").write_text(json.dumps(nodes("n1", "n2")))
    authority = Authority(tmp_path / "ca", "test-ca")
    pem, key = authority.issue("localhost")
    signing = tmp_path / "signing.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", signing], check=True, capture_output=True)
    secrets = {}

    def secret(name: str) -> str:
        secrets[name] = f"marker{len(secrets)}of{name}"
        return secrets[name]

    def file(name: str) -> str:
        (tmp_path / name).write_text(secret(name) + "\n")
        return str(tmp_path / name)

    def kubeconfig(name: str) -> str:
        (port,) = free_ports(1)
        path = tmp_path / name
        path.write_text(yaml.safe_dump({
            "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": f"https://user:{secret(name + 'url')}@127.0.0.1:{port}"}}],
            "users": [{"name": "u", "user": {"token": secret(name + "token"), "client-certificate": str(pem), "client-key": str(key)}}]}))
        return str(path)

    echo, (dead,) = Echo(), free_ports(1)
    for name, path in [("key", key), ("signing", signing)]:
        secrets[name] = path.read_text().splitlines()[1][10:50]
    query = [{"signal": "node_price_per_hour", "query": "x"}]
    config = {
        "listen": {"tls": {"certificate_file": str(pem), "key_file": str(key), "client_ca_file": str(authority.pem)}},
        "prometheus": {"refresh": "200ms", "timeout": "1s", "servers": [
            {"name": "token", "url": echo.url, "bearer_token_file": file("bearer"), "tenant": secret("tenant"), "signals": query},
            {"name": "basic", "url": echo.url, "basic_auth": {"username": "u", "password_file": file("basic")}, "signals": query},
            {"name": "mutual", "url": f"https://127.0.0.1:{dead}", "tls": {"certificate_file": str(pem), "key_file": str(key)}, "signals": query}]},
        "records": {"directory": str(tmp_path / "records"), "postgres": f"postgresql://sobre:{secret('dsn')}@127.0.0.1:{dead}/sobre",
                    "postgres_password_file": file("postgres"), "signing_key_file": str(signing)},
        "kubernetes": {"kubeconfig": kubeconfig("cluster")}, "moves": {"evict": True},
        "clusters": {"enabled": True, "every": "1s", "valid_for": "10s", "kubeconfig": kubeconfig("hub"),
                     "managed": [{"name": "c1", "provider": "aws", "region": "eu-west-3"}]}}
    context = authority.trust((pem, key))
    (tmp_path / "run").mkdir()
    os.environ["PGPASSWORD"] = secret("environment")
    sobre = None
    try:
        sobre = Sobre(tmp_path / "run", config, "--nodes", tmp_path / "nodes.json")
        connection = http.client.HTTPSConnection("localhost", sobre.extender_port, context=context, timeout=30)
        body = json.dumps({"Pod": pod("p", {"sobre.dev/objective": "x"}), "Nodes": None, "NodeNames": ["n1", "n2"]})
        connection.request("POST", "/v1/prioritize", body, JSON)
        assert connection.getresponse().status == 200
        eventually(lambda: any(secrets["bearer"] in h for h in echo.heard) and any(h.startswith("Basic ") for h in echo.heard), "the secrets are in use")

        def problems() -> str:
            return fetch(sobre.status_url + "/api/v1/signals").decode()
        eventually(lambda: problems().count("401") >= 2, "the refusals are told")
        told = {}
        for path in ["/", "/metrics", "/readyz", *addresses()]:
            if path == "/api/v1/stream":
                continue
            with contextlib.suppress(urllib.error.HTTPError):
                told[path] = fetch(sobre.status_url + path.replace("{id}", "uid-p").replace("{namespace}/{workload}", "shop/p"))
        told["stream"] = exchange(sobre.status_port, b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for command in (["doctor", "--nodes", tmp_path / "nodes.json", "--wait", "2s"], ["doctor", "--nodes", tmp_path / "nodes.json", "--wait", "2s", "--json"],
                        ["verify"], ["report"], ["explain", "uid-p"], ["open-gates"]):
            done = program(sobre, *command, "--config", sobre.config)
            told[" ".join(map(str, command[:1]))] = done.stdout + done.stderr
        sobre.stop()
        told["log"] = sobre.process.log.read_bytes()
        for kept in (tmp_path / "records").rglob("*"):
            told[kept.name] = kept.read_bytes()
        for broken in (f"postgresql://sobre:{secrets['dsn']}@[::1/x", f"host=x password={secrets['dsn']} nonsense", f"postgresql://u:{secrets['dsn']}@h:port/x"):
            (tmp_path / "broken.yaml").write_text(yaml.safe_dump({"records": {"directory": "r", "postgres": broken}}))
            for command in ("serve", "report", "doctor"):
                done = program(sobre, command, "--config", tmp_path / "broken.yaml", *([] if command == "report" else ["--nodes", tmp_path / "none"]))
                told[f"{command} {broken[:10]}"] = done.stdout + done.stderr
    finally:
        del os.environ["PGPASSWORD"]
        if sobre:
            sobre.stop(signal.SIGKILL)
        echo.stop()
    looked_for = {name: value.encode() for name, value in secrets.items()} | {"Basic": base64.b64encode(f"u:{secrets['basic']}".encode())[4:]}
    assert [(where, name) for where, text in told.items() for name, value in looked_for.items() if value in text] == []


@pytest.mark.parametrize("url, said", [
    ("http://user:marker@prometheus:9090", "say them in basic_auth"), ("http://prometheus:9090/?token=marker", "what follows ? or # would be printed"),
    ("http://prometheus:9090/#marker", "what follows ? or # would be printed")])
def test_a_secret_in_an_address_is_refused_and_not_repeated(tmp_path, sobre_bin, url, said):
    (tmp_path / "sobre.yaml").write_text(yaml.safe_dump({"prometheus": {"url": url}}))
    error = refused("serve", "--config", tmp_path / "sobre.yaml")
    assert said in error and "marker" not in error
