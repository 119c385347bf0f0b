"""The promises, asserted on a history: a pure function over its lines. docs/reliability.md says them in words."""
import bisect
import collections
import dataclasses
import datetime

from tests.chaos.places import COUNTRY, OPERATOR, OPERATORS, PROVIDER

GATE = "sobre.dev/carbon"
PREFIX = "sobre.dev/"


@dataclasses.dataclass(frozen=True)
class Bounds:
    """In seconds, of the time in which nothing that is needed is away."""
    plain: float = 60       # a pod without limits or gates gets its node
    gate: float = 25        # past its deadline a gate opens
    view: float = 10        # how old what an answer relies on may be
    cut_view: float = 110   # the same while the way to the API server is faulty
    after_api: float = 30   # the API server or the scheduler needs after a restart until all is as before
    after_link: float = 60  # a replica needs until it tries again
    lease: float = 4        # who lost the Lease cannot hold it again before
    signal: float = 45      # values are believed that Prometheus told so long ago
    kill: float = 2.0       # decided in the last moments before a kill: may be lost
    clock: float = 0.002    # rounding of times
    rss_kib: int = 600_000
    rss_growth_kib: int = 150_000
    descriptors: int = 250
    descriptors_growth: int = 40


@dataclasses.dataclass(frozen=True)
class Violation:
    promise: str
    text: str
    at: float

    def __str__(self) -> str:
        moment = datetime.datetime.fromtimestamp(self.at, datetime.timezone.utc).strftime("%H:%M:%S.%f")[:-3]
        return f"{self.promise}: {self.text} [at {self.at:.3f}, {moment} UTC]"


class Spans:
    """Times, as a list of (begin, end)."""

    def __init__(self, spans=()) -> None:
        self.spans = []
        for begin, end in sorted(spans):
            if self.spans and begin <= self.spans[-1][1]:
                self.spans[-1] = (self.spans[-1][0], max(end, self.spans[-1][1]))
            else:
                self.spans.append((begin, end))

    def __or__(self, other: "Spans") -> "Spans":
        return Spans(self.spans + other.spans)

    def __and__(self, other: "Spans") -> "Spans":
        return Spans((max(a, c), min(b, d)) for a, b in self.spans for c, d in other.spans if max(a, c) < min(b, d))

    def longer(self, after: float) -> "Spans":
        return Spans((begin, end + after) for begin, end in self.spans)

    def outside(self, begin: float, end: float) -> float:
        """How much of the time between is in none of them."""
        return max(0.0, end - begin) - sum(max(0.0, min(e, end) - max(b, begin)) for b, e in self.spans)

    def touches(self, begin: float, end: float) -> bool:
        return any(b <= end and begin <= e for b, e in self.spans)


