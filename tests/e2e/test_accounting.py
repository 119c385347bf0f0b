"""What pods on a real API server take is written down, and goes on after a restart."""
import datetime
import json
import sqlite3

import pytest

from tests import world
from tests.harness import Sobre, eventually, fetch


def now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def cluster(control_plane, tmp_path):
    plane = control_plane
    plane.add_node("acc-0", world.REGIONS["fr-par"][1], "fr-par")
    plane.add_namespace("billed", labels={"example.org/team": "retail"})
    config = {"kubernetes": {"kubeconfig": str(plane.kubeconfig)}, "records": {"directory": str(tmp_path / "records")},
              "accounting": {"every": "1s", "flush": "1s", "team_label": "example.org/team"},
              "budgets": [{"team": "retail", "kg_co2e_per_month": 1e-9}]}
    sobre = Sobre(tmp_path, config)
    yield plane, sobre, tmp_path / "records" / "records.db"
    sobre.stop()


def run(plane, name: str, **more) -> None:
    """As a kubelet would: bound, and running since now."""
    plane.add_pod(name, more.get("annotations"), cpu="2", memory="4Gi", namespace="billed", nodeName="acc-0")
    tell(plane, name, {"phase": "Running", "startTime": now()})


def tell(plane, name: str, status: dict) -> None:
    plane.call("PATCH", f"/api/v1/namespaces/billed/pods/{name}/status", {"status": status}, content_type="application/merge-patch+json")


def seconds(database, pod: str) -> float:
    if not database.exists():
        return 0
    with sqlite3.connect(database) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'accounting'").fetchone():
            return 0
        return (connection.execute("SELECT SUM(pod_hours) FROM usage WHERE pod = ?", [pod]).fetchone()[0] or 0) * 3600


def written(database, pod: str) -> tuple[float, float]:
    """A pod's seconds, and the time through which they count, of one moment: both are written together."""
    with sqlite3.connect(database) as connection:
        return connection.execute("SELECT (SELECT SUM(pod_hours) FROM usage WHERE pod = ?) * 3600, (SELECT through_ms FROM accounting) / 1000.0",
                                  [pod]).fetchone()


def metric(sobre, name: str) -> float:
    lines = [line for line in fetch(sobre.status_url + "/metrics").decode().splitlines() if line.startswith(name)]
    return float(lines[0].split()[-1]) if lines else 0


def test_pods_are_accounted_for_until_they_finish_and_after_a_restart(cluster):
    plane, sobre, database = cluster
    run(plane, "web", annotations={"sobre.dev/requests-per-second": "10", "sobre.dev/model": "llama"})
    run(plane, "job")
    eventually(lambda: min(seconds(database, "web"), seconds(database, "job")) > 2, "both pods have usage")
    with sqlite3.connect(database) as connection:
        row = connection.execute("SELECT namespace, team, model, node, region, country, vcpu_hours / pod_hours, requests / pod_hours, "
                                 "operational_g, embodied_g, energy_kwh FROM usage WHERE pod = 'web'").fetchone()
    assert row[:6] == ("billed", "retail", "llama", "acc-0", "fr-par", "FR")
    assert row[6:8] == pytest.approx((2, 36000))
    assert min(row[8:]) > 0
    tell(plane, "job", {"phase": "Succeeded"})
    before = seconds(database, "web")
    eventually(lambda: seconds(database, "web") > before + 8, "the one goes on")
    ended = seconds(database, "job")
    before = seconds(database, "web")
    eventually(lambda: seconds(database, "web") > before + 2, "the one goes on")
    assert seconds(database, "job") == ended, "a pod that has finished takes nothing"

    report = json.loads(fetch(sobre.status_url + "/api/v1/budgets"))["budgets"][0]
    assert report["budget"] == "team/retail" and report["kind"] == "gco2e"
    # A replica that made the Lease counts in metrics once the Lease's duration is over.
    eventually(lambda: metric(sobre, 'sobre_attributed_gco2e_total{scope="operational",namespace="billed"}') > 0, "it is in the metrics too")

    assert sobre.stop() == 0
    before, through = written(database, "web")
    sobre.start()
    eventually(lambda: seconds(database, "web") > before + 2, "it goes on after a restart")
    # Nothing was lost in between.
    after, until = written(database, "web")
    assert after - before == pytest.approx(until - through, abs=0.01)
    assert metric(sobre, "sobre_accounting_gap_seconds_total") == 0
