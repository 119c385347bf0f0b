"""What scoring alone takes by candidate, over worlds of 100 to 100,000 nodes."""
import pathlib
import subprocess

from tests.bench.rows import Row


def scoring(programs: pathlib.Path) -> list[Row]:
    run = subprocess.run([programs / "bench_scoring"], capture_output=True, text=True, check=True)
    worlds: dict[bool, dict[int, float]] = {True: {}, False: {}}
    for line in run.stdout.splitlines():
        nodes, kinds, nanoseconds = line.split()
        worlds[int(kinds) < 100][int(nodes)] = float(nanoseconds)
    rows = []
    for alike, figures in worlds.items():
        which = "nodes of 28 kinds" if alike else "no two nodes alike"
        told = ", ".join(f"{figures[size]:.1f}" for size in sorted(figures))
        worst = max(figures.values())
        # What is the same for any number of nodes weighs most in a small cluster: larger ones must not be worse.
        grows = worst / figures[min(figures)]
        rows.append(Row(f"scoring, {which}, 100 to 100,000", f"{told} ns a node", "≤ 60 ns", worst <= 60))
        rows.append(Row(f"scoring, {which}, as it grows", f"at most {grows:.2f} × that of 100 nodes", "≤ 1.3 ×", grows <= 1.3))
    return rows
