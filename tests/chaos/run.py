"""One run: a setting, a workload, faults from a seed, then peace, then the checker."""
import collections
import contextlib
import dataclasses
import itertools
import json
import os
import pathlib
import random
import signal
import threading
import time

from tests.chaos.checker import Violation, check
from tests.chaos.faults import Fault, Run, possible, verify
from tests.chaos.history import load
from tests.chaos.setting import Observer, Options, Prober, Setting, entries_of, keep_logs
from tests.chaos.workload import NOWHERE, Workload
from tests.harness import fetch

AT_ONCE = 3
SETTLE_MOST = 150.0


@dataclasses.dataclass
class Result:
    violations: list[Violation]
    faults: list[tuple[Fault, int, list[str]]]  # with how often it was done, and what it failed with itself
    counts: dict
    skipped: list[str]


class Deck:
    """Deals all before any comes again."""

    def __init__(self, names: list[str], dice: random.Random) -> None:
        self.names, self.dice, self.left = names, dice, []

    def deal(self, taken_groups: set, faults: dict[str, Fault]) -> Fault | None:
        if not self.left:
            self.left = list(self.names)
            self.dice.shuffle(self.left)
        name = next((n for n in self.left if not faults[n].groups() & taken_groups), None)
        if name is None:
            return None
        self.left.remove(name)
        return faults[name]


class Doer:
    """Does faults, each on a thread of its own, and writes down when each began and ended."""

    def __init__(self, setting: Setting, workload: Workload, seed: int) -> None:
        self.setting, self.workload, self.seed = setting, workload, seed
        self.numbers = itertools.count()
        self.active: dict[int, tuple[Fault, threading.Thread]] = {}
        self.done = collections.Counter()
        self.failed: dict[str, list[str]] = collections.defaultdict(list)
        self.say = lambda text: None

    def groups(self) -> set:
        self.active = {n: a for n, a in self.active.items() if a[1].is_alive()}
        return {group for fault, _ in self.active.values() for group in fault.groups()}

    def begin(self, fault: Fault) -> threading.Thread:
        number = next(self.numbers)
        thread = threading.Thread(target=self._do, args=(number, fault), daemon=True)
        self.active[number] = (fault, thread)
        thread.start()
        return thread

    def _do(self, number: int, fault: Fault) -> None:
        history = self.setting.history
        run = Run(self.setting, self.workload, random.Random(f"{self.seed}-{number}-{fault.name}"), fault.name)
        history.add("fault", name=fault.name, number=number, step="begin")
        self.say(f"  {fault.name}: {fault.text}")
        try:
            for hold in fault.do(run):
                history.add("fault", name=fault.name, number=number, step="blocks", blocks=list(hold.blocks))
                time.sleep(hold.seconds)
        except Exception as error:  # noqa: BLE001 - told at the end; the run goes on
            self.failed[fault.name].append(repr(error))
            history.add("note", text=f"{fault.name} itself failed: {error!r}")
        self.done[fault.name] += 1
        history.add("fault", name=fault.name, number=number, step="end")

    def wait(self) -> None:
        for _, thread in list(self.active.values()):
            thread.join(400)


def settle(setting: Setting, workload: Workload) -> None:
    """All is healed: what died is started, nodes are there, and everything may find its place."""
    begun = time.time()
    for replica in setting.replicas:
        replica.send(signal.SIGCONT)
        replica.start()
    setting.wait_api()
    workload.stop()
    workload.restore()
    until = time.monotonic() + SETTLE_MOST
    quiet = 0
    while time.monotonic() < until and quiet < 5:
        time.sleep(2)
        with contextlib.suppress(OSError):
            pods = setting.plane.call("GET", "/api/v1/pods")["items"]
            waiting = [p for p in pods if not p["spec"].get("nodeName") and NOWHERE not in p["metadata"]["name"]]
            backlog = [r.metric("sobre_records_backlog") for r in setting.replicas]
            shipping = [r.metric("sobre_records_shipping_failing") or 0 for r in setting.replicas]
            ready = len(setting.service.backends) == len(setting.replicas)
            quiet = quiet + 1 if not waiting and backlog == [0] * len(backlog) and not any(shipping) and ready else 0
    # Time that is promised for what the last fault delayed.
    setting.history.add("settled", at=begun, until=time.time())


