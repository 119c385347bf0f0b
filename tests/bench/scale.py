"""./run bench memory, start and scale: a simulated cluster of any size (tests/bench/simcluster) asks, tells and is listed."""
import http.client
import json
import os
import pathlib
import statistics
import subprocess
import time
import urllib.parse

import yaml

from tests import programs
from tests.bench.load import memory_mib, metrics_of
from tests.bench.rows import Row
from tests.harness import Process, Sobre, eventually, fetch, free_ports
WRITTEN = 'sobre_records_written_total{kind="decision"}'


class SimCluster:
    """The program that plays an API server, with what it can be told under way."""

    def __init__(self, folder: pathlib.Path, **options) -> None:
        log = folder / "simcluster.log"
        log.unlink(missing_ok=True)
        self.process = Process(log, programs.named("simcluster"), *(f"--{name.replace('_', '-')}={value}" for name, value in options.items()))
        self.url = eventually(lambda: log.read_text().strip().startswith("http://") and log.read_text().strip(), "the simulated cluster's address")
        self.kubeconfig = folder / "simulated.yaml"
        self.kubeconfig.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "simulated",
            "clusters": [{"name": "simulated", "cluster": {"server": self.url}}], "users": [{"name": "user", "user": {"token": "none"}}],
            "contexts": [{"name": "simulated", "context": {"cluster": "simulated", "user": "user"}}]}))

    def state(self) -> dict:
        return json.loads(fetch(self.url + "/sim/state"))

    def rates(self, pods: int, heartbeats: int) -> None:
        fetch(f"{self.url}/sim/rates?" + urllib.parse.urlencode({"pods": pods, "heartbeats": heartbeats}), "POST")

    def flood(self, pods: int) -> None:
        fetch(f"{self.url}/sim/flood?pods={pods}", "POST", timeout=120)

    def schedule(self, url: str, names: int, pods: int, seconds: float, clients: int = 1, rate: float = 0) -> dict:
        """Pods begin, the extender is asked about each, and each is bound: p50 and p99 in µs, pods a second."""
        want = {"url": url + "/v1/prioritize", "names": names, "pods": pods, "seconds": seconds, "clients": clients, "rate": rate}
        said = json.loads(fetch(self.url + "/sim/schedule", "POST", want, timeout=seconds + 120))
        assert not said["failed"] and said["pods"], said
        return said | {"rate": said["pods"] / said["seconds"]}

    def stop(self) -> None:
        self.process.stop()


