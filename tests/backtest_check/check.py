"""A real day held against those of the backtest."""
import dataclasses
import json
import pathlib
import statistics
import subprocess

from tests import programs
from tests.backtest_check import real, world
from tests.harness import ControlPlane

# Stated before anything was measured: percentage points of vCPU-hours by region, and per cent of the totals.
POINTS, PER_CENT = 2.0, 2.0


@dataclasses.dataclass(frozen=True)
class Result:
    shares: dict[str, float]  # of vCPU-hours, by region
    pods: dict[str, float]  # share of pods, by region
    grams: float  # gCO2e a vCPU-hour
    euros: float  # EUR a vCPU-hour


def backtest(scenario: pathlib.Path, seed: int) -> dict[str, Result]:
    run = subprocess.run([programs.sobre(), "backtest", "--in", scenario, "--seed", str(seed), "--format", "json", "--quiet"],
                         capture_output=True, text=True, check=True)
    results = {}
    for policy in json.loads(run.stdout)["policies"]:
        total = policy["total"]
        assert policy["placed"] == policy["pods"] and not policy["queued"], f"{policy['policy']}: somebody waited for room"
        results[policy["policy"]] = Result({p["region"]: p["vcpu_hours"] / total["vcpu_hours"] for p in policy["places"]},
                                           {p["region"]: p["pods"] / policy["pods"] for p in policy["places"]},
                                           total["gco2e_per_vcpu_hour"], total["eur_per_vcpu_hour"])
    return results


def account(folder: pathlib.Path, works: list[world.Work], placed: dict[str, str], nodes: int, grid: world.Grid) -> Result:
    """What the real placements took, by the backtest's own arithmetic: each pod may run in the region alone where it did run."""
    regions = {p.name: f"{p.provider}/{p.region}" for p in world.POOLS}
    pods = [dataclasses.replace(w, name=f"{w.name}-{i}", replicas=1) for w in works for i in range(w.replicas)]
    bound = {pod.name: regions[placed[pod.name]] for pod in pods}
    scenario = world.write_scenario(folder, nodes, grid, world.work_csv(pods, bound), {"as it was": {"sobre": False}})
    return backtest(scenario, 1)["as it was"]


@dataclasses.dataclass(frozen=True)
class Comparison:
    policy: str
    real: Result
    backtests: list[Result]  # by seed

    def mean(self, of) -> float:
        return statistics.fmean(of(b) for b in self.backtests)

    def range(self, of) -> tuple[float, float]:
        values = [of(b) for b in self.backtests]
        return min(values), max(values)

    def points(self) -> dict[str, float]:
        """Real less backtest, in percentage points of vCPU-hours, by region."""
        return {region: 100 * (share - self.mean(lambda b: b.shares[region])) for region, share in self.real.shares.items()}

    def per_cent(self, of) -> float:
        return 100 * (of(self.real) / self.mean(of) - 1)

    def chance(self, of) -> float:
        """How far one day may lie from the mean by chance: four standard deviations of the seeds, once in 16,000 days."""
        values = [of(b) for b in self.backtests]
        return 4 * statistics.stdev(values) if len(values) > 1 else 0.0

    def mistakes(self, points: float = POINTS, per_cent: float = PER_CENT) -> list[str]:
        """What is off by more than these bounds and more than chance explains."""
        found = [f"{self.policy}: {region}: {off:+.2f} points" for region, off in self.points().items()
                 if abs(off) > max(points, 100 * self.chance(lambda b, region=region: b.shares[region]))]
        for what, of in (("gCO2e", lambda r: r.grams), ("EUR", lambda r: r.euros)):
            if abs(self.per_cent(of)) > max(per_cent, 100 * self.chance(of) / self.mean(of)):
                found.append(f"{self.policy}: {what} per vCPU-hour: {self.per_cent(of):+.2f} %")
        return found


def compare(folder: pathlib.Path, binaries: pathlib.Path, nodes: int, grid: world.Grid, pods: int, policies: list[str], seeds: int, seed: int,
            tell=lambda text: None) -> tuple[list[world.Work], list[Comparison]]:
    works = world.make_work(len(grid[world.POOLS[0].zone]), pods, nodes * world.VCPUS, seed)
    wanted = {name: world.POLICIES[name] for name in policies}
    scenario = world.write_scenario(folder / "backtest", nodes, grid, world.work_csv(works), wanted)
    played = [backtest(scenario, s) for s in range(1, seeds + 1)]
    plane = ControlPlane(folder, binaries)
    comparisons = []
    try:
        real.add_nodes(plane, nodes)
        for number, (name, policy) in enumerate(wanted.items()):
            tell(f"{name}: {sum(w.replicas for w in works)} pods on a real kube-scheduler")
            day = real.Day(folder / f"day-{number}", plane, nodes, grid, policy)
            try:
                placed = day.play(works)
            finally:
                day.stop()
            real.clear(plane)
            result = account(folder / f"account-{number}", works, placed, nodes, grid)
            comparisons.append(Comparison(name, result, [p[name] for p in played]))
    finally:
        plane.stop()
    return works, comparisons
