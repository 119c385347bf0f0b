"""sobre backtest on the example's scenario, and what is said of mistakes."""
import html.parser
import http.client
import json
import sqlite3
import subprocess

import pytest

from tests.harness import ROOT, Sobre

SCENARIO = ROOT / "examples" / "backtest" / "week.yaml"


def run(sobre_bin, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sobre_bin, "backtest", *map(str, arguments)], capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The example with fewer nodes and hours."""
    path = tmp_path_factory.mktemp("backtest") / "small.yaml"
    path.write_text(SCENARIO.read_text().replace("nodes: 250", "nodes: 10").replace("hours: 192", "hours: 72"))
    return path


def test_json_adds_up_and_the_same_seed_gives_the_same_bytes(sobre_bin, small):
    first = run(sobre_bin, "--in", small, "--format", "json")
    assert first.returncode == 0, first.stderr
    assert first.stdout == run(sobre_bin, "--in", small, "--format", "json").stdout
    assert first.stdout != run(sobre_bin, "--in", small, "--format", "json", "--seed", 2).stdout
    result = json.loads(first.stdout)
    assert result["hours"] == 48
    for policy in result["policies"]:
        total = policy["total"]
        for field in ("energy_kwh", "operational_gco2e", "embodied_gco2e", "eur", "vcpu_hours", "requests"):
            assert sum(hour[field] for hour in policy["hours"]) == pytest.approx(total[field])
        assert sum(place["vcpu_hours"] for place in policy["places"]) == pytest.approx(total["vcpu_hours"])
        assert policy["placed"] + policy["without_place"] == policy["pods"]
    alone, cost, carbon = ({p["policy"]: p for p in result["policies"]}[name]["total"] for name in ("kube-scheduler alone", "cost", "carbon"))
    assert carbon["gco2e_per_vcpu_hour"] < alone["gco2e_per_vcpu_hour"] < cost["gco2e_per_vcpu_hour"]
    assert cost["eur_per_vcpu_hour"] < alone["eur_per_vcpu_hour"]


def test_a_hard_limit_holds_in_each_policy_that_has_limits(sobre_bin, tmp_path):
    path = tmp_path / "bound.yaml"
    text = SCENARIO.read_text().replace("nodes: 250", "nodes: 10").replace("hours: 192", "hours: 48").replace("bound_share: 0.2", "bound_share: 1")
    path.write_text(text.replace("services: 0.4, inference: 0.3, jobs: 0.3", "services: 1, inference: 0, jobs: 0").replace("fill: 0.4", "fill: 0.1"))
    for policy in json.loads(run(sobre_bin, "--in", path, "--format", "json").stdout)["policies"]:
        outside = sum(place["pods"] for place in policy["places"] if place["region"] != "aws/eu-central-1")
        assert (outside > 0) == (policy["policy"] == "carbon without limits"), policy["policy"]


def test_text_and_page_name_every_policy(sobre_bin, small):
    text = run(sobre_bin, "--in", small).stdout
    page = run(sobre_bin, "--in", small, "--format", "html").stdout
    for name in ("kube-scheduler alone", "priced, 300 EUR/t", "carbon without limits"):
        assert name in text and name in page
    html.parser.HTMLParser().feed(page)
    assert page.count("<svg") == page.count("</svg>") == 5
    assert "<script" not in page and "http" not in page.replace("http-equiv", "")


def test_mistakes_are_told_with_their_line(sobre_bin, tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(SCENARIO.read_text().replace("objective: cost", "objective: cheap"))
    told = run(sobre_bin, "--in", path)
    assert told.returncode == 2
    assert f"{path}:" in told.stderr and "cheap" in told.stderr


def kubectl_nodes(*sizes) -> str:
    """What `kubectl get nodes -o json` prints: (name, region, GiB)."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [
        {"metadata": {"name": name, "labels": {"topology.kubernetes.io/region": region, "node.kubernetes.io/instance-type": "m5.4xlarge"}},
         "spec": {"providerID": f"aws:///{region}a/{name}"}, "status": {"allocatable": {"cpu": "15890m", "memory": f"{gib}Gi"}}}
        for name, region, gib in sizes]})


def matrix(**zones) -> str:
    """What Prometheus answers to a range query of two samples an hour from the scenario's start on."""
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": [
        {"metric": {"zone": zone}, "values": [[1551657600 + 1800 * i, str(value + (10 if i % 2 else -10))] for i in range(2 * 30)]}
        for zone, value in zones.items()]}})


