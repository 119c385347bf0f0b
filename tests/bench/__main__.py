"""./run bench: latency against floors, and pods per second of the real kube-scheduler. Ratios count, not times."""
import concurrent.futures
import json
import os
import pathlib
import subprocess
import tempfile
import time

from tests.harness import ROOT, ControlPlane, Process, Sobre, eventually, fetch, free_ports

SIZES = [100, 1000, 5000]
REGIONS = [("fr-par", "scaleway://instance/fr-par-1/"), ("eu-central-1", "aws:///eu-central-1a/"),
           ("eu-north-1", "aws:///eu-north-1a/"), ("pl-waw", "scaleway://instance/pl-waw-1/")]
POD = {"metadata": {"name": "bench", "namespace": "default", "uid": "u", "annotations": {"sobre.dev/requests-per-second": "10"}},
       "spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}]}}


def node(i: int) -> dict:
    region, provider_id = REGIONS[i % len(REGIONS)]
    labels = {f"bench.example/label-{n}": f"value-{n}" for n in range(20)}
    conditions = [{"type": t, "status": "False", "reason": "Kubelet", "message": "kubelet has no such problem"} for t in "abcd"]
    return {"metadata": {"name": f"node-{10000 + i}", "labels": labels | {"topology.kubernetes.io/region": region}},
            "spec": {"providerID": provider_id + str(i)},
            "status": {"allocatable": {"cpu": "16", "memory": "64Gi", "pods": "110"}, "conditions": conditions}}


def latency(folder: pathlib.Path, programs: pathlib.Path, go_server: pathlib.Path) -> None:
    print(f"{'nodes':>6} {'form':<6} {'server':<16} {'p50 µs':>9} {'p99 µs':>9} {'p50 / floor':>12}")
    for size in SIZES:
        nodes = [node(i) for i in range(size)]
        signals = [{"signal": "node_price_per_hour", "labels": {"node": n["metadata"]["name"]}, "value": 0.5 + i % 7 / 10}
                   for i, n in enumerate(nodes)]
        (folder / "nodes.json").write_text(json.dumps({"items": nodes}))
        (folder / "signals.json").write_text(json.dumps(signals))
        bodies = {"names": {"Pod": POD, "Nodes": None, "NodeNames": [n["metadata"]["name"] for n in nodes]},
                  "whole": {"Pod": POD, "Nodes": {"metadata": {}, "items": nodes}, "NodeNames": None}}
        floor_port, go_port = free_ports(2)
        floor = Process(folder / "floor.log", programs / "bench_floor", floor_port, size)
        go = Process(folder / "go.log", go_server, go_port)
        sobre = Sobre(folder, {}, "--nodes", folder / "nodes.json", "--signals", folder / "signals.json")
        try:
            for form, body in bodies.items():
                path = folder / f"{form}.json"
                path.write_text(json.dumps(body))
                base = None
                for name, port in [("constant bytes", floor_port), ("sobre", sobre.extender_port), ("minimal Go", go_port)]:
                    def measure(count: int, port: int = port):
                        return subprocess.run([programs / "bench_latency", str(port), "/v1/prioritize", path, str(count)],
                                              capture_output=True, text=True)
                    eventually(lambda: measure(1).returncode == 0, f"{name} answers")
                    p50, p99 = map(float, measure(2000 if form == "names" else max(60, 30000 // size)).stdout.split())
                    base = base or p50
                    print(f"{size:>6} {form:<6} {name:<16} {p50:>9.0f} {p99:>9.0f} {p50 / base:>11.2f}x", flush=True)
        finally:
            for process in (sobre, go, floor):
                process.stop()


def pods_per_second(folder: pathlib.Path, go_server: pathlib.Path, count: int = 200) -> None:
    plane = ControlPlane(folder, pathlib.Path(os.environ["SOBRE_CONTROL_PLANE"]))
    sobre = None
    (go_port,) = free_ports(1)
    go = Process(folder / "go.log", go_server, go_port)
    try:
        print(f"\nCreating {SIZES[-1]} nodes", flush=True)
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda i: plane.add_node(f"node-{10000 + i}", REGIONS[i % 4][1], REGIONS[i % 4][0]), range(SIZES[-1])))
        sobre = Sobre(folder, {"kubernetes": {"kubeconfig": str(plane.kubeconfig)}})
        eventually(lambda: len(sobre.nodes()) == SIZES[-1], "Sobre knows all nodes")
        baseline = None
        print(f"{'real kube-scheduler, names':<34} {'pods/s':>8} {'of do-nothing':>14}")
        for name, url in [("do-nothing extender (minimal Go)", f"http://127.0.0.1:{go_port}"), ("sobre", sobre.url), ("no extender", None)]:
            plane.start_scheduler(url)
            # The first pod waits for the scheduler's caches.
            plane.add_pod("warm-up")
            plane.wait_placed(["warm-up"], 120)
            plane.scheduler.stop()
            names = [f"bench-{i}" for i in range(count)]
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda n: plane.add_pod(n, cpu="10m", memory="8Mi"), names))
            plane.start_scheduler(url)
            eventually(lambda: any(plane.placements().values()), "the first pod placed", 120, 0.02)
            placed, start = sum(map(bool, plane.placements().values())), time.monotonic()
            plane.wait_placed(names, 300)
            rate = (count - placed) / (time.monotonic() - start)
            baseline = baseline or rate
            print(f"{name:<34} {rate:>8.1f} {rate / baseline:>13.2f}x", flush=True)
            plane.delete_pods()
    finally:
        for process in (sobre, go, plane):
            if process:
                process.stop()


def main() -> None:
    programs = ROOT / "build" / "release" / "tests"
    with tempfile.TemporaryDirectory() as text:
        folder = pathlib.Path(text)
        go_server = folder / "goserver"
        subprocess.run([os.environ["SOBRE_GO"], "build", "-o", go_server, "."], cwd=ROOT / "tests" / "bench" / "goserver", check=True)
        latency(folder, programs, go_server)
        pods_per_second(folder, go_server)


if __name__ == "__main__":
    main()
