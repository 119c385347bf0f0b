"""What the bench asks with: a world of nodes, questions about them, and figures taken in turns."""
import json
import pathlib
import random
import statistics
import subprocess
import typing

from tests.harness import Process, Sobre, eventually, fetch

REGIONS = [("fr-par", "scaleway://instance/fr-par-1/"), ("eu-central-1", "aws:///eu-central-1a/"),
           ("eu-north-1", "aws:///eu-north-1a/"), ("pl-waw", "scaleway://instance/pl-waw-1/")]
POD = {"metadata": {"name": "bench", "namespace": "default", "uid": "u",
                    "annotations": {"sobre.dev/requests-per-second": "10", "sobre.dev/cost-tolerance": "15", "sobre.dev/carbon-price": "120"}},
       "spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}]}}


def node(i: int) -> dict:
    region, provider_id = REGIONS[i % len(REGIONS)]
    labels = {f"bench.example/label-{n}": f"value-{n}" for n in range(20)}
    conditions = [{"type": t, "status": "False", "reason": "Kubelet", "message": "kubelet has no such problem"} for t in "abcd"]
    return {"metadata": {"name": f"node-{10000 + i}", "labels": labels | {"topology.kubernetes.io/region": region}},
            "spec": {"providerID": provider_id + str(i)},
            "status": {"allocatable": {"cpu": "16", "memory": "64Gi", "pods": "110"}, "conditions": conditions}}


def price_of(i: int, prices: int) -> float:
    """Of so many different ones."""
    return 0.5 + i % prices / prices


class Questions:
    """A world of `size` nodes in files, and the bodies that kube-scheduler sends about it: its nodes come in no order of ours."""

    def __init__(self, folder: pathlib.Path, size: int, prices: int = 7) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        nodes = [node(i) for i in range(size)]
        signals = [{"signal": "node_price_per_hour", "labels": {"node": n["metadata"]["name"]}, "value": price_of(i, prices)}
                   for i, n in enumerate(nodes)]
        self.nodes, self.signals = folder / "nodes.json", folder / "signals.json"
        self.nodes.write_text(json.dumps({"items": nodes}))
        self.signals.write_text(json.dumps(signals))
        self.arguments = ["--nodes", self.nodes, "--signals", self.signals]
        random.Random(1).shuffle(nodes)
        self.names, self.whole = folder / "names.body", folder / "whole.body"
        self.names.write_text(json.dumps({"Pod": POD, "Nodes": None, "NodeNames": [n["metadata"]["name"] for n in nodes]}))
        self.whole.write_text(json.dumps({"Pod": POD, "Nodes": {"metadata": {}, "items": nodes}, "NodeNames": None}))


class Figures(typing.NamedTuple):
    p50_us: float
    p99_us: float
    per_second: float


def ask(programs: pathlib.Path, port: int, body: pathlib.Path, count: int, pause_us: int = 0, connections: int = 1) -> Figures:
    run = subprocess.run([programs / "bench_latency", str(port), "/v1/prioritize", body, str(count), str(pause_us), str(connections)],
                         stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(run.stderr or "no answer")
    return Figures(*map(float, run.stdout.split()))


def wait_answers(programs: pathlib.Path, port: int, body: pathlib.Path) -> None:
    def answers() -> bool:
        try:
            return bool(ask(programs, port, body, 1))
        except RuntimeError:
            return False
    eventually(answers, f"port {port} answers")


class Turns:
    """Figures of several servers, taken one after the other again and again: a slow moment of the machine meets them all."""

    def __init__(self, programs: pathlib.Path, body: pathlib.Path, ports: dict[str, int]) -> None:
        self.programs, self.body, self.ports = programs, body, ports
        self.taken: dict[str, list[Figures]] = {name: [] for name in ports}
        for port in ports.values():
            wait_answers(programs, port, body)

    def take(self, rounds: int, count: int, **how) -> None:
        for _ in range(rounds):
            for name, port in self.ports.items():
                self.taken[name].append(ask(self.programs, port, self.body, count, **how))

    def median(self, name: str, figure: str) -> float:
        return statistics.median(getattr(f, figure) for f in self.taken[name])

    def ratio(self, name: str, floor: str, figure: str) -> float:
        """The median of the rounds' ratios."""
        return statistics.median(getattr(a, figure) / getattr(b, figure) for a, b in zip(self.taken[name], self.taken[floor]))


def memory_mib(process: Process, key: str) -> float:
    status = pathlib.Path(f"/proc/{process.child.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(key)).split()[1]) / 1024


def metrics_of(sobre: Sobre) -> dict[str, float]:
    lines = fetch(sobre.status_url + "/metrics", timeout=60).decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def with_records(folder: pathlib.Path, *arguments) -> Sobre:
    folder.mkdir(parents=True, exist_ok=True)
    return Sobre(folder, {"records": {"directory": str(folder / "records")}, "accounting": {"enabled": False}}, *arguments)
