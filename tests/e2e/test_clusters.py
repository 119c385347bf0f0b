"""Scores of clusters in an Open Cluster Management hub: a real API server that knows AddOnPlacementScore, declared by hand."""
import datetime
import signal

import pytest

from tests import world
from tests.chart import objects, render
from tests.harness import Sobre, eventually, fetch
from tests.world import INTENSITY, PRICES

GROUP = "cluster.open-cluster-management.io"
CLUSTERS = {"paris": "fr-par", "warsaw": "pl-waw"}
SCORE = {"type": "object", "required": ["name", "value"],
         "properties": {"name": {"type": "string"}, "value": {"type": "integer", "format": "int32", "minimum": -100, "maximum": 100}}}
CRD = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"addonplacementscores.{GROUP}"},
       "spec": {"group": GROUP, "scope": "Namespaced",
                "names": {"plural": "addonplacementscores", "singular": "addonplacementscore", "kind": "AddOnPlacementScore"},
                "versions": [{"name": "v1alpha1", "served": True, "storage": True, "subresources": {"status": {}},
                              "schema": {"openAPIV3Schema": {"type": "object", "properties": {"status": {"type": "object", "properties": {
                                  "scores": {"type": "array", "items": SCORE, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
                                  "validUntil": {"type": "string", "format": "date-time"}}}}}}}]}}
LABEL = "app.kubernetes.io/managed-by"


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


class Hub:
    """The hub, and a Sobre that scores its clusters."""

    def __init__(self, plane, folder, prometheus, exporter) -> None:
        self.plane, self.folder, self.prometheus, self.exporter, self.sobre = plane, folder, prometheus, exporter, None
        plane.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", CRD)
        eventually(lambda: self.exists("/apis/" + GROUP + "/v1alpha1/addonplacementscores"), "the API server serves the resource")

    def exists(self, path: str) -> bool:
        try:
            self.plane.call("GET", path)
        except OSError:
            return False
        return True

    def start(self, clusters: dict[str, str], **more) -> None:
        managed = [{"name": name, "provider": "scaleway", "region": region, "eur_per_hour": 0.4} for name, region in clusters.items()]
        config = world.sobre_config(self.plane, self.prometheus) | {
            "deferral": {"check": "250ms", "lease_duration": "1s"},
            "clusters": {"enabled": True, "every": "250ms", "valid_for": "3s", "managed": managed} | more}
        self.sobre = Sobre(self.folder, config)

    def stop(self) -> None:
        assert self.sobre.stop() == 0
        self.sobre = None

    def path(self, cluster: str, name: str = "sobre") -> str:
        return f"/apis/{GROUP}/v1alpha1/namespaces/{cluster}/addonplacementscores/{name}"

    def get(self, cluster: str, name: str = "sobre") -> dict | None:
        return self.plane.call("GET", self.path(cluster, name)) if self.exists(self.path(cluster, name)) else None

    def scores(self, cluster: str) -> dict[str, int]:
        status = (self.get(cluster) or {}).get("status", {})
        return {s["name"]: s["value"] for s in status.get("scores", [])}

    def valid_until(self, cluster: str) -> datetime.datetime:
        return datetime.datetime.fromisoformat(self.get(cluster)["status"]["validUntil"].replace("Z", "+00:00"))

    def make(self, cluster: str, name: str, labels: dict) -> dict:
        path = self.path(cluster, name).rpartition("/")[0]
        return self.plane.call("POST", path, {"apiVersion": f"{GROUP}/v1alpha1", "kind": "AddOnPlacementScore",
                                              "metadata": {"name": name, "labels": labels}})

    def metric(self, series: str) -> float:
        lines = [line for line in fetch(self.sobre.status_url + "/metrics").decode().splitlines() if line.startswith(series + " ")]
        return float(lines[0].rpartition(" ")[2]) if lines else 0


@pytest.fixture(scope="module")
def served(control_plane, exporter, prometheus):
    """The CRD, the namespaces of two clusters, and grids that an exporter tells."""
    exporter.text = world.exporter_text(PRICES, INTENSITY)
    world.add_nodes(control_plane)
    for cluster in CLUSTERS:
        control_plane.call("POST", "/api/v1/namespaces", {"metadata": {"name": cluster}})
    return control_plane


