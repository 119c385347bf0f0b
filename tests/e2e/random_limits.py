"""Random annotations on pods and namespaces, readable and not, and where their pods may be: worked out from docs/annotations.md alone, without the program."""
import dataclasses
import random
import time

PREFIX = "sobre.dev/"


@dataclasses.dataclass(frozen=True)
class Place:
    country: str
    region: str
    operators: frozenset  # what denied-operators may call it, in lower case
    exposure: int
    certifications: frozenset


EXPOSURES = ("none-attested", "contested", "exposed")
PLACES = {
    "fr-par": Place("FR", "scaleway/fr-par", frozenset({"scaleway"}), 0, frozenset({"hds"})),
    "pl-waw": Place("PL", "scaleway/pl-waw", frozenset({"scaleway"}), 0, frozenset()),
    "eu-central-1": Place("DE", "aws/eu-central-1", frozenset({"aws", "amazon web services"}), 2, frozenset()),
    "eu-north-1": Place("SE", "aws/eu-north-1", frozenset({"aws", "amazon web services"}), 2, frozenset()),
}
CERTIFICATIONS = """provider,region,scheme,version,scope,issued,expires,checked,source,year,method,licence
scaleway,fr-par,HDS,2,hosting,2025-01-01,2099-12-31,2026-01-01,test,2026,reading,own
"""
EVERYWHERE = frozenset(PLACES)
# Countries that the catalogue knows, and in which no node is.
ELSEWHERE = ("IS", "US", "GB")

# By key: values that can be read, and values that cannot.
READABLE = {
    "allowed-countries": ["FR", "fr", " DE , SE ", "PL,FR", "EU", "EEA", "IS", "US,GB", "SE,NO"],
    "allowed-regions": ["scaleway/fr-par", "aws/eu-north-1, scaleway/pl-waw", "aws/eu-central-1"],
    "denied-operators": ["aws", "AWS", "Amazon Web Services", "scaleway", "Scaleway,aws", "Google Cloud", "Microsoft, ovhcloud"],
    "required-certifications": ["HDS", "SecNumCloud", "HDS,SecNumCloud"],
    "max-exposure": list(EXPOSURES),
    "max-eur-per-unit": ["1000", "0.0000001"],
    "max-gco2e-per-unit": ["100000", "0"],
}
UNREADABLE = {
    "allowed-countries": ["France", "FR;DE", "F", "", "FR,", "[FR]", "ＦＲ", "EU27", "QX", "UK"],
    "allowed-regions": ["fr-par", "scaleway/", "/fr-par", "scaleway/fr-par/1", "", "aws:eu-north-1", "scaleway/narnia"],
    "denied-operators": ["Gooogle", "[aws]", "aws;azure", "*", "aws azure", "", "aws,", "US", "ＡＷＳ", "nobody in particular"],
    "required-certifications": ["", "HDS,", "HSD", "ISO-99999"],
    "max-exposure": ["", "none", "Contested", "exposed!", "2"],
    "max-eur-per-unit": ["NaN", "0,5", "-1", "five", "", "1e400", "5%"],
    "max-gco2e-per-unit": ["inf", "1_0", "١", "0x10", ""],
}
# Names that may be found by an alias, or may not: refused either way is right, only a machine of theirs is wrong.
ALIASES = {"Amazon": "aws", "amazon": "aws", "Amazon AWS": "aws"}
PREFERENCES = {
    "objective": ["carbon", "cost", "priced", "balanced", "best"], "cost-tolerance": ["5", "much"], "carbon-price": ["100", "-1"],
    "expected-utilization": ["0.3", "7"], "model": ["any-model"], "bound": ["throughput", "x"], "move": ["never", "maybe"], "move-gb": ["1"],
    "max-delay": ["1h"], "egress-gb-per-unit": ["0.001"], "config": ["0123456789abcdef"],
}
# Known as well, and not said here at random.
OTHERS = {"unit", "enforced", "mode", "deadline", "defer-below-gco2e-per-kwh", "expected-duration", "data-region", "request-source", "requests-per-second",
          "tokens-per-second"}
UNKNOWN = ("countries", "country", "regions", "exposure", "max-eur", "operators", "limits", "placement", "x", "a.b_c", "allowed-countries-2")


