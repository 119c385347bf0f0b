"""./run study: what Sobre does to attributed grams and euros on the grids of 2019, by `sobre backtest`; writes docs/effect.md."""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import time

from tests import programs
from tests.study import document, grid, world

WORK = pathlib.Path(__file__).resolve().parents[2] / "build" / "study"


def digest(*parts: bytes) -> str:
    made = hashlib.sha256()
    for part in parts:
        made.update(hashlib.sha256(part).digest())
    return made.hexdigest()


class Player:
    """Calls `sobre backtest`, and keeps what came of it by the hash of all that it was made from: an interrupted study goes on. `work` has the
    grids' series already."""

    def __init__(self, program: pathlib.Path, work: pathlib.Path) -> None:
        self.program, self.work = program, work
        self.inputs = digest(program.read_bytes(), *((work / name).read_bytes() for name in ("grid.csv", "margin.csv")))
        (work / "results").mkdir(parents=True, exist_ok=True)

    def play(self, scenario: dict) -> dict:
        # JSON is YAML too.
        text = json.dumps(scenario, indent=1)
        kept = self.work / "results" / (digest(self.inputs.encode(), text.encode()) + ".json")
        if kept.exists():
            return json.loads(kept.read_text())
        path = self.work / (kept.stem + ".yaml")
        path.write_text(text)
        played = subprocess.run([self.program, "backtest", "--in", path, "--format", "json", "--quiet"], capture_output=True, text=True)
        if played.returncode != 0:
            raise SystemExit(f"study: {path} failed: {played.stderr.strip()}")
        path.unlink()
        result = json.loads(played.stdout)
        for policy in result["policies"]:
            del policy["hours"]
        part = kept.with_suffix(".part")
        part.write_text(json.dumps(result))
        part.rename(kept)
        return result


def play_all(player: Player, cells: dict[str, world.Cell], seeds: int, grids: world.Grids, processes: int) -> dict[str, list[dict]]:
    """By cell, then by seed."""
    begin, done = time.monotonic(), 0
    with concurrent.futures.ThreadPoolExecutor(processes) as pool:
        jobs = {(name, seed): pool.submit(player.play, cell.scenario(seed, seeds, grids)) for seed in range(1, seeds + 1) for name, cell in cells.items()}
        try:
            for job in concurrent.futures.as_completed(jobs.values()):
                job.result()
                done += 1
                if done % 50 == 0 or done == len(jobs):
                    print(f"study: {done} of {len(jobs)} scenarios in {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return {name: [jobs[name, seed].result() for seed in range(1, seeds + 1)] for name in cells}


def main() -> None:
    parser = argparse.ArgumentParser(prog="./run study", description=__doc__)
    parser.add_argument("--seeds", type=int, default=world.SEEDS, help=f"two or more; each has its own week ({world.SEEDS})")
    parser.add_argument("--nodes", type=int, default=world.NODES, help=f"of each cluster ({world.NODES:,})")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="backtests at one time (all processors)")
    parser.add_argument("--out", type=pathlib.Path, default=document.EFFECT, metavar="FILE",
                        help="instead of docs/effect.md; its chart goes to images/ beside it")
    parser.add_argument("--work", type=pathlib.Path, default=WORK, metavar="FOLDER", help="where results are kept, to go on from (build/study)")
    arguments = parser.parse_args()
    if arguments.seeds < 2 or arguments.nodes < 2 * len(world.REGIONS):
        parser.error(f"an interval needs two seeds or more, and the cluster {2 * len(world.REGIONS)} nodes or more")
    try:
        loaded = grid.load(list(world.REGIONS), world.YEAR)
    except grid.GridError as error:
        raise SystemExit(f"study: {error}") from None
    grid.write(arguments.work, loaded)
    grids = world.Grids(*(grid.read_series(arguments.work / name) for name in ("grid.csv", "margin.csv")))
    cells = world.cells(arguments.nodes, grids)
    player = Player(pathlib.Path(programs.sobre()), arguments.work)
    results = play_all(player, cells, arguments.seeds, grids, arguments.processes)
    document.write(arguments.out, document.Study(cells, results, grids, loaded, arguments.seeds, arguments.nodes))


if __name__ == "__main__":
    main()