def gather(setting: Setting) -> None:
    """What is on record in the end, and whether it is whole."""
    history = setting.history
    for replica in setting.replicas:
        history.add("dropped", replica=replica.name, pid=replica.process.child.pid, dropped=replica.metric("sobre_records_dropped_total") or 0)
    true = {n["metadata"]["name"]: n["metadata"]["labels"]["topology.kubernetes.io/region"] for n in setting.plane.call("GET", "/api/v1/nodes")["items"]}
    for replica in setting.replicas:
        try:
            told = {n["node"]: n["region"] for n in json.loads(fetch(replica.status_url + "/api/v1/nodes"))}
        except (OSError, ValueError) as error:
            told = repr(error)
        history.add("claim", claim="each knows the cluster", fault="the end", holds=told == true, text=f"{replica.name} says {told}, it is {true}")
    for replica in setting.replicas:
        code = replica.end(signal.SIGTERM)
        history.add("claim", claim="it stops when told", fault="the end", holds=code == 0, text=f"status {code} of {replica.name}")
    setting.service.drain()
    if setting.postgres:
        arguments = [("shared", ["--db", setting.postgres.url()])]
    else:
        arguments = [(r.name, ["--db", r.records / "records.db"]) for r in setting.replicas]
    for database, options in arguments:
        done = verify(setting, *options)
        history.add("verified", database=database, code=done.returncode, text=(done.stdout + done.stderr).strip())
    for database, entries in entries_of(setting):
        for entry in entries:
            history.add("entry", database=database, **entry)
    history.add("entries-read")


def run(options: Options, folder: pathlib.Path, only: list[str] = (), say=print, calm: float = 5) -> Result:
    """`only`: these faults, in turn; else all that can be done here, from the seed."""
    setting = Setting(folder, options)
    try:
        observer, prober = Observer(setting), Prober(setting)
        faults = possible(setting)
        unknown = [n for n in only if n not in faults]
        if unknown:
            raise SystemExit(f"not possible in this setting: {', '.join(unknown)}")
        workload = Workload(setting, options.seed)
        doer = Doer(setting, workload, options.seed)
        doer.say = say
        dice = random.Random(f"schedule-{options.seed}")
        deck = Deck(sorted(only or faults), dice)
        until = time.monotonic() + options.minutes * 60
        time.sleep(calm)
        if only:
            turn = itertools.cycle(only)
            rest = len(only)
            while time.monotonic() < until or rest > 0:
                doer.begin(faults[next(turn)]).join(400)
                rest -= 1
                time.sleep(dice.uniform(2, 6))
        else:
            while time.monotonic() < until:
                groups = doer.groups()
                if len(groups) < AT_ONCE and (fault := deck.deal(groups, faults)):
                    doer.begin(fault)
                time.sleep(dice.uniform(1, 5))
                if dice.random() < 0.08:  # now and then all is well
                    doer.wait()
                    time.sleep(dice.uniform(5, 12))
        doer.wait()
        say("  peace")
        settle(setting, workload)
        prober.stop()
        gather(setting)
        observer.stop()
        setting.history.add("end")
        lines = load(folder)
        violations = check(lines)
        counts = collections.Counter(line["kind"] for line in lines)
        counts["bound"] = len({x["uid"] for x in lines if x["kind"] == "pod" and x["node"]})
        counts["pods"] = len({x["uid"] for x in lines if x["kind"] == "pod"})
        counts["answered"] = sum(x["status"] == 200 for x in lines if x["kind"] == "call")
        counts["decisions"] = sum(x["entry"] == "decision" for x in lines if x["kind"] == "entry")
        from tests.chaos.faults import FAULTS
        return Result(violations, [(FAULTS[n], doer.done[n], doer.failed[n]) for n in FAULTS if doer.done[n]], counts,
                      [n for n in FAULTS if n not in faults])
    finally:
        kept = os.environ.get("SOBRE_CHAOS_KEEP")
        if kept:
            with contextlib.suppress(OSError, AttributeError):
                keep_logs(setting, pathlib.Path(kept))
        setting.stop()
