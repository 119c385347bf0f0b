"""`sobre regions`: every region and machine that is known, ranked for a pod by files alone."""
import json
import re
import subprocess

import pytest

from tests import programs
from tests.harness import ROOT

AT = "2026-11-24T00:00:00Z"
ROWS = {"certifications.csv": "provider,region,scheme,version,scope,issued,expires,checked,source,year,method,licence\n"
                              "scaleway,nl-ams,HDS,2,hosting,2023-05-16,2028-05-16,2026-01-01,example,2026,reading,own\n"}


class Case:
    def __init__(self, folder) -> None:
        self.folder = folder
        self.annotations, self.nodes, self.signals = {"unit": "pod-hour"}, [], []

    def node(self, name: str, region: str, price: float) -> "Case":
        self.nodes.append({"metadata": {"name": name, "labels": {
            "sobre.dev/provider": "scaleway", "topology.kubernetes.io/region": region, "node.kubernetes.io/instance-type": "PRO2-M"}},
            "status": {"allocatable": {"cpu": "16", "memory": "64Gi"}}})
        return self.signal("node_price_per_hour", price, node=name)

    def signal(self, name: str, value: float, **labels: str) -> "Case":
        self.signals.append({"signal": name, "labels": labels, "value": value, "time": AT, "source": "example"})
        return self

    def run(self, *more: str) -> subprocess.CompletedProcess:
        (self.folder / "rows").mkdir(exist_ok=True)
        for name, rows in ROWS.items():
            (self.folder / "rows" / name).write_text(rows)
        pod = {"metadata": {"name": "web-0", "namespace": "shop", "annotations": {f"sobre.dev/{k}": v for k, v in self.annotations.items()}},
               "spec": {"containers": [{"name": "app", "resources": {"requests": {"cpu": "2", "memory": "4Gi"}}}]}}
        files = {"pod": pod, "config": {"catalog": {"directory": "rows"}, "currencies": [{"currency": "USD", "eur": 0.92, "date": "2026-11-01"}]},
                 "nodes": {"items": self.nodes}, "signals": self.signals}
        arguments = [programs.sobre(), "regions", "--at", AT, *more]
        for name, content in files.items():
            (self.folder / f"{name}.json").write_text(json.dumps(content))
            arguments += [f"--{name}", str(self.folder / f"{name}.json")]
        return subprocess.run(arguments, capture_output=True, text=True)

    def ranked(self) -> dict:
        done = self.run("--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def case(tmp_path):
    return Case(tmp_path)


def by_name(answer: dict) -> dict:
    return {o["offer"]: o for o in answer["offers"]}


def test_a_region_without_a_node_can_win(case):
    case.annotations["objective"] = "carbon"
    answer = case.node("n1", "pl-waw", 0.5).node("n2", "pl-waw", 0.7).ranked()
    best = answer["offers"][0]
    assert best["nodes"] == 0 and best["score"] == 10 and answer["ledger"] == "new capacity"
    warsaw = by_name(answer)["scaleway/pl-waw/PRO2-M"]
    assert (warsaw["nodes"], warsaw["eurPerHour"], warsaw["priceFrom"]) == (2, 0.5, "median of 2 nodes: example")
    grams = [o["gco2ePerUnit"]["mid"] for o in answer["offers"]]
    assert grams == sorted(grams)
    assert warsaw["gco2ePerUnit"]["mid"] == max(o["gco2ePerUnit"]["mid"] for o in answer["offers"] if o["offer"].startswith("scaleway/"))
    # By hand: the pod's 2 of 16 vCPU and 4 of 64 GiB, by the proportions of list prices.
    cpu, memory = 16 * 0.031611, 64 * 2**30 / 1e9 * 0.004237
    assert warsaw["eurPerUnit"] == pytest.approx(0.5 * (cpu * 2 / 16 + memory * 4 / 64) / (cpu + memory))


def test_limits_refuse_offers_by_the_rows_of_their_place(case):
    case.annotations |= {"required-certifications": "HDS", "max-exposure": "none-attested"}
    offers = case.node("n1", "pl-waw", 0.5).ranked()["offers"]
    assert [o["offer"] for o in offers if not o["refused"]] == ["scaleway/nl-ams"]
    assert offers[0]["certifications"][0]["state"] == "valid"
    assert by_name({"offers": offers})["aws/eu-west-3"]["refused"].endswith("at most none-attested is allowed")


def test_live_intensity_ranks_where_all_that_may_be_chosen_have_it(case):
    case.annotations |= {"objective": "carbon", "allowed-regions": "scaleway/pl-waw,aws/eu-north-1"}
    case.signal("grid_gco2e_per_kwh", 500, provider="aws", region="eu-north-1")
    assert case.ranked()["intensityBasis"] == "catalogue"
    answer = case.signal("grid_gco2e_per_kwh", 20, zone="PL").ranked()
    assert answer["intensityBasis"] == "live" and answer["offers"][0]["offer"] == "scaleway/pl-waw"


def test_the_text_has_a_line_for_each_offer(case):
    case.annotations["allowed-countries"] = "FR"
    done = case.node("n1", "fr-par", 0.5).run()
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[2].startswith("score") and "scaleway/fr-par/PRO2-M" in done.stdout
    assert any("aws/eu-north-1" in line and "refused: region aws/eu-north-1: country SE is not allowed" in line for line in lines)
    assert any(line.startswith("Note: price estimated") for line in lines)


@pytest.mark.parametrize("arguments, said", [(["--pod", "/nowhere"], "/nowhere"), (["--jsn"], "did you mean '--json'"), ([], "--pod FILE is required")])
def test_wrong_usage_is_told(arguments, said):
    done = subprocess.run([programs.sobre(), "regions", *arguments], capture_output=True, text=True)
    assert done.returncode == 2 and said in done.stderr and not done.stdout


def test_the_documented_clusters_are_a_configuration(case, tmp_path):
    text = (ROOT / "docs" / "clusters.md").read_text()
    path = tmp_path / "documented.yaml"
    path.write_text(re.search(r"```yaml\n(clusters:.*?)```", text, re.S)[1])
    case.run()
    arguments = [programs.sobre(), "regions", "--at", AT, "--pod", str(tmp_path / "pod.json"), "--config"]
    assert subprocess.run([*arguments, str(path)], capture_output=True).returncode == 0
    path.write_text(path.read_text().replace("region: pl-waw", "regio: pl-waw"))
    refused = subprocess.run([*arguments, str(path)], capture_output=True, text=True)
    assert refused.returncode == 2 and "clusters.managed[1].regio'; did you mean 'region'" in refused.stderr
