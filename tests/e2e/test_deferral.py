"""Pods that wait for a cleaner hour, on the real API server: seconds, not minutes."""
import datetime
import signal
import subprocess
import time

import pytest

from tests import world
from tests.harness import ROOT, Sobre, eventually

SIGNALS = [{"signal": "grid_gco2e_per_kwh", "query": "grid_intensity_carbon_average", "max_age": "15s"}]
DEFER = {"sobre.dev/defer-below-gco2e-per-kwh": "50"}


class Cluster:
    def __init__(self, plane, exporter, prometheus, folder) -> None:
        self.plane, self.exporter, self.prometheus, self.folder = plane, exporter, prometheus, folder
        for region in ("fr-par", "eu-central-1"):
            plane.add_node(f"{region}-0", world.REGIONS[region][1], region)
        plane.add_namespace("patient", labels={"sobre.dev/placement": "enabled"})
        plane.apply(ROOT / "deploy" / "admission-policies.yaml")
        self.set_intensity({"fr-par": 80, "eu-central-1": 400})
        config = {"kubernetes": {"kubeconfig": str(plane.kubeconfig)},
                  "prometheus": {"url": prometheus.url, "refresh": "500ms", "timeout": "2s", "signals": SIGNALS},
                  "deferral": {"check": "300ms", "lease_duration": "2s", "lease_namespace": "default"}}
        self.replicas = []
        for name in ("a", "b"):
            (folder / name).mkdir()
            self.replicas.append(Sobre(folder / name, config))
        plane.start_scheduler(self.replicas[0].url)
        self.wait_heard(80)
        # Policies take a moment before they are followed.
        eventually(lambda: self.gates(self.add("probe", {}, keep=False)), "the admission policy sets gates")

    def set_intensity(self, intensity: dict) -> None:
        self.exporter.text = "".join(f'grid_intensity_carbon_average{{provider="{world.REGIONS[r][0]}",region="{r}"}} {v}\n'
                                     for r, v in intensity.items())

    def wait_heard(self, value: float | None) -> None:
        for replica in self.replicas:
            if replica.process.running():
                eventually(lambda: replica.nodes()["fr-par-0"].get("liveGco2ePerKwh") == value, f"{value} was heard")

    def add(self, name: str, annotations: dict, keep: bool = True, **spec) -> dict:
        pod = self.plane.add_pod(name, DEFER | annotations, namespace="patient", schedulerName="default-scheduler", **spec)
        if not keep:
            self.plane.call("DELETE", f"/api/v1/namespaces/patient/pods/{name}", {"gracePeriodSeconds": 0})
        return pod

    @staticmethod
    def gates(pod: dict) -> list:
        return pod["spec"].get("schedulingGates", [])

    def waits(self, name: str) -> bool:
        return bool(self.gates(self.plane.call("GET", f"/api/v1/namespaces/patient/pods/{name}")))

    def opened(self, name: str) -> str | None:
        """When its gate was opened, by the event that says so."""
        path = f"/api/v1/namespaces/patient/events?fieldSelector=involvedObject.name%3D{name},reason%3DGateOpened"
        return next((e["firstTimestamp"] for e in self.plane.call("GET", path)["items"]), None)

    def leader(self) -> str:
        return self.plane.call("GET", "/apis/coordination.k8s.io/v1/namespaces/default/leases/sobre-gatekeeper")["spec"]["holderIdentity"]


def deadline(seconds: float) -> str:
    """As Kubernetes writes times, whose texts are in their order."""
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(scope="module")
def cluster(control_plane, exporter, prometheus, tmp_path_factory, sobre_bin):
    cluster = Cluster(control_plane, exporter, prometheus, tmp_path_factory.mktemp("deferral"))
    yield cluster
    for replica in cluster.replicas:
        replica.stop()


def test_a_pod_waits_and_goes_where_it_became_clean(cluster):
    cluster.add("patient", {}, affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "Exists"}]}]}}})
    time.sleep(2)
    assert cluster.waits("patient"), "80 is not below 50"
    cluster.set_intensity({"fr-par": 30, "eu-central-1": 400})
    assert cluster.plane.wait_placed(["patient"], namespace="patient") == {"patient": "fr-par-0"}
    pod = cluster.plane.call("GET", "/api/v1/namespaces/patient/pods/patient")
    terms = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert [[(e["key"], e.get("values")) for e in t["matchExpressions"]] for t in terms] == [
        [("kubernetes.io/hostname", None), ("topology.kubernetes.io/region", ["fr-par"])]], "the owner's own term stands"
    eventually(lambda: any("fr-par is at 30 gCO2e/kWh, below 50" in e for e in cluster.plane.events("patient", "patient")), "the event")
    cluster.set_intensity({"fr-par": 80, "eu-central-1": 400})
    cluster.wait_heard(80)


def test_another_takes_over_when_the_leader_is_killed(cluster):
    cluster.add("orphan", {"sobre.dev/max-delay": "8s"})
    leader = eventually(cluster.leader, "somebody leads")
    # The identity does not say which process it is: kill one, and see whether it led.
    cluster.replicas[0].stop(signal.SIGKILL)
    assert cluster.waits("orphan")
    eventually(lambda: not cluster.waits("orphan"), "opened")
    cluster.replicas[0].start()
    cluster.wait_heard(80)
    # Now the other one, so that the leader was among the killed.
    cluster.add("orphan-2", {"sobre.dev/max-delay": "8s"})
    cluster.replicas[1].stop(signal.SIGKILL)
    eventually(lambda: not cluster.waits("orphan-2"), "opened")
    assert cluster.leader() != leader, "another identity leads"
    cluster.replicas[1].start()
    cluster.wait_heard(80)


def test_a_restart_forgets_nothing(cluster):
    until = deadline(20)
    cluster.add("remembered", {"sobre.dev/deadline": until})
    for replica in cluster.replicas:
        replica.stop()
        replica.start()
    cluster.wait_heard(80)
    eventually(lambda: not cluster.waits("remembered"), "opened by its deadline")
    opened = eventually(lambda: cluster.opened("remembered"), "the event")
    assert opened >= until, "it waited, through the restart"


def test_open_gates_lets_everybody_go(cluster):
    for i in range(3):
        cluster.add(f"stuck-{i}", {})
    assert all(cluster.waits(f"stuck-{i}") for i in range(3))
    done = subprocess.run([cluster.replicas[0].process.child.args[0], "open-gates", "--config", cluster.replicas[0].config],
                          capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == "3 gates opened\n", done.stderr
    assert not any(cluster.waits(f"stuck-{i}") for i in range(3))


def test_with_prometheus_dead_the_gate_opens_by_the_deadline_or_at_once(cluster):
    assert cluster.gates(cluster.add("late", {"sobre.dev/deadline": deadline(4)}))
    cluster.prometheus.stop()
    eventually(lambda: not cluster.waits("late"), "opened")
    # Its last values are stale by now: nothing is known, nobody waits.
    eventually(lambda: cluster.replicas[0].nodes()["fr-par-0"].get("liveGco2ePerKwh") is None, "values age")
    cluster.add("unlucky", {})
    eventually(lambda: not cluster.waits("unlucky"), "opened at once")
