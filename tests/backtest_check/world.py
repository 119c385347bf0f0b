"""A day of work on a described cluster, for the backtest and for a real control plane alike."""
import csv
import dataclasses
import io
import math
import pathlib
import random

import yaml


@dataclasses.dataclass(frozen=True)
class Pool:
    name: str
    provider: str
    region: str
    provider_id: str  # its beginning
    zone: str  # of the grid
    eur_per_hour: float
    mean: float  # gCO2e/kWh over the day
    swing: float  # part of the mean by which it changes
    cleanest: int  # hour of the day, UTC


# Shaped as those grids mostly are: nuclear is flat, solar is cleanest at noon, wind at night. What counts is that both sides are told the same.
POOLS = (Pool("paris", "scaleway", "fr-par", "scaleway://instance/fr-par-1/", "FR", 0.78, 56, 0.15, 13),
         Pool("warsaw", "scaleway", "pl-waw", "scaleway://instance/pl-waw-1/", "PL", 0.75, 700, 0.06, 12),
         Pool("frankfurt", "aws", "eu-central-1", "aws:///eu-central-1a/", "DE", 0.80, 380, 0.35, 12),
         Pool("dublin", "aws", "eu-west-1", "aws:///eu-west-1a/", "IE", 0.88, 330, 0.45, 3))
VCPUS, MEMORY_GIB = 16, 64
POLICIES = {"kube-scheduler alone": {"sobre": False},
            "carbon": {"objective": "carbon"}, "cost": {"objective": "cost"}, "balanced": {"objective": "balanced"},
            "priced, 300 EUR/t": {"objective": "priced", "carbon_price_eur_per_tonne": 300}}
START = "2026-03-02T00:00:00Z"


@dataclasses.dataclass(frozen=True)
class Work:
    name: str
    kind: str  # service or job
    arrives: int  # minutes after the start
    runs: int  # minutes
    replicas: int
    millicpu: int
    mebibytes: int
    requests_per_second: float


# gCO2e/kWh by grid zone and hour.
Grid = dict[str, list[float]]


def made_up_grid(hours: int) -> Grid:
    return {p.zone: [round(p.mean * (1 - p.swing * math.cos(2 * math.pi * (hour - p.cleanest) / 24)), 1) for hour in range(hours)] for p in POOLS}


def read_grid(path: pathlib.Path, first: str, hours: int) -> Grid:
    """Out of a series that `./run study` makes (build/study/grid.csv), from the hour that begins at `first` on."""
    with path.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    begin = next((i for i, row in enumerate(rows) if row["time"] == first), None)
    if begin is None or begin + hours > len(rows):
        raise SystemExit(f"{path}: has no {hours} hours from {first} on")
    return {p.zone: [round(float(row[p.zone]), 1) for row in rows[begin:begin + hours]] for p in POOLS}


def make_work(hours: int, pods: int, vcpus: float, seed: int) -> list[Work]:
    """About `pods` pods over the hours, a third of them there from the start, that ask for some 40 % of the vCPUs once all is there: everybody finds
    a place at once. Times are whole minutes, each arrival in one of its own."""
    dice = random.Random(seed)
    minutes = dice.sample(range(1, hours * 60 - 1), pods)
    works, left = [], pods
    while left > 0:
        is_service = dice.random() < 0.5
        replicas = min(left, dice.randint(2, 8) if is_service else 1)
        at_start = dice.random() < 1 / 3
        runs = hours * 60 if at_start and is_service else int(min(hours, 24) * 60 * dice.uniform(0.15, 0.6))
        millicpu = dice.choice((500, 1000, 1000, 2000, 2000, 4000)) * (1 if is_service else 2)
        works.append(Work(f"{'web' if is_service else 'job'}-{len(works)}", "service" if is_service else "job", 0 if at_start else minutes[len(works)],
                          runs, replicas, millicpu, int(millicpu * dice.choice((1, 2, 4, 6)) * 1024 / 1000), 20.0 if is_service else 0))
        left -= replicas
    asked = sum(w.replicas * w.millicpu / 1000 * min(w.runs, hours * 60 - w.arrives) for w in works) / (hours * 60)
    assert asked < 0.5 * vcpus, f"{asked:.0f} of {vcpus:.0f} vCPUs are asked for on average: somebody would wait for room"
    return sorted(works, key=lambda w: (w.arrives, w.name))


def table(rows: list[list]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def work_csv(works: list[Work], regions: dict[str, str] | None = None) -> str:
    """`regions` binds the pods of works, by name."""
    rows = [["name", "kind", "arrives_hours", "runs_hours", "replicas", "cpu", "memory", "gpus", "requests_per_second", "annotations"]]
    for w in works:
        rows.append([w.name, w.kind, repr(w.arrives / 60), repr(w.runs / 60), w.replicas, f"{w.millicpu}m", f"{w.mebibytes}Mi", 0, w.requests_per_second,
                     f"allowed-regions={regions[w.name]}" if regions else ""])
    return table(rows)


def write_scenario(folder: pathlib.Path, nodes: int, grid: Grid, works: str, policies: dict[str, dict]) -> pathlib.Path:
    folder.mkdir(exist_ok=True)
    hours = len(grid[POOLS[0].zone])
    (folder / "work.csv").write_text(works)
    (folder / "grid.csv").write_text(table([["hour", *(p.zone for p in POOLS)], *([h, *(grid[p.zone][h] for p in POOLS)] for h in range(hours))]))
    scenario = {
        "name": "A day, for the backtest and a real kube-scheduler", "start": START, "hours": hours, "warm_up_hours": 0, "foresight": "none",
        "pools": [{"name": p.name, "nodes": nodes // len(POOLS), "provider": p.provider, "region": p.region, "cpu": VCPUS, "memory": f"{MEMORY_GIB}Gi",
                   "eur_per_hour": p.eur_per_hour} for p in POOLS],
        "intensity": {"file": "grid.csv"}, "workload": {"file": "work.csv"},
        "policies": [{"name": name, "waiting": False} | policy for name, policy in policies.items()]}
    path = folder / "scenario.yaml"
    path.write_text(yaml.safe_dump(scenario, sort_keys=False))
    return path
