"""The JSON of the second port on the demo's world and on 5,000 nodes: fields by the documentation, errors, the stream, what-if."""
import http.client
import json
import re
import urllib.error

import pytest

from tests.documented import check, documented
from tests.harness import ROOT, Process, Sobre, eventually, fetch
from tests.test_page import Demo

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory, sobre_bin):
    demo = Demo(tmp_path_factory.mktemp("api"), sobre_bin, 30)
    yield demo
    demo.process.stop()


def refused(url: str) -> tuple[int, str]:
    with pytest.raises(urllib.error.HTTPError) as error:
        fetch(url)
    return error.value.code, json.loads(error.value.read())["error"]


@pytest.mark.parametrize("address", ["overview", "decisions", "decisions/{id}", "what-if/{id}", "regions", "ranking", "nodes", "policy", "signals",
                                     "workloads", "budgets", "recommendations"])
def test_answers_are_as_documented(demo, address):
    for decision in demo.get("decisions") if "{id}" in address else [{"uid": ""}]:
        answer = demo.get(address.replace("{id}", decision["uid"]))
        assert answer, address
        check(answer, documented(address), address)


def test_regions_are_ranked_for_a_running_workload(demo):
    decision = next(d for d in demo.get("decisions") if d["bound"])
    namespace, name = decision["pod"].split("/")
    answers = [demo.get(f"regions?namespace={namespace}&{key}={value}") for key, value in [("workload", decision["workload"]), ("pod", name)]]
    for answer in answers:
        check(answer, documented("regions?namespace={namespace}&workload={workload}"), "regions")
        assert answer["pod"]["workload"] == decision["workload"]
        places = {(o["provider"], o["region"]): o["nodes"] for o in answer["offers"]}
        assert ("aws", "eu-west-1") in places and 0 in places.values() and any(places.values()), "with nodes, and without"
        allowed = [o["score"] for o in answer["offers"] if not o["refused"]]
        assert allowed == sorted(allowed, reverse=True)
    assert isinstance(demo.get("regions"), list), "without a workload: the places of nodes"


def test_decisions_are_newest_first(demo):
    decisions = demo.get("decisions")
    assert [d["seq"] for d in decisions] == sorted((d["seq"] for d in decisions), reverse=True)
    assert len(demo.get("decisions?limit=3")) == 3
    assert all(d["bound"] and d["followed"] for d in decisions), "the demo binds to the best"


def test_recommendations_are_found_by_what_they_are(demo):
    # What holds no longer after the last pod expires within seconds.
    eventually(lambda: demo.get("recommendations")["counts"]["expired"] > 1, "advice is settled")
    everything = demo.get("recommendations")
    assert sum(everything["counts"].values()) == len(everything["recommendations"]) > 5 and everything["problem"] == ""
    for namespace in {a["namespace"] for a in everything["recommendations"]} | {"empty"}:
        one = demo.get(f"recommendations?namespace={namespace}")
        assert sum(one["counts"].values()) == len(one["recommendations"]), "not of other namespaces, which somebody may not see"
    for key in ("state", "kind", "namespace", "workload", "id"):
        for value in {a[key] for a in everything["recommendations"]}:
            found = demo.get(f"recommendations?{key}={value}")["recommendations"]
            assert found and all(a[key] == value for a in found), (key, value)


def test_the_table_names_every_address(demo):
    table = (ROOT / "docs" / "api.md").read_text()
    for address in re.findall(r"`/api/v1/([a-z-]+)`", table):
        if address != "stream":
            assert demo.get(address) is not None


@pytest.mark.parametrize("path, said", [
    ("decisions?limit=0", "limit"), ("decisions?limt=3", "did you mean 'limit'"), ("decisions?limit=x", "limit"),
    ("ranking?cpu=0", "cpu"), ("ranking?cpu=1e9", "cpu"), ("ranking?memory-gib=NaN", "memory-gib"), ("ranking?gpus=1.5", "gpus"),
    ("ranking?objective=cheap", "objective"), ("ranking?carbon-price=-1", "carbon-price"), ("ranking?cost-tolerance=x", "cost-tolerance"),
    ("workloads?days=0", "days"), ("workloads?by=pod", "by"), ("reports?from=yesterday", "from"), ("reports?by=nonsense", "by"),
    ("reports?format=xml", "format"), ("reports?from=2020-01-01", "800 days"), ("labels/shop/checkout.svg?lang=de", "lang"),
    ("labels/model.svg", "name"), ("regions?workload=web", "namespace"), ("regions?namespace=shop", "either"),
    ("regions?namespace=shop&pod=a&workload=b", "either"), ("recommendations?state=begun", "state: expected one of open, accepted"),
    ("recommendations?kind=jump", "kind"),
    *((f"{address}?x=1", "unknown parameter") for address in ("overview", "nodes", "signals", "budgets", "policy", "regions", "recommendations"))])
