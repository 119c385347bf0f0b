"""./run soak: mixed traffic with faults for as long as one likes; memory, descriptors, threads and latency by minute, and whether they are flat."""
import argparse
import collections
import contextlib
import http.client
import itertools
import json
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import yaml

from tests import programs
from tests.bench.load import node
from tests.bench.scale import SimCluster
from tests.harness import Sobre, eventually, fetch
from tests.overload import JSON, allow_descriptors, connect, descriptors, neighbours, post, question
from tests.soak import verdict
from tests.soak.world import Line, PrometheusStub

NODES, PODS, LIMIT = 500, 5000, 64
SPACE = "team-0001"  # one that the simulated cluster has
NAMES = [f"node-{i:06d}" for i in range(NODES)]
PAGES = ["/", "/api/v1/overview", "/api/v1/decisions", "/api/v1/workloads", "/api/v1/regions", "/api/v1/ranking?cpu=1&memory-gib=2", "/api/v1/nodes",
         "/api/v1/policy", "/api/v1/signals", "/api/v1/budgets", "/api/v1/recommendations", "/readyz?verbose", "/debug/process", "/nowhere"]
BAD = [post(b"{"), post(b"x", length=200 << 20), b"GET /v1/filter HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"nonsense\r\n\r\n",
       post(json.dumps({"Pod": {"metadata": {"annotations": {"sobre.dev/max-eur-per-unit": "-1"}}}, "NodeNames": ["ghost"]}).encode())]


