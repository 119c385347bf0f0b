"""Pods per second of the real kube-scheduler over 5,000 nodes, against a do-nothing extender on the same verbs."""
import concurrent.futures
import pathlib
import statistics
import time

from tests import programs
from tests.bench.load import REGIONS
from tests.bench.rows import Row
from tests.harness import ControlPlane, Process, Sobre, eventually, free_ports

NODES = 5000
PODS = 300
ROUNDS = 5
VERBS = {"prioritize": {}, "filter + prioritize": {"filterVerb": "filter"}}


def rate(plane: ControlPlane, url: str | None, **extender) -> float:
    """Of pods that were there before kube-scheduler was."""
    names = [f"bench-{i}" for i in range(PODS)]
    if plane.scheduler:
        plane.scheduler.stop()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: plane.add_pod(n, cpu="10m", memory="8Mi"), names))
    plane.start_scheduler(url, **extender)
    eventually(lambda: any(plane.placements().values()), "the first pod placed", 120, 0.02)
    placed, start = sum(map(bool, plane.placements().values())), time.monotonic()
    plane.wait_placed(names, 300)
    per_second = (PODS - placed) / (time.monotonic() - start)
    plane.delete_pods()
    return per_second


def pods(folder: pathlib.Path, go_server: pathlib.Path, rounds: int = ROUNDS) -> list[Row]:
    folder.mkdir(exist_ok=True)
    plane = ControlPlane(folder, pathlib.Path(programs.named("control-plane")))
    sobre = None
    (go_port,) = free_ports(1)
    go = Process(folder / "go.log", go_server, go_port)
    rows = []
    try:
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda i: plane.add_node(f"node-{10000 + i}", REGIONS[i % 4][1], REGIONS[i % 4][0]), range(NODES)))
        sobre = Sobre(folder, {"kubernetes": {"kubeconfig": str(plane.kubeconfig)}, "records": {"directory": str(folder / "records")}})
        eventually(lambda: len(sobre.nodes()) == NODES, "Sobre knows all nodes", 60)
        plane.start_scheduler(sobre.url)
        # The first pods wait for caches and compiled paths.
        rate(plane, sobre.url)
        for verbs, fields in VERBS.items():
            turns = []
            for _ in range(rounds):
                # The same way there and back, so that what drifts meets both.
                go_first, ours, ours_again, go_last = (rate(plane, url, **fields) for url in
                                                       (f"http://127.0.0.1:{go_port}", sobre.url, sobre.url, f"http://127.0.0.1:{go_port}"))
                turns.append(((ours + ours_again) / (go_first + go_last), (ours + ours_again) / 2))
            share = statistics.median(share for share, _ in turns)
            rows.append(Row(f"real kube-scheduler, 5,000 nodes, {verbs}", f"{100 * share:.1f} % of do-nothing's pods/s "
                            f"({statistics.median(r for _, r in turns):.0f}/s)", "≥ 98 %", share >= 0.98))
    finally:
        for process in (sobre, go, plane):
            if process:
                process.stop()
    return rows