def test_bad_parameters_are_named(demo, path, said):
    status, error = refused(f"{demo.url}api/v1/{path}")
    assert status == 400 and said in error


@pytest.mark.parametrize("path", ["decisions/nobody", "what-if/nobody", "labels/shop/nothing.svg", "labels/shop.svg", "labels/shop/checkout.png", "nothing",
                                  "regions?namespace=shop&workload=nobody", "regions?namespace=nobody&pod=x"])
def test_what_is_not_there_is_404(demo, path):
    assert refused(f"{demo.url}api/v1/{path}")[0] == 404


def test_the_same_policy_gives_the_same_scores_and_each_step_its_winner(demo):
    for decision in {d["workload"]: d for d in demo.get("decisions") if d["verb"] == "prioritize"}.values():
        uid = decision["uid"]
        made = demo.get(f"decisions/{uid}")["decision"]
        same = demo.get(f"what-if/{uid}")
        assert [c["score"] for c in same["candidates"]] == [c["scoreBefore"] for c in same["candidates"]]
        assert {c["node"]: c["score"] for c in same["candidates"]} == {c["node"]: c["score"] for c in made["candidates"]}
        assert same["best"] == same["bestBefore"]
        assert same["policy"]["objective"] == made["policy"]["objective"]
        steps = demo.get(f"what-if/{uid}?objective=priced")["carbonPriceSteps"]
        for step in steps:
            price = step["from"] * (1 + 1e-9) + 1e-9
            if price < 1e6:
                assert step["node"] in demo.get(f"what-if/{uid}?objective=priced&carbon-price={price!r}")["best"], (uid, step)
        for step in demo.get(f"what-if/{uid}?objective=balanced")["costToleranceSteps"]:
            tolerance = step["from"] * (1 + 1e-9) + 1e-9
            if tolerance < 1e4:
                assert step["node"] in demo.get(f"what-if/{uid}?objective=balanced&cost-tolerance={tolerance!r}")["best"], (uid, step)


def test_prices_add_up(demo):
    uid = demo.get("decisions?limit=1")[0]["uid"]
    for c in demo.get(f"what-if/{uid}?objective=priced&carbon-price=250")["candidates"]:
        assert c["pricedEurPerUnit"] == pytest.approx(c["eurPerUnit"] + 250e-6 * c["gco2ePerUnit"], rel=1e-12)


def test_rows_bound_what_is_told(demo):
    uid = next(d for d in demo.get("decisions") if d["candidates"] > 5)["uid"]
    whole = demo.get(f"decisions/{uid}")["decision"]
    part = demo.get(f"decisions/{uid}?rows=2")["decision"]
    assert part["candidates"] == whole["candidates"][:2] and part["best"] == whole["best"]
    assert part["candidatesLeftOff"] == len(whole["candidates"]) - 2


def test_running_counts_all_pods_with_their_bounds(demo):
    running = demo.get("overview")["running"]
    assert running["pods"] == running["knownPods"] == demo.get("overview")["watchedPods"]
    assert running["lowGco2ePerHour"] < running["gco2ePerHour"] < running["highGco2ePerHour"]
    assert running["gco2ePerRequest"] * running["requestsPerHour"] <= running["gco2ePerHour"] * (1 + 1e-9)
    assert 0 < running["measuredShare"] < 1 and running["liveShare"] == 1


def test_regions_say_how_far_certificates_are_known(demo):
    states = {c["state"] for r in demo.get("regions") for c in r["certifications"]}
    assert states and states <= {"valid", "expired", "unknown"}
    for region in demo.get("regions"):
        for certificate in region["certifications"]:
            assert (certificate["state"] == "unknown") == (certificate["expires"] == ""), certificate


