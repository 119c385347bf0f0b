"""./run bench: latency against floors, and pods per second of the real kube-scheduler. Ratios count, not times."""
import concurrent.futures
import json
import os
import pathlib
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

from tests.bench import page, scale
from tests.bench.rows import print_rows
from tests.harness import ROOT, ControlPlane, Exporter, Process, Prometheus, Sobre, eventually, fetch, free_ports

WRITTEN = 'sobre_records_written_total{kind="decision"}'
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
                                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
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


def memory_mib(process: Process, key: str) -> float:
    status = pathlib.Path(f"/proc/{process.child.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(key)).split()[1]) / 1024


# Eight signals that are one series a node each, as exporters print them.
SERIES = [("node_watts", "watts"), ("node_cpu_watts", "cpu_watts"), ("node_gpu_watts", "gpu_watts"), ("node_cpu_utilization", "busy"),
          ("node_gpu_utilization", "gpu_busy"), ("node_price_per_hour", "price"), ("node_effective_price_per_hour", "paid"),
          ("grid_gco2e_per_kwh", "grid")]


def refresh(folder: pathlib.Path, programs: pathlib.Path) -> None:
    """What collecting costs: time and memory against a bare read of the same answers, and what decisions feel of it."""
    size = SIZES[-1]
    nodes = [node(i) for i in range(size)]
    labels = 'job="exporter",instance="10.0.0.1:9100",cluster="bench",node="{}",region="{}",provider="bench"'
    exporter = Exporter()
    exporter.text = "".join(f"{name}{{{labels.format(n['metadata']['name'], REGIONS[i % 4][0])}}} {0.2 + i % 7 / 10}\n"
                            for _, name in SERIES for i, n in enumerate(nodes))
    prometheus = Prometheus(folder, exporter, scrape_interval="5s")
    sobre = None
    try:
        def ask(query: str) -> bytes:
            return fetch(prometheus.url + "/api/v1/query?" + urllib.parse.urlencode({"query": query}), timeout=60)
        eventually(lambda: len(json.loads(ask("grid"))["data"]["result"]) == size, "Prometheus has scraped", 60)
        queries = [q for _, name in SERIES for q in (f"timestamp({name})", name)]
        bare = []
        for _ in range(5):
            start = time.monotonic()
            read = sum(len(ask(query)) for query in queries)
            bare.append(1000 * (time.monotonic() - start))
        signals = [{"signal": signal, "query": name} for signal, name in SERIES]
        (folder / "nodes.json").write_text(json.dumps({"items": nodes}))
        body = folder / "names.json"
        body.write_text(json.dumps({"Pod": POD, "Nodes": None, "NodeNames": [n["metadata"]["name"] for n in nodes]}))

        def start_sobre(interval: str) -> Sobre:
            section = {"url": prometheus.url, "refresh": interval, "presets": "none", "signals": signals, "calibration": {"past_moments": 0}}
            started = Sobre(folder, {"prometheus": section}, "--nodes", folder / "nodes.json")
            eventually(lambda: sum(q["series"] for q in started.signals()["servers"][0]["queries"]) == size * len(SERIES), "all is collected", 60)
            return started

        def decide(target: Sobre, count: int = 3000) -> tuple[float, float, float]:
            """p50 and p99 in µs; how often the thread that answers slept by decision, for the next request or for anything else."""
            with subprocess.Popen([programs / "bench_latency", str(target.extender_port), "/v1/prioritize", body, str(count)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
                p50, p99 = map(float, client.stdout.readline().split())
                slept = max(int(next(line for line in (task / "status").read_text().splitlines() if line.startswith("voluntary")).split()[1])
                            for task in pathlib.Path(f"/proc/{target.process.child.pid}/task").iterdir())
                client.stdin.close()
            return p50, p99, slept / (count * 1.1 + 1)

        print(f"\n{size} nodes, {len(SERIES)} signals, {len(queries)} queries, {read / 1e6:.1f} MB a refresh")
        for interval in ["10m", "30s", "2s"]:
            sobre = start_sobre(interval)
            took = sum(q["milliseconds"] for q in sobre.signals()["servers"][0]["queries"])
            before = memory_mib(sobre.process, "VmRSS")
            p50, p99, slept = decide(sobre)
            if interval == "2s":
                time.sleep(30)
            print(f"refresh every {interval:>4}: decisions p50 {p50:6.0f} µs, p99 {p99:6.0f} µs, slept {slept:.2f} times each; a round {took:5.0f} ms "
                  f"({took / statistics.median(bare):.2f} of a bare read); memory {before:.0f} MiB, later "
                  f"{memory_mib(sobre.process, 'VmRSS'):.0f}, at most {memory_mib(sobre.process, 'VmHWM'):.0f}", flush=True)
            sobre.stop()
    finally:
        for process in (sobre, prometheus, exporter):
            if process:
                process.stop()


def records(folder: pathlib.Path, programs: pathlib.Path) -> None:
    """What recording adds to a decision over 5,000 names, and what a decision takes on the disk."""
    size = SIZES[-1]
    nodes = [node(i) for i in range(size)]
    signals = [{"signal": "node_price_per_hour", "labels": {"node": n["metadata"]["name"]}, "value": 0.5 + i % 7 / 10}
               for i, n in enumerate(nodes)]
    (folder / "nodes.json").write_text(json.dumps({"items": nodes}))
    (folder / "signals.json").write_text(json.dumps(signals))
    body = folder / "names.json"
    body.write_text(json.dumps({"Pod": POD, "Nodes": None, "NodeNames": [n["metadata"]["name"] for n in nodes]}))
    print(f"\n{size} names {'recording':<10} {'pace':<14} {'p50 µs':>8} {'p99 µs':>8} {'p50 / off':>10} {'p99 / off':>10}")
    arguments = ["--nodes", folder / "nodes.json", "--signals", folder / "signals.json"]
    off = Sobre(folder, {}, *arguments)
    (folder / "on").mkdir()
    on = Sobre(folder / "on", {"records": {"directory": str(folder / "on" / "records")}, "accounting": {"enabled": False}}, *arguments)
    try:
        for pace, count, pause in [("300 a second", 3000, 3333), ("as fast as can", 3000, 0)]:
            base = None
            for name, sobre in [("off", off), ("on", on), ("off", off), ("on", on)]:
                run = subprocess.run([programs / "bench_latency", str(sobre.extender_port), "/v1/prioritize", body, str(count), str(pause)],
                                     stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
                p50, p99 = map(float, run.stdout.split())
                base = base or (p50, p99)
                print(f"{'':>10} {name:<10} {pace:<14} {p50:>8.0f} {p99:>8.0f} {p50 / base[0]:>9.2f}x {p99 / base[1]:>9.2f}x", flush=True)
            text = fetch(on.status_url + "/metrics").decode()
            figures = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("sobre_records"))
            print(f"{'':>10} written {figures[WRITTEN]}, dropped {figures['sobre_records_dropped_total']}")
        memory = memory_mib(on.process, "VmRSS")
    finally:
        on.stop()
        off.stop()
    with sqlite3.connect(folder / "on" / "records" / "records.db") as connection:
        count, entries = connection.execute("SELECT COUNT(*), SUM(LENGTH(payload) + LENGTH(hash)) FROM entries WHERE kind = 'decision'").fetchone()
        contents, = connection.execute("SELECT SUM(LENGTH(bytes)) FROM contents").fetchone()
    print(f"{count} decisions on record: {entries / count:.0f} bytes each, and {contents / 1024:.0f} KiB once for all nodes; "
          f"{memory:.0f} MiB resident")


def main() -> None:
    """`./run bench` does all; `./run bench refresh` one part."""
    wanted = sys.argv[1:] or ["latency", "records", "refresh", "page", "pods", "memory", "start", "scale"]
    programs = ROOT / "build" / "release" / "tests"
    with tempfile.TemporaryDirectory() as text:
        folder = pathlib.Path(text)
        go_server = folder / "goserver"
        subprocess.run([os.environ["SOBRE_GO"], "build", "-o", go_server, "."], cwd=ROOT / "tests" / "bench" / "goserver", check=True)
        if "latency" in wanted:
            latency(folder, programs, go_server)
        if "records" in wanted:
            records(folder, programs)
        if "refresh" in wanted:
            refresh(folder, programs)
        if "page" in wanted:
            page.page(folder, programs, [node(i) for i in range(SIZES[-1])], POD, memory_mib)
        if "pods" in wanted:
            pods_per_second(folder, go_server)
        for part in (scale.memory, scale.start, scale.scale):
            if part.__name__ in wanted:
                print_rows(part(folder, programs))


if __name__ == "__main__":
    main()
