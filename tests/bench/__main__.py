"""./run bench: what Sobre costs a cluster, beside floors that are measured in the same run. Ratios count, not times."""
import argparse
import pathlib
import subprocess
import sys
import tempfile

from tests import programs
from tests.bench import latency, page, pods, records, refresh, scale, scoring
from tests.bench.rows import Row, print_rows
from tests.harness import ROOT

PROGRAMS = ROOT / "build" / "release" / "tests"


def go_server(folder: pathlib.Path) -> pathlib.Path:
    program = folder / "goserver"
    if not program.exists():
        subprocess.run([programs.named("go"), "build", "-o", program, "."], cwd=ROOT / "tests" / "bench" / "goserver", check=True)
    return program


# By name: what it measures in a folder of its own, and what is said of it.
PARTS = {
    "latency": (lambda folder: latency.names(folder, PROGRAMS, go_server(folder)) + latency.whole(folder, PROGRAMS) + latency.sizes(folder, PROGRAMS),
                "one question at a time, against constant bytes on the same HTTP library and a minimal Go extender"),
    "together": (lambda folder: latency.together(folder, PROGRAMS), "eight schedulers at once"),
    "scoring": (lambda folder: scoring.scoring(PROGRAMS), "scoring alone, by node"),
    "records": (lambda folder: records.records(folder, PROGRAMS), "what recording adds"),
    "refresh": (lambda folder: refresh.refresh(folder, PROGRAMS), "what decisions feel of a refresh of all signals"),
    "pods": (lambda folder: pods.pods(folder, go_server(folder)), "pods per second of the real kube-scheduler, against a do-nothing extender"),
    "memory": (lambda folder: scale.memory(folder, PROGRAMS), "memory beside a simulated cluster of 5,000 nodes and 50,000 pods"),
    "hour": (lambda folder: scale.memory(folder, PROGRAMS, seconds=3600), "the same, in an hour by the clock"),
    "start": (lambda folder: scale.start(folder, PROGRAMS), "the first answer after start, against a bare read of the same lists"),
    "scale": (lambda folder: scale.scale(folder, PROGRAMS), "a simulated cluster of 100,000 nodes and 1,000,000 pods"),
    "page": (lambda folder: page.page(folder, PROGRAMS), "the dashboard kept open"),
    "short": (lambda folder: latency.short(folder, PROGRAMS), "latency against the floor alone, with wider limits: what CI runs"),
}
# What ./run bench measures when no part is named.
ALL = ("latency", "together", "scoring", "records", "refresh", "pods", "memory", "start", "scale")


def measure(parts: list[str]) -> list[Row]:
    rows = []
    for part in parts:
        with tempfile.TemporaryDirectory() as folder:
            taken = PARTS[part][0](pathlib.Path(folder))
        print(f"\n{part}")
        print_rows(taken)
        rows += taken
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="parts:\n" + "\n".join(f"  {name:<9} {text}" for name, (_, text) in PARTS.items()))
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"default: {' '.join(ALL)}")
    parser.add_argument("--runs", type=int, default=1, help="so many times over, to see whether they agree (1)")
    options = parser.parse_args()
    for part in options.parts:
        if part not in PARTS:
            parser.error(f"no part {part!r}; there are {', '.join(PARTS)}")
    runs = [measure(options.parts or list(ALL)) for _ in range(options.runs)]
    if len(runs) > 1:
        disputed = [row for rows in zip(*runs) if len({row.met for row in rows}) > 1 for row in rows]
        print(f"\n{len(runs)} runs " + ("agree on all targets" if not disputed else "do not agree on:"))
        if disputed:
            print_rows(disputed)
    missed = [row for rows in runs for row in rows if row.met is False]
    print(f"\n{sum(row.met is True for rows in runs for row in rows)} targets met, {len(missed)} missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