class Story:
    """A history, sorted out."""

    def __init__(self, lines: list[dict]) -> None:
        self.lines = lines
        self.begin, self.end = lines[0]["at"], lines[-1]["at"]
        self.by_kind = collections.defaultdict(list)
        for line in lines:
            self.by_kind[line["kind"]].append(line)
        self.settled = next((x["at"] for x in self.by_kind["settled"]), self.end)
        self.faults = self._faults()
        self.pods = self._objects("pod")
        self.nodes = self._versions("node", "name", "region")
        self.namespaces = self._versions("namespace", "name", "annotations")
        self.down = {name: self._down(name) for name in {x["replica"] for x in self.by_kind["replica"]}}

    def _faults(self) -> list[tuple[str, float, float, set, dict]]:
        """(name, begin, end, what is blocked, the line of its end) of each time that one was done."""
        found, open_ = [], {}
        for line in self.by_kind["fault"]:
            if line["step"] == "begin":
                open_[line["number"]] = (line["name"], line["at"], set())
            elif line["step"] == "blocks":
                open_[line["number"]][2].update(line["blocks"])
            elif line["step"] == "end":
                name, begin, blocks = open_.pop(line["number"])
                found.append((name, begin, line["at"], blocks, line))
        return found + [(name, begin, self.end, blocks, {}) for name, begin, blocks in open_.values()]

    def blocked(self, *what: str) -> Spans:
        return Spans((begin, end) for _, begin, end, blocks, _ in self.faults if blocks & set(what))

    def _objects(self, kind: str) -> dict[str, list[dict]]:
        """Its versions by uid; one that is missing in a later list was deleted by then."""
        found: dict[str, list[dict]] = collections.defaultdict(list)
        for line in self.lines:
            if line["kind"] == kind:
                if not found[line["uid"]] or found[line["uid"]][-1]["version"] <= line["version"]:
                    found[line["uid"]].append(line)
            elif line["kind"] == "listed" and line["what"] == kind:
                there = set(line["uids"])
                for uid, versions in found.items():
                    if uid not in there and versions[-1]["type"] != "DELETED":
                        versions.append(versions[-1] | {"type": "DELETED", "at": line["at"]})
        return dict(found)

    def _versions(self, kind: str, key: str, value: str) -> dict[str, list[tuple[float, object]]]:
        """By name: from when on what held; None: it was not there."""
        found = collections.defaultdict(list)
        for versions in self._objects(kind).values():
            for line in versions:
                found[line[key]].append((line["at"], None if line["type"] == "DELETED" else line[value]))
        return {name: sorted(versions, key=lambda v: v[0]) for name, versions in found.items()}

    @staticmethod
    def held(versions: list[tuple[float, object]], begin: float, end: float) -> list:
        """All that held at some time between."""
        at = bisect.bisect_right([v[0] for v in versions], begin)
        return [value for since, value in versions[max(0, at - 1):] if since <= end]

    def stated(self, pod: dict) -> bool:
        """Whether limits hold it, readable or not, by its own word or by anything that its namespace ever said."""
        said = [space for _, space in self.namespaces.get(pod["namespace"], []) if space]
        return any(limits_of(pod["annotations"], space) for space in [{}, *said])

    def _down(self, replica: str) -> Spans:
        """When it did not run, or stood still, or had not answered that it is ready yet."""
        spans, since = [], self.begin
        for line in self.lines:
            if line["kind"] not in ("replica", "probe") or line["replica"] != replica:
                continue
            if line["kind"] == "replica":
                if line["step"] in ("ending", "ended", "paused", "started") and since is None:
                    since = line["at"]
            elif line["readyz"] == "ok" and since is not None:
                spans.append((since, line["at"]))
                since = None
            elif line["readyz"] != "ok" and since is None:
                since = line["at"] - 1
        return Spans(spans + ([(since, self.end)] if since is not None else []))

    def stopping(self, replica: str, most: float = 30) -> Spans:
        """From when it was told to end until it had, or should have."""
        spans, since = [], None
        for line in self.by_kind["replica"]:
            if line["replica"] != replica:
                continue
            if line["step"] == "ending" and since is None:
                since = line["at"]
            elif line["step"] != "ending" and since is not None:
                spans.append((since, min(line["at"], since + most)))
                since = None
        return Spans(spans + ([(since, since + most)] if since is not None else []))


LIMITS = ("allowed-countries", "allowed-regions", "denied-operators", "max-eur-per-unit")
# Of what else a pod or a namespace of a run may say.
PREFERENCES = {PREFIX + key for key in ("mode", "cost-tolerance", "unit", "defer-below-gco2e-per-kwh", "max-delay", "deadline", "enforced")}


def limits_of(annotations: dict, namespace: dict) -> dict[str, set[str]]:
    """What holds a pod: its own word and its namespace's, both. Whatever cannot be read stands under "unreadable"."""
    found: dict[str, set[str]] = {}
    for said in (annotations, namespace):
        for key, value in said.items():
            name = key.removeprefix(PREFIX)
            if not key.lower().startswith(PREFIX) or key in PREFERENCES:
                continue
            if name not in LIMITS or name == "denied-operators" and not items_of(value) <= OPERATORS:
                found.setdefault("unreadable", set()).add(key)
            elif name in found and name.startswith("allowed-"):
                found[name] &= items_of(value)
            else:
                found[name] = found.get(name, set()) | items_of(value)
    return found