def cpu_seconds(process: Process) -> float:
    fields = pathlib.Path(f"/proc/{process.child.pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def first_answer(folder: pathlib.Path, kubeconfig: pathlib.Path, body: bytes, seconds: float = 60) -> tuple[float, Process]:
    """Seconds from the start of `sobre serve` to scores from a complete world, and the process, which runs on."""
    extender, status = free_ports(2)
    config = folder / "start.yaml"
    config.write_text(yaml.safe_dump({"kubernetes": {"kubeconfig": str(kubeconfig)}, "listen": {
        "extender": f"127.0.0.1:{extender}", "status": f"127.0.0.1:{status}", "shutdown_grace": "1ms"}}))
    begin = time.monotonic()
    process = Process(folder / "start.log", programs.sobre(), "serve", "--config", config)
    try:
        while True:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", status, timeout=5)
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    break
            except OSError:
                pass
            finally:
                connection.close()
            assert time.monotonic() - begin < seconds, process.tail()
            time.sleep(0.002)
        scores = json.loads(fetch(f"http://127.0.0.1:{extender}/v1/prioritize", "POST", body, {"Content-Type": "application/json"}))
        took = time.monotonic() - begin
        assert len({score["Score"] for score in scores}) > 1, scores[:3]
        return took, process
    except BaseException:
        process.stop()
        raise


def bare_read(programs: pathlib.Path, kubeconfig: pathlib.Path) -> tuple[float, int]:
    """Seconds that reading the same lists takes, from start to end of the program, and their bytes."""
    begin = time.monotonic()
    run = subprocess.run([programs / "bench_bare_read", kubeconfig], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    return time.monotonic() - begin, int(run.stdout.split()[0])


def question(nodes: int, names: int) -> bytes:
    """Of a pod over `names` of the nodes that the simulated cluster has."""
    pod = {"metadata": {"name": "bench", "namespace": "team-0001", "uid": "bench"},
           "spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}]}}
    return json.dumps({"Pod": pod, "Nodes": None, "NodeNames": [f"node-{i * nodes // names:06d}" for i in range(names)]}).encode()


def start(folder: pathlib.Path, programs: pathlib.Path, nodes: int = 5000, pods: int = 50_000, turns: int = 7) -> list[Row]:
    """The first answer after the start against a bare read of the same lists, in turns."""
    rows = []
    for how, encode, target in [("objects encoded one by one, as kube-apiserver does", True, 1.5), ("ready bytes, as fast as a socket takes them", False, None)]:
        cluster = SimCluster(folder, nodes=nodes, pods=pods, pod_rate=10, encode=str(encode).lower())
        try:
            bare, answered = [], []
            for _ in range(turns):
                took, read = bare_read(programs, cluster.kubeconfig)
                bare.append(took)
                took, process = first_answer(folder, cluster.kubeconfig, question(nodes, 500))
                process.stop()
                answered.append(took)
            ratio = statistics.median(answered) / statistics.median(bare)
            rows.append(Row(f"first answer after start, {nodes} nodes, {pods} pods; {how}",
                            f"{ratio:.2f}x a bare read ({1000 * statistics.median(answered):.0f} of {1000 * statistics.median(bare):.0f} ms, {read / 1e6:.0f} MB)",
                            f"<= {target}x" if target else "", ratio <= target if target else None))
        finally:
            cluster.stop()
    return rows


def memory(folder: pathlib.Path, programs: pathlib.Path, nodes: int = 5000, pods: int = 50_000, decisions: int = 36_000, seconds: float = 150) -> list[Row]:
    """What is resident with an hour's decisions (10 a second) on record, made in `seconds`."""
    (folder / "memory").mkdir(exist_ok=True)
    cluster = SimCluster(folder, nodes=nodes, pods=pods, pod_rate=10)
    sobre = None
    try:
        sobre = Sobre(folder / "memory", {"kubernetes": {"kubeconfig": str(cluster.kubeconfig)}, "records": {"directory": str(folder / "memory" / "records")}})
        listed = memory_mib(sobre.process, "VmRSS")
        resident, asked = [], 0
        parts = 12
        for _ in range(parts):
            said = cluster.schedule(sobre.url, nodes, decisions // parts, seconds / parts + 5, clients=2, rate=decisions / seconds)
            asked += said["pods"]
            resident.append(memory_mib(sobre.process, "VmRSS"))
        written = metrics_of(sobre)
        most = memory_mib(sobre.process, "VmHWM")
        half = resident[parts // 2 - 1:]
        growth = max(half[-1], statistics.median(half[-3:])) / half[0] - 1
        print(f"\n{nodes} nodes, {pods} pods: {listed:.0f} MiB once listed; then {asked} decisions at {said['rate']:.0f} a second "
              f"(p50 {said['p50_micros']:.0f} µs): {', '.join(f'{r:.0f}' for r in resident)} MiB; "
              f"{written[WRITTEN]:.0f} on record, {written['sobre_records_dropped_total']:.0f} dropped", flush=True)
        whole = written[WRITTEN] >= decisions * 0.9
        return [Row(f"memory, {nodes} nodes, {pods} pods, {asked} decisions", f"{resident[-1]:.0f} MiB, at most {most:.0f}", "<= 120 MiB",
                    most <= 120 if whole else None),
                Row("the same, from half the decisions to all", f"{100 * growth:+.1f} %", "<= +3 %", growth <= 0.03 if whole else None)]
    finally:
        for process in (sobre, cluster):
            if process:
                process.stop()


def scale(folder: pathlib.Path, programs: pathlib.Path, nodes: int = 100_000, pods: int = 1_000_000) -> list[Row]:
    """A cluster ten times beyond what one is said to bear: what each part takes. No target: a report."""
    rows = []

    def tell(work: str, figure: str) -> None:
        rows.append(Row(work, figure, "", None))
        print(f"{work}: {figure}", flush=True)

    process = cluster = None
    try:
        # What is resident of a small cluster is there whatever the size.
        cluster = SimCluster(folder, nodes=20, pods=0)
        _, process = first_answer(folder, cluster.kubeconfig, question(20, 20))
        base = memory_mib(process, "VmRSS")
        process.stop()
        cluster.stop()
        cluster = SimCluster(folder, nodes=nodes, pods=0)
        _, process = first_answer(folder, cluster.kubeconfig, question(nodes, 500), 120)
        time.sleep(2)
        with_nodes = memory_mib(process, "VmRSS")
        process.stop()
        cluster.stop()

        cluster = SimCluster(folder, nodes=nodes, pods=pods, namespaces=2000)
        bare, read = min(bare_read(programs, cluster.kubeconfig) for _ in range(3))
        took, process = first_answer(folder, cluster.kubeconfig, question(nodes, 500), 300)
        process.stop()
        tell(f"first answer after start, {nodes} nodes, {pods} pods", f"{took:.1f} s, {took / bare:.2f}x a bare read of {read / 1e9:.2f} GB ready bytes")

        (folder / "scale").mkdir(exist_ok=True)
        sobre = Sobre(folder / "scale", {"kubernetes": {"kubeconfig": str(cluster.kubeconfig)}, "records": {"directory": str(folder / "scale" / "records")},
                                         "moves": {"enabled": False}, "accounting": {"enabled": False}})
        process = sobre.process
        time.sleep(10)
        resident = memory_mib(process, "VmRSS")
        tell("memory", f"{resident:.0f} MiB: {(with_nodes - base) * 1024 / nodes:.1f} KiB a node, {(resident - with_nodes) * 1024 / pods:.2f} KiB a pod")

        def cpu_of(seconds: float) -> float:
            before = cpu_seconds(process)
            time.sleep(seconds)
            return (cpu_seconds(process) - before) / seconds

        cluster.rates(0, 0)
        time.sleep(3)
        tell("nothing happens", f"{100 * cpu_of(10):.0f} % of a core")
        cluster.rates(0, nodes // 300)
        tell(f"{nodes // 300} heartbeats of nodes a second", f"{100 * cpu_of(10):.0f} % of a core")
        cluster.rates(100, nodes // 300)
        time.sleep(4)
        tell("the same, and 100 pods a second that begin, are bound, run and end (400 changes)", f"{100 * cpu_of(15):.0f} % of a core")
        cluster.rates(0, 0)
        flooded = 100_000
        cpu, begin = cpu_seconds(process), time.monotonic()
        sent = cluster.state()["sent"]
        cluster.flood(flooded)
        eventually(lambda: cluster.state()["sent"] - sent >= 4 * flooded, "all changes sent", 120, 0.05)
        passed = time.monotonic() - begin
        tell("changes of pods taken, as fast as they come", f"{4 * flooded / passed:.0f} a second, {1e6 * (cpu_seconds(process) - cpu) / (4 * flooded):.0f} µs of a core each")
        cluster.rates(100, nodes // 300)
        for names, clients, seconds in [(100, 1, 10), (1000, 1, 10), (5000, 1, 20), (5000, 4, 20), (5000, 8, 20), (nodes, 1, 20)]:
            said = cluster.schedule(sobre.url, names, 10**6, seconds, clients)
            tell(f"decisions over {names} names, {clients} scheduler{'s' * (clients > 1)}",
                 f"{said['rate']:.0f} a second, p50 {said['p50_micros'] / 1000:.2f} ms, p99 {said['p99_micros'] / 1000:.2f} ms")
        figures = metrics_of(sobre)
        tell("memory at the end", f"{memory_mib(process, 'VmRSS'):.0f} MiB, at most {memory_mib(process, 'VmHWM'):.0f}; "
             f"{figures[WRITTEN]:.0f} decisions on record, {figures['sobre_records_dropped_total']:.0f} dropped")
    finally:
        for each in (process, cluster):
            if each:
                each.stop()
    return rows
