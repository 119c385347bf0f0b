"""./run chaos: faults on a real control plane with two replicas, and whether the promises held. docs/reliability.md tells more."""
import argparse
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile

from tests.chaos import run as runs
from tests.chaos.checker import check
from tests.chaos.faults import FAULTS
from tests.chaos.history import load
from tests.chaos.setting import Options
from tests.chaos.table import table


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="of the workload and the schedule of faults; else a new one, which is printed")
    parser.add_argument("--minutes", type=float, default=5.0, help="how long faults are done; setting up and settling come on top")
    parser.add_argument("--fault", action="append", default=[], help="this one alone; may be given several times")
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="", help="else odd seeds have PostgreSQL, even ones SQLite alone")
    parser.add_argument("--list", action="store_true", help="the faults, and what is promised under each")
    parser.add_argument("--check", type=pathlib.Path, metavar="FOLDER", help="only check a history that was kept")
    parser.add_argument("--table", type=pathlib.Path, metavar="FOLDER", nargs="+", help="only print the table of docs/reliability.md from kept histories")
    parser.add_argument("--keep", type=pathlib.Path, metavar="FOLDER", help="keep history and logs there, also if all is well")
    given = parser.parse_args()
    if given.list:
        for fault in FAULTS.values():
            print(f"{fault.name:24} {fault.text}\n{'':24}   promised: {fault.promise}" + (f"; needs {', '.join(fault.needs)}" if fault.needs else ""))
        print(f"{len(FAULTS)} faults")
        return 0
    if given.check:
        found = check(load(given.check))
        print("\n".join(map(str, found)) or "all promises held")
        return 1 if found else 0
    if given.table:
        print(table(given.table))
        return 0
    unknown = [name for name in given.fault if name not in FAULTS]
    if unknown:
        parser.error(f"no fault is named {', '.join(unknown)}: see --list")
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}", flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a stop of any kind unwinds, so that nothing is left running
    kept = given.keep or pathlib.Path(tempfile.gettempdir()) / f"sobre-chaos-{seed}"
    os.environ["SOBRE_CHAOS_KEEP"] = str(kept)
    with tempfile.TemporaryDirectory(prefix="sobre-chaos-run-") as folder:
        result = runs.run(Options(seed, given.minutes, given.store), pathlib.Path(folder), given.fault, lambda text: print(text, flush=True))
    report(result)
    if not result.violations:
        if not given.keep:
            shutil.rmtree(kept, ignore_errors=True)
        return 0
    print(f"\n{len(result.violations)} violations; replay: ./run chaos --seed {seed} --minutes {given.minutes:g}; history and logs: {kept}")
    for violation in result.violations[:100]:
        print(f"  {violation}")
    return 1


def report(result) -> None:
    c = result.counts
    print(f"\n{c['pods']} pods, {c['bound']} bound; {c['call']} calls of kube-scheduler, {c['answered']} answered, {c['decisions']} decisions on record")
    print(f"{'fault':24} {'times':>5}  promised")
    for fault, times, failed in result.faults:
        print(f"{fault.name:24} {times:5}  {fault.promise}" + (f"; could not be done: {failed[0]}" if failed else ""))
    if result.skipped:
        print(f"not possible here: {', '.join(result.skipped)}")
    broken = sorted({v.promise for v in result.violations})
    print("all promises held" if not broken else f"broken: {', '.join(broken)}")


if __name__ == "__main__":
    sys.exit(main())
