"""The day on a real API server, kube-scheduler, Prometheus and Sobre, its time compressed: nothing waits for a clock.

Nodes are objects without a kubelet, as kwok's are; pods end by being deleted. Nothing of that has a part in placing."""
import pathlib

from tests.backtest_check import world
from tests.harness import ControlPlane, Exporter, Prometheus, Sobre, eventually

SIGNALS = [{"signal": "node_price_per_hour", "query": "node_total_hourly_cost", "max_age": "1m"},
           {"signal": "grid_gco2e_per_kwh", "query": "grid_intensity_carbon_average", "max_age": "1m"}]


class Day:
    """One policy's day, over a control plane that several share."""

    def __init__(self, folder: pathlib.Path, plane: ControlPlane, nodes: int, grid: world.Grid, policy: dict) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.plane, self.grid, self.policy = folder, plane, grid, policy
        self.pools = {f"{p.name}-{i}": p for p in world.POOLS for i in range(nodes // len(world.POOLS))}
        self.exporter = self.prometheus = self.sobre = None

    def start(self) -> None:
        if not self.policy.get("sobre", True):
            self.plane.start_scheduler(None, percent_of_nodes=0)
            return
        self.exporter = Exporter()
        self.tell(0)
        self.prometheus = Prometheus(self.folder, self.exporter)
        self.sobre = Sobre(self.folder, {"kubernetes": {"kubeconfig": str(self.plane.kubeconfig)}, "policy": self.policy, "moves": {"enabled": False},
                                         "prometheus": {"url": self.prometheus.url, "refresh": "200ms", "timeout": "2s", "signals": SIGNALS}})
        self.wait_until_seen(0)
        self.plane.start_scheduler(self.sobre.url)

    def stop(self) -> None:
        for each in (self.sobre, self.prometheus, self.exporter):
            if each:
                each.stop()

    def tell(self, hour: int) -> None:
        lines = [f'node_total_hourly_cost{{node="{name}"}} {pool.eur_per_hour}' for name, pool in self.pools.items()]
        lines += [f'grid_intensity_carbon_average{{provider="{p.provider}",region="{p.region}"}} {self.grid[p.zone][hour]}' for p in world.POOLS]
        self.exporter.text = "\n".join(lines) + "\n"

    def wait_until_seen(self, hour: int) -> None:
        def seen() -> bool:
            nodes = self.sobre.nodes()
            return len(nodes) == len(self.pools) and all(nodes[name]["liveGco2ePerKwh"] == self.grid[pool.zone][hour] and
                                                         nodes[name]["eurPerHour"] == pool.eur_per_hour for name, pool in self.pools.items())
        eventually(seen, f"Sobre sees the grids of hour {hour}", 60, 0.05)

    def play(self, works: list[world.Work]) -> dict[str, str]:
        """By pod, the pool where it was placed."""
        sets = {w.name: self.add_replica_set(w) for w in works if w.kind == "service"}
        self.start()
        hours = len(self.grid[world.POOLS[0].zone])
        events = [(w.arrives, 1, w, i) for w in works for i in range(w.replicas)]
        events += [(w.arrives + w.runs, 0, w, i) for w in works for i in range(w.replicas) if w.arrives + w.runs < hours * 60]
        placed, coming, hour = {}, [], 0
        for minute, comes, work, i in sorted(events, key=lambda e: (e[0], e[1], e[2].name, e[3])):
            while minute >= (hour + 1) * 60:
                placed |= self.wait_placed(coming)
                hour += 1
                if self.sobre:
                    self.tell(hour)
                    self.wait_until_seen(hour)
            name = f"{work.name}-{i}"
            if comes:
                self.add_pod(work, name, sets.get(work.name))
                coming.append(name)
            else:
                placed |= self.wait_placed(coming)
                self.plane.call("DELETE", f"/api/v1/namespaces/default/pods/{name}", {"gracePeriodSeconds": 0})
        return placed | self.wait_placed(coming)

    def wait_placed(self, names: list[str]) -> dict[str, str]:
        if not names:
            return {}
        found = self.plane.wait_placed(names, 60)
        names.clear()
        return {pod: self.pools[node].name for pod, node in found.items()}

    def add_replica_set(self, work: world.Work) -> dict:
        """No controller makes pods of it: kube-scheduler spreads those that it owns."""
        labels = {"app": work.name}
        made = self.plane.call("POST", "/apis/apps/v1/namespaces/default/replicasets", {
            "metadata": {"name": work.name, "labels": labels},
            "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": {
                "metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "none"}]}}}})
        return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": work.name, "uid": made["metadata"]["uid"], "controller": True}

    def add_pod(self, work: world.Work, name: str, owner: dict | None) -> None:
        owner = owner or {"apiVersion": "batch/v1", "kind": "Job", "name": work.name, "uid": work.name, "controller": True}
        annotations = {"sobre.dev/requests-per-second": str(work.requests_per_second)} if work.requests_per_second else {}
        self.plane.call("POST", "/api/v1/namespaces/default/pods", {
            "metadata": {"name": name, "labels": {"app": work.name}, "annotations": annotations, "ownerReferences": [owner]},
            "spec": {"schedulerName": "sobre", "automountServiceAccountToken": False, "containers": [
                {"name": "app", "image": "none", "resources": {"requests": {"cpu": f"{work.millicpu}m", "memory": f"{work.mebibytes}Mi"}}}]}})


def add_nodes(plane: ControlPlane, nodes: int) -> None:
    for pool in world.POOLS:
        for i in range(nodes // len(world.POOLS)):
            plane.add_node(f"{pool.name}-{i}", pool.provider_id, pool.region, world.VCPUS, world.MEMORY_GIB,
                           labels={"topology.kubernetes.io/zone": pool.region})


def clear(plane: ControlPlane) -> None:
    plane.delete_pods()
    plane.call("DELETE", "/apis/apps/v1/namespaces/default/replicasets", {"gracePeriodSeconds": 0, "propagationPolicy": "Background"})
    eventually(lambda: not plane.call("GET", "/apis/apps/v1/namespaces/default/replicasets")["items"], "nothing is left")
