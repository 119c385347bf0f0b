"""Latency of one question and throughput of many, against a server that answers constant bytes and a minimal Go extender."""
import pathlib

from tests.bench.load import Questions, Turns, metrics_of, with_records
from tests.bench.rows import Row
from tests.harness import Process, free_ports

ROUNDS = 7


class Servers:
    """The floor, the one without an HTTP library if it is wanted, Sobre with records on and, where it was built, the Go extender."""

    def __init__(self, folder: pathlib.Path, programs: pathlib.Path, go_server: pathlib.Path | None, size: int, prices: int = 7,
                 bare: bool = False) -> None:
        self.questions = Questions(folder, size, prices)
        ports = dict(zip(("floor", "bare", "go"), free_ports(3)))
        self.processes = [Process(folder / "floor.log", programs / "bench_floor", ports["floor"], size)]
        self.ports = {"floor": ports["floor"]}
        if bare:
            self.processes.append(Process(folder / "bare.log", programs / "bench_floor", ports["bare"], size, "bare"))
            self.ports["bare"] = ports["bare"]
        if go_server:
            self.processes.append(Process(folder / "go.log", go_server, ports["go"]))
            self.ports["go"] = ports["go"]
        self.sobre = with_records(folder / "sobre", *self.questions.arguments)
        self.processes.append(self.sobre.process)
        self.ports["sobre"] = self.sobre.extender_port

    def __enter__(self):
        return self

    def __exit__(self, *error) -> None:
        for process in self.processes:
            process.stop()

    def dropped(self) -> int:
        """Decisions that did not get on record."""
        return int(metrics_of(self.sobre)["sobre_records_dropped_total"])


def micro(turns: Turns, name: str, figure: str) -> str:
    return f"{turns.median(name, figure):.0f} µs"


def names(folder: pathlib.Path, programs: pathlib.Path, go_server: pathlib.Path | None, rounds: int = ROUNDS, count: int = 2000) -> list[Row]:
    rows = []
    for prices, which in ((7, "5,000 names"), (5000, "5,000 names, no two nodes alike")):
        with Servers(folder / f"names-{prices}", programs, go_server, 5000, prices) as servers:
            turns = Turns(programs, servers.questions.names, servers.ports)
            turns.take(rounds, count)
            p50, p99 = (turns.ratio("sobre", "floor", figure) for figure in ("p50_us", "p99_us"))
            rows.append(Row(f"prioritize, {which}, p50", f"{p50:.2f} × floor ({micro(turns, 'sobre', 'p50_us')})", "≤ 1.6 × floor", p50 <= 1.6))
            rows.append(Row(f"prioritize, {which}, p99", f"{p99:.2f} × floor's ({micro(turns, 'sobre', 'p99_us')})", "≤ 3 × floor's", p99 <= 3))
            if go_server:
                go = turns.ratio("sobre", "go", "p50_us")
                rows.append(Row(f"prioritize, {which}, p50 against Go", f"{go:.2f} × ({micro(turns, 'go', 'p50_us')})", "< 0.5 × minimal Go", go < 0.5))
            dropped = servers.dropped()
            rows.append(Row(f"prioritize, {which}, not recorded", str(dropped), "", None))
    return rows


def short(folder: pathlib.Path, programs: pathlib.Path) -> list[Row]:
    """A regression of these ratios shows on any machine, also on a busy one: limits are wider than the targets, and there is no p99."""
    with Servers(folder, programs, None, 5000) as servers:
        rows = []
        for body, which, count, limit in ((servers.questions.names, "names", 600, 4.0), (servers.questions.whole, "whole nodes", 30, 4.0)):
            turns = Turns(programs, body, servers.ports)
            turns.take(7, count)
            p50 = turns.ratio("sobre", "floor", "p50_us")
            rows.append(Row(f"prioritize, 5,000 {which}, p50", f"{p50:.2f} × floor ({micro(turns, 'sobre', 'p50_us')})", f"≤ {limit} × floor", p50 <= limit))
    return rows


def whole(folder: pathlib.Path, programs: pathlib.Path, rounds: int = ROUNDS, count: int = 60) -> list[Row]:
    with Servers(folder / "whole", programs, None, 5000) as servers:
        turns = Turns(programs, servers.questions.whole, servers.ports)
        turns.take(rounds, count)
        p50 = turns.ratio("sobre", "floor", "p50_us")
        size = servers.questions.whole.stat().st_size / 1e6
        return [Row(f"prioritize, 5,000 whole nodes ({size:.1f} MB), p50", f"{p50:.2f} × floor ({micro(turns, 'sobre', 'p50_us')})", "≤ 2 × floor", p50 <= 2)]


def sizes(folder: pathlib.Path, programs: pathlib.Path) -> list[Row]:
    """Smaller clusters, and what the HTTP library takes: a report."""
    rows = []
    for size in (100, 1000, 5000):
        with Servers(folder / f"size-{size}", programs, None, size, bare=True) as servers:
            turns = Turns(programs, servers.questions.names, servers.ports)
            turns.take(5, 3000)
            p50 = turns.ratio("sobre", "floor", "p50_us")
            bare = turns.ratio("floor", "bare", "p50_us")
            rows.append(Row(f"prioritize, {size:,} names, p50", f"{p50:.2f} × floor ({micro(turns, 'sobre', 'p50_us')})", "", None))
            rows.append(Row(f"the floor itself, {size:,} names", f"{bare:.2f} × one without an HTTP library ({micro(turns, 'bare', 'p50_us')})", "", None))
    return rows


def together(folder: pathlib.Path, programs: pathlib.Path, rounds: int = ROUNDS) -> list[Row]:
    """Eight schedulers at once."""
    with Servers(folder / "together", programs, None, 1000) as servers:
        alone = Turns(programs, servers.questions.names, servers.ports)
        eight = Turns(programs, servers.questions.names, servers.ports)
        for _ in range(rounds):
            alone.take(1, 5000)
            eight.take(1, 1500, connections=8)
        gain = {name: eight.median(name, "per_second") / alone.median(name, "per_second") for name in servers.ports}
        beyond = (eight.median("sobre", "p99_us") - eight.median("floor", "p99_us")) / 1000
        return [Row("eight schedulers, 1,000 names, throughput", f"{gain['sobre']:.2f} × one ({eight.median('sobre', 'per_second'):.0f}/s; "
                    f"floor {gain['floor']:.2f} ×)", "≥ 1.7 × one", gain["sobre"] >= 1.7),
                Row("eight schedulers, 1,000 names, p99", f"{beyond:+.1f} ms against the floor's", "≤ 5 ms beyond it", beyond <= 5),
                Row("eight schedulers, 1,000 names, not recorded", str(servers.dropped()), "", None)]
