"""What `score`, `explain`, the API and the page's rows say of refused nodes, of what is unknown, and of the files that they are given."""
import json
import re
import subprocess

import pytest
import yaml

from tests.harness import Sobre, eventually, fetch

JSON = {"Content-Type": "application/json"}
CONFIG = {"limits": {"trust_node_labels": True}, "currencies": [{"currency": "USD", "eur": 0.9, "date": "2026-11-01"}]}
AT = "2026-11-23T12:00:00Z"


def node(name: str, provider: str, region: str, **allocatable: str) -> dict:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"topology.kubernetes.io/region": region}},
            "spec": {"providerID": f"{provider}://x/{name}"}, "status": {"allocatable": {"cpu": "8", "memory": "32Gi"} | allocatable}}


NODES = [node("ams", "scaleway", "nl-ams"), node("ber", "aws", "eu-central-1"), node("cra", "scaleway", "pl-waw"), node("dub", "aws", "eu-west-1"),
         node("sto", "aws", "eu-north-1")]


def pod(**annotations: str) -> dict:
    said = {f"sobre.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "shop", "uid": "u-p", "annotations": said},
            "spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "2", "memory": "4Gi"}}}]}}


class Case:
    def __init__(self, folder, program) -> None:
        self.folder, self.program = folder, program
        (folder / "nodes.json").write_text(json.dumps({"kind": "List", "items": NODES}))
        (folder / "sobre.yaml").write_text(yaml.safe_dump(CONFIG))

    def run(self, *more, nodes=None, pod=None, given=None) -> subprocess.CompletedProcess:
        for name, content in (("nodes", nodes), ("pod", pod)):
            if content is not None:
                (self.folder / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))
        arguments = [self.program, "score", "--nodes", self.folder / "nodes.json", "--pod", self.folder / "pod.json", "--config",
                     self.folder / "sobre.yaml", "--at", AT, *more]
        return subprocess.run(arguments, capture_output=True, text=True, input=given)

    def score(self, *more, **content) -> dict:
        run = self.run(*more, **content)
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)

    def explain(self, *more, **content) -> str:
        run = self.run("--explain", *more, **content)
        assert run.returncode == 0, run.stderr
        return run.stdout


@pytest.fixture
def case(tmp_path, sobre_bin) -> Case:
    return Case(tmp_path, sobre_bin)


@pytest.fixture
def service(tmp_path, case):
    sobre = Sobre(tmp_path, CONFIG | {"records": {"directory": str(tmp_path / "records")}}, "--nodes", tmp_path / "nodes.json")
    yield sobre
    sobre.stop()


def place(sobre, of: dict) -> tuple[list[str], dict[str, int]]:
    """As kube-scheduler asks: prioritize hears of those that filter let pass, where they are several."""
    asked = {"Pod": of, "Nodes": None, "NodeNames": [n["metadata"]["name"] for n in NODES]}
    passed = json.loads(fetch(sobre.url + "/v1/filter", "POST", asked, JSON))["NodeNames"]
    scores = json.loads(fetch(sobre.url + "/v1/prioritize", "POST", asked | {"NodeNames": passed}, JSON)) if passed else []
    return passed, {each["Host"]: each["Score"] for each in scores}


def kept(sobre, calls: int) -> dict:
    """The pod's placement, once so many calls about it are on record."""
    told = eventually(lambda: (told := json.loads(fetch(sobre.status_url + "/api/v1/decisions/u-p"))) and len(told["calls"]) == calls and told,
                      f"{calls} calls are on record")
    return told


@pytest.mark.parametrize("objective", ["balanced", "carbon", "cost", "priced"])
@pytest.mark.parametrize("countries", ["DE,PL", "NL,IE,PL", "PL", "SE", "EU"])
def test_score_gives_the_services_scores(case, service, countries, objective):
    of = pod(allowed_countries=countries, objective=objective)
    passed, scores = place(service, of)
    decision = case.score(pod=of)
    told = {c["node"]: c["score"] for c in decision["candidates"] if not c["refused"]}
    assert told == scores and set(told) == set(passed) and max(told.values()) == 10
    assert set(decision["best"]) == {name for name, score in scores.items() if score == 10}
    refused = [c for c in decision["candidates"] if c["refused"]]
    assert len(refused) == len(NODES) - len(passed)
    assert all(c["score"] == 0 and not c["withinTolerance"] and not c["tieWithBest"] for c in refused)


def best_of(text: str) -> str:
    return re.search(r"^Best: (\S+)", text, re.M)[1].rstrip(":,")


@pytest.mark.parametrize("annotations", [{"allowed_countries": "PL"}, {"allowed_regions": "aws/eu-central-1"}, {"denied_operators": "scaleway"},
                                         {"max_gco2e_per_unit": "2", "unit": "pod-hour"}, {"max_exposure": "none-attested"}])
