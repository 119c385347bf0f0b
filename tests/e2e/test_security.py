"""What a tenant can write into a real API server, and what becomes of it: for others, nothing."""
import contextlib
import concurrent.futures
import json
import re
import sqlite3
import subprocess

import pytest

from tests import world
from tests.harness import TOKEN, Sobre, eventually, fetch
from tests.test_security import STEERING, misleading

MARKUP = "<img src=x onerror=window.taken=1>"


@pytest.fixture(scope="module")
def cluster(control_plane, tmp_path_factory):
    plane, folder = control_plane, tmp_path_factory.mktemp("sobre")
    for i in range(2):
        plane.add_node(f"n-{i}", world.REGIONS["fr-par"][1], "fr-par", cpu=4000, memory_gib=16000)
    sobre = Sobre(folder, {"kubernetes": {"kubeconfig": str(plane.kubeconfig)}, "records": {"directory": str(folder / "records")},
                           "accounting": {"every": "1s", "flush": "1s"}})
    yield plane, sobre, folder / "records" / "records.db"
    sobre.stop()


def hours(database, pod: str) -> float:
    with contextlib.closing(sqlite3.connect(database)) as connection, contextlib.suppress(sqlite3.OperationalError):
        return connection.execute("SELECT SUM(pod_hours) FROM usage WHERE pod = ?", [pod]).fetchone()[0] or 0
    return 0


def run(plane, name: str, annotations=None, namespace: str = "default", **meta) -> None:
    """A pod that is bound already."""
    spec = {"nodeName": "n-0", "containers": [{"name": "a", "image": "x", "resources": {"requests": {"cpu": "10m"}}}]}
    spec |= meta.pop("spec", {})
    plane.call("POST", f"/api/v1/namespaces/{namespace}/pods", {"metadata": {"name": name, "annotations": annotations or {}} | meta, "spec": spec})


def test_what_cannot_be_stored_stops_nobody_elses_accounting(cluster):
    """A model's name and an owner's with a zero byte are taken by the API server; a database takes neither."""
    plane, sobre, database = cluster
    owner = {"apiVersion": "v1", "kind": "Job", "name": f"a\0{STEERING}{MARKUP}/x", "uid": "1", "controller": True}
    run(plane, "neighbour", {"sobre.dev/model": "fine"})
    run(plane, "zero", {"sobre.dev/model": "a\0b", "sobre.dev/request-source": "a\0b"}, ownerReferences=[owner])
    run(plane, "steers", {"sobre.dev/model": STEERING}, spec={"schedulerName": f"s{MARKUP}"})
    eventually(lambda: all(hours(database, name) > 0 for name in ("neighbour", "zero", "steers")), "all three are accounted for")
    page = fetch(sobre.status_url + "/metrics").decode()
    assert re.search(r"^sobre_accounting_failing 0$", page, re.M) and not misleading(page.encode())
    with contextlib.closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT DISTINCT pod, workload, model FROM usage ORDER BY pod").fetchall()
    assert rows == [("neighbour", "neighbour", "fine"), ("steers", "steers", ""), ("zero", "zero", "")]


def test_events_are_text_of_one_line_and_bounded(cluster):
    plane, sobre, _ = cluster
    plane.add_namespace("odd")
    plane.add_pod("odd", {"sobre.dev/objective": STEERING + MARKUP + "x" * 50_000, **{f"sobre.dev/x{i}": "y" for i in range(3000)}}, namespace="odd",
                  schedulerName="nobody")
    about = plane.call("GET", "/api/v1/namespaces/odd/pods/odd")
    fetch(sobre.url + "/v1/prioritize", "POST", {"Pod": about, "Nodes": None, "NodeNames": ["n-0", "n-1"]}, {"Content-Type": "application/json"})
    told = eventually(lambda: plane.events("odd", "odd"), "the owner is told")
    eventually(lambda: any("sobre.dev/objective" in e for e in plane.events("odd", "odd")), "of the value too")
    told = plane.events("odd", "odd")
    assert len(told) <= 30 and max(map(len, told)) <= 1100
    assert not any(misleading(e.encode(), lines=False) for e in told)


def test_the_tokens_are_nowhere(cluster):
    plane, sobre, database = cluster
    told = {path: fetch(sobre.status_url + path) for path in ("/metrics", "/api/v1/signals", "/api/v1/overview", "/api/v1/policy", "/api/v1/decisions")}
    told["log"] = sobre.process.log.read_bytes()
    told |= {path.name: path.read_bytes() for path in database.parent.iterdir()}
    told["events"] = json.dumps(plane.call("GET", "/api/v1/events")).encode()
    assert [where for where, text in told.items() if TOKEN.encode() in text] == []


def test_ten_thousand_workloads_are_told_by_a_few_names(cluster):
    plane, sobre, database = cluster

    def series() -> int:
        return fetch(sobre.status_url + "/metrics").count(b"\n")

    def make(part: int) -> None:
        plane.add_namespace(f"tenant-{part}")
        for i in range(125):
            owner = {"apiVersion": "v1", "kind": "Job", "name": f"job-{part}-{i}", "uid": "1", "controller": True}
            run(plane, f"p-{i}", {"sobre.dev/model": f"model-{part}-{i}"}, f"tenant-{part}", ownerReferences=[owner], spec={"schedulerName": f"s-{part}-{i}"})

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(make, range(80)))
    page = eventually(lambda: (lambda text: text if re.search(r"^sobre_watched_pods 100\d\d$", text, re.M) and 'model="other"' in text else "")(
        fetch(sobre.status_url + "/metrics").decode()), "all are accounted for", 120)
    for label, most in (("workload", 250), ("namespace", 120), ("model", 120), ("scheduler", 12)):
        assert len(set(re.findall(rf'[{{,]{label}="([^"]*)"', page))) <= most, label
    assert len(page) < 1_000_000
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert hours(database, "neighbour") > 0 and re.search(r"^sobre_accounting_failing 0$", page, re.M)
