"""The Helm chart on a real API server: installed, upgraded, rolled back and taken away by real Helm."""
import copy
import json
import subprocess

import pytest
import yaml

from tests import chart
from tests.harness import eventually


@pytest.fixture(scope="module")
def crds(control_plane, tools):
    """The resources of cert-manager and of the Prometheus operator, so that what the chart makes of them is judged too."""
    kubectl = [control_plane.binaries / "kubectl", f"--kubeconfig={control_plane.kubeconfig}"]
    subprocess.run([*kubectl, "create", "-f", tools / "crds"], check=True, capture_output=True, text=True)
    subprocess.run([*kubectl, "wait", "--for=condition=Established", "crd", "--all", "--timeout=180s"], check=True, capture_output=True)


@pytest.fixture(scope="module")
def schemas(control_plane, crds, tmp_path_factory):
    """A folder with a strict schema of every kind that some rendering has, of the API server's own OpenAPI."""
    folder = tmp_path_factory.mktemp("schemas")
    kinds = {(o["apiVersion"], o["kind"]) for values in chart.COMBINATIONS.values()
             for o in chart.objects(chart.render(values, folder).stdout)}
    last = "com.coreos.monitoring.v1.ServiceMonitor"
    # The API server adds custom resources to its OpenAPI a little later.
    openapi = eventually(lambda: (o := control_plane.call("GET", "/openapi/v2"))["definitions"].get(last) and o, "custom resources in OpenAPI", 120, pause=1)
    chart.openapi_schemas(openapi, kinds, folder)
    return folder


@pytest.fixture(scope="module")
def restricted(control_plane):
    """A namespace that enforces the level `restricted`, with a service account."""
    control_plane.add_namespace("restricted", labels={"pod-security.kubernetes.io/enforce": "restricted"})
    control_plane.call("POST", "/api/v1/namespaces/restricted/serviceaccounts", {"metadata": {"name": "any"}})
    return "restricted"


@pytest.fixture
def helm(control_plane, tools, tmp_path):
    def run(*arguments, check: bool = True):
        return chart.helm(*arguments, "--kubeconfig", control_plane.kubeconfig, check=check, folder=tmp_path)
    return run


@pytest.fixture
def release(control_plane, helm):
    """A namespace for one release, which is gone after the test."""
    control_plane.add_namespace("sobre", labels={"pod-security.kubernetes.io/enforce": "restricted"})
    yield "sobre"
    helm("uninstall", "sobre", "--namespace", "sobre", "--no-hooks", "--ignore-not-found")
    control_plane.call("DELETE", "/api/v1/namespaces/sobre")
    # Nobody else here takes a namespace's finalizer off.
    control_plane.call("PUT", "/api/v1/namespaces/sobre/finalize",
                       {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "sobre"}, "spec": {"finalizers": []}})
    eventually(lambda: "sobre" not in {n["metadata"]["name"] for n in control_plane.call("GET", "/api/v1/namespaces")["items"]}, "namespace gone")


@pytest.mark.parametrize("name", chart.COMBINATIONS)
def test_schemas_know_every_field(schemas, tools, tmp_path, name):
    """kubeconform, strict, with the schemas of this API server's own OpenAPI, those of the custom resources included."""
    rendered = chart.render(chart.COMBINATIONS[name], tmp_path).stdout
    found = chart.objects(rendered)
    location = str(schemas) + "/{{.ResourceKind}}{{.KindSuffix}}.json"

    def judge(text: str) -> dict:
        done = subprocess.run([tools / "kubeconform", "-strict", "-output=json", "-summary", f"-schema-location={location}"],
                              input=text, capture_output=True, text=True)
        return json.loads(done.stdout)

    report = judge(rendered)
    assert report["summary"] == {"valid": len(found), "invalid": 0, "errors": 0, "skipped": 0}, report["resources"]
    spoilt = copy.deepcopy(chart.pick(found, "Deployment" if name != "persistent" else "StatefulSet", "sobre"))
    spoilt["spec"]["template"]["spec"]["containers"][0]["imagePullPolice"] = "Always"
    assert judge(yaml.safe_dump(spoilt))["summary"]["invalid"] == 1


