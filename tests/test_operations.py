"""What a running replica says of itself: its log, which part is not ready, its threads."""
import json
import re
import subprocess
import urllib.error

import pytest
import yaml

from tests.harness import ROOT, HttpStub, Process, Sobre, eventually, fetch, free_ports
from tests.test_service import JSON, NODES, args

SECRET = "s3cr3t-token-of-the-api-server"


@pytest.fixture
def start(tmp_path, sobre_bin):
    """start(config): a service that need not become ready; its process and the URL of its second port."""
    processes = []

    def begin(config: dict, *arguments) -> tuple[Process, str]:
        extender, status = free_ports(2)
        path = tmp_path / "sobre.yaml"
        path.write_text(yaml.safe_dump(config | {"listen": {"extender": f"127.0.0.1:{extender}", "status": f"127.0.0.1:{status}", "shutdown_grace": "1ms"}}))
        processes.append(Process(tmp_path / "sobre.log", sobre_bin, "serve", "--config", path, *arguments))
        url = f"http://127.0.0.1:{status}"
        eventually(lambda: fetch(url + "/healthz") == b"ok\n", "it answers")
        return processes[-1], url
    yield begin
    for process in processes:
        process.stop()


@pytest.fixture
def nodes(tmp_path):
    (tmp_path / "nodes.json").write_text(json.dumps(NODES))
    return ["--nodes", tmp_path / "nodes.json"]


def kubeconfig(folder, url: str) -> dict:
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "c", "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": SECRET}}], "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]}))
    return {"kubernetes": {"kubeconfig": str(path)}}


def readyz(url: str, query: str = "", **headers) -> tuple[int, str]:
    try:
        return 200, fetch(f"{url}/readyz{query}", headers=headers).decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def log_of(process: Process) -> list[dict]:
    return [json.loads(line) for line in process.log.read_text().splitlines()]


def test_each_part_that_is_not_ready_is_named_with_its_reason(start, tmp_path):
    away = HttpStub(lambda path, body: ("application/json", "{}"))  # answers, and is no API server
    try:
        process, url = start(kubeconfig(tmp_path, away.url) | {"prometheus": {"url": f"http://127.0.0.1:{free_ports(1)[0]}", "refresh": "200ms"},
                                                                "records": {"directory": str(tmp_path / "records")}})
        eventually(lambda: all(f"[-]{name} failed: not listed yet: {away.url}" in readyz(url)[1] for name in ("nodes", "namespaces", "pods")), "each is named")
        status, text = readyz(url, "?verbose")
        assert status == 503 and text.startswith("[+]serving ok\n") and text.endswith("readyz check failed\n")
        eventually(lambda: "[!]prometheus/1 failed, not needed: " in readyz(url)[1], "so is a Prometheus")
        assert "[+]records ok" in text
        assert readyz(url)[1].startswith("not ready: nodes: not listed yet")
        said = json.loads(readyz(url, Accept="application/json")[1])
        assert said["ready"] is False
        assert [p["name"] for p in said["parts"] if p["needed"] and not p["ok"]] == ["nodes", "namespaces", "pods"]
        for text in (readyz(url)[1], fetch(url + "/debug/process").decode(), process.log.read_text()):
            assert SECRET not in text
    finally:
        away.stop()


def test_ready_is_ok_and_tells_its_parts_when_asked(start, nodes):
    _, url = start({}, *nodes)
    eventually(lambda: readyz(url) == (200, "ok\n"), "ready")
    status, text = readyz(url, "?verbose")
    assert status == 200 and re.search(r"^\[\+\]snapshot ok: .* old, 3 nodes$", text, re.M) and text.endswith("readyz check passed\n")
    assert json.loads(readyz(url, Accept="application/json")[1])["ready"] is True


def test_threads_have_names_and_the_page_says_what_they_take(start, nodes, tmp_path):
    process, url = start({"records": {"directory": str(tmp_path / "records")}, "prometheus": {"url": f"http://127.0.0.1:{free_ports(1)[0]}"}}, *nodes)

    def named() -> str:
        text = fetch(url + "/debug/process").decode()
        names = {line.split()[-1] for line in text.partition("# threads")[2].splitlines()[1:]}
        wanted = {"sobre", "extender-accept", "status-accept", "status", "builder", "records-make", "records-write", "accountant", "moves", "prom-1"}
        return text if wanted <= names else ""
    text = eventually(named, "all threads are named")
    documented = (ROOT / "docs" / "operations.md").read_text()
    for line in text.partition("# threads")[2].splitlines()[1:]:
        number, state, user, system, name = line.split()
        assert int(number) > 0 and state in "RSDZT" and float(user) >= 0 and float(system) >= 0
        assert f"`{name}`" in documented or name.startswith("prom-"), name
    assert re.search(r"^VmRSS \d+ kB$", text, re.M) and re.search(r"^snapshots_alive [1-9]\d*$", text, re.M)
    assert re.search(r"^status [1-9]\d* 64 0 \d+ 0$", text, re.M), text


