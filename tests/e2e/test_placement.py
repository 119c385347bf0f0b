"""The real kube-scheduler places real pods by our scores."""
import collections
import json
import subprocess
import time

import pytest

from tests import programs, world
from tests.harness import Sobre, eventually, fetch
from tests.world import INTENSITY, PRICES, REGIONS

class Cluster:
    def __init__(self, plane, exporter, sobre, folder) -> None:
        self.plane, self.exporter, self.sobre, self.folder = plane, exporter, sobre, folder
        self.batch = 0

    def set_world(self, prices: dict, intensity: dict) -> None:
        """Changes what the exporters say, and waits until Sobre has heard of it."""
        self.exporter.text = world.exporter_text(prices, intensity)
        self.signals = world.signals_json(prices, intensity)

        def heard() -> bool:
            nodes = self.sobre.nodes()
            return all(nodes[f"{r}-0"]["eurPerHour"] == prices[r] and nodes[f"{r}-0"]["liveGco2ePerKwh"] == intensity[r]
                       for r in REGIONS)
        eventually(heard, "Sobre heard of the new world")

    def best_by_score(self, pod_name: str) -> set[str]:
        """What `sobre score` rates best, from kubectl's own output."""
        def kubectl(*arguments) -> str:
            return subprocess.run([self.plane.binaries / "kubectl", f"--kubeconfig={self.plane.kubeconfig}", "get", *arguments,
                                   "-o", "json"], check=True, capture_output=True, text=True).stdout
        files = {"nodes": kubectl("nodes"), "pod": kubectl("pod", pod_name), "signals": json.dumps(self.signals)}
        arguments = [programs.sobre(), "score"]
        for name, text in files.items():
            (self.folder / f"{name}.json").write_text(text)
            arguments += [f"--{name}", self.folder / f"{name}.json"]
        decision = json.loads(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)
        return set(decision["best"])

    def place(self, count: int, annotations=None) -> collections.Counter:
        """Places pods, checks each against `sobre score`, and counts them by region."""
        self.plane.delete_pods()
        self.batch += 1
        names = [f"web-{self.batch}-{i}" for i in range(count)]
        for name in names:
            self.plane.add_pod(name, annotations)
        placed = self.plane.wait_placed(names)
        best = self.best_by_score(names[0])
        assert set(placed.values()) <= best, (placed, best)
        return collections.Counter(node.rsplit("-", 1)[0] for node in placed.values())


@pytest.fixture(scope="module")
def cluster(control_plane, exporter, prometheus, tmp_path_factory, sobre_bin):
    world.add_nodes(control_plane)
    folder = tmp_path_factory.mktemp("sobre")
    sobre = Sobre(folder, world.sobre_config(control_plane, prometheus))
    cluster = Cluster(control_plane, exporter, sobre, folder)
    cluster.set_world(PRICES, INTENSITY)
    control_plane.start_scheduler(sobre.url)
    yield cluster
    sobre.stop()


@pytest.mark.parametrize("names_only", [True, False], ids=["names", "whole-nodes"])
@pytest.mark.parametrize("with_filter", [False, True], ids=["prioritize", "filter+prioritize"])
def test_thirty_pods_go_where_score_says(cluster, names_only, with_filter):
    entry = {"nodeCacheCapable": names_only} | ({"filterVerb": "filter"} if with_filter else {})
    cluster.plane.start_scheduler(cluster.sobre.url, **entry)
    cluster.set_world(PRICES, INTENSITY)
    assert cluster.place(30) == {"eu-north-1": 30}


def test_intensity_alone_moves_the_next_pods(cluster):
    cluster.plane.start_scheduler(cluster.sobre.url)
    cluster.set_world(PRICES, INTENSITY | {"eu-north-1": 500.0})
    assert cluster.place(10) == {"fr-par": 10}


def test_prices_alone_move_the_next_pods(cluster):
    cluster.set_world(PRICES | {"eu-north-1": 0.84}, INTENSITY)
    assert cluster.place(10) == {"fr-par": 10}


def test_an_annotation_moves_one_pod(cluster):
    cluster.set_world(PRICES, INTENSITY)
    assert cluster.place(5, {"sobre.dev/objective": "cost", "sobre.dev/requests-per-second": "10"}).keys() <= {"pl-waw", "fr-par"}


def test_pods_schedule_without_the_extender_and_by_it_again(cluster):
    cluster.set_world(PRICES, INTENSITY)
    cluster.plane.delete_pods()
    assert cluster.sobre.stop() == 0
    for i in range(10):
        cluster.plane.add_pod(f"orphan-{i}")
    placed = cluster.plane.wait_placed([f"orphan-{i}" for i in range(10)])
    assert len({node.rsplit("-", 1)[0] for node in placed.values()}) > 1, "spread by the default scores"
    cluster.sobre.start()
    cluster.set_world(PRICES, INTENSITY)
    assert cluster.place(10) == {"eu-north-1": 10}


def test_bindings_are_counted_from_the_watch(cluster):
    def metric(name: str) -> float:
        text = fetch(cluster.sobre.status_url + "/metrics").decode()
        return next((float(line.split()[1]) for line in text.splitlines() if line.startswith(name + " ")), 0)
    # Those of the tests before may still be on their way.
    before = -1.0
    while before != metric('sobre_bindings_total{scheduler="sobre"}'):
        before = metric('sobre_bindings_total{scheduler="sobre"}')
        time.sleep(1)
    cluster.place(3)
    eventually(lambda: metric('sobre_bindings_total{scheduler="sobre"}') == before + 3, "three bindings seen")


def test_weight_lets_one_step_outweigh_the_resource_scores(cluster):
    """The best nodes are one step of ours ahead and nearly full, the next ones empty: NodeResourcesFit and BalancedAllocation prefer these."""
    cluster.plane.delete_pods()
    cluster.set_world(dict.fromkeys(REGIONS, 0.8), {"eu-north-1": 100.0, "eu-central-1": 92.0, "fr-par": 600.0, "pl-waw": 600.0})
    for i in range(5):
        cluster.plane.add_pod(f"fills-{i}", cpu="15", memory="60Gi", nodeName=f"eu-north-1-{i}")
    pod = {"metadata": {"name": "web", "namespace": "default", "annotations": {"sobre.dev/objective": "carbon"}},
           "spec": {"containers": [{"name": "app", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}]}}
    names = ["eu-north-1-0", "eu-central-1-0", "pl-waw-0"]
    scores = json.loads(fetch(cluster.sobre.url + "/v1/prioritize", "POST", {"Pod": pod, "NodeNames": names}, {"Content-Type": "application/json"}))
    assert [s["Score"] for s in scores] == [10, 9, 1]
    for weight, region in ((25, "eu-north-1"), (1, "eu-central-1")):
        cluster.plane.start_scheduler(cluster.sobre.url, weight=weight)
        cluster.plane.add_pod(f"web-{weight}", {"sobre.dev/objective": "carbon"}, cpu="100m", memory="64Mi")
        assert cluster.plane.wait_placed([f"web-{weight}"])[f"web-{weight}"].startswith(region), weight
    cluster.plane.delete_pods()
