"""Where a node is and whose it is: every command that reads nodes reads them as the configuration says."""
import json
import subprocess
import urllib.request

import pytest
import yaml

from tests import programs
from tests.harness import Process, eventually, free_ports

AT = "2026-11-24T00:00:00Z"
POD = {"metadata": {"name": "web-0", "namespace": "shop"},
       "spec": {"containers": [{"name": "app", "resources": {"requests": {"cpu": "1", "memory": "2Gi"}}}]}}


def node(name: str, provider_id: str = "", cpu: str = "4", **labels: str) -> dict:
    known = {"region": "topology.kubernetes.io/region", "zone": "topology.kubernetes.io/zone", "type": "node.kubernetes.io/instance-type",
             "grid": "sobre.dev/grid-zone", "ovh": "node.k8s.ovh/type", "pool": "pool"}
    return {"metadata": {"name": name, "labels": {known[k]: v for k, v in labels.items()}}, "spec": {"providerID": provider_id},
            "status": {"allocatable": {"cpu": cpu, "memory": "16Gi"}}}


class Case:
    def __init__(self, folder) -> None:
        self.folder, self.nodes, self.config, self.annotations = folder, [], {}, {}

    def arguments(self, command: str, *more: str) -> list:
        pod = {**POD, "metadata": {**POD["metadata"], "annotations": {f"sobre.dev/{k}": v for k, v in self.annotations.items()}}}
        (self.folder / "nodes.json").write_text(json.dumps({"items": self.nodes}))
        (self.folder / "pod.json").write_text(json.dumps(pod))
        (self.folder / "sobre.yaml").write_text(yaml.safe_dump(self.config))
        of_pod = ["--pod", str(self.folder / "pod.json"), "--at", AT] if command in ("score", "regions") else []
        return [programs.sobre(), command, "--nodes", str(self.folder / "nodes.json"), "--config", str(self.folder / "sobre.yaml"),
                *of_pod, *more]

    def run(self, command: str, *more: str) -> str:
        done = subprocess.run(self.arguments(command, *more), capture_output=True, text=True)
        assert done.returncode in (0, 1) and done.stdout, done.stderr
        return done.stdout

    def score(self) -> tuple[dict, list]:
        answer = json.loads(self.run("score"))
        return {c["node"]: c for c in answer["candidates"]}, answer.get("notes", [])


@pytest.fixture
def case(tmp_path):
    return Case(tmp_path)


def place(candidate: dict) -> tuple:
    return candidate.get("provider", ""), candidate.get("gridZone", "")


def test_one_region_name_is_two_places_under_one_scheme(case):
    case.nodes = [node("paris", "aws:///eu-west-2b/i-1", region="eu-west-2", type="tinav5.c2r8p1"),
                  node("london", "aws:///eu-west-2b/i-2", region="eu-west-2", type="c7g.large"),
                  node("either", "aws:///eu-west-2b/i-3", region="eu-west-2")]
    candidates, notes = case.score()
    assert place(candidates["paris"]) == ("outscale", "FR")
    assert place(candidates["london"]) == ("aws", "GB")
    assert place(candidates["either"]) == ("", "")
    assert any("aws and outscale" in note and "either" in note for note in notes), notes
    # Limits that trust labels follow.
    case.config = {"limits": {"trust_node_labels": True}}
    case.annotations = {"allowed-countries": "FR"}
    text = case.run("score", "--explain")
    assert "aws/eu-west-2: country GB is not allowed" in text
    assert "outscale/eu-west-2: country" not in text