@pytest.fixture(scope="module")
def shared(served, tmp_path_factory, prometheus, exporter, sobre_bin):
    return Hub(served, tmp_path_factory.mktemp("sobre"), prometheus, exporter)


@pytest.fixture
def hub(shared):
    shared.exporter.text = world.exporter_text(PRICES, INTENSITY)
    yield shared
    if shared.sobre:
        shared.stop()
    items = shared.plane.call("GET", f"/apis/{GROUP}/v1alpha1/addonplacementscores")["items"]
    for item in items:
        shared.plane.call("DELETE", shared.path(item["metadata"]["namespace"], item["metadata"]["name"]))


def test_scores_are_written_through_the_status_follow_the_grid_and_expire(hub):
    hub.start(CLUSTERS)
    eventually(lambda: hub.scores("paris").get("carbon") == 100 and hub.scores("warsaw").get("carbon", 0) < 0, "the scores are told")
    first = hub.get("paris")
    assert set(hub.scores("paris")) == {"balanced", "carbon", "cost"} and hub.scores("paris")["cost"] == 100
    assert first["metadata"]["labels"] == {LABEL: "sobre"}
    # By the status alone: nothing else of the object was ever changed, though it was written many times.
    eventually(lambda: hub.get("paris")["metadata"]["resourceVersion"] != first["metadata"]["resourceVersion"], "it is written again")
    again = hub.get("paris")
    assert again["metadata"]["generation"] == 1 and again["metadata"]["uid"] == first["metadata"]["uid"]
    writers = {(f["operation"], f.get("subresource", "")) for f in again["metadata"]["managedFields"] if "f:status" in f["fieldsV1"]}
    assert writers == {("Update", "status")}

    # The grid turns: so do the scores.
    hub.exporter.text = world.exporter_text(PRICES, INTENSITY | {"fr-par": 900.0, "pl-waw": 20.0})
    eventually(lambda: hub.scores("warsaw").get("carbon") == 100 and hub.scores("paris").get("carbon", 0) < 0, "the scores follow the grid")

    # Valid while it runs, and for no longer than it says once it does not.
    seen = hub.valid_until("paris")
    assert seen > now()
    eventually(lambda: hub.valid_until("paris") > seen, "validity moves on")
    assert hub.metric('sobre_cluster_score{managed_cluster="warsaw",objective="carbon"}') == 100
    assert hub.metric('sobre_cluster_valid_until_timestamp_seconds{managed_cluster="paris"}') >= seen.timestamp()
    assert hub.metric('sobre_cluster_writes_total{outcome="written"}') > 3
    hub.stop()
    last = hub.valid_until("paris")
    eventually(lambda: now() > last, "its time is over")
    assert hub.valid_until("paris") == last and hub.scores("paris")


def test_a_cluster_that_leaves_takes_its_scores_along_and_no_others(hub):
    hub.start(CLUSTERS)
    eventually(lambda: hub.scores("paris") and hub.scores("warsaw"), "the scores are told")
    hub.stop()
    hub.make("paris", "others", {LABEL: "somebody"})
    hub.make("warsaw", "unlabelled", {})
    hub.start({"paris": "fr-par"})
    eventually(lambda: hub.get("warsaw") is None, "the scores of the cluster that left are gone")
    assert hub.scores("paris") and hub.get("paris", "others") and hub.get("warsaw", "unlabelled")
    assert hub.metric('sobre_cluster_writes_total{outcome="removed"}') == 1
    hub.stop()

    # Under another name: what was there before is ours, and goes.
    hub.start({"paris": "fr-par"}, object="grams")
    eventually(lambda: hub.get("paris") is None and hub.get("paris", "grams"), "the old name is gone")
    hub.stop()
    hub.start({})
    eventually(lambda: hub.get("paris", "grams") is None, "without clusters nothing stays")
    assert hub.get("paris", "others") and hub.get("warsaw", "unlabelled")


