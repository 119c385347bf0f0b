"""The checker finds each broken promise in a made-up history, and nothing in one in which all held."""
import pytest

from tests.chaos.checker import Bounds, Spans, check, limits_of, permits

T = 1_800_000_000.0  # 2027-01-15T08:00:00Z


def line(at: float, kind: str, **fields) -> dict:
    return {"at": T + at, "kind": kind} | fields


def created(at: float) -> str:
    return f"2027-01-15T08:{int(at) // 60:02}:{int(at) % 60:02}Z"


def pod(at: float, name: str = "web", node: str = "", gates=(), marked: bool = False, annotations=None, type_: str = "MODIFIED", since: float = 10,
        namespace: str = "shop") -> dict:
    return line(at, "pod", type=type_, uid=f"uid-{name}", namespace=namespace, name=name, version=int(at * 100), node=node, gates=list(gates), marked=marked,
                scheduler="sobre", annotations=annotations or {}, created=created(since), phase="Pending")


def node(at: float, name: str, region: str, type_: str = "ADDED", uid: str = "") -> dict:
    return line(at, "node", type=type_, uid=uid or f"node-{name}", namespace="", name=name, version=int(at * 100) + 1, region=region)


def call(at: float, name: str = "web", verb: str = "prioritize", replica: str = "a", took: float = 0.1, **more) -> dict:
    return line(at + took, "call", verb=verb, uid=f"uid-{name}", pod=f"shop/{name}", replica=replica, begin=T + at, answered=T + at + took, end=T + at + took,
                status=200, delivered=True, sent=True) | more


def entry(at: float, seq: int, name: str = "web", chain: str = "sobre-a-1", kind: str = "decision") -> dict:
    return line(200, "entry", database="a", chain=chain, seq=seq, entry=kind, uid=f"uid-{name}", time_ms=int((T + at) * 1000))


def probe(at: float, replica: str = "a", readyz: str = "ok", healthz: str = "ok", rss: int = 50_000, fds: int = 30, **more) -> dict:
    return line(at, "probe", replica=replica, running=True, paused=False, healthz=healthz, readyz=readyz, rss_kib=rss, descriptors=fds, pid=7, records={}) | more


def fault(begin: float, end: float, *blocks: str, name: str = "made", number: int = 1) -> list[dict]:
    return [line(begin, "fault", name=name, number=number, step="begin"), line(begin, "fault", name=name, number=number, step="blocks", blocks=list(blocks)),
            line(end, "fault", name=name, number=number, step="end")]


def history(*more) -> list[dict]:
    """Two replicas that run from 0 to 200 s, two nodes, one plain pod that is placed and on record, and what else is given."""
    lines = [line(0, "begin", seed=1)]
    for replica in "ab":
        lines += [line(0.1, "replica", replica=replica, step="started", pid=7)] + [probe(t, replica) for t in range(1, 199)]
    lines += [node(0.2, "n-fr", "fr-par"), node(0.2, "n-pl", "pl-waw"),
              line(0.2, "namespace", type="ADDED", uid="ns-shop", namespace="", name="shop", version=1, annotations={}),
              line(0.2, "signals", intensity={"fr-par": 56, "pl-waw": 662}, prices={}),
              pod(10, type_="ADDED"), call(10.2), pod(11, node="n-fr"), entry(10.25, 1), line(200, "entries-read"),
              line(201, "verified", database="a", code=0, text="fine"), line(170, "settled", until=T + 199), line(202, "end")]
    for item in more:
        lines += item if isinstance(item, list) else [item]
    return sorted(lines, key=lambda x: x["at"])


def broken(*more, without=None) -> list[str]:
    lines = history(*more)
    if without:
        lines = [x for x in lines if not without(x)]
    return [v.promise for v in check(lines)]


LATE = {"sobre.dev/defer-below-gco2e-per-kwh": "30", "sobre.dev/max-delay": "10s"}
FRENCH = {"sobre.dev/allowed-countries": "FR"}


def test_all_is_well():
    assert check(history()) == []


def test_a_pod_bound_twice():
    assert "bound once" in broken(pod(12, node="n-pl"))


def test_a_plain_pod_that_waits_for_a_dead_sobre():
    waits = [pod(20, "slow", type_="ADDED"), pod(90, "slow", node="n-fr")]
    assert broken(waits) == ["plain pods are bound"]
    assert broken(waits, fault(15, 60, "link:a", "replica:a")) == ["plain pods are bound"], "what befalls Sobre is no excuse"
    assert broken(waits, fault(15, 60, "api")) == [], "without an API server nobody is bound"
    assert sorted(broken([pod(20, "slow", type_="ADDED")])) == ["all settles", "plain pods are bound"]
    assert broken([pod(20, "gone", type_="ADDED"), pod(30, "gone", type_="DELETED")]) == []


