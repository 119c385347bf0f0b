"""What collecting signals costs: a round against a bare read of the same answers, and what decisions feel of it."""
import contextlib
import json
import pathlib
import statistics
import subprocess
import threading
import time
import urllib.parse

from tests.bench.load import REGIONS, Questions, memory_mib, node
from tests.bench.rows import Row
from tests.harness import Exporter, Prometheus, Sobre, eventually, fetch

SIZE = 5000
# Eight signals that are one series a node each, as exporters print them.
SERIES = [("node_watts", "watts"), ("node_cpu_watts", "cpu_watts"), ("node_gpu_watts", "gpu_watts"), ("node_cpu_utilization", "busy"),
          ("node_gpu_utilization", "gpu_busy"), ("node_price_per_hour", "price"), ("node_effective_price_per_hour", "paid"),
          ("grid_gco2e_per_kwh", "grid")]
TURNS = 3


def decide(programs: pathlib.Path, target: Sobre, body: pathlib.Path, seconds: float) -> tuple[float, float, float]:
    """At 300 decisions a second, as many as a busy scheduler makes: p50 and p99 in µs, and how often the thread that answers slept by decision."""
    pause, count = 3333, int(seconds * 300)
    with subprocess.Popen([programs / "bench_latency", str(target.extender_port), "/v1/prioritize", body, str(count), str(pause)],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        p50, p99, _ = map(float, client.stdout.readline().split())
        slept = max(int(next(line for line in (task / "status").read_text().splitlines() if line.startswith("voluntary")).split()[1])
                    for task in pathlib.Path(f"/proc/{target.process.child.pid}/task").iterdir())
        client.stdin.close()
    return p50, p99, slept / (count * 1.1 + 1)


@contextlib.contextmanager
def bare_reads(urls: list[str]):
    """Reads all of them every two seconds, one after the other, and throws the bytes away."""
    config = "".join(f'url = "{url}"\noutput = "/dev/null"\n' for url in urls)
    ended = threading.Event()

    def read() -> None:
        while urls and not ended.is_set():
            subprocess.run(["nice", "-n", "5", "curl", "--silent", "--config", "-"], input=config, text=True, check=True)
            ended.wait(2)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield
    finally:
        ended.set()
        reader.join()


def refresh(folder: pathlib.Path, programs: pathlib.Path) -> list[Row]:
    questions = Questions(folder, SIZE)
    labels = 'job="exporter",instance="10.0.0.1:9100",cluster="bench",node="{}",region="{}",provider="bench"'
    exporter = Exporter()
    exporter.text = "".join(f"{name}{{{labels.format(node(i)['metadata']['name'], REGIONS[i % 4][0])}}} {0.2 + i % 7 / 10}\n"
                            for _, name in SERIES for i in range(SIZE))
    prometheus = Prometheus(folder, exporter, scrape_interval="5s")
    sobre = None
    try:
        def query(text: str) -> bytes:
            return fetch(prometheus.url + "/api/v1/query?" + urllib.parse.urlencode({"query": text}), timeout=60)
        eventually(lambda: len(json.loads(query("grid"))["data"]["result"]) == SIZE, "Prometheus has scraped", 60)
        queries = [q for _, name in SERIES for q in (f"timestamp({name})", name)]
        bare = []
        for _ in range(5):
            start = time.monotonic()
            read = sum(len(query(text)) for text in queries)
            bare.append(1000 * (time.monotonic() - start))
        signals = [{"signal": signal, "query": name} for signal, name in SERIES]

        urls = [prometheus.url + "/api/v1/query?" + urllib.parse.urlencode({"query": text}) for text in queries]

        def start_sobre(interval: str) -> Sobre:
            section = {"url": prometheus.url, "refresh": interval, "presets": "none", "signals": signals, "calibration": {"past_moments": 0}}
            started = Sobre(folder, {"prometheus": section}, "--nodes", questions.nodes)
            eventually(lambda: sum(q["series"] for q in started.signals()["servers"][0]["queries"]) == SIZE * len(SERIES), "all is collected", 60)
            return started

        # Rare refreshes; the same answers read by another, so that Prometheus has the same work on the same processors; frequent ones.
        quiet, read_by_another, refreshed = [], [], []
        took, memory = [], []
        for _ in range(TURNS):
            for taken, interval in ((quiet, "10m"), (read_by_another, "10m"), (refreshed, "2s")):
                sobre = start_sobre(interval)
                took.append(sum(q["milliseconds"] for q in sobre.signals()["servers"][0]["queries"]))
                with bare_reads(urls if taken is read_by_another else []):
                    taken.append(decide(programs, sobre, questions.names, 10))
                memory.append(memory_mib(sobre.process, "VmRSS"))
                sobre.stop()

        def step(floor: list, i: int) -> float:
            return statistics.median(b[i] / a[i] for a, b in zip(floor, refreshed))
        p50, p99 = step(read_by_another, 0), step(read_by_another, 1)
        slept = max(t[2] for t in refreshed)
        return [Row(f"refresh of {SIZE * len(SERIES):,} series", f"{statistics.median(took) / statistics.median(bare):.2f} × a bare read ({read / 1e6:.1f} MB)", "", None),
                Row("prioritize while signals are refreshed every 2 s, p50", f"{p50:.2f} × with bare reads instead", "", None),
                Row("prioritize while signals are refreshed every 2 s, p99",
                    f"{p99:.2f} × with bare reads instead ({statistics.median(t[1] for t in refreshed):.0f} µs)", "≤ 1.25 ×", p99 <= 1.25),
                Row("the same against a Prometheus that is not asked, p99", f"{step(quiet, 1):.2f} × every 10 min", "", None),
                Row("sleeps of the thread that answers", f"{slept:.2f} a decision", "≤ 1.1 (for the next request)", slept <= 1.1),
                Row("memory, 5,000 nodes, refreshed every 2 s", f"{max(memory):.0f} MiB", "", None)]
    finally:
        for process in (sobre, prometheus, exporter):
            if process:
                process.stop()