def test_a_region_that_changes_changes_the_scores(hub):
    hub.start(CLUSTERS)
    eventually(lambda: hub.scores("paris").get("carbon") == 100, "the scores are told")
    uid = hub.get("paris")["metadata"]["uid"]
    hub.stop()
    hub.start({"paris": "pl-waw", "warsaw": "fr-par"})
    eventually(lambda: hub.scores("warsaw").get("carbon") == 100 and hub.scores("paris").get("carbon", 0) < 0, "the scores are of the other region")
    assert hub.get("paris")["metadata"]["uid"] == uid


def test_a_cluster_that_the_hub_does_not_know_hurts_no_other(hub):
    hub.make("warsaw", "sobre", {LABEL: "somebody"})
    hub.start({"nowhere": "nl-ams"} | CLUSTERS)
    eventually(lambda: hub.scores("paris"), "the others' scores are told")
    # The one that is not there, and the one of which the object is somebody else's.
    eventually(lambda: hub.metric('sobre_cluster_writes_total{outcome="failed"}') >= 4, "what cannot be written is counted")
    told = [line for line in (hub.folder / "sobre.log").read_text().splitlines() if "scores of a cluster are not written" in line]
    assert sum("nowhere" in line and "not found" in line for line in told) == 1, told
    assert sum("warsaw" in line and "somebody else's" in line for line in told) == 1, told
    assert "status" not in hub.get("warsaw")
    # It joins the hub: its scores are told without a restart.
    hub.plane.call("POST", "/api/v1/namespaces", {"metadata": {"name": "nowhere"}})
    eventually(lambda: hub.scores("nowhere"), "the new cluster's scores are told")


def test_the_rights_that_the_chart_grants_are_enough_and_the_hub_may_be_another_cluster(hub, tmp_path):
    """The hub is reached by a kubeconfig of its own, as an account that may do in it what the chart grants and no more."""
    rendered = objects(render({"config": {"clusters": {"enabled": True}}}, tmp_path).stdout)
    rules = [rule for o in rendered if o["kind"] == "ClusterRole" for rule in o.get("rules", []) if GROUP in rule["apiGroups"]]
    assert rules and not any(GROUP in rule["apiGroups"] for o in objects(render({}, tmp_path).stdout) if o["kind"] == "ClusterRole"
                             for rule in o.get("rules", []))
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    hub.plane.call("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "sobre"}})
    hub.plane.call("POST", f"{rbac}/clusterroles", {"metadata": {"name": "scores"}, "rules": rules})
    hub.plane.call("POST", f"{rbac}/clusterrolebindings", {
        "metadata": {"name": "scores"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "scores"},
        "subjects": [{"kind": "ServiceAccount", "name": "sobre", "namespace": "default"}]})
    token = hub.plane.call("POST", "/api/v1/namespaces/default/serviceaccounts/sobre/token", {"spec": {}})["status"]["token"]
    kubeconfig = str(hub.plane.make_kubeconfig("hub", token))
    hub.start(CLUSTERS, kubeconfig=kubeconfig)
    eventually(lambda: hub.scores("paris") and hub.scores("warsaw"), "the scores are told")
    hub.stop()
    hub.start({"paris": "fr-par"}, kubeconfig=kubeconfig)
    eventually(lambda: hub.get("warsaw") is None, "what is not wanted is removed")
    assert hub.metric('sobre_cluster_writes_total{outcome="failed"}') == 0


def test_of_two_replicas_one_writes(hub, tmp_path):
    hub.start(CLUSTERS)
    eventually(lambda: hub.scores("paris"), "the scores are told")
    first, folder = hub.sobre, hub.folder
    try:
        hub.folder = tmp_path
        hub.start(CLUSTERS)
        eventually(lambda: hub.metric('sobre_cluster_score{managed_cluster="paris",objective="carbon"}') == 100, "the other knows the scores too")
        before = hub.valid_until("paris")
        eventually(lambda: hub.valid_until("paris") > before, "the first goes on")
        assert hub.metric('sobre_cluster_writes_total{outcome="written"}') == 0
        first.stop(signal.SIGKILL)
        eventually(lambda: hub.metric('sobre_cluster_writes_total{outcome="written"}') > 0, "the other takes over")
    finally:
        hub.folder = folder
        first.stop()