def items_of(text: str) -> set[str]:
    return {item.strip() for item in text.split(",")}


def permits(says: dict[str, set[str]], region: str) -> bool:
    """Whether a node in that region keeps them. Budgets of the workload are such that no node does."""
    return ("max-eur-per-unit" not in says and "unreadable" not in says
            and ("allowed-countries" not in says or COUNTRY.get(region) in says["allowed-countries"])
            and ("allowed-regions" not in says or f"{PROVIDER.get(region)}/{region}" in says["allowed-regions"])
            and not says.get("denied-operators", set()) & {PROVIDER.get(region), OPERATOR.get(region)})


def bound_once(story: Story, bounds: Bounds):
    for uid, versions in story.pods.items():
        nodes = list(dict.fromkeys(v["node"] for v in versions if v["node"]))
        if len(nodes) > 1:
            yield Violation("bound once", f"pod {versions[0]['namespace']}/{versions[0]['name']} ({uid}) was bound to {' and then to '.join(nodes)}",
                            versions[-1]["at"])


def plain_pods_are_bound(story: Story, bounds: Bounds):
    away = (story.blocked("api").longer(bounds.after_api) | story.blocked("scheduler").longer(bounds.after_api))
    for uid, versions in story.pods.items():
        first = versions[0]
        if story.stated(first) or first["gates"] or first["type"] == "LISTED" or first["scheduler"] != "sobre":
            continue
        done = next((v["at"] for v in versions if v["node"] or v["type"] == "DELETED"), story.end)
        waited = away.outside(first["at"], done)
        if waited > bounds.plain:
            yield Violation("plain pods are bound", f"pod {first['namespace']}/{first['name']} ({uid}) waited {waited:.0f} s, "
                            f"at most {bounds.plain:.0f} are promised", done)


def limits_are_marked(story: Story, bounds: Bounds):
    """By the admission policies alone: whoever is held by limits, and nobody else."""
    for uid, versions in story.pods.items():
        first = versions[0]
        if first["scheduler"] == "sobre" and first["marked"] != story.stated(first):
            yield Violation("limits are marked", f"pod {first['namespace']}/{first['name']} ({uid}) with {first['annotations']} is "
                            f"{'marked' if first['marked'] else 'not marked'}", first["at"])


def refused(story: Story, bounds: Bounds, pod: dict, node: str) -> str:
    """Why a pod may not have that node at the time of this version of it; empty: it may."""
    cut = story.blocked("api", "link:a", "link:b", "clock").longer(bounds.cut_view)
    since = pod["at"] - (bounds.cut_view if cut.touches(pod["at"], pod["at"]) else bounds.view)
    spaces = story.held(story.namespaces.get(pod["namespace"], []), since, pod["at"]) or [{}]
    regions = story.held(story.nodes.get(node, []), since, pod["at"])
    if any(permits(limits_of(pod["annotations"], space or {}), region) for space in spaces for region in regions if region is not None):
        return ""
    return f"{node} in {', '.join(str(r) for r in regions) or 'no known region'}, with {limits_of(pod['annotations'], spaces[-1] or {})}"


def limits_hold(story: Story, bounds: Bounds):
    for uid, versions in story.pods.items():
        bound = next((v for v in versions if v["node"]), None)
        if bound and story.stated(bound) and (why := refused(story, bounds, bound, bound["node"])):
            yield Violation("limits hold", f"pod {bound['namespace']}/{bound['name']} ({uid}) was bound to {why}", bound["at"])


def nobody_is_evicted_in_vain(story: Story, bounds: Bounds):
    """A pod is nominated for a node on which others were evicted for it."""
    for uid, versions in story.pods.items():
        before = ""
        for version in versions:
            node, before_that, before = version.get("nominated", ""), before, version.get("nominated", "")
            if node and node != before_that and story.stated(version) and (why := refused(story, bounds, version, node)):
                yield Violation("nobody is evicted in vain", f"others were evicted for pod {version['namespace']}/{version['name']} ({uid}) on {why}",
                                version["at"])