class Soak:
    def __init__(self, folder: pathlib.Path, seed: int) -> None:
        allow_descriptors(4096)
        self.random, self.stopping, self.threads = random.Random(seed), threading.Event(), []
        self.lock, self.took, self.failed, self.answered = threading.Lock(), [], [], 0
        self.counts = collections.Counter()
        self.cluster = SimCluster(folder, nodes=NODES, pods=PODS, pod_rate=1)
        host, port = self.cluster.url.removeprefix("http://").split(":")
        self.line, self.prometheus = Line(host, int(port)), PrometheusStub(NODES)
        kubeconfig = yaml.safe_load(self.cluster.kubeconfig.read_text())
        kubeconfig["clusters"][0]["cluster"]["server"] = f"http://127.0.0.1:{self.line.port}"
        self.cluster.kubeconfig.write_text(yaml.safe_dump(kubeconfig))
        self.sobre = Sobre(folder, {
            "kubernetes": {"kubeconfig": str(self.cluster.kubeconfig)}, "listen": {"max_connections": LIMIT, "max_body_megabytes": 16},
            "records": {"directory": str(folder / "records"), "name": "soak", "seal_every": "1m"}, "accounting": {"every": "15s", "flush": "30s"},
            "prometheus": {"url": self.prometheus.url, "refresh": "5s", "timeout": "2s", "presets": "none", "signals": [
                {"signal": "node_price_per_hour", "query": "node_total_hourly_cost", "max_age": "1m"},
                {"signal": "grid_gco2e_per_kwh", "query": "grid_intensity_carbon_average", "max_age": "1m"}]}})

    def every(self, seconds: float, work) -> None:
        """Again and again on a thread of its own; what goes wrong is counted, not hidden."""
        def run() -> None:
            while not self.stopping.wait(seconds):
                try:
                    work()
                except (OSError, http.client.HTTPException, ValueError, AssertionError) as error:
                    self.counts[f"{work.__name__}: {error!r}"[:120]] += 1
        thread = threading.Thread(target=run)
        thread.start()
        self.threads.append(thread)

    def scheduler(self, body_of, verbs):
        """One that keeps its connection. It never sees anything but an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.sobre.extender_port, timeout=60)

        def ask() -> None:
            verb = next(verbs)
            body = body_of()
            begin = time.perf_counter()
            try:
                connection.request("POST", f"/v1/{verb}", body, JSON)
                reply = connection.getresponse()
                text, status = reply.read(), reply.status
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                text, status = repr(error), 0
            took = time.perf_counter() - begin
            with self.lock:
                self.answered += status == 200
                if status != 200:
                    self.failed.append(f"{verb}: {status} {text[:200]}")
                elif len(body) < 100_000:
                    self.took.append(took)
        return ask

    def start_traffic(self) -> None:
        number = itertools.count()

        def both():
            return itertools.cycle(["filter", "prioritize"])
        whole = [node(i) | {"metadata": node(i)["metadata"] | {"name": NAMES[i]}} for i in range(100)]

        def whole_nodes() -> bytes:
            return json.dumps(json.loads(question([], f"whole-{next(number)}", SPACE)) | {"NodeNames": None, "Nodes": {"metadata": {}, "items": whole}}).encode()
        self.every(0.2, self.scheduler(lambda: question(NAMES, f"soak-{next(number)}", SPACE), both()))
        self.every(0.5, self.scheduler(lambda: question(self.random.sample(NAMES, 20), f"few-{next(number)}", SPACE), both()))
        self.every(3, self.scheduler(whole_nodes, both()))

        def scheduled() -> None:
            self.cluster.schedule(self.sobre.url, 100, 20, 20, rate=1)
        self.every(1, scheduled)
        page = http.client.HTTPConnection("127.0.0.1", self.sobre.status_port, timeout=60)

        def pages() -> None:
            try:
                page.request("GET", self.random.choice(PAGES), headers={"Accept-Encoding": "gzip"})
                reply = page.getresponse()
                reply.read()
                self.counts[f"page {reply.status}"] += 1
            except (OSError, http.client.HTTPException):
                page.close()
                raise
        self.every(0.7, pages)

        def scrape() -> None:
            assert b"sobre_build_info" in fetch(self.sobre.status_url + "/metrics")
            self.counts["scrape"] += 1
        self.every(5, scrape)

        def follow() -> None:
            with connect(self.sobre.status_port) as client:
                client.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
                until = time.monotonic() + self.random.uniform(5, 40)
                while time.monotonic() < until and not self.stopping.is_set():
                    if not client.recv(4096):
                        break
                    self.stopping.wait(self.random.choice([0, 0, 0.5]))
            self.counts["stream"] += 1
        for _ in range(4):
            self.every(1, follow)

        def bad() -> None:
            with connect(self.sobre.extender_port) as client:
                client.sendall(self.random.choice(BAD))
                client.recv(4096)
            self.counts["bad"] += 1
        self.every(4, bad)

    def crowd_once(self, port: int) -> None:
        """Every thread there can be is made, and connections beyond it are turned away."""
        clients = [connect(port, source=source) for source in neighbours(LIMIT + 20)]
        time.sleep(1)
        for client in clients:
            client.close()
        self.counts["crowd"] += len(clients)

    def fault(self, kind: str) -> None:
        """For a quarter of a minute."""
        if kind == "watch cut":
            self.line.cut()
            return
        if kind == "API server gone":
            self.line.broken = True
            self.line.cut()
        elif kind.startswith("Prometheus "):
            self.prometheus.mode = kind.removeprefix("Prometheus ")
        elif kind == "crowd":
            self.crowd_once(self.sobre.extender_port)
            self.crowd_once(self.sobre.status_port)
            return
        elif kind == "flood of pods":
            self.cluster.flood(500)
            return
        self.stopping.wait(15)
        self.line.broken, self.prometheus.mode = False, "well"

    KINDS = ["watch cut", "Prometheus garbage", "crowd", "Prometheus errors", "API server gone", "flood of pods", "Prometheus slow", "", "Prometheus empty"]

    def minute(self, number: int, seconds: float) -> verdict.Minute:
        with self.lock:
            self.took, self.answered, failed_before = [], 0, len(self.failed)
        end = time.monotonic() + seconds
        kind = self.KINDS[number % len(self.KINDS)]
        faulty = threading.Thread(target=lambda: kind and not self.stopping.wait(seconds / 6) and self.fault(kind))
        faulty.start()
        samples = []
        look = http.client.HTTPConnection("127.0.0.1", self.sobre.status_port, timeout=60)
        while time.monotonic() < end:
            status = pathlib.Path(f"/proc/{self.sobre.process.child.pid}/status").read_text()
            with contextlib.suppress(OSError, http.client.HTTPException, IndexError):
                look.request("GET", "/debug/process")
                page = look.getresponse().read().decode().partition("# connections")[2].splitlines()[1:3]
                clients = sum(int(line.split()[1]) for line in page)
                samples.append((int(status.split("VmRSS:")[1].split()[0]) / 1024, descriptors(self.sobre) - clients, int(status.split("Threads:")[1].split()[0])))
            time.sleep(min(1, max(0, end - time.monotonic()) + 0.001))
        look.close()
        faulty.join()
        with self.lock:
            took = sorted(self.took) or [0.0]
            resident, files, threads = (statistics.median_low([s[i] for s in samples]) for i in range(3))
            return verdict.Minute(number, self.answered, len(self.failed) - failed_before, 1000 * statistics.median(took), 1000 * took[int(0.99 * (len(took) - 1))],
                                  resident, files, threads, kind)

    def stop(self) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join()


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run soak", description=__doc__)
    parser.add_argument("--minutes", type=int, default=60, help="how long (60); at least 3 for a verdict")
    parser.add_argument("--seed", type=int, default=1, help="of what is asked when (1)")
    parser.add_argument("--minute", type=float, default=60.0, help="seconds of a minute (60), to try the script")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sobre-soak-") as folder:
        soak = Soak(pathlib.Path(folder), wanted.seed)
        minutes = []
        try:
            eventually(lambda: soak.sobre.nodes(), "nodes are read")
            for port in (soak.sobre.extender_port, soak.sobre.status_port):
                soak.crowd_once(port)
            soak.start_traffic()
            print(f"seed {wanted.seed}; {NODES} nodes, {PODS} pods; {programs.sobre()}\n\n{verdict.HEADER}", flush=True)
            for number in range(1, wanted.minutes + 1):
                minutes.append(soak.minute(number, wanted.minute))
                print(minutes[-1].row(), flush=True)
                if not soak.sobre.process.running():
                    print(f"the service ended: {soak.sobre.process.tail()}")
                    return 1
        finally:
            soak.stop()
            code = soak.sobre.stop()
            soak.line.stop()
            soak.prometheus.stop()
            soak.cluster.stop()
        verified = subprocess.run([programs.sobre(), "verify", "--config", soak.sobre.config], capture_output=True, text=True)
        said = verdict.judge(minutes) + [(f"SIGTERM: ended with status {code}", code == 0),
                                         ("records: " + (verified.stdout + verified.stderr).strip().replace("\n", ";"), verified.returncode == 0)]
        log = soak.sobre.process.log
        print(f"\nalso: {dict(soak.counts.most_common(30))}\nlog: {len(log.read_text().splitlines())} lines, {log.stat().st_size / 1024:.0f} KiB")
        for failure in soak.failed[:10]:
            print("failed:", failure)
        for sentence, good in said:
            print(f"{'flat' if good else 'NOT FLAT'}: {sentence}")
        return 0 if all(good for _, good in said) else 1


if __name__ == "__main__":
    sys.exit(main())