def test_a_cluster_and_its_prometheus_make_a_scenario(sobre_bin, tmp_path):
    (tmp_path / "nodes.json").write_text(kubectl_nodes(*[(f"a{i}", "eu-west-3", 62) for i in range(5)], *[(f"b{i}", "eu-central-1", 62) for i in range(4)]))
    (tmp_path / "grid.json").write_text(matrix(FR=50, DE=400))
    scenario = tmp_path / "own.yaml"
    text = """{start: 2019-03-04T00:00:00Z, hours: 30, warm_up_hours: 6, nodes: {file: nodes.json}, intensity: {file: grid.json},
        prices: {m5.4xlarge.eu-west-3: 0.9, m5.4xlarge.eu-central-1: 0.8}, workload: {generate: {fill: 0.3}},
        policies: [{name: alone, sobre: false}, {name: carbon, objective: carbon}]}"""
    scenario.write_text(text)
    shown = run(sobre_bin, "--in", scenario, "--format", "json")
    assert shown.returncode == 0, shown.stderr
    alone, carbon = json.loads(shown.stdout)["policies"]
    assert {place["region"] for place in carbon["places"]} == {"aws/eu-west-3", "aws/eu-central-1"}
    assert carbon["total"]["gco2e_per_vcpu_hour"] < 0.8 * alone["total"]["gco2e_per_vcpu_hour"]
    # The mean of two samples is what a list of hours says.
    (tmp_path / "grid.csv").write_text("hour,FR,DE\n" + "".join(f"{hour},50,400\n" for hour in range(30)))
    scenario.write_text(text.replace("grid.json", "grid.csv"))
    assert run(sobre_bin, "--in", scenario, "--format", "json").stdout == shown.stdout
    for file, broken, said in [("nodes.json", kubectl_nodes(("x", "", 62)), "node x: it has no label"), ("nodes.json", "[", "nodes.json"),
                               ("grid.csv", json.dumps({"status": "error", "error": "no such metric"}), "no such metric")]:
        kept = (tmp_path / file).read_text()
        (tmp_path / file).write_text(broken)
        told = run(sobre_bin, "--in", scenario)
        assert told.returncode == 2 and f"{scenario}:1: " in told.stderr and said in told.stderr, told.stderr
        (tmp_path / file).write_text(kept)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The records of three pods in shadow mode of which nobody heard again."""
    folder = tmp_path_factory.mktemp("shadow")
    (folder / "nodes.json").write_text(kubectl_nodes(("fr", "eu-west-3", 62), ("de", "eu-central-1", 62)))
    sobre = Sobre(folder, {"records": {"directory": str(folder / "records"), "name": "sobre"}, "policy": {"annotations": {"mode": "shadow"}}}, "--nodes", folder / "nodes.json")
    connection = http.client.HTTPConnection("127.0.0.1", sobre.extender_port, timeout=30)
    for pod in ("a", "b", "c"):
        body = {"Pod": {"metadata": {"name": pod, "namespace": "shop", "uid": pod}, "spec": {"containers": [{"name": "x", "resources": {"requests": {"cpu": "1"}}}]}},
                "NodeNames": ["fr", "de"]}
        connection.request("POST", "/v1/prioritize", json.dumps(body), {"Content-Type": "application/json"})
        assert connection.getresponse().read()
    assert sobre.stop() == 0, "what it decided is written"
    database = folder / "records" / "records.db"
    with sqlite3.connect(database) as records:
        assert records.execute("SELECT COUNT(*) FROM entries WHERE kind = 'decision'").fetchone() == (3,)
    return sobre.config, database


def test_shadow_records_without_outcomes_are_counted_and_not_judged(sobre_bin, recorded):
    config, database = recorded
    result = json.loads(run(sobre_bin, "--from-audit", "--config", config, "--format", "json").stdout)
    assert (result["decisions"], result["shadow"], result["open"], result["total"]["decisions"]) == (3, 3, 3, 0)
    assert result["groups"] == result["flows"] == []
    text = run(sobre_bin, "--from-audit", "--db", database)
    assert text.returncode == 0 and "3 without an outcome" in text.stdout and "cannot be known" in text.stdout
    html.parser.HTMLParser().feed(run(sobre_bin, "--from-audit", "--db", database, "--format", "html").stdout)
    assert json.loads(run(sobre_bin, "--from-audit", "--db", database, "--to", "2020-01-01", "--format", "json").stdout)["decisions"] == 0


def test_records_that_cannot_be_read_are_named(sobre_bin, recorded, tmp_path):
    copy = tmp_path / "copy.db"
    with sqlite3.connect(recorded[1]) as original, sqlite3.connect(copy) as changed:
        original.backup(changed)
        changed.execute("UPDATE entries SET payload = x'00ff00' WHERE kind = 'decision' AND pod = 'b'")
    told = run(sobre_bin, "--from-audit", "--db", copy)
    assert told.returncode == 1 and "entry sobre-" in told.stderr and "cannot be read" in told.stderr
    copy.write_text("no database")
    for arguments, code, said in [(["--db", copy], 2, "copy.db"), (["--db", tmp_path / "none.db"], 2, "none.db"), ([], 2, "Say --config or --db"),
                                  (["--db", copy, "--by", "node"], 2, "'node' is no key"), (["--db", copy, "--from", "May"], 2, "--from: 'May'"),
                                  (["--db", copy, "--in", copy], 2, "--in is of a scenario")]:
        told = run(sobre_bin, "--from-audit", *arguments)
        assert told.returncode == code and said in told.stderr, (arguments, told)
    told = run(sobre_bin, "--in", SCENARIO, "--db", copy)
    assert told.returncode == 2 and "--db goes with --from-audit" in told.stderr


def test_help_shows_a_scenario(sobre_bin):
    shown = run(sobre_bin, "--help")
    assert shown.returncode == 0 and "policies:" in shown.stdout