def one_leads(story: Story, bounds: Bounds):
    """Never two at a time: one between two looks at the other, which could not have lost the Lease and taken it again."""
    led = sorted((*x["led"], x["replica"]) for x in story.by_kind["probe"] if x.get("led"))
    for (begin, asked, first), (again, until, third) in ((a, b) for i, a in enumerate(led) for b in led[i + 1:i + 8]):
        if first == third and until - begin < bounds.lease:
            for from_, to, other in led:
                if other != first and asked < from_ and to < again:
                    yield Violation("one leads", f"{other} held the Lease while {first} did", from_)


def match(calls: list[dict], entries: list[float], clock: float) -> tuple[list[dict], list[float]]:
    """As many pairs of a call and an entry of its time as there can be: the calls and entries that are left. Calls of one pod overlap
    where kube-scheduler gave one up."""
    left, unmatched = [], list(calls)
    for at in sorted(entries):
        call = min((c for c in unmatched if c["begin"] - clock <= at <= c["answered"] + clock), key=lambda c: c["answered"], default=None)
        if call is None:
            left.append(at)
        else:
            unmatched.remove(call)
    return unmatched, left


def decisions_are_recorded(story: Story, bounds: Bounds):
    """Each answered call has one entry, but for what may be lost; and no entry is without a call."""
    entries = collections.defaultdict(list)
    for line in story.by_kind["entry"]:
        if line["entry"] == "decision":
            # A chain's name begins with "sobre-REPLICA-".
            entries[line["uid"], line["chain"].split("-")[1]].append(line["time_ms"] / 1000)
    if not story.by_kind["entries-read"]:
        return
    calls = collections.defaultdict(list)
    for line in story.by_kind["call"]:
        if line["verb"] != "preempt":  # it places nothing
            calls[line["uid"], line["replica"]].append(line)
    may_lose = {}
    for replica in story.down:
        kills = [(x["at"] - bounds.kill, x["at"] + 0.1) for x in story.by_kind["replica"]
                 if x["replica"] == replica and x["step"] in ("ending", "ended") and x.get("how") == "SIGKILL"]
        # What waits in memory goes with the process: all since the database began to fail.
        failing = story.blocked(f"records:{replica}")
        kills += [(b, e) for b, e in failing.spans if any(b <= k[1] <= e + bounds.kill for k in kills)]
        lost = [(x["since"], x["until"]) for x in story.by_kind["may-lose"] if x["replica"] == replica]
        may_lose[replica] = Spans(kills + lost)
    counted: dict[tuple, float] = {}  # by process
    for line in story.by_kind["dropped"]:
        counted[line["replica"], line.get("pid")] = line["dropped"]
    for line in story.by_kind["probe"]:
        process = line["replica"], line.get("pid")
        counted[process] = max(counted.get(process, 0), line["records"].get("dropped_total", 0))
    dropped = sum(counted.values())
    missing = []
    for (uid, replica), asked in calls.items():
        unmatched, own = match([c for c in asked if c["status"] == 200], entries.pop((uid, replica), []), bounds.clock)
        for call in unmatched:
            if not may_lose[replica].touches(call["begin"], call["answered"]) and not story.blocked("clock").touches(call["begin"], call["end"]):
                missing.append(call)
        # Answers that never came may have been decided and recorded.
        for call in (c for c in asked if c["status"] != 200 and c.get("sent")):
            own = [t for t in own if not call["begin"] - bounds.clock <= t <= max(call["end"], call["begin"] + 60)]
        if own and not story.blocked("clock").spans:
            yield Violation("recorded once", f"pod {asked[0]['pod']} ({uid}) has {len(own)} decisions on record that no call asked for, or twice", own[0])
    for (uid, replica), left in entries.items():
        yield Violation("recorded once", f"a decision of {replica} about {uid} is on record, which nobody asked for", left[0])
    if len(missing) > dropped:
        for call in missing:
            yield Violation("recorded once", f"{call['verb']} about {call['pod']} ({call['uid']}) was answered by {call['replica']} and is not on record "
                            f"({len(missing)} such, {dropped:.0f} counted as dropped)", call["answered"])


