"""The Helm chart without a cluster: what is rendered, what is refused, what is documented."""
import json
import os
import subprocess

import pytest
import yaml

from tests import chart, programs
from tests.harness import ROOT

GOLDEN = ROOT / "tests" / "golden" / "chart"


@pytest.fixture(autouse=True)
def _tools(tools):
    """Every test here needs Helm."""


# These are recorded whole, all others as what they change in the default.
WHOLE = ("default", "everything")


@pytest.mark.parametrize("name", chart.COMBINATIONS)
def test_rendering_is_the_recorded_one(name, tmp_path):
    rendered = chart.without_chance(chart.render(chart.COMBINATIONS[name], tmp_path).stdout)
    recorded = GOLDEN / f"{name}.yaml"
    if name not in WHOLE:
        default = chart.without_chance(chart.render(chart.COMBINATIONS["default"], tmp_path).stdout)
        rendered = chart.difference(default, rendered)
        recorded = GOLDEN / f"{name}.diff"
    if os.environ.get("SOBRE_GOLDEN") == "write":
        GOLDEN.mkdir(parents=True, exist_ok=True)
        recorded.write_text(rendered)
    assert rendered == recorded.read_text(), f"{recorded.name} differs; if that is meant: ./run golden"


@pytest.mark.parametrize("values, complaint", [
    ({"extender": {"replica": 3}}, "additional properties 'replica' not allowed"),
    ({"config": {"policy": {"objektive": "cost"}}}, "additional properties 'objektive' not allowed"),
    # Keys go into the admission policies.
    ({"config": {"policy": {"annotations": {"max-exposure'": "contested"}}}}, "does not match pattern"),
    ({"config": {"policy": {"enforced": "max-exposure']"}}}, "does not match pattern"),
    ({"config": {"policy": {"objective": "green"}}}, "value must be one of 'balanced', 'carbon', 'cost', 'priced'"),
    ({"config": {"listen": {"extender": "0.0.0.0:1"}}}, "additional properties 'listen' not allowed"),
    ({"scheduler": {"name": "default-scheduler"}}, "/scheduler/name"),
    ({"scheduler": {"weight": 0}}, "minimum: got 0, want 1"),
    ({"image": {"digest": "latest"}}, "does not match pattern"),
    ({"catalog": {"../pue.csv": "x"}}, "not allowed"),
    ({"records": {"postgres": {"url": "postgresql://sobre:secret@db/sobre"}}}, "does not match pattern"),
    ({"tls": {"mode": "off", "mutual": True}}, "tls.mutual needs certificates"),
    ({"tls": {"clientNames": ["x"]}}, "set tls.mutual as well"),
    ({"tls": {"mutual": True, "clientNames": [""]}}, "/tls/clientNames"),
    ({"tls": {"mode": "secret"}}, "tls.secret.server"),
    ({"tls": {"mode": "secret", "mutual": True, "secret": {"server": "a"}}}, "tls.secret.client"),
    ({"grpc": {"enabled": True}, "tls": {"mode": "off"}}, "grpc.enabled needs certificates"),
    ({"grpc": {"enabled": True}, "tls": {"mode": "secret", "secret": {"server": "a"}}}, "grpc.tlsSecret"),
    ({"monitoring": {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}}, "not both"),
    ({"records": {"enabled": False}, "config": {"budgets": [{"namespace": "a", "eur_per_month": 1}]}}, "they need records.enabled"),
    ({"extender": {"terminationGracePeriodSeconds": 20}}, "must be over"),
])
def test_what_cannot_be_meant_is_refused_by_name(values, complaint, tmp_path):
    done = chart.render(values, tmp_path, check=False)
    assert done.returncode != 0 and complaint in done.stderr, done.stderr


def test_lint(tmp_path):
    assert "0 chart(s) failed" in chart.helm("lint", "--strict", chart.CHART, folder=tmp_path).stdout


def test_every_value_has_a_schema_and_every_schema_a_value():
    values = yaml.safe_load((chart.CHART / "values.yaml").read_text())
    schema = json.loads((chart.CHART / "values.schema.json").read_text())

    def compare(value, described, path):
        fields = described.get("properties")
        if not isinstance(value, dict) or not fields:
            return
        # What one may say, and need not: its keys are the program's or Kubernetes'.
        if value:
            assert set(fields) - {"global"} == set(value) or path.startswith("config."), path
        assert described.get("additionalProperties") is False, path
        for key in value:
            assert key in fields, f"{path}{key}"
            compare(value[key], fields[key], f"{path}{key}.")

    compare(values, schema, "")


def test_scheduler_follows_the_version_of_the_cluster(tmp_path):
    for version, tag in [("v1.34.4-gke.1234", "v1.34.4"), ("v1.35.1+k3s1", "v1.35.1"), ("v1.37.2", "v1.37.2"),
                         ("1.36", "v1.36.0"), ("v1.36", "v1.36.0"), ("1.36.1", "v1.36.1"), ("v1.36-eks-1a2b", "v1.36.0")]:
        found = chart.objects(chart.render({}, tmp_path, "--kube-version", version).stdout)
        container = chart.pick(found, "Deployment", "sobre-scheduler")["spec"]["template"]["spec"]["containers"][0]
        assert container["image"] == f"registry.k8s.io/kube-scheduler:{tag}"