def test_the_log_is_json_with_the_documented_fields(start, nodes):
    process, url = start({}, *nodes)
    process.stop()
    lines = log_of(process)
    assert [line["msg"] for line in lines] == ["serving", "stopping", "stopped"]
    for line in lines:
        assert list(line)[:4] == ["ts", "level", "component", "msg"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["ts"])
        assert line["level"] == "info" and line["component"] == "serve"


def test_what_is_below_the_configured_level_is_not_written(start, nodes):
    process, url = start({"log": {"level": "error"}}, *nodes)
    process.stop()
    assert process.log.read_text() == ""


def test_a_level_that_does_not_exist_is_refused(tmp_path, sobre_bin):
    (tmp_path / "bad.yaml").write_text("log:\n  level: verbose\n")
    process = Process(tmp_path / "log", sobre_bin, "serve", "--config", tmp_path / "bad.yaml")
    assert process.child.wait(60) == 2
    assert "bad.yaml:2: log.level: expected debug, info, warning or error" in process.tail()


def test_a_fault_that_repeats_does_not_fill_the_log(tmp_path, sobre_bin, nodes):
    sobre = Sobre(tmp_path, {}, *nodes)
    try:
        hostile = b'{"Pod": "\xff\x1b[31m \xe2\x80\xae' + b"x" * 5000
        for _ in range(500):
            with pytest.raises(urllib.error.HTTPError):
                fetch(sobre.url + "/v1/filter", "POST", hostile, JSON)
        fetch(sobre.url + "/v1/filter", "POST", args("fr"), JSON)
    finally:
        sobre.stop()
    refused = [line for line in log_of(sobre.process) if line["msg"] == "a call was refused"]
    assert 30 <= len(refused) <= 60
    # None is forgotten: what was not written is counted.
    assert sum("error" in line for line in refused) + sum(line.get("left_out", 0) for line in refused) == 500
    assert refused[0]["verb"] == "filter" and refused[0]["error"]
    assert sobre.process.log.stat().st_size < 100_000


@pytest.mark.parametrize("listens", [False, True])
def test_the_doctor_says_at_once_why_the_cluster_cannot_be_read(tmp_path, sobre_bin, listens):
    """Nobody listens, or somebody who is no API server: what it would have waited for, an hour here, does not come."""
    stub = HttpStub(lambda path, body: ("application/json", "{}"))
    url = stub.url if listens else f"http://127.0.0.1:{free_ports(1)[0]}"
    (tmp_path / "sobre.yaml").write_text(yaml.safe_dump(kubeconfig(tmp_path, url)))
    try:
        done = subprocess.run([sobre_bin, "doctor", "--config", tmp_path / "sobre.yaml", "--wait", "1h"], capture_output=True, text=True, timeout=600)
    finally:
        stub.stop()
    said = [line for line in done.stdout.splitlines() if line.startswith("error    kubernetes: ")]
    assert done.returncode == 1 and len(said) == 1, done.stdout
    assert "nodes, namespaces, pods cannot be listed: " + url in said[0] and ("connection refused" in said[0]) != listens
    assert SECRET not in done.stdout


SCHEDULER = (ROOT / "deploy" / "kube-scheduler-config.yaml").read_text()


@pytest.mark.parametrize("said, instead, code, finding", [
    ("", "", 0, ""),
    (", ignoredByScheduler: true", "", 1, "error    kube-scheduler: sobre.dev/limits is not ignoredByScheduler"),
    ("    preemptVerb: preempt\n", "", 0, "warning  kube-scheduler: the limits entry has no preemptVerb"),
    ("preemptVerb: preempt", "preemptVerb: evict", 1, "error    kube-scheduler: preemptVerb leads to SOBRE_URL/v1/evict, which Sobre does not serve"),
    ("filterVerb: filter", "filterVerb: filter\n    bindVerb: bind", 1, "error    kube-scheduler: bindVerb leads to SOBRE_URL/v1/bind"),
    ("prioritizeVerb: prioritize", "prioritizeVerb: score", 1, "error    kube-scheduler: prioritizeVerb leads to SOBRE_URL/v1/score"),
])
def test_the_doctor_judges_the_schedulers_configuration(tmp_path, sobre_bin, nodes, said, instead, code, finding):
    assert said in SCHEDULER
    (tmp_path / "scheduler.yaml").write_text(SCHEDULER.replace(said, instead, 1) if said else SCHEDULER)
    done = subprocess.run([sobre_bin, "doctor", *nodes, "--scheduler-config", tmp_path / "scheduler.yaml"], capture_output=True, text=True)
    assert done.returncode == code and finding in done.stdout, done.stdout
    told = [line for line in done.stdout.splitlines() if re.match(r"(error|warning) +kube-scheduler", line)]
    assert len(told) == (1 if finding else 0), told


def test_the_runbook_and_operations_lead_somewhere():
    for page in ("operations.md", "runbook.md"):
        text = (ROOT / "docs" / page).read_text()
        for target, anchor in re.findall(r"\]\(([a-z-]*(?:\.md)?)#([a-z-]+)\)", text):
            other = text if not target else (ROOT / "docs" / target).read_text()
            titles = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.+)$", other, re.M)}
            assert anchor in titles, f"{page}: {target}#{anchor}"