def test_a_default_and_rules_are_heard_by_every_command(case):
    case.nodes = [node("upper", "openstack:///1", region="EU-WEST-GRA", type="b3-8"), node("managed", "openstack:///2", region="SBG5", ovh="standard"),
                  node("ruled", "gce://p/europe-west9-a/n", region="europe-west9", pool="secure-2")]
    case.config = {"kubernetes": {"default_provider": "ovhcloud", "providers": [
        {"match": {"provider_id": "gce://*", "labels": {"pool": "secure-*"}}, "provider": "mine"},
        {"match": {"region": "nowhere"}, "provider": "theirs"}]},
        "catalog": {"directory": "rows"}}
    (case.folder / "rows").mkdir()
    (case.folder / "rows" / "regions.csv").write_text("provider,region,zone,source,year,method,licence\nmine,europe-west9,LU,me,2026,reading,own\n")
    expected = {"upper": ("ovhcloud", "FR"), "managed": ("ovhcloud", "FR"), "ruled": ("mine", "LU")}
    candidates, _ = case.score()
    assert {name: place(c) for name, c in candidates.items()} == expected
    offers = {o["offer"] for o in json.loads(case.run("regions", "--json"))["offers"]}
    assert {"ovhcloud/EU-WEST-GRA/b3-8", "mine/europe-west9/4vcpu-16gib"} <= offers, offers
    found = case.run("doctor")
    assert "grid intensity: unknown" not in found
    assert "kubernetes.providers[1] (theirs) fits no node" in found and "providers[0]" not in found
    extender, status = free_ports(2)
    case.config["listen"] = {"extender": f"127.0.0.1:{extender}", "status": f"127.0.0.1:{status}"}
    service = Process(case.folder / "log", *case.arguments("serve"))
    try:
        def seen():
            with urllib.request.urlopen(f"http://127.0.0.1:{status}/api/v1/nodes", timeout=5) as answer:
                return json.load(answer)
        assert {n["node"]: (n["provider"], n["gridZone"]) for n in eventually(seen, "the nodes are served")} == expected
        # A node that only the request knows.
        stranger = node("stranger", "openstack:///9", region="RBX-A")
        body = {"Pod": POD, "Nodes": {"items": [stranger, case.nodes[0]]}}
        request = urllib.request.Request(f"http://127.0.0.1:{extender}/v1/prioritize", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            assert all(one["Score"] > 0 for one in json.load(answer))
    finally:
        service.stop()


def test_a_part_of_a_country_has_its_mean_and_a_note(case):
    case.nodes = [node("hydro", grid="CA-QC"), node("mean", grid="CA")]
    _, notes = case.score()
    assert any(note.startswith("grid intensity of CA-QC not known") and "hydro" in note for note in notes), notes
    assert not any("of CA not known" in note for note in notes)
    assert "mean of CA for want of a row of CA-QC" in case.run("score")


def test_a_small_machine_of_any_cloud_keeps_a_budget_that_a_server_would_break(case):
    case.nodes = [node("cloud", "linode://88", cpu="2", grid="DE", type="g6-standard-1"), node("robot", "hrobot://88", cpu="2", grid="DE"),
                  node("strange", "newcloud://88", cpu="2", grid="DE")]
    case.annotations = {"max-gco2e-per-unit": "5", "unit": "pod-hour"}
    text = case.run("score", "--explain")
    refused = [line for line in text.splitlines() if "budget" in line or "per pod-hour is unknown" in line]
    assert not any("cloud" in line for line in refused), text
    assert any("over the budget" in line and "robot" in line for line in refused), text
    assert "nothing tells whether it is a server or a virtual machine" in text


def test_kubeconfig_is_relative_to_the_configuration(case):
    (case.folder / "sobre.yaml").write_text("kubernetes: {kubeconfig: cluster/config.yaml}\n")
    (case.folder / "cluster").mkdir()
    done = subprocess.run([programs.sobre(), "doctor", "--config", str(case.folder / "sobre.yaml"), "--wait", "1s"],
                          capture_output=True, text=True, cwd="/")
    assert str(case.folder / "cluster" / "config.yaml") in done.stderr, done.stderr
    (case.folder / "cluster" / "config.yaml").write_text("kind: Config\nclusters: []\n")
    done = subprocess.run([programs.sobre(), "doctor", "--config", str(case.folder / "sobre.yaml"), "--wait", "1s"],
                          capture_output=True, text=True, cwd="/")
    assert "cannot be read" not in done.stderr, done.stderr