def chains_are_whole(story: Story, bounds: Bounds):
    for line in story.by_kind["verified"]:
        if line["code"] != 0:
            yield Violation("chains are whole", f"{line['database']}: sobre verify says: {line['text'][:400]}", line["at"])
    sequences = collections.defaultdict(list)
    for line in story.by_kind["entry"]:
        sequences[line["database"], line["chain"]].append(line["seq"])
    for (database, chain), numbers in sequences.items():
        if sorted(numbers) != list(range(min(numbers), min(numbers) + len(numbers))):
            yield Violation("chains are whole", f"{database}: {chain} has gaps or doubles in its numbers", story.end)


def latest_opening(pod: dict) -> float:
    """As docs/annotations.md says it."""
    def moment(text: str) -> float:
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    delay, deadline = pod["annotations"].get(PREFIX + "max-delay"), pod["annotations"].get(PREFIX + "deadline")
    created = moment(pod["created"])
    ends = ([created + float(delay.rstrip("s"))] if delay else []) + ([moment(deadline)] if deadline else [])
    return min(ends) if ends else created + 24 * 3600


def unable(story: Story, bounds: Bounds) -> Spans:
    """When no replica could have opened a gate: each is down or cut off, or the API server is away."""
    spans = None
    for replica, down in story.down.items():
        own = down | story.blocked(f"link:{replica}").longer(bounds.after_link) | story.blocked(f"replica:{replica}").longer(bounds.after_link)
        spans = own if spans is None else spans & own
    return (spans or Spans()) | story.blocked("api", "clock").longer(bounds.after_link)


def gates_open(story: Story, bounds: Bounds):
    away = unable(story, bounds)
    for uid, versions in story.pods.items():
        gated = next((v for v in versions if GATE in v["gates"]), None)
        if gated is None:
            continue
        latest = latest_opening(gated)
        opened = next((v["at"] for v in versions if v["at"] >= gated["at"] and (GATE not in v["gates"] or v["type"] == "DELETED")), story.end)
        late = away.outside(max(latest, gated["at"]), opened)
        if late > bounds.gate:
            yield Violation("gates open", f"pod {gated['namespace']}/{gated['name']} ({uid}) waited {late:.0f} s past its deadline, "
                            f"at most {bounds.gate:.0f} are promised", opened)


def gates_wait(story: Story, bounds: Bounds):
    """A gate opens before its time only where a region was clean enough, or nothing was known."""
    unknown = story.blocked("signals", "clock", "link:a", "link:b").longer(bounds.signal)
    told = [(line["at"], line["intensity"]) for line in story.by_kind["signals"]]
    for uid, versions in story.pods.items():
        gated = next((v for v in versions if GATE in v["gates"]), None)
        opened = next((v["at"] for v in versions if gated and GATE not in v["gates"] and v["type"] != "DELETED"), None)
        if opened is None or opened > latest_opening(gated) - 1.5 or unknown.touches(opened, opened):
            continue
        below = float(gated["annotations"][PREFIX + "defer-below-gco2e-per-kwh"])
        # A replica that has just begun knows nothing yet.
        if any(down.touches(opened - bounds.signal, opened) for down in story.down.values()):
            continue
        if not any(v < below for told_then in story.held(told, opened - bounds.signal, opened) for v in told_then.values()):
            yield Violation("gates wait", f"pod {gated['namespace']}/{gated['name']} ({uid}) was let go before its time, with no region below {below:.0f}",
                            opened)