@pytest.mark.parametrize("name", chart.COMBINATIONS)
def test_program_reads_the_configuration(name, tmp_path, sobre_bin):
    """The file of the ConfigMap, with files where it looks for them; a doctor reads all of it before it looks for a cluster."""
    found = chart.objects(chart.render(chart.COMBINATIONS[name], tmp_path).stdout)
    text = chart.pick(found, "ConfigMap", "sobre")["data"]["sobre.yaml"]
    (tmp_path / "sobre.yaml").write_text(text)
    if "catalog" in yaml.safe_load(text):
        (tmp_path / "catalog").mkdir()
        for file, rows in chart.pick(found, "ConfigMap", "sobre-catalog")["data"].items():
            (tmp_path / "catalog" / file).write_text(rows)
    done = subprocess.run([sobre_bin, "open-gates", "--config", tmp_path / "sobre.yaml"], capture_output=True, text=True,
                          env={k: v for k, v in os.environ.items() if not k.startswith("KUBERNETES_")})
    assert "not in a cluster" in done.stderr, done.stderr


def test_scheduler_is_told_the_authority_and_the_weight(tmp_path):
    found = chart.objects(chart.render({"tls": {"mutual": True}}, tmp_path).stdout)
    config = yaml.safe_load(chart.pick(found, "ConfigMap", "sobre-scheduler")["data"]["scheduler.yaml"])
    server = chart.pick(found, "Secret", "sobre-tls")
    for extender in config["extenders"]:
        assert extender["enableHTTPS"] and extender["nodeCacheCapable"] and extender["tlsConfig"]["caData"] == server["data"]["ca.crt"]
    prefer, limit = config["extenders"]
    assert prefer["weight"] == 25 and prefer["ignorable"] and "managedResources" not in prefer
    assert limit["preemptVerb"] == "preempt" and not limit["ignorable"] and limit["managedResources"] == [{"name": "sobre.dev/limits", "ignoredByScheduler": True}]
    own = yaml.safe_load(chart.pick(found, "ConfigMap", "sobre")["data"]["sobre.yaml"])
    assert own["records"]["extender_weight"] == 25 and own["listen"]["tls"]["client_names"] == ["sobre-scheduler.sobre"]
    # Authority, server and client belong together.
    for secret in ("sobre-tls", "sobre-client-tls"):
        files = chart.decoded(chart.pick(found, "Secret", secret))
        (tmp_path / "ca.crt").write_bytes(files["ca.crt"])
        (tmp_path / "tls.crt").write_bytes(files["tls.crt"])
        subprocess.run(["openssl", "verify", "-CAfile", tmp_path / "ca.crt", tmp_path / "tls.crt"], check=True, capture_output=True)


def test_values_are_documented(tmp_path):
    """helm-docs makes the table in the chart's README from the comments of values.yaml."""
    readme = chart.CHART / "README.md"
    before = readme.read_text() if readme.exists() else ""
    subprocess.run([f"{programs.named('tools')}/helm-docs", f"--chart-search-root={chart.CHART}", "--output-file=README.md", "--dry-run=false"],
                   check=True, capture_output=True)
    after = readme.read_text()
    assert "|  |\n" not in after, "a value without a description"
    if os.environ.get("SOBRE_GOLDEN") == "write":
        return
    readme.write_text(before)
    assert after == before, "helm/sobre/README.md differs; ./run golden writes it anew"


def test_files_without_helm_say_the_same(tmp_path):
    """deploy/ is for who does not use Helm: the same policies, and the same extenders but for their addresses."""
    found = chart.objects(chart.render({}, tmp_path).stdout)
    plain = chart.objects((ROOT / "deploy" / "admission-policies.yaml").read_text())
    assert {(o["kind"], o["metadata"]["name"]) for o in plain} == {(o["kind"], o["metadata"]["name"]) for o in found if "AdmissionPolicy" in o["kind"]}
    for policy in plain:
        assert chart.pick(found, policy["kind"], policy["metadata"]["name"])["spec"] == policy["spec"], policy["metadata"]["name"]
    scheduler = yaml.safe_load((ROOT / "deploy" / "kube-scheduler-config.yaml").read_text())
    rendered = yaml.safe_load(chart.pick(found, "ConfigMap", "sobre-scheduler")["data"]["scheduler.yaml"])
    assert rendered["profiles"] == scheduler["profiles"]
    for ours, theirs in zip(rendered["extenders"], scheduler["extenders"], strict=True):
        assert {k: v for k, v in ours.items() if k not in ("urlPrefix", "enableHTTPS", "tlsConfig")} == {k: v for k, v in theirs.items() if k != "urlPrefix"}
