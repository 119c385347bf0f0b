"""The table of docs/reliability.md, from histories that were kept."""
import collections
import pathlib
import statistics

from tests.chaos.checker import GATE, Bounds, Story, check, latest_opening
from tests.chaos.faults import FAULTS
from tests.chaos.history import load


class Seen:
    """What was seen while one fault was done, over all times."""

    def __init__(self) -> None:
        self.times, self.waits, self.limited, self.late, self.answered, self.unanswered, self.seconds = 0, [], 0, [], 0, 0, []

    def add(self, story: Story, begin: float, end: float) -> None:
        self.times += 1
        self.seconds.append(end - begin)
        for versions in story.pods.values():
            first = versions[0]
            bound = next((v for v in versions if v["node"]), None)
            if begin <= first["at"] <= end and bound and not first["marked"] and not first["gates"]:
                self.waits.append(bound["at"] - first["at"])
            if bound and bound["marked"] and begin <= bound["at"] <= end:
                self.limited += 1
            gated = next((v for v in versions if GATE in v["gates"]), None)
            opened = next((v["at"] for v in versions if gated and GATE not in v["gates"]), None)
            if gated and opened and begin <= latest_opening(gated) <= end:
                self.late.append(max(0.0, opened - latest_opening(gated)))
        for call in story.by_kind["call"]:
            if begin <= call["begin"] <= end:
                if call["status"] == 200 and call["delivered"]:
                    self.answered += 1
                else:
                    self.unanswered += 1

    def __str__(self) -> str:
        parts = []
        if self.waits:
            parts.append(f"{len(self.waits)} plain pods placed, after {statistics.median(self.waits):.1f} s, {max(self.waits):.0f} s at most")
        if self.limited:
            parts.append(f"{self.limited} with limits")
        if self.late:
            parts.append(f"{len(self.late)} gates fell due, opened {max(self.late):.0f} s late at most")
        parts.append(f"{self.answered} calls answered" + (f", {self.unanswered} not" if self.unanswered else ""))
        return "; ".join(parts)


def table(folders: list[pathlib.Path]) -> str:
    seen: dict[str, Seen] = collections.defaultdict(Seen)
    runs = []
    for folder in folders:
        lines = load(folder)
        story = Story(lines)
        begin = lines[0] if lines[0]["kind"] == "begin" else next(x for x in lines if x["kind"] == "begin")
        runs.append((begin, len(check(lines, Bounds())), story))
        for name, since, until, _, _ in story.faults:
            seen[name].add(story, since, until)
    text = ["| seed | store | minutes | pods | decisions | faults | violations |", "|---|---|---|---|---|---|---|"]
    for begin, violations, story in runs:
        decisions = sum(x["entry"] == "decision" for x in story.by_kind["entry"])
        text.append(f"| {begin['seed']} | {begin['store']} | {begin['minutes']:g} | {len(story.pods)} | {decisions} | {len(story.faults)} | {violations} |")
    text += ["", "| fault | what is done | times | promised | seen meanwhile |", "|---|---|---|---|---|"]
    for name, fault in FAULTS.items():
        if name in seen:
            text.append(f"| `{name}` | {fault.text} | {seen[name].times} | {fault.promise} | {seen[name]} |")
    return "\n".join(text)