def test_best_is_never_refused_and_text_and_json_agree(case, annotations):
    of = pod(**annotations)
    decision, text = case.score(pod=of), case.explain(pod=of)
    refused = {c["node"] for c in decision["candidates"] if c["refused"]}
    assert refused and not refused & set(decision["best"])
    if decision["best"]:
        assert best_of(text) in decision["best"]
    else:
        assert best_of(text) == "none" and refused == {n["metadata"]["name"] for n in NODES}
    table = text.partition("Refused, ")[0] if decision["best"] else ""
    for name in refused:
        assert not re.search(rf"^\d+ +{name} ", table, re.M), "no row, no score"
    for c in decision["candidates"]:
        if c["refused"]:
            group = next(line for line in text.splitlines() if line.startswith(f"  {c['refused']}: "))
            assert c["node"] in group.rpartition(": ")[2].split(", ")


def test_where_all_are_refused_it_says_so_with_each_reason(case):
    of = pod(allowed_countries="JP")
    decision, text = case.score(pod=of), case.explain(pod=of)
    assert decision["best"] == [] and decision["reason"].startswith("no node keeps the limits: ")
    assert "All 5 candidates are refused:" in text and "score 10" not in text
    for c in decision["candidates"]:
        assert f"  {c['refused']}: {c['node']}\n" in text


def test_the_counterfactual_counts_those_that_are_not_refused(case, service):
    of = pod(allowed_countries="NL,PL,DE", objective="carbon")
    text, decision = case.explain(pod=of), case.score(pod=of)
    assert "than the mean of 3 candidates (placement ledger)" in text
    grams = {c["node"]: c["placement"]["gco2ePerUnit"]["mid"] for c in decision["candidates"] if not c["refused"]}
    share = 1 - grams[decision["best"][0]] / (sum(grams.values()) / 3)
    percent = float(re.search(r"([0-9.]+) % fewer grams", decision["reason"])[1])
    assert percent == pytest.approx(share * 100, abs=0.5)
    place(service, of)
    rows = eventually(lambda: (rows := json.loads(fetch(service.status_url + "/api/v1/decisions"))) and len(rows) == 2 and rows, "both calls are told")
    for row in rows:
        assert f"{percent:g} % fewer grams than the mean of 3 candidates (placement ledger)" in row["reason"], row["verb"]
        assert row["ledger"] == "placement" and row["best"] == decision["best"][0]
        assert 1 - row["placementGco2ePerUnit"] / row["meanPlacementGco2ePerUnit"] == pytest.approx(share, abs=1e-9), row["verb"]
    placement = kept(service, 2)
    assert placement["decision"]["reason"] == rows[0]["reason"]


def test_a_single_allowed_candidate_says_so(case, service):
    of = pod(allowed_countries="PL")
    assert "; the only candidate of 5 that no limit refuses.\n" in case.explain(pod=of)
    asked = {"Pod": of, "Nodes": None, "NodeNames": [n["metadata"]["name"] for n in NODES]}
    fetch(service.url + "/v1/filter", "POST", asked, JSON)
    row = eventually(lambda: json.loads(fetch(service.status_url + "/api/v1/decisions")), "it is told")[0]
    assert (row["best"], row["reason"]) == ("cra", "the only candidate of 5 that no limit refuses")
    assert row["meanPlacementGco2ePerUnit"] is None


