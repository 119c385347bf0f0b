"""sobre backtest on the example's scenario, and what is said of mistakes."""
import html.parser
import json
import subprocess

import pytest

from tests.harness import ROOT

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


def test_help_shows_a_scenario(sobre_bin):
    shown = run(sobre_bin, "--help")
    assert shown.returncode == 0 and "policies:" in shown.stdout
