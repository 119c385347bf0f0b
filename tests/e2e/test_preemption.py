"""Pods of high priority with limits, on the real kube-scheduler: others are evicted for them where the limits let them run, and nowhere else.
SOBRE_PREEMPTION_SECONDS says for how long evictions are counted where there must be none."""
import collections
import os
import re
import threading
import time

import pytest

from tests import world
from tests.harness import Sobre, eventually, fetch

SECONDS = float(os.environ.get("SOBRE_PREEMPTION_SECONDS", "15"))
FRENCH = {"sobre.dev/allowed-countries": "FR"}
PRIORITIES = {"vital": 1000, "urgent": 100}
CPUS = 4


class Workloads:
    """Nodes full of pods, whose controllers make another for each that is evicted, for the same node."""

    def __init__(self, plane) -> None:
        self.plane, self.numbers, self.lock = plane, collections.Counter(), threading.Lock()
        self.alive: dict[str, tuple[str, str, str]] = {}  # (name, node, priority class) by uid
        self.evicted: list[str] = []  # nodes
        self.failed: list[str] = []
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def add(self, node: str, priority: str = "", bound: bool = False) -> None:
        with self.lock:
            self.numbers[node] += 1
            name = f"{node}-{self.numbers[node]}"
            place = {"nodeName": node} if bound else {"nodeSelector": {"kubernetes.io/hostname": node}}
            # Nothing runs that would end it: it is gone as soon as it is evicted.
            made = self.plane.add_pod(name, cpu="1", terminationGracePeriodSeconds=0, **place, **({"priorityClassName": priority} if priority else {}))
            self.alive[made["metadata"]["uid"]] = (name, node, priority)

    def fill(self, node: str, region: str, priority: str = "") -> None:
        self.plane.add_node(node, world.REGIONS[region][1], region, cpu=CPUS)
        for _ in range(CPUS):
            self.add(node, priority, bound=True)

    def remove(self, node: str) -> None:
        """One of its pods, by its owner; its controller makes another."""
        with self.lock:
            there = {p["metadata"]["uid"] for p in self._pods() if p["spec"].get("nodeName") == node}
            uid = next(u for u in there if u in self.alive)
            name, _, priority = self.alive.pop(uid)
            self.plane.call("DELETE", f"/api/v1/namespaces/default/pods/{name}")
        self.add(node, priority)

    def all_full(self) -> bool:
        with self.lock:
            nodes = collections.Counter(p["spec"].get("nodeName") for p in self._pods() if p["metadata"]["uid"] in self.alive)
            return all(nodes[node] == CPUS for node in self.numbers)

    def _pods(self) -> list[dict]:
        return self.plane.call("GET", "/api/v1/namespaces/default/pods")["items"]

    def _run(self) -> None:
        while not self.stopped.wait(0.1):
            try:
                with self.lock:
                    there = {p["metadata"]["uid"] for p in self._pods()}
                    gone = [self.alive.pop(uid) for uid in list(self.alive) if uid not in there]
                    self.evicted += [node for _, node, _ in gone]
                for _, node, priority in gone:
                    self.add(node, priority)
            except Exception as error:  # noqa: BLE001 - the test fails by it
                self.failed.append(repr(error))

    def stop(self) -> None:
        self.stopped.set()
        self.thread.join()