@pytest.mark.parametrize("annotations, place, holds", [
    (FRENCH, "n-fr", True), (FRENCH, "n-pl", False), ({"sobre.dev/allowed-regions": "scaleway/pl-waw"}, "n-fr", False),
    ({"sobre.dev/denied-operators": "scaleway"}, "n-fr", False), ({"sobre.dev/max-eur-per-unit": "0.0000001"}, "n-fr", False),
])
def test_a_pod_on_a_node_that_breaks_its_limits(annotations, place, holds):
    found = broken(pod(20, "held", type_="ADDED", marked=True, annotations=annotations), pod(22, "held", node=place, marked=True, annotations=annotations))
    assert found == ([] if holds else ["limits hold"])


def test_a_namespace_holds_its_pods_and_what_it_enforces_is_not_loosened():
    french = FRENCH | {"sobre.dev/enforced": "allowed-countries"}
    for space in (french, FRENCH):
        assert limits_of({"sobre.dev/allowed-countries": "US"}, space) == {"allowed-countries": set()}
    assert limits_of({"sobre.dev/allowed-countries": "FR,SE"}, {"sobre.dev/allowed-countries": "FR,DE"}) == {"allowed-countries": {"FR"}}
    assert limits_of({"sobre.dev/denied-operators": "aws"}, {"sobre.dev/denied-operators": "scaleway"}) == {"denied-operators": {"aws", "scaleway"}}
    assert permits({}, "pl-waw") and not permits({"allowed-countries": {"IS"}}, "pl-waw") and not permits({"allowed-countries": set()}, "pl-waw")


@pytest.mark.parametrize("annotations, space", [
    ({"sobre.dev/allowed-country": "FR"}, {}), ({"sobre.dev/countries": "FR"}, {}), ({"Sobre.dev/allowed-countries": "FR"}, {}),
    ({"sobre.dev/denied-operators": "Gooogle"}, {}), ({"sobre.dev/denied-operators": "aws;azure"}, {}), ({}, {"sobre.dev/allowed-region": "scaleway/fr-par"})])
def test_what_cannot_be_read_is_nowhere_and_is_marked(annotations, space):
    said = line(0.3, "namespace", type="ADDED", uid="ns-odd", namespace="", name="odd", version=2, annotations=space)
    made = [said, pod(20, "odd", type_="ADDED", marked=True, annotations=annotations, namespace="odd")]
    assert broken(made) == [], "it may wait for ever"
    assert broken(made, pod(22, "odd", node="n-fr", marked=True, annotations=annotations, namespace="odd")) == ["limits hold"]
    assert "limits are marked" in broken(said, pod(20, "odd", type_="ADDED", annotations=annotations, namespace="odd"))


def test_a_marker_of_a_pod_without_limits():
    """It would wait while Sobre is away."""
    assert broken(pod(20, "free", type_="ADDED", marked=True), pod(22, "free", node="n-fr", marked=True)) == ["limits are marked"]


def test_a_limit_counts_as_of_its_time():
    """A node that was French a moment ago may still be taken for it, one that was so long ago not."""
    def moved(at: float) -> list[dict]:
        return [node(at, "n-fr", "fr-par", "DELETED"), node(at, "n-fr", "pl-waw", uid="node-again"),
                pod(99, "held", type_="ADDED", marked=True, annotations=FRENCH), pod(100, "held", node="n-fr", marked=True, annotations=FRENCH)]
    assert broken(moved(95)) == []
    assert broken(moved(60)) == ["limits hold"]
    assert broken(moved(60), fault(50, 90, "link:a")) == [], "as docs/reliability.md says of a replica that is cut off"


def test_others_that_were_evicted_on_a_node_that_the_limits_refuse():
    def nominated(*nodes: str) -> list[dict]:
        waits = [pod(20, "held", type_="ADDED", marked=True, annotations=FRENCH)]
        return waits + [pod(21 + i, "held", marked=True, annotations=FRENCH) | {"nominated": node} for i, node in enumerate(nodes)] \
            + [pod(30, "held", node="n-fr", marked=True, annotations=FRENCH)]
    assert broken(nominated("n-fr", "n-fr", "")) == []
    assert broken(nominated("n-pl", "n-pl")) == ["nobody is evicted in vain"]
    assert broken(nominated("n-pl", "", "n-pl", "n-gone")) == ["nobody is evicted in vain"] * 3
    assert broken([x | {"marked": False, "annotations": {}} for x in nominated("n-pl")]) == [], "without limits anywhere"


def test_two_that_lead():
    def led(at: float, replica: str) -> dict:
        return probe(at, replica, led=[T + at, T + at + 0.1])
    assert broken(led(50.2, "a"), led(51.2, "b"), led(52.2, "a")) == ["one leads"]
    assert broken(led(50.2, "a"), led(51.2, "b"), led(56.2, "a")) == [], "it may have had it again"
    assert broken(led(50.2, "a"), led(50.25, "b"), led(52.2, "a")) == [], "which came first is not known"
    assert broken(led(50.2, "a"), led(51.2, "a"), led(52.2, "b")) == []


def test_a_decision_that_is_not_on_record():
    assert broken(call(30, verb="preempt")) == []
    assert broken(call(30, verb="prioritize")) == ["recorded once"]
    assert broken(call(30), line(190, "dropped", replica="a", dropped=1)) == [], "it was counted"
    assert broken(call(30, status=503, said="no")) == []