@pytest.mark.parametrize("name", chart.COMBINATIONS)
def test_pods_are_restricted(control_plane, restricted, tmp_path, name):
    """By the admission of the API server itself; the namespace enforces the level `restricted`."""
    found = chart.objects(chart.render(chart.COMBINATIONS[name], tmp_path).stdout)
    for title, template in chart.pod_specs(found).items():
        spec = copy.deepcopy(template["spec"]) | {"serviceAccountName": "any"}
        spec.pop("priorityClassName", None)
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "try-", "labels": template["metadata"]["labels"]}, "spec": spec}
        assert control_plane.call("POST", f"/api/v1/namespaces/{restricted}/pods?dryRun=All", pod)["spec"], title
        loose = copy.deepcopy(pod)
        loose["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
        with pytest.raises(OSError, match="PodSecurity"):
            control_plane.call("POST", f"/api/v1/namespaces/{restricted}/pods?dryRun=All", loose)


def secret(plane, name: str) -> dict:
    return plane.call("GET", f"/api/v1/namespaces/sobre/secrets/{name}")


def policy(plane) -> dict:
    text = plane.call("GET", "/api/v1/namespaces/sobre/configmaps/sobre")["data"]["sobre.yaml"]
    return yaml.safe_load(text)["policy"]


def ca_data(plane) -> str:
    config = yaml.safe_load(plane.call("GET", "/api/v1/namespaces/sobre/configmaps/sobre-scheduler")["data"]["scheduler.yaml"])
    (one,) = {e["tlsConfig"]["caData"] for e in config["extenders"]}
    return one


def test_upgrade_and_rollback_keep_certificates_and_policies(control_plane, helm, release):
    helm("install", "sobre", chart.CHART, "--namespace", release, "--set", "config.policy.objective=carbon,tls.mutual=true")
    before = {name: secret(control_plane, name)["data"] for name in ("sobre-tls", "sobre-client-tls")}
    assert policy(control_plane)["objective"] == "carbon" and ca_data(control_plane) == before["sobre-tls"]["ca.crt"]
    helm("upgrade", "sobre", chart.CHART, "--namespace", release, "--reuse-values", "--set", "config.policy.cost_tolerance_percent=5")
    assert {name: secret(control_plane, name)["data"] for name in before} == before
    assert policy(control_plane) == {"objective": "carbon", "cost_tolerance_percent": 5} and ca_data(control_plane) == before["sobre-tls"]["ca.crt"]
    helm("rollback", "sobre", "1", "--namespace", release)
    assert {name: secret(control_plane, name)["data"] for name in before} == before
    assert policy(control_plane) == {"objective": "carbon", "cost_tolerance_percent": 10} and ca_data(control_plane) == before["sobre-tls"]["ca.crt"]
    # Names that are asked for anew need another certificate.
    helm("upgrade", "sobre", chart.CHART, "--namespace", release, "--reuse-values", "--set", "tls.extraNames={sobre.example}")
    assert secret(control_plane, "sobre-tls")["data"] != before["sobre-tls"] and ca_data(control_plane) == secret(control_plane, "sobre-tls")["data"]["ca.crt"]


def test_uninstall_leaves_nothing(control_plane, crds, helm, release):
    # A new custom resource is served a moment after it is established.
    before = eventually(control_plane.objects, "all objects")
    helm("install", "sobre", chart.CHART, "--namespace", release, "--set", "monitoring.serviceMonitor.enabled=true,monitoring.prometheusRule.enabled=true,"
         "monitoring.dashboards.enabled=true,tls.mutual=true")
    made = control_plane.objects() - before
    assert len(made) > 40 and any(kind == "MutatingAdmissionPolicy" for _, kind, _, _ in made), sorted(made)
    helm("uninstall", "sobre", "--namespace", release, "--no-hooks")
    assert control_plane.objects() == before


def test_second_release_beside_the_first(control_plane, helm, release):
    """Another team's, in another namespace: no name of the cluster's is taken twice."""
    control_plane.add_namespace("other")
    helm("install", "sobre", chart.CHART, "--namespace", release)
    helm("install", "frugal", chart.CHART, "--namespace", "other", "--set", "scheduler.name=frugal")
    helm("uninstall", "frugal", "--namespace", "other", "--no-hooks")
    assert control_plane.call("GET", "/apis/scheduling.k8s.io/v1/priorityclasses/sobre")["metadata"]["name"] == "sobre"


def test_notes_say_where_limits_of_the_configuration_hold(control_plane, helm, release):
    values = "config.policy.annotations.max-exposure=contested,config.policy.enforced=allowed-countries"
    notes = helm("install", "sobre", chart.CHART, "--namespace", release, "--set", values).stdout
    for said in ("config.policy states limits (allowed-countries, max-exposure).", "sobre.dev/placement=enabled", "All others are outside"):
        assert said in notes, notes
    assert "WARNING: no policy here marks pods" in helm("upgrade", "sobre", chart.CHART, "--namespace", release, "--reuse-values",
                                                        "--set", "admissionPolicies.enabled=false").stdout


def test_notes_say_what_to_do_next(control_plane, helm, release):
    notes = helm("install", "sobre", chart.CHART, "--namespace", release, "--set", "scheduler.mode=existing,grpc.enabled=true").stdout
    for said in ("helm -n sobre test sobre", "get configmap sobre-scheduler", "extender.service.clusterIP", "No Prometheus is configured",
                 "Records of decisions last as long as their pod", "docs/image.md",
                 "--grpc-expander-url=sobre-grpc.sobre.svc:8092", "the Secret sobre-grpc-tls"):
        assert said in notes, notes
