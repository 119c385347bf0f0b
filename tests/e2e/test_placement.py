"""The real kube-scheduler places real pods by our scores."""
import collections
import json
import os
import subprocess

import pytest

from tests.harness import Sobre, eventually

REGIONS = {"fr-par": ("scaleway", "scaleway://instance/fr-par-1/"), "pl-waw": ("scaleway", "scaleway://instance/pl-waw-1/"),
           "eu-central-1": ("aws", "aws:///eu-central-1a/"), "eu-north-1": ("aws", "aws:///eu-north-1a/")}
# Euros an hour for 16 vCPU and 64 GiB, all within 10 % of the cheapest; average gCO2e/kWh.
PRICES = {"fr-par": 0.78, "pl-waw": 0.75, "eu-central-1": 0.80, "eu-north-1": 0.82}
INTENSITY = {"fr-par": 56.0, "pl-waw": 662.0, "eu-central-1": 381.0, "eu-north-1": 41.0}
SIGNALS = [
    {"signal": "node_eur_per_hour", "query": "node_total_hourly_cost", "max_age": "1m"},
    {"signal": "grid_gco2e_per_kwh", "query": "grid_intensity_carbon_average", "max_age": "1m"},
]


class Cluster:
    def __init__(self, plane, exporter, sobre, folder) -> None:
        self.plane, self.exporter, self.sobre, self.folder = plane, exporter, sobre, folder
        self.batch = 0

    def set_world(self, prices: dict, intensity: dict) -> None:
        """Changes what the exporters say, and waits until Sobre has heard of it."""
        lines = [f'node_total_hourly_cost{{node="{r}-{i}"}} {prices[r]}' for r in REGIONS for i in range(5)]
        lines += [f'grid_intensity_carbon_average{{provider="{REGIONS[r][0]}",region="{r}"}} {intensity[r]}' for r in REGIONS]
        self.exporter.text = "\n".join(lines) + "\n"
        self.signals = [{"signal": "node_eur_per_hour", "labels": {"node": f"{r}-{i}"}, "value": prices[r]}
                        for r in REGIONS for i in range(5)]
        self.signals += [{"signal": "grid_gco2e_per_kwh", "labels": {"provider": REGIONS[r][0], "region": r},
                          "value": intensity[r]} for r in REGIONS]

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
        arguments = [os.environ["SOBRE_BIN"], "score"]
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
    control_plane.call("POST", "/api/v1/namespaces", {"metadata": {"name": "unused"}})
    for region, (_, provider_id) in REGIONS.items():
        for i in range(5):
            control_plane.add_node(f"{region}-{i}", provider_id, region)
    folder = tmp_path_factory.mktemp("sobre")
    sobre = Sobre(folder, {"kubernetes": {"kubeconfig": str(control_plane.kubeconfig)},
                           "prometheus": {"url": prometheus.url, "refresh": "500ms", "timeout": "2s", "signals": SIGNALS}})
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
    from tests.harness import fetch

    def metric(name: str) -> float:
        text = fetch(cluster.sobre.status_url + "/metrics").decode()
        return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(name + " "))
    before = metric("sobre_bindings_total")
    cluster.place(3)
    eventually(lambda: metric("sobre_bindings_total") == before + 3, "three bindings seen")