def test_steps_name_nobody_who_is_refused(tmp_path, sobre_bin):
    nodes = [{"metadata": {"name": f"n-{i}", "labels": {"topology.kubernetes.io/region": "fr-par" if i % 2 else "pl-waw"}},
              "spec": {"providerID": f"scaleway://instance/{'fr-par' if i % 2 else 'pl-waw'}-1/{i}"}, "status": {"allocatable": {"cpu": "8", "memory": "32Gi"}}}
             for i in range(4)]
    (tmp_path / "nodes.json").write_text(json.dumps({"items": nodes}))
    sobre = Sobre(tmp_path, {"records": {"directory": str(tmp_path / "records")}, "limits": {"trust_node_labels": True}}, "--nodes", tmp_path / "nodes.json")
    try:
        for country, winners in (("FR", {"n-1", "n-3"}), ("JP", set())):
            pod = {"metadata": {"name": "p", "namespace": "shop", "uid": country, "annotations": {"sobre.dev/allowed-countries": country}},
                   "spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "1"}}}]}}
            fetch(sobre.url + "/v1/filter", "POST", {"Pod": pod, "Nodes": None, "NodeNames": [n["metadata"]["name"] for n in nodes]}, JSON)
            told = eventually(lambda: json.loads(fetch(f"{sobre.status_url}/api/v1/what-if/{country}?objective=priced")), "the record is written")
            assert set(told["best"]) == winners
            assert {s["node"] for s in told["carbonPriceSteps"] + told["costToleranceSteps"]} <= winners
            placement = json.loads(fetch(f"{sobre.status_url}/api/v1/decisions/{country}"))
            assert len(placement["refused"]) == 4 - len(winners) and set(placement["decision"]["paretoFront"]) <= winners
    finally:
        sobre.stop()


def test_workloads_add_up_to_the_report(demo):
    rows = demo.get("workloads?days=24")
    assert {w["workload"]: round(w["pods"], 1) for w in demo.get("workloads?days=7")["workloads"]}["checkout"] == 6.0, "standing replicas all week"
    models = demo.get("workloads?days=24&by=model")["workloads"]
    assert {m["model"] for m in models} == {"llama-3.1-8b", "bge-m3"}
    for workload in rows["workloads"]:
        for key in ("gco2e", "eur", "energyKwh", "requests", "tokens"):
            assert sum(p[key] for p in workload["trend"]) == pytest.approx(workload[key], rel=1e-9), (workload["workload"], key)
    assert [w["namespace"] for w in demo.get("workloads?namespace=ai")["workloads"]] == ["ai"] * 3
    assert {w["workload"] for w in demo.get("workloads?team=finance")["workloads"]} == {"payroll", "report"}


def test_reports_come_in_every_format(demo):
    for kind, begin in [("csv", b"namespace"), ("focus", b"Availability"), ("html", b"<!doctype html>"), ("text", b"Usage from")]:
        body = fetch(f"{demo.url}api/v1/reports?by=namespace&format={kind}")
        assert body.lower().lstrip(b"\xef\xbb\xbf").startswith(begin.lower()) or kind == "focus" and b"EffectiveCost" in body.splitlines()[0], kind


def lines_of(reply):
    while line := reply.readline():
        yield line.decode().rstrip("\n")


def test_the_stream_tells_each_placement_and_resumes(tmp_path, sobre_bin):
    process = Process(tmp_path / "demo.log", sobre_bin, "demo", "--port", "0", "--pods", "0", "--interval", "50ms")
    try:
        url = eventually(lambda: re.search(r"http://127\.0\.0\.1:(\d+)/", (tmp_path / "demo.log").read_text()), "the demo's address")

        def follow(count: int, headers: dict) -> list[int]:
            connection = http.client.HTTPConnection("127.0.0.1", int(url[1]), timeout=30)
            connection.request("GET", "/api/v1/stream", headers=headers)
            reply = connection.getresponse()
            assert reply.headers["Content-Type"] == "text/event-stream; charset=utf-8" and reply.headers["X-Accel-Buffering"] == "no"
            seen, bound, event = [], set(), ""
            for line in lines_of(reply):
                if line.startswith("event: "):
                    event = line[7:]
                elif line.startswith("data: ") and event == "decisions":
                    batch = json.loads(line[6:])
                    assert batch["skipped"] == 0 and len(batch["decisions"]) <= 50
                    check(batch["decisions"], documented("decisions"), "stream")
                    seen += [d["seq"] for d in batch["decisions"]]
                elif line.startswith("data: ") and event == "outcomes":
                    bound |= {o["uid"] for o in json.loads(line[6:])}
                if len(seen) >= count and bound:
                    connection.close()
                    return seen
            raise AssertionError("the stream ended")

        seen = follow(20, {})
        assert seen == list(range(seen[0], seen[0] + len(seen))), "each once, in order"
        again = follow(5, {"Last-Event-ID": str(seen[-1])})
        assert again[0] == seen[-1] + 1, "from where it was left"
    finally:
        process.stop()


def test_streams_are_bounded_and_others_are_served(demo):
    port = int(demo.url.rsplit(":", 1)[1].strip("/"))
    followers = [http.client.HTTPConnection("127.0.0.1", port, timeout=30) for _ in range(16)]
    replies = []  # one that is forgotten closes its connection
    try:
        for follower in followers:
            follower.request("GET", "/api/v1/stream")
            replies.append(follower.getresponse())
        assert {reply.status for reply in replies} == {200}
        assert refused(demo.url + "api/v1/stream")[0] == 503
        assert demo.get("overview")["ready"]
    finally:
        for follower in followers:
            follower.close()


def test_without_records_it_says_how_to_keep_them(tmp_path, sobre_bin):
    nodes = [{"metadata": {"name": f"n-{i}", "labels": {"topology.kubernetes.io/region": "fr-par"}},
              "spec": {"providerID": f"scaleway://instance/fr-par-1/{i}"}, "status": {"allocatable": {"cpu": "8", "memory": "32Gi"}}} for i in range(5000)]
    (tmp_path / "nodes.json").write_text(json.dumps({"items": nodes}))
    sobre = Sobre(tmp_path, {}, "--nodes", tmp_path / "nodes.json")
    try:
        for path in ("decisions/u", "what-if/u", "workloads", "reports", "labels/a/b.svg"):
            status, error = refused(f"{sobre.status_url}/api/v1/{path}")
            assert status == 404 and "records.directory" in error, path
        pod = {"metadata": {"name": "p", "namespace": "shop", "uid": "u"}, "spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "1"}}}]}}
        fetch(sobre.url + "/v1/prioritize", "POST", {"Pod": pod, "Nodes": None, "NodeNames": ["n-1", "n-2"]}, JSON)
        eventually(lambda: json.loads(fetch(sobre.status_url + "/api/v1/decisions")), "the decision is told")
        ranking = json.loads(fetch(sobre.status_url + "/api/v1/ranking?cpu=1"))
        assert {len(column) for column in ranking["nodes"].values()} == {5000}
        assert all(ranking["nodes"]["fits"]) and ranking["best"]
        too_large = json.loads(fetch(sobre.status_url + "/api/v1/ranking?cpu=9"))
        assert not any(too_large["nodes"]["fits"]) and too_large["best"] == [], "none is best that has no room"
        overview = json.loads(fetch(sobre.status_url + "/api/v1/overview"))
        assert overview["records"]["enabled"] is False and overview["accounted"] is None
    finally:
        sobre.stop()


def test_without_accounting_it_says_how_to_switch_it_on(tmp_path, sobre_bin):
    node = {"metadata": {"name": "n", "labels": {"topology.kubernetes.io/region": "fr-par"}},
            "spec": {"providerID": "scaleway://instance/fr-par-1/n"}, "status": {"allocatable": {"cpu": "8", "memory": "32Gi"}}}
    (tmp_path / "nodes.json").write_text(json.dumps({"items": [node]}))
    config = {"records": {"directory": str(tmp_path / "records")}, "accounting": {"enabled": False}}
    sobre = Sobre(tmp_path, config, "--nodes", tmp_path / "nodes.json")
    try:
        for path in ("workloads", "reports", "labels/a/b.svg"):
            # The file and its tables are made while it serves.
            status, error = eventually(lambda: (told := refused(f"{sobre.status_url}/api/v1/{path}"))[0] != 503 and told, "the records can be read")
            assert status == 404 and "accounting.enabled" in error, path
        assert json.loads(fetch(sobre.status_url + "/api/v1/overview"))["accounted"] is None
    finally:
        sobre.stop()