def test_a_decision_that_is_lost_with_a_killed_replica():
    killed = [line(30.5, "replica", replica="a", step="ending", how="SIGKILL"), line(31, "replica", replica="a", step="started")]
    assert broken(call(30), killed) == []
    assert broken(call(25), killed) == ["recorded once"], "that long before, it was on the disk"
    assert broken(call(25), killed, fault(20, 40, "records:a")) == [], "what waited in memory goes too"
    assert broken(call(30, replica="b"), killed) == ["recorded once"], "of the other replica nothing may be lost"


def test_a_decision_on_record_twice_or_unasked():
    assert broken(entry(10.26, 2)) == ["recorded once"]
    assert broken(entry(50, 2, name="ghost")) == ["recorded once"]
    assert broken(entry(50, 2), call(49.9, status=None, answered=None, end=T + 52)) == [], "the answer never came, the record did"


def test_calls_that_overlap_each_have_their_own():
    """One stood still on a replica, kube-scheduler gave it up and asked the other."""
    both = [call(30, took=10, delivered=False), call(35, replica="b"), call(38), entry(35.05, 1, chain="sobre-b-1"), entry(38.05, 2), entry(39.9, 3)]
    assert broken(both) == []
    assert broken(both[:-1]) == ["recorded once"]


def test_a_chain_that_is_not_whole():
    assert broken(line(201, "verified", database="a", code=1, text="a:5: the hash")) == ["chains are whole"]
    assert broken(entry(10.3, 3, kind="outcome")) == ["chains are whole"]
    assert broken(entry(10.3, 1, kind="outcome")) == ["chains are whole"]


def test_a_gate_that_opens_late_or_early():
    gate = ["sobre.dev/carbon"]
    def gated(opened: float) -> list[dict]:
        return [pod(20, "g", type_="ADDED", gates=gate, annotations=LATE, since=20), pod(opened, "g", annotations=LATE, since=20),
                pod(opened + 1, "g", node="n-fr", annotations=LATE, since=20)]
    assert broken(gated(31)) == []
    assert broken(gated(60)) == ["gates open"]
    assert broken(gated(60), fault(25, 58, "link:a")) == ["gates open"], "the other replica lives"
    assert broken(gated(60), fault(25, 58, "link:a", "link:b")) == []
    assert broken([gated(60)[0]]) == ["gates open"], "never"
    assert broken([gated(60)[0], pod(26, "g", type_="DELETED", gates=gate, annotations=LATE, since=20)]) == []
    # By 60 s nothing of a replica's start counts any more.
    early = [pod(80, "e", type_="ADDED", gates=gate, annotations=LATE | {"sobre.dev/max-delay": "60s"}, since=80),
             pod(90, "e", annotations=LATE | {"sobre.dev/max-delay": "60s"}, since=80), pod(91, "e", node="n-fr", annotations=LATE, since=80)]
    assert broken(early) == ["gates wait"]
    assert broken(early, line(88, "signals", intensity={"fr-par": 20}, prices={})) == []
    assert broken(early, fault(70, 85, "signals")) == [], "nothing was known"


def test_probes_that_lie():
    assert broken(call(50, status=503, said="not ready: the API server has not been listed yet")) == ["probes are honest"]
    silent = [x for x in history() if not (x["kind"] == "probe" and x["replica"] == "b" and 50 <= x["at"] - T <= 60)]
    silent += [probe(t, "b", healthz="no answer", readyz="no answer") for t in range(50, 61)]
    assert [v.promise for v in check(sorted(silent, key=lambda x: x["at"]))] == ["probes are honest"]
    told = [line(40, "replica", replica="b", step="ending", how="SIGTERM"), line(68, "replica", replica="b", step="ended", how="SIGTERM", code=0)]
    assert check(sorted(silent + told, key=lambda x: x["at"])) == [], "it was stopping"


def test_memory_or_descriptors_that_grow():
    assert broken([probe(t + 0.5, "a", rss=300_000) for t in range(150, 199)]) == ["resources are bounded"]
    assert broken(probe(50.5, "a", fds=900)) == ["resources are bounded"]


def test_what_never_settles():
    assert broken(probe(198.9, "b", readyz="503 not ready")) == ["all settles"]
    stuck = pod(20, "stuck", type_="ADDED", marked=True, annotations=FRENCH)
    assert broken(stuck) == ["all settles"]
    assert broken(pod(20, "stuck", type_="ADDED", marked=True, annotations={"sobre.dev/allowed-countries": "IS"})) == []


def test_what_a_fault_saw_itself():
    assert broken(line(50, "claim", claim="a forged record is noticed", fault="store-lies", holds=False, text="status 0")) == ["a forged record is noticed"]


def test_spans():
    spans = Spans([(0, 10), (5, 20), (30, 40)])
    assert spans.outside(0, 50) == 20
    assert (spans & Spans([(15, 35)])).spans == [(15, 20), (30, 35)]
    assert spans.longer(10).spans == [(0, 50)]
    assert spans.touches(25, 31) and not spans.touches(21, 29)
    assert Bounds().plain > 0