class Cluster:
    """France has one node, full of what is more important; Poland has three, full of what is less."""

    def __init__(self, plane, folder) -> None:
        self.plane = plane
        for name, value in PRIORITIES.items():
            plane.call("POST", "/apis/scheduling.k8s.io/v1/priorityclasses", {"metadata": {"name": name}, "value": value})
        self.workloads = Workloads(plane)
        self.workloads.fill("fr-1", "fr-par", "vital")
        for node in ("pl-1", "pl-2", "pl-3"):
            self.workloads.fill(node, "pl-waw")
        self.sobre = Sobre(folder, {"kubernetes": {"kubeconfig": str(plane.kubeconfig)}, "limits": {"trust_node_labels": True}})
        plane.start_scheduler(self.sobre.url)

    def ask_for_room(self, name: str, annotations=None) -> None:
        """For a pod of priority; with limits where it states any."""
        self.plane.add_pod(name, annotations, cpu="1", limits=bool(annotations), priorityClassName="urgent", terminationGracePeriodSeconds=0)

    def pod(self, name: str) -> dict:
        return self.plane.call("GET", f"/api/v1/namespaces/default/pods/{name}")

    def unschedulable(self, name: str) -> str:
        """The first word that there is no room for it."""
        return eventually(lambda: next((e for e in self.plane.events(name) if e.startswith("FailedScheduling")), ""), f"{name} finds no room")

    def remove(self, *names: str) -> None:
        """And until who was evicted for them is back."""
        for name in names:
            self.plane.call("DELETE", f"/api/v1/namespaces/default/pods/{name}")
        eventually(self.workloads.all_full, "who was evicted is back")

    def asked(self) -> float:
        """How often Sobre was asked where others may be evicted."""
        return float(re.search(r'^sobre_requests_total\{verb="preempt",outcome="served"\} (\S+)', fetch(self.sobre.status_url + "/metrics").decode(), re.M)[1])

    def stir(self, until) -> None:
        """Pods come and go, so that kube-scheduler looks again at what waits: for SECONDS, and until() holds."""
        end = time.monotonic() + SECONDS

        def stirred() -> bool:
            self.workloads.remove("pl-2")
            return time.monotonic() >= end and until()
        eventually(stirred, "kube-scheduler looks again", SECONDS + 120, pause=1)
        eventually(lambda: all(node for pod, node in self.plane.placements().items() if pod.startswith("pl-2-")), "the node is full again")

    def evictions(self) -> dict[str, int]:
        """So far: what happened a moment ago may not be seen yet."""
        assert not self.workloads.failed
        return dict(collections.Counter(self.workloads.evicted))

    def evicted(self) -> str:
        """The node of the one eviction that there was."""
        (node,) = eventually(lambda: list(self.evictions()), "an eviction is seen")
        assert self.evictions() == {node: 1}
        return node


@pytest.fixture(scope="module")
def cluster(control_plane, tmp_path_factory):
    cluster = Cluster(control_plane, tmp_path_factory.mktemp("preemption"))
    yield cluster
    cluster.workloads.stop()
    cluster.sobre.stop()


@pytest.fixture(autouse=True)
def _counted_anew(cluster):
    cluster.workloads.evicted.clear()


def test_nobody_is_evicted_where_the_pod_may_not_run(cluster):
    before = cluster.asked()
    cluster.ask_for_room("claims", FRENCH)
    cluster.unschedulable("claims")
    cluster.stir(lambda: cluster.asked() >= before + 3)
    waiting = cluster.pod("claims")
    assert not waiting["spec"].get("nodeName") and not waiting["status"].get("nominatedNodeName")
    assert cluster.evictions() == {}
    cluster.remove("claims")


def test_a_pod_without_limits_preempts_as_ever(cluster):
    cluster.ask_for_room("free")
    node = cluster.plane.wait_placed(["free"])["free"]
    assert node.startswith("pl-") and cluster.evicted() == node
    cluster.remove("free")


def test_without_the_verb_others_are_evicted_in_vain(cluster):
    """What the verb is for, and that evictions are seen here."""
    cluster.plane.start_scheduler(cluster.sobre.url, limits_entry={"preemptVerb": None})
    try:
        cluster.ask_for_room("claims", FRENCH)
        eventually(lambda: sum(cluster.evictions().values()) >= 3, "three evictions in vain")
        assert not cluster.pod("claims")["spec"].get("nodeName")
        assert set(cluster.evictions()) <= {"pl-1", "pl-2", "pl-3"}
    finally:
        cluster.plane.start_scheduler(cluster.sobre.url)
    cluster.remove("claims")


def test_with_sobre_dead_nobody_is_evicted_for_a_pod_with_limits(cluster):
    cluster.workloads.fill("fr-2", "fr-par")
    cluster.sobre.stop()
    cluster.ask_for_room("bereft", FRENCH)
    assert "connection refused" in cluster.unschedulable("bereft")
    cluster.stir(lambda: True)
    assert cluster.evictions() == {} and not cluster.pod("bereft")["status"].get("nominatedNodeName")
    # Others are none of its business.
    cluster.ask_for_room("free")
    node = cluster.plane.wait_placed(["free"])["free"]
    assert node != "fr-1" and cluster.evicted() == node
    cluster.remove("free", "bereft")
    cluster.sobre.start()


def test_where_the_limits_allow_it_one_is_evicted(cluster):
    eventually(lambda: "fr-2" in cluster.sobre.nodes(), "Sobre knows the node")
    cluster.ask_for_room("claims", FRENCH)
    assert cluster.plane.wait_placed(["claims"]) == {"claims": "fr-2"} and cluster.evicted() == "fr-2"
    # Its controller's next pod waits for room on that node.
    cluster.stir(lambda: True)
    assert cluster.evictions() == {"fr-2": 1}
