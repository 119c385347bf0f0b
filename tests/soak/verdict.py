"""What counts as flat."""
import dataclasses
import statistics


@dataclasses.dataclass
class Minute:
    """What was seen within one minute; of what is sampled the median."""
    number: int
    calls: int          # of kube-scheduler's kind that were answered
    failed: int         # of them: not answered 200
    p50_ms: float
    p99_ms: float
    resident_mib: float
    descriptors: int    # that are no client's connection
    threads: float
    fault: str          # that was there; empty: none

    def row(self) -> str:
        return (f"| {self.number} | {self.calls} | {self.failed} | {self.p50_ms:.2f} | {self.p99_ms:.2f} | {self.resident_mib:.1f} "
                f"| {self.descriptors:g} | {self.threads:g} | {self.fault} |")


HEADER = "| minute | calls | failed | p50 ms | p99 ms | resident MiB | own descriptors | threads | fault |\n|---|---|---|---|---|---|---|---|---|"
# Field, how much the last third's median may be of the middle third's, and how much more.
RULES = [("resident_mib", 1.05, 4.0), ("descriptors", 1.0, 0.0), ("threads", 1.0, 0.0), ("p99_ms", 1.5, 2.0)]


def judge(minutes: list[Minute]) -> list[tuple[str, bool]]:
    """Sentences and whether each is as it should be. The first third is for warming up: it is not judged."""
    third = len(minutes) // 3
    if third < 1:
        return [(f"{len(minutes)} minutes are too few to judge", False)]
    middle, last = minutes[-2 * third:-third], minutes[-third:]
    said = []
    for field, factor, allowance in RULES:
        before, after = (statistics.median_low([getattr(m, field) for m in part]) for part in (middle, last))
        said.append((f"{field}: median {before:.2f} in the middle third, {after:.2f} in the last; allowed {factor * before + allowance:.2f}",
                     after <= factor * before + allowance))
    failed, calls = sum(m.failed for m in minutes), sum(m.calls for m in minutes)
    said.append((f"calls: {calls} answered, {failed} failed", failed == 0 and calls > 0))
    said.append((f"faults: {len({m.fault for m in minutes if m.fault})} kinds in {sum(bool(m.fault) for m in minutes)} minutes", True))
    return said
