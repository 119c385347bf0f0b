"""./run backtest-check: the same day's work on a real kube-scheduler, with and without Sobre, and in `sobre backtest`."""
import argparse
import pathlib
import re
import sys
import tempfile

from tests import programs
from tests.backtest_check import check, world

BEGIN, END = "<!-- backtest-check -->", "<!-- /backtest-check -->"


def markdown(works: list[world.Work], comparisons: list[check.Comparison], nodes: int, hours: int, seeds: int, grids: str) -> str:
    regions = [f"{p.provider}/{p.region}" for p in world.POOLS]
    lines = [f"{sum(w.replicas for w in works)} pods of {len(works)} workloads on {nodes} nodes over {hours} hours, intensities {grids}; the backtest with {seeds} seeds: mean "
             "(least to most).", "",
             "| policy | | " + " | ".join(f"vCPU·h in {region}" for region in regions) + " | gCO2e/vCPU·h | EUR/vCPU·h |",
             "|---|---|" + "---|" * (len(regions) + 2)]

    def span(comparison: check.Comparison, of, digits: int, factor: float = 1) -> str:
        low, high = comparison.range(of)
        return f"{factor * comparison.mean(of):.{digits}f} ({factor * low:.{digits}f} to {factor * high:.{digits}f})"

    for c in comparisons:
        lines.append(f"| {c.policy} | real | " + " | ".join(f"{100 * c.real.shares[r]:.1f} %" for r in regions) +
                     f" | {c.real.grams:.3f} | {c.real.euros:.5f} |")
        lines.append("| | backtest | " + " | ".join(span(c, lambda b, r=r: b.shares[r], 1, 100) + " %" for r in regions) +
                     f" | {span(c, lambda b: b.grams, 3)} | {span(c, lambda b: b.euros, 5)} |")
        lines.append("| | off by | " + " | ".join(f"{c.points()[r]:+.1f} points" for r in regions) +
                     f" | {c.per_cent(lambda r: r.grams):+.1f} % | {c.per_cent(lambda r: r.euros):+.1f} % |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run backtest-check", description=__doc__)
    parser.add_argument("--nodes", type=int, default=200)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--grid", type=pathlib.Path, metavar="FILE", help="real intensities, as ./run study leaves them in build/study/grid.csv (made up)")
    parser.add_argument("--from", dest="first", default="2019-03-04T00:00:00Z", metavar="TIME", help="the first hour taken out of it (2019-03-04T00:00:00Z)")
    parser.add_argument("--pods", type=int, default=600, help="about so many, over all hours (600)")
    parser.add_argument("--seeds", type=int, default=10, help="of the backtest: ties are broken at random (10)")
    parser.add_argument("--seed", type=int, default=1, help="of the work (1)")
    parser.add_argument("--policy", action="append", choices=list(world.POLICIES), help="default: all")
    parser.add_argument("--write", type=pathlib.Path, metavar="FILE", help=f"put the table between {BEGIN} and {END} there")
    options = parser.parse_args()
    grid = world.read_grid(options.grid, options.first, options.hours) if options.grid else world.made_up_grid(options.hours)
    with tempfile.TemporaryDirectory() as folder:
        works, comparisons = check.compare(pathlib.Path(folder), pathlib.Path(programs.named("control-plane")), options.nodes, grid, options.pods,
                                           options.policy or list(world.POLICIES), options.seeds, options.seed,
                                           lambda text: print(text, file=sys.stderr, flush=True))
    grids = f"those of {options.first} on" if options.grid else "made up"
    table = markdown(works, comparisons, options.nodes, options.hours, options.seeds, grids)
    print(table)
    if options.write:
        text = options.write.read_text()
        options.write.write_text(re.sub(f"(?s){BEGIN}.*?{END}", lambda _: f"{BEGIN}\n{table}\n{END}", text))
    mistakes = [mistake for c in comparisons for mistake in c.mistakes()]
    print(f"\nMore than {check.POINTS} points or {check.PER_CENT} % off:" if mistakes else f"\nAll within {check.POINTS} points and {check.PER_CENT} %.")
    print("\n".join(mistakes))
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main())