def test_explain_lists_the_refused_and_the_values_of_the_policy(case, service, tmp_path, sobre_bin):
    of = pod(allowed_countries="NL,PL", objective="carbon", max_delay="6h")
    place(service, of)
    ids = kept(service, 2)["calls"]
    for what in ("shop/p", ids[0]["id"], ids[1]["id"]):
        run = subprocess.run([sobre_bin, "explain", what, "--config", service.config], capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        assert "\nRefused, 3 of 5 candidates:\n" in run.stdout
        for name, region, country in (("ber", "eu-central-1", "DE"), ("dub", "eu-west-1", "IE"), ("sto", "eu-north-1", "SE")):
            assert f"  region aws/{region}: country {country} is not allowed: {name}\n" in run.stdout
        for said in ("allowed-countries: NL,PL (pod)", "objective: carbon (pod)", "max-delay: 6h (pod)"):
            assert f"Policy: {said}.\n" in run.stdout
        assert "Checked: made again, every figure is the same to the bit." in run.stdout
    told = kept(service, 2)
    assert {"key": "allowed-countries", "value": "NL,PL", "origin": "pod"} in told["policyValues"]
    assert told["policyFrom"] and all(re.fullmatch(r"[a-z0-9-]+: pod", each) for each in told["policyFrom"]), "as it always was"


def test_a_record_of_score_with_limits_is_made_again(case, sobre_bin):
    run = case.run("--record", pod=pod(allowed_countries="DE,PL"))
    record = json.loads(run.stdout)
    decision = case.score()
    assert record["best"]["node"] in decision["best"] and record["best"]["score"] == 10
    (case.folder / "records").write_text(run.stdout)
    verified = subprocess.run([sobre_bin, "verify", "--in", case.folder / "records"], capture_output=True, text=True)
    assert (verified.returncode, verified.stdout) == (0, "1 records made again: all agree\n"), verified.stderr


GPU_POD = {"metadata": {"name": "g"}, "spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "1", "nvidia.com/gpu": "1"}}}]}}


def test_a_cause_is_the_part_that_is_unknown(case):
    gpu = {"nvidia.com/gpu": "1"}
    named = node("named", "aws", "eu-west-3", **gpu)
    named["metadata"]["labels"]["nvidia.com/gpu.product"] = "Frobnicator-9000"
    text = case.explain(nodes=[named, node("unnamed", "aws", "eu-west-3", **gpu)], pod=GPU_POD)
    assert re.search(r"no carbon is known: accelerator model unknown \([^)]*Frobnicator-9000\) \(of named\); "
                     r"accelerator model unknown \([^)]*label[^)]*\) \(of unnamed\); ranked by cost", text), text
    assert "no grid" not in text
    text = case.explain(nodes=[node("a", "aws", "moon-1"), node("b", "aws", "moon-1")], pod=pod())
    assert "no carbon is known: no grid zone is known of region moon-1; ranked by cost" in text and "accelerator" not in text
    (case.folder / "sobre.yaml").write_text("limits: {trust_node_labels: true}\n")
    assert "no price is known: no rate from USD to euros is configured; ranked by carbon" in case.explain(nodes=NODES, pod=pod())


DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: vllm, namespace: ai, annotations: {sobre.dev/objective: cost}}
spec:
  template:
    metadata: {annotations: {sobre.dev/objective: carbon}}
    spec:
      containers:
      - {name: a, resources: {limits: {cpu: 3, memory: 8Gi}, requests: {cpu: "1"}}}
"""
CRON_JOB = """\
apiVersion: batch/v1
kind: CronJob
metadata: {name: night}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: a, resources: {limits: {cpu: 5}}}]}}}}}
"""


def test_a_manifest_is_scored_as_the_pod_that_it_makes(case):
    run = case.run(pod=DEPLOYMENT)
    decision = json.loads(run.stdout)
    assert (decision["pod"]["millicpu"], decision["pod"]["memoryBytes"]) == ("1000", str(8 << 30)), "a limit is the request where none is stated"
    assert (decision["pod"]["namespace"], decision["pod"]["workload"], decision["policy"]["objective"]) == ("ai", "vllm", "carbon")
    assert "sobre.dev/objective: on the Deployment itself, which its pods do not inherit" in run.stderr
    run = case.run(pod=CRON_JOB)
    decision = json.loads(run.stdout)
    assert decision["pod"]["batchJob"] and decision["pod"]["millicpu"] == "5000" and run.stderr == ""


def test_of_several_pods_one_is_named(case):
    run = case.run(pod=DEPLOYMENT + "---\n" + CRON_JOB)
    assert json.loads(run.stdout)["pod"]["workload"] == "vllm"
    assert "took Deployment/vllm; --template NAME takes another: CronJob/night" in run.stderr
    assert case.score("--template", "night")["pod"]["workload"] == "night"
    run = case.run("--template", "morning")
    assert run.returncode == 2 and "no pod is called 'morning': there are Deployment/vllm; CronJob/night" in run.stderr


def test_files_come_from_standard_input_and_as_yaml(case):
    arguments = [case.program, "score", "--at", AT, "--config", case.folder / "sobre.yaml"]
    (case.folder / "nodes.yaml").write_text("---\n".join(yaml.safe_dump(n) for n in NODES))
    run = subprocess.run([*arguments, "--nodes", case.folder / "nodes.yaml", "--pod", "-"], input=yaml.safe_dump(pod()), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert len(json.loads(run.stdout)["candidates"]) == len(NODES)
    run = subprocess.run([*arguments, "--nodes", "-", "--pod", "-"], input="{}", capture_output=True, text=True)
    assert run.returncode == 2 and "standard input (-) can be one of the files alone" in run.stderr


@pytest.mark.parametrize("given, said", [
    (NODES[0], "a Node, not a Pod"), ({"kind": "Deployment", "metadata": {"name": "d"}, "spec": {}}, "a Deployment without spec.template.spec.containers"),
    ({"kind": "PodList", "items": [pod()]}, "a PodList, not a Pod: --template NAME takes one of it: Pod/p"), ("", "nothing is in it"),
    ({"kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": []}}, "a Service, not a Pod"), ("[]", "a List without an item")])
def test_what_is_no_pod_is_refused_by_name(case, given, said):
    run = case.run(pod=given)
    assert run.returncode == 2 and run.stdout == "" and f"{case.folder / 'pod.json'}: {said}" in run.stderr, run.stderr


@pytest.mark.parametrize("given, said", [
    ({"kind": "PodList", "items": [{"metadata": {"name": "p"}}]}, "a PodList, not a Node"), (pod(), "a Pod, not a Node"),
    ({"kind": "List", "items": [NODES[0], pod()]}, "a Pod, not a Node"), (DEPLOYMENT, "a Deployment, not a Node")])
def test_what_is_no_node_is_refused_by_name(case, given, said):
    run = case.run(nodes=given, pod=pod())
    assert run.returncode == 2 and run.stdout == "" and said in run.stderr, run.stderr