def probes_are_honest(story: Story, bounds: Bounds):
    hurt = {r: story.blocked(f"replica:{r}").longer(15) for r in story.down}
    stopping = {r: story.stopping(r) for r in story.down}
    silent = collections.Counter()
    for line in story.by_kind["probe"]:
        replica = line["replica"]
        if not line["running"] or line["paused"] or hurt[replica].touches(line["at"], line["at"] + 4) \
                or stopping[replica].touches(line["at"], line["at"]):
            silent[replica] = 0
            continue
        near = any(x["replica"] == replica and abs(x["at"] - line["at"]) < 6 for x in story.by_kind["replica"])
        silent[replica] = 0 if line["healthz"] == "ok" or near else silent[replica] + 1
        # A busy machine may be late once.
        if silent[replica] == 5:
            yield Violation("probes are honest", f"{replica} runs and does not answer /healthz: {line['healthz']}", line["at"])
    for call in story.by_kind["call"]:
        if call["status"] == 503 and "not ready" in call.get("said", ""):
            said = [x["readyz"] for x in story.by_kind["probe"] if x["replica"] == call["replica"] and call["begin"] - 5 < x["at"] < call["begin"] + 5]
            if said and all(s == "ok" for s in said):
                yield Violation("probes are honest", f"{call['replica']} refused as not ready while /readyz said ok", call["begin"])


def resources_are_bounded(story: Story, bounds: Bounds):
    for replica in story.down:
        seen = [x for x in story.by_kind["probe"] if x["replica"] == replica and "rss_kib" in x]
        for what, most, growth in (("rss_kib", bounds.rss_kib, bounds.rss_growth_kib), ("descriptors", bounds.descriptors, bounds.descriptors_growth)):
            worst = max(seen, key=lambda x: x[what], default=None)
            if worst and worst[what] > most:
                yield Violation("resources are bounded", f"{replica} took {worst[what]} {what}, at most {most} are allowed", worst["at"])
            settled = [x for x in seen if x["at"] >= story.settled]
            # Of one process: from its first minute's end on.
            own = [x for x in seen if settled and x["pid"] == settled[-1]["pid"]]
            early = [x for x in own if x["at"] < own[0]["at"] + 60]
            if settled and early and settled[-1][what] > max(x[what] for x in early) + growth:
                yield Violation("resources are bounded", f"{replica} went from {max(x[what] for x in early)} to {settled[-1][what]} {what}", settled[-1]["at"])


def all_settles(story: Story, bounds: Bounds):
    """After the faults and some time: both replicas are ready, gates that are due are open, and what has a node to go to is there."""
    if not story.by_kind["settled"]:
        return
    for replica in story.down:
        last = next((x for x in reversed(story.by_kind["probe"]) if x["replica"] == replica and x["at"] <= story.by_kind["settled"][-1]["until"]), None)
        if last is None or last["readyz"] != "ok":
            yield Violation("all settles", f"{replica} is not ready in the end: {last and last['readyz']}", story.end)
    until = story.by_kind["settled"][-1]["until"]
    regions = {versions[-1][1] for versions in story.nodes.values()} - {None}
    for uid, versions in story.pods.items():
        last = versions[-1]
        if last["type"] == "DELETED" or last["node"] or last["at"] > until - 60:
            continue
        space = (story.namespaces.get(last["namespace"]) or [(0, {})])[-1][1]
        if space is None or GATE in last["gates"]:
            continue  # gates have their own promise
        if any(permits(limits_of(last["annotations"], space), region) for region in regions):
            yield Violation("all settles", f"pod {last['namespace']}/{last['name']} ({uid}) has no node, though some would do", until)


def claims_hold(story: Story, bounds: Bounds):
    """What a fault itself saw, such as that a forged record is noticed."""
    for line in story.by_kind["claim"]:
        if not line["holds"]:
            yield Violation(line["claim"], f"after {line['fault']}: {line['text'][:400]}", line["at"])


PROMISES = [bound_once, plain_pods_are_bound, limits_are_marked, limits_hold, nobody_is_evicted_in_vain, one_leads, decisions_are_recorded, chains_are_whole, gates_open, gates_wait, probes_are_honest,
            resources_are_bounded, all_settles, claims_hold]


def check(lines: list[dict], bounds: Bounds = Bounds()) -> list[Violation]:
    """All violations, in the order of time."""
    story = Story(lines)
    return sorted((v for promise in PROMISES for v in promise(story, bounds)), key=lambda v: v.at)