def misspelt(dice: random.Random) -> str:
    """A key that is none, near one that is or far from all; with its prefix."""
    key = dice.choice(list(READABLE) + list(PREFERENCES))
    way = dice.randrange(6)
    if way == 0:
        return PREFIX + dice.choice(UNKNOWN)
    if way == 1:
        return dice.choice(("Sobre.dev/", "SOBRE.DEV/", "sobre.Dev/")) + key
    if way == 2:
        return PREFIX + (key.replace("-", "_") if "-" in key else f"{key}_x")
    if way == 3:
        return PREFIX + key[:1].upper() + key[1:]
    at = dice.randrange(1, len(key) - 1)
    changed = key[:at] + key[at + 1:] if way == 4 else key[:at] + dice.choice("bjkqwz") + key[at:]
    return PREFIX + (changed + "q" if changed in READABLE or changed in PREFERENCES or changed in OTHERS else changed)


def annotations(dice: random.Random, of_a_namespace: bool) -> dict[str, str]:
    said = {}
    for key in dice.sample(sorted(PREFERENCES), dice.choice((0, 0, 1, 2))):
        said[PREFIX + key] = dice.choice(PREFERENCES[key])
    limits = [k for k in READABLE if not (of_a_namespace and k.endswith("-per-unit"))]
    for key in dice.sample(limits, dice.choice((0, 1, 1, 1, 2, 3))):
        said[PREFIX + key] = dice.choice((UNREADABLE if dice.random() < 0.2 else READABLE)[key])
    if dice.random() < 0.1:
        said[PREFIX + "denied-operators"] = dice.choice(list(ALIASES))
    if dice.random() < 0.15:
        said[misspelt(dice)] = dice.choice(("FR", "carbon", "", "1"))
    if any(k.endswith("-per-unit") and k != PREFIX + "egress-gb-per-unit" for k in said):
        said[PREFIX + "unit"] = "pod-hour"  # of which the rate is known
    if of_a_namespace and dice.random() < 0.4:
        stated = [k.removeprefix(PREFIX) for k in said if k.removeprefix(PREFIX) in READABLE]
        said[PREFIX + "enforced"] = ",".join(stated or ["allowed-countries"])
    return said


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Where a pod may be, and whether it has to get there."""
    allowed: frozenset
    sure: bool = True

    def __and__(self, other: "Verdict") -> "Verdict":
        return Verdict(self.allowed & other.allowed, self.sure and other.sure)


def judge(key: str, value: str) -> Verdict:
    """Of one annotation."""
    name = key.removeprefix(PREFIX)
    if not key.startswith(PREFIX):
        return Verdict(EVERYWHERE if not key.lower().startswith(PREFIX) else frozenset())
    if name in PREFERENCES or name in OTHERS:
        return Verdict(EVERYWHERE)
    if name == "denied-operators" and value in ALIASES:
        return Verdict(frozenset(r for r, p in PLACES.items() if ALIASES[value] not in p.operators), sure=False)
    if value not in READABLE.get(name, []):
        return Verdict(frozenset())
    items = [item.strip() for item in value.split(",")]
    keeps = {
        "allowed-countries": lambda p: any(p.country == i.upper() or i in ("EU", "EEA") for i in items),
        "allowed-regions": lambda p: p.region in items,
        "denied-operators": lambda p: not p.operators & {i.lower() for i in items},
        "required-certifications": lambda p: {i.lower() for i in items} <= p.certifications,
        "max-exposure": lambda p: p.exposure <= EXPOSURES.index(value),
        "max-eur-per-unit": lambda p: float(value) > 1,
        "max-gco2e-per-unit": lambda p: float(value) > 1,
    }[name]
    return Verdict(frozenset(r for r, p in PLACES.items() if keeps(p)))


def verdict(*voices: dict[str, str]) -> Verdict:
    """Of all who speak for a pod: all hold."""
    found = Verdict(EVERYWHERE)
    for said in voices:
        for key, value in said.items():
            found &= judge(key, value)
    return found


def states_limits(said: dict[str, str]) -> bool:
    return any(key.lower().startswith(PREFIX) and key.removeprefix(PREFIX) not in {*PREFERENCES, *OTHERS} - {"enforced"} for key in said)


@dataclasses.dataclass
class Space:
    name: str
    labels: dict
    said: dict


@dataclasses.dataclass
class Pod:
    space: Space
    name: str
    said: dict
    scheduler: str
    refused: bool = False

    @property
    def goes_to_sobre(self) -> bool:
        return self.scheduler == "sobre" or self.scheduler == "default-scheduler" and "enabled" in self.space.labels.values()

    def verdict(self) -> Verdict:
        return verdict(self.space.said, self.said)

    def __str__(self) -> str:
        return f"{self.space.name}/{self.name} {self.said} in a namespace with {self.space.said} and {self.space.labels}"


def run(plane, seed: int, count: int, seconds: float = 240) -> dict[str, int]:
    """Makes the pods and waits until all was judged. What was wrong is an AssertionError; else how many of each kind there were."""
    dice = random.Random(f"limits-{seed}")
    spaces = []
    for number in range(max(4, count // 12)):
        labels = dice.choice(({"sobre.dev/placement": "enabled"}, {"sobre.dev/limits": "enabled"}, {}, {"sobre.dev/placement": "enabled", "sobre.dev/limits": "enabled"}))
        space = Space(f"random-{seed}-{number}", labels, annotations(dice, True) if dice.random() < 0.5 else {})
        plane.add_namespace(space.name, space.said, space.labels)
        spaces.append(space)
    pods, tally = [], {"refused": 0, "nowhere": 0, "placed": 0, "unsure": 0}
    for number in range(count):
        space = dice.choice(spaces)
        scheduler = "sobre" if not space.labels and dice.random() < 0.8 else dice.choice(("default-scheduler", "default-scheduler", "default-scheduler", "sobre", "other"))
        pod = Pod(space, f"pod-{number}", annotations(dice, False), scheduler)
        try:
            made = plane.add_pod(pod.name, pod.said, cpu="10m", memory="8Mi", namespace=space.name, schedulerName=scheduler)
        except OSError as error:
            assert states_limits(space.said) and not pod.goes_to_sobre and " 422 " in str(error), f"{pod}: {error}"
            pod.refused = True
            tally["refused"] += 1
            continue
        assert pod.goes_to_sobre or not states_limits(space.said), f"{pod} goes round what its namespace states"
        asked = "sobre.dev/limits" in made["spec"]["containers"][0]["resources"]["requests"]
        stated = states_limits(space.said) or states_limits(pod.said) or "sobre.dev/limits" in space.labels
        assert asked == (pod.goes_to_sobre and stated), f"{pod}: marked: {asked}"
        if pod.goes_to_sobre:
            pods.append(pod)

    def nodes() -> dict[tuple[str, str], str]:
        return {(p["metadata"]["namespace"], p["metadata"]["name"]): p["spec"].get("nodeName", "")
                for p in plane.call("GET", "/api/v1/pods")["items"] if p["metadata"]["namespace"].startswith(f"random-{seed}-")}

    def check() -> list[Pod]:
        """Those that are still to be judged; a pod on a wrong node is an error at once."""
        found, left = nodes(), []
        told = {(e["involvedObject"]["namespace"], e["involvedObject"]["name"])
                for e in plane.call("GET", "/api/v1/events?fieldSelector=reason%3DFailedScheduling")["items"]}
        for pod in pods:
            key, may = (pod.space.name, pod.name), pod.verdict()
            region = found[key].rpartition("-")[0]
            assert not region or region in may.allowed, f"{pod} is on {found[key]}, allowed: {sorted(may.allowed)}"
            if not region and ((may.allowed and may.sure) or key not in told):
                left.append(pod)
        return left

    deadline = time.monotonic() + seconds
    while (left := check()) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert not left, f"{len(left)} pods have neither a node nor a reason, or have none though some would do; the first: {left[0]}; events: " \
        f"{plane.events(left[0].name, left[0].space.name)}"
    # Now and then kube-scheduler tries again: nothing leaks later.
    time.sleep(3)
    check()
    found = nodes()
    for pod in pods:
        where = found[pod.space.name, pod.name]
        tally["placed" if where else "nowhere" if pod.verdict().sure else "unsure"] += 1
    return tally
