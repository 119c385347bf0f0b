"""Limits, namespaces and shadow mode, with the real kube-scheduler and API server. The admission policies alone mark pods."""
import json
import re
import subprocess

import pytest

from tests import world
from tests.harness import ROOT, Sobre, eventually, fetch

HDS = """provider,region,scheme,version,scope,issued,expires,checked,source,year,method,licence
scaleway,fr-par,HDS,2,hosting,2025-01-01,2099-12-31,2026-01-01,test,2026,reading,own
scaleway,pl-waw,HDS,2,hosting,2023-05-17,2026-05-16,2026-01-01,test,2026,reading,own
"""
MARKED = {"sobre.dev/placement": "enabled", "sobre.dev/limits": "enabled"}


class Cluster:
    def __init__(self, plane, folder) -> None:
        self.plane, self.folder = plane, folder
        for region in ("pl-waw", "eu-north-1"):
            self.add_node(region)
        plane.call("POST", "/api/v1/namespaces", {"metadata": {"name": "french", "labels": MARKED, "annotations": {
            "sobre.dev/allowed-countries": "FR", "sobre.dev/enforced": "allowed-countries"}}})
        plane.call("POST", "/api/v1/namespaces", {"metadata": {"name": "opted-in", "labels": {"sobre.dev/placement": "enabled"}}})
        plane.call("PATCH", "/api/v1/namespaces/default", {"metadata": {"labels": {"sobre.dev/placement": "enabled"}}},
                   content_type="application/merge-patch+json")
        plane.apply(ROOT / "deploy" / "admission-policies.yaml")
        (folder / "rows").mkdir()
        (folder / "rows" / "certifications.csv").write_text(HDS)
        (folder / "rows" / "prices.csv").write_text(
            "provider,resource,price_per_hour,currency,source,year,method,licence\n" + "".join(
                f"{provider},{resource},{price},EUR,test,2026,list,own\n" for provider, price in (("scaleway", 0.01), ("aws", 1))
                for resource in ("vcpu", "gb", "gpu")))
        self.sobre = Sobre(folder, {"kubernetes": {"kubeconfig": str(plane.kubeconfig)}, "catalog": {"directory": "rows"},
                                    "limits": {"trust_node_labels": True}})
        plane.start_scheduler(self.sobre.url)
        # Policies take a moment before they are followed.
        eventually(lambda: self.marked(plane.add_pod("asked", {"sobre.dev/allowed-countries": "FR"}, dry_run=True)), "the policies are followed")

    @staticmethod
    def marked(pod: dict) -> bool:
        return "sobre.dev/limits" in pod["spec"]["containers"][0]["resources"]["requests"]

    def add_node(self, region: str, index: int = 0) -> None:
        self.plane.add_node(f"{region}-{index}", world.REGIONS[region][1], region)

    def decisions(self, pod: str) -> list[dict]:
        return [d for d in json.loads(fetch(self.sobre.status_url + "/api/v1/decisions")) if d["pod"] == pod]

    def node_of(self, pod: str, namespace: str = "default") -> str:
        return self.plane.wait_placed([pod], namespace=namespace)[pod]

    def pending_because(self, pod: str, said: str, namespace: str = "default") -> str:
        found = eventually(lambda: next((e for e in self.plane.events(pod, namespace) if said in e), None), f"{pod}: {said}")
        assert not self.plane.placements(namespace)[pod]
        return found


@pytest.fixture(scope="module")
def cluster(control_plane, tmp_path_factory, sobre_bin):
    cluster = Cluster(control_plane, tmp_path_factory.mktemp("limits"))
    yield cluster
    cluster.sobre.stop()


def test_a_pod_waits_for_a_node_that_keeps_its_limits(cluster):
    cluster.plane.add_pod("health", {"sobre.dev/required-certifications": "HDS", "sobre.dev/allowed-countries": "EU"})
    event = cluster.pending_because("health", "certification HDS")
    assert "region scaleway/pl-waw: certification HDS expired 2026-05-16" in event
    assert "region aws/eu-north-1: certification HDS is not known" in event
    cluster.add_node("fr-par")
    assert cluster.node_of("health") == "fr-par-0"
    names = [f"health-{i}" for i in range(5)]
    for name in names:
        cluster.plane.add_pod(name, {"sobre.dev/required-certifications": "HDS", "sobre.dev/allowed-countries": "EU"})
    assert set(cluster.plane.wait_placed(names).values()) == {"fr-par-0"}


def test_an_enforced_namespace_holds_its_pods(cluster):
    cluster.plane.add_pod("emigrant", {"sobre.dev/allowed-countries": "EU", "sobre.dev/mode": "shadow"}, namespace="french")
    assert cluster.node_of("emigrant", "french") == "fr-par-0"
    eventually(lambda: any("'EU' is looser than what the namespace enforces ('FR')" in e for e in cluster.plane.events("emigrant", "french")),
               "the owner is told")
    cluster.plane.add_pod("exile", {"sobre.dev/allowed-countries": "US"}, namespace="french")
    cluster.pending_because("exile", "nothing is allowed by all of the namespace ('FR', enforced) and the pod ('US')", "french")
    decision = eventually(lambda: cluster.decisions("french/emigrant"), "the decision is on record")[0]
    assert "allowed-countries: namespace, enforced" in decision["policyFrom"]


def test_nobody_goes_round_enforced_limits(cluster):
    for spec, said in [({"nodeName": "eu-north-1-0"}, "must not name its node"), ({"schedulerName": "other"}, "must be sobre")]:
        with pytest.raises(OSError, match=said):
            cluster.plane.add_pod("rogue", namespace="french", **spec)


