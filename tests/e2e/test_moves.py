"""A workload is moved: real Deployment, real disruption budget, the real Eviction API, and the real kube-scheduler, which asks Sobre."""
import json

import pytest

from tests import world
from tests.harness import Exporter, Prometheus, Sobre, eventually, fetch
from tests.world import INTENSITY, PRICES, REGIONS

# Pods must have run for an hour: the test makes those older that it wants moved.
MOVES = {"every": "250ms", "window": "6s", "measure": "3s", "evict": True, "max_evictions_per_hour": 3600, "min_time_between": "1h"}


class Shop:
    """Two pods of one Deployment in the namespace `shop`."""

    def __init__(self, cluster, sobre, exporter) -> None:
        self.cluster, self.sobre, self.exporter = cluster, sobre, exporter

    def set_intensity(self, **regions) -> None:
        intensity = INTENSITY | {name.replace("_", "-"): value for name, value in regions.items()}
        self.exporter.text = world.exporter_text(PRICES, intensity)
        eventually(lambda: all(self.sobre.nodes()[f"{r}-0"]["liveGco2ePerKwh"] == intensity[r] for r in REGIONS), "Sobre heard of it")

    def deploy(self) -> None:
        template = {"metadata": {"labels": {"app": "web"}, "annotations": {"sobre.dev/objective": "carbon", "sobre.dev/requests-per-second": "10"}},
                    "spec": {"schedulerName": "sobre", "automountServiceAccountToken": False,
                             "containers": [{"name": "app", "image": "none", "resources": {"requests": {"cpu": "2", "memory": "4Gi"}}}]}}
        self.cluster.call("POST", "/apis/apps/v1/namespaces/shop/deployments", {
            "metadata": {"name": "web"}, "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}})
        self.cluster.wait_ready("deployment", "shop", "web")

    def pods(self) -> dict[str, str]:
        """Region by name, of pods that are not on their way out."""
        return {p["metadata"]["name"]: p["spec"].get("nodeName", "").rpartition("-")[0] for p in self.cluster.pods("shop", "app=web")
                if "deletionTimestamp" not in p["metadata"]}

    def make_older(self) -> None:
        for name in self.pods():
            self.cluster.call("PATCH", f"/api/v1/namespaces/shop/pods/{name}/status", {"status": {"startTime": "2020-01-01T00:00:00Z"}},
                              content_type="application/merge-patch+json")

    def allow(self, unavailable: int) -> None:
        """How many pods the disruption budget lets go at a time, and until its controller says so."""
        path = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets"
        spec = {"maxUnavailable": unavailable, "selector": {"matchLabels": {"app": "web"}}}
        if self.cluster.call("GET", path)["items"]:
            self.cluster.call("PATCH", f"{path}/web", {"spec": spec}, content_type="application/merge-patch+json")
        else:
            self.cluster.call("POST", path, {"metadata": {"name": "web"}, "spec": spec})

        def told() -> bool:
            status = self.cluster.call("GET", f"{path}/web").get("status", {})
            return status.get("expectedPods") == 2 and status.get("disruptionsAllowed") == unavailable
        eventually(told, "the budget is counted")

    def advice(self, to: str) -> dict | None:
        answer = json.loads(fetch(self.sobre.status_url + "/api/v1/recommendations?kind=move&namespace=shop"))
        return next((a for a in answer["recommendations"] if a["to"] == to), None)

    def wait_advice(self, to: str, state: str, **more) -> dict:
        def found():
            advice = self.advice(to)
            return advice if advice and advice["state"] == state and all(advice[k] == v for k, v in more.items()) else None
        try:
            return eventually(found, f"advice is {state}", 120)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {self.advice(to)}") from None

    def evictions(self) -> list[int]:
        """The API server's answers, in turn."""
        return [e["responseStatus"]["code"] for e in self.cluster.audit() if e.get("objectRef", {}).get("subresource") == "eviction"
                and e["stage"] == "ResponseComplete"]

    def metric(self, series: str) -> float:
        lines = [line for line in fetch(self.sobre.status_url + "/metrics").decode().splitlines() if line.startswith(series + " ")]
        return float(lines[0].rpartition(" ")[2])


@pytest.fixture
def shop(make_cluster, tmp_path, sobre_bin):
    cluster, exporter = make_cluster(nodes=0), Exporter()
    exporter.text = world.exporter_text(PRICES, INTENSITY)
    folders = [tmp_path / name for name in ("prometheus", "sobre")]
    for folder in folders:
        folder.mkdir()
    parts = [exporter, Prometheus(folders[0], exporter)]
    try:
        world.add_nodes(cluster)
        cluster.add_namespace("shop")
        sobre = Sobre(folders[1], world.sobre_config(cluster, parts[1]) | {"moves": MOVES, "records": {"directory": str(folders[1] / "records")}})
        parts.append(sobre)
        cluster.start_scheduler(sobre.url)
        yield Shop(cluster, sobre, exporter)
    finally:
        for part in reversed(parts):
            part.stop()


def test_a_workload_follows_a_grid_once_and_what_came_of_it_is_measured(shop):
    shop.set_intensity()
    shop.deploy()
    assert set(shop.pods().values()) == {"eu-north-1"}
    shop.allow(0)

    # The grid turns dirty: it is said, and nothing is done that nobody agreed to.
    shop.set_intensity(eu_north_1=500.0)
    advice = shop.wait_advice("scaleway/fr-par", "open", pods=2, holdsOnMean="yes")
    assert advice["from"] == "aws/eu-north-1" and advice["workload"] == "web"
    assert advice["saved"]["gco2ePerHour"] > 0 < advice["net"]["gco2ePerHour"]
    shop.make_older()
    first = shop.pods()
    eventually(lambda: any("MoveAdvised" in e for name in first for e in shop.cluster.events(name, "shop")), "its pods tell of it")
    assert not shop.evictions()

    # The owner agrees, the disruption budget does not.
    shop.cluster.kubectl("annotate", "namespace", "shop", "sobre.dev/move=auto")
    shop.wait_advice("scaleway/fr-par", "accepted")
    eventually(lambda: shop.evictions(), "an eviction is tried")
    eventually(lambda: shop.metric('sobre_move_evictions_total{outcome="refused"}') > 0, "the refusal is counted")
    assert set(shop.evictions()) == {429} and shop.pods() == first

    # It gives way: each pod once, and its replacement by kube-scheduler.
    shop.allow(1)
    eventually(lambda: list(shop.pods().values()) == ["fr-par"] * 2, "both pods are in the better region", 120)
    assert not set(first) & set(shop.pods())
    assert [code for code in shop.evictions() if code != 429] == [201, 201]
    advised = shop.wait_advice("scaleway/fr-par", "measured", moved=2, evictions=2, note="by eviction")
    assert shop.metric('sobre_move_replacements_total{where="there"}') == 2
    saved = advised["measured"]["saved"]
    assert saved["gco2ePerHour"] == pytest.approx(advised["saved"]["gco2ePerHour"], rel=0.05) and saved["gco2ePerHour"] > 1
    assert saved["eurPerHour"] == pytest.approx(advised["saved"]["eurPerHour"], rel=0.05)
    assert shop.metric('sobre_moves_saved_gco2e_per_hour{of="measured"}') == pytest.approx(2 * saved["gco2ePerHour"])

    # The grid turns back at once: that is said too, and the rule against flapping keeps the pods where they are.
    second = shop.pods()
    shop.set_intensity(fr_par=500.0)
    waiting = shop.wait_advice("aws/eu-north-1", "accepted", holdsOnMean="yes")
    eventually(lambda: shop.advice("aws/eu-north-1")["note"].startswith("waits: it was moved"), "it says why it waits")
    looks = {waiting["lastHeld"]}
    eventually(lambda: looks.add(shop.advice("aws/eu-north-1")["lastHeld"]) or len(looks) > 3, "it was looked at some more times")
    assert shop.pods() == second and [code for code in shop.evictions() if code != 429] == [201, 201]

    # After a restart all is known still.
    assert shop.sobre.stop() == 0
    shop.sobre.start()
    assert shop.wait_advice("scaleway/fr-par", "measured")["measured"]["saved"] == saved