def test_a_budget_excludes_costly_nodes_and_says_the_reports_figure(cluster, tmp_path):
    cluster.plane.add_pod("thrifty", {"sobre.dev/unit": "pod-hour", "sobre.dev/max-eur-per-unit": "0.1", "sobre.dev/objective": "carbon"})
    assert cluster.node_of("thrifty") in ("fr-par-0", "pl-waw-0"), "eu-north-1 costs a hundred times as much"
    decision = next(d for d in cluster.decisions("default/thrifty") if d["verb"] == "filter")
    assert decision["refused"] == 1
    # The price of the limit: what the best refused node would have been, and why it was refused.
    assert decision["bestRefused"].startswith("eu-north-1-0 ")
    said = float(re.search(r"refused: ([0-9.]+) EUR per pod-hour \(report ledger\) is over the budget of 0.1", decision["bestRefused"])[1])
    for kind, name in (("nodes", ""), ("pod", "thrifty")):
        (tmp_path / f"{kind}.json").write_text(json.dumps(
            cluster.plane.call("GET", f"/api/v1/{'nodes' if kind == 'nodes' else 'namespaces/default/pods/' + name}")))
    scored = json.loads(subprocess.run(
        [cluster.sobre.process.child.args[0], "score", "--nodes", tmp_path / "nodes.json", "--pod", tmp_path / "pod.json", "--config",
         cluster.sobre.config], capture_output=True, text=True, check=True).stdout)
    report = next(c for c in scored["candidates"] if c["node"] == "eu-north-1-0")
    assert report["report"]["eurPerUnit"] == pytest.approx(said, rel=1e-5) and str(said) in report["refused"]


@pytest.mark.parametrize("number, bad", enumerate(["0,5", "NaN", "-1", "1e400", "🌍"]))
def test_a_bad_limit_holds_its_pod_alone(cluster, number, bad):
    cluster.plane.add_pod(f"bad-{number}", {"sobre.dev/max-eur-per-unit": bad})
    cluster.plane.add_pod(f"odd-{number}", {"sobre.dev/cost-tolerance": bad})
    cluster.plane.add_pod(f"neighbour-{number}")
    cluster.plane.wait_placed([f"neighbour-{number}", f"odd-{number}"])
    cluster.pending_because(f"bad-{number}", "a limit cannot be read")
    for pod, key in ((f"bad-{number}", "max-eur-per-unit"), (f"odd-{number}", "cost-tolerance")):
        eventually(lambda: any(e.startswith("PolicyProblem") and key in e for e in cluster.plane.events(pod)), f"{pod}'s owner is told")


def test_a_namespace_opts_in_by_its_label_alone(cluster):
    cluster.plane.add_pod("plain", namespace="opted-in", schedulerName="default-scheduler")
    cluster.plane.add_pod("limited", {"sobre.dev/allowed-countries": "FR"}, namespace="opted-in", schedulerName="default-scheduler")
    pods = {p["metadata"]["name"]: p for p in cluster.plane.call("GET", "/api/v1/namespaces/opted-in/pods")["items"]}
    assert pods["plain"]["spec"]["schedulerName"] == pods["limited"]["spec"]["schedulerName"] == "sobre"
    assert {name: cluster.marked(pod) for name, pod in pods.items()} == {"plain": False, "limited": True}
    assert cluster.node_of("plain", "opted-in") and cluster.node_of("limited", "opted-in") == "fr-par-0"


def test_shadow_mode_records_and_changes_nothing(cluster):
    """One node is so large that the default scores alone prefer it, pod after pod, without a tie. Without Sobre nothing knows the marker."""
    for cpu in (1024, 47, 37):
        cluster.plane.add_node(f"eu-central-1-{cpu}", world.REGIONS["eu-central-1"][1], "eu-central-1", cpu=cpu)
    eventually(lambda: len(cluster.sobre.nodes()) == 6, "Sobre knows all nodes")

    def place(extender: str | None, prefix: str) -> list[str]:
        cluster.plane.start_scheduler(extender)
        nodes = []
        for i in range(4):
            said = {"sobre.dev/mode": "shadow", "sobre.dev/objective": "cost", "sobre.dev/allowed-countries": "SE"}
            cluster.plane.add_pod(f"{prefix}-{i}", said if extender else {}, cpu="3")
            nodes.append(cluster.node_of(f"{prefix}-{i}"))
        return nodes
    shadow = place(cluster.sobre.url, "shadow")
    decisions = cluster.decisions("default/shadow-0")
    assert {d["verb"] for d in decisions} == {"filter", "prioritize"} and all(d["shadow"] for d in decisions)
    assert next(d for d in decisions if d["verb"] == "filter")["refused"] == 5, "what would have been refused"
    for i in range(4):
        cluster.plane.call("DELETE", f"/api/v1/namespaces/default/pods/shadow-{i}", {"gracePeriodSeconds": 0})
    try:
        without = place(None, "without")
    finally:
        cluster.plane.start_scheduler(cluster.sobre.url)
    assert shadow == without == ["eu-central-1-1024"] * 4


def test_with_sobre_dead_limits_wait_and_the_rest_is_placed(cluster):
    cluster.sobre.stop()
    cluster.plane.add_pod("free")
    cluster.plane.add_pod("bound-by-law", {"sobre.dev/allowed-countries": "FR"})
    assert cluster.node_of("free")
    cluster.pending_because("bound-by-law", "connection refused")
    with pytest.raises(OSError, match="must not name its node"):
        cluster.plane.add_pod("rogue", namespace="french", nodeName="eu-north-1-0")
    cluster.sobre.start()
    assert cluster.node_of("bound-by-law") == "fr-par-0"
