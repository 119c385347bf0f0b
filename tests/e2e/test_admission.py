"""What the admission policies do to pods, on the real API server, and that what they mark leaks nothing, with the real kube-scheduler."""
import contextlib
import json
import os
import subprocess

import pytest
import yaml

from tests import chart, world
from tests.e2e import random_limits
from tests.harness import ROOT, ControlPlane, Sobre, eventually

MARKER = "sobre.dev/limits"
PLACED, LIMITED = {"sobre.dev/placement": "enabled"}, {"sobre.dev/limits": "enabled"}
# By name: labels and annotations.
NAMESPACES = {
    "placed": (PLACED, {}),
    "limited": (LIMITED, {}),
    "declined": ({"sobre.dev/placement": "disabled"}, {}),
    "outside": ({}, {}),
    "states": ({}, {"sobre.dev/allowed-countries": "FR"}),
    "states-and-placed": (PLACED, {"sobre.dev/allowed-countries": "FR"}),
    "enforces": ({}, {"sobre.dev/enforced": "allowed-countries"}),
    "misspells": (PLACED, {"sobre.dev/allowed-country": "FR"}),
    "prefers": (PLACED, {"sobre.dev/objective": "carbon", "sobre.dev/mode": "shadow"}),
    "sobre": (PLACED, {"sobre.dev/allowed-countries": "FR"}),
}
FRENCH = {"sobre.dev/allowed-countries": "FR"}


class Admission:
    """Asks the API server what it would make of a pod."""

    def __init__(self, plane) -> None:
        self.plane = plane

    def pod(self, namespace: str, annotations=None, token: str | None = None, **spec) -> dict:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "asked", "annotations": annotations or {}},
               "spec": {"automountServiceAccountToken": False, "containers": [{"name": "app", "image": "none"}]} | spec}
        return self.plane.call("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", pod, **({"token": token} if token else {}))["spec"]

    def __call__(self, namespace: str, annotations=None, **spec) -> tuple[str, bool]:
        """Its scheduler, and whether it is marked."""
        spec = self.pod(namespace, annotations, **spec)
        return spec["schedulerName"], marked(spec)

    def is_refused(self, said: str, namespace: str, **spec) -> bool:
        try:
            self.pod(namespace, **spec)
        except OSError as error:
            return said in str(error)
        return False


def marked(spec: dict) -> bool:
    """In requests and limits, as the API server wants it of such a resource."""
    resources = spec["containers"][0].get("resources", {})
    return all(resources.get(part, {}).get(MARKER) == "1" for part in ("requests", "limits"))


def apply(plane, objects: list[dict], folder) -> None:
    path = folder / "objects.yaml"
    path.write_text(yaml.safe_dump_all(objects))
    plane.apply(path)


@pytest.fixture(scope="module")
def plane(control_plane):
    for name, (labels, annotations) in NAMESPACES.items():
        control_plane.add_namespace(name, annotations, labels)
    control_plane.apply(ROOT / "deploy" / "admission-policies.yaml")
    ask = Admission(control_plane)
    # Policies take a moment before they are followed.
    eventually(lambda: ask("placed", FRENCH) == ("sobre", True), "the policies are followed")
    eventually(lambda: ask.is_refused("must not name its node", "states", nodeName="any"), "the validating policy is followed")
    return control_plane


@pytest.fixture
def ask(plane):
    return Admission(plane)


@pytest.mark.parametrize("annotations, limits", [
    ({}, False),
    ({"sobre.dev/objective": "carbon", "sobre.dev/move": "auto", "sobre.dev/max-delay": "1h", "sobre.dev/model": "any"}, False),
    ({"sobre.dev/cost-tolerance": "much"}, False),
    ({"example.com/allowed-countries": "FR", "notsobre.dev/x": "y", "sobre.development/x": "y"}, False),
    ({"sobre.dev/max-gco2e-per-unit": "1"}, True), ({"sobre.dev/max-eur-per-unit": "1"}, True), (FRENCH, True), ({"sobre.dev/allowed-regions": "aws/x"}, True),
    ({"sobre.dev/denied-operators": "aws"}, True), ({"sobre.dev/required-certifications": "HDS"}, True), ({"sobre.dev/max-exposure": "contested"}, True),
    # Misspelt, of another case, or unknown.
    *[({f"sobre.dev/{key}": "FR"}, True) for key in (
        "allowed-country", "allowed_countries", "Allowed-Countries", "countries", "max-eur", "denied-operator", "regions", "exposure", "x", "enforced", "limits",
        "Objective", "objectiv")],
    *[({f"{prefix}/allowed-countries": "FR"}, True) for prefix in ("Sobre.dev", "SOBRE.DEV", "sobre.Dev")],
    ({"Sobre.dev/objective": "carbon"}, True),
])
def test_what_a_pod_says_marks_it_where_its_scheduler_asks(ask, annotations, limits):
    assert ask("placed", annotations) == ask("placed", annotations, schedulerName="default-scheduler") == ("sobre", limits)
    assert ask("outside", annotations, schedulerName="sobre") == ("sobre", limits), "who names the scheduler is asked for everywhere"
    assert ask("outside", annotations) == ask("declined", annotations) == ("default-scheduler", False), "the marker is a resource that no node has"
    assert ask("placed", annotations, schedulerName="other") == ("other", False)
    assert ask("kube-system", annotations, schedulerName="sobre") == ("sobre", False)
    assert ask("placed", annotations, nodeName="any") == ("default-scheduler", False), "it is not scheduled at all"


@pytest.mark.parametrize("namespace, found", [
    ("placed", ("sobre", False)), ("limited", ("sobre", True)), ("prefers", ("sobre", False)), ("misspells", ("sobre", True)),
    ("states-and-placed", ("sobre", True)), ("outside", ("default-scheduler", False)), ("declined", ("default-scheduler", False)),
    ("sobre", ("default-scheduler", False)), ("kube-system", ("default-scheduler", False)),
])
def test_what_a_namespace_says_marks_its_pods(ask, namespace, found):
    assert ask(namespace) == found


@pytest.mark.parametrize("namespace", ["states", "enforces", "states-and-placed", "misspells"])
def test_nobody_goes_round_what_a_namespace_states(ask, namespace):
    assert ask(namespace, schedulerName="sobre") == ("sobre", True)
    for spec, said in [({"nodeName": "any"}, "must not name its node"), ({"schedulerName": "other"}, "must be sobre"),
                       ({"schedulerName": "other", "containers": [{"name": "app", "image": "none", "resources": {
                           "requests": {MARKER: "1"}, "limits": {MARKER: "1"}}}]}, "must be sobre")]:
        with pytest.raises(OSError, match=said):
            ask(namespace, **spec)
    if "placed" not in namespace and namespace != "misspells":
        with pytest.raises(OSError, match="the namespace label sobre.dev/placement: enabled sets it"):
            ask(namespace)
    mirror = {"kubernetes.io/config.mirror": "any", "kubernetes.io/config.source": "file"}
    with pytest.raises(OSError, match="must not name its node"):
        ask(namespace, mirror, nodeName="any")


def test_a_kubelet_shows_its_static_pods(plane, ask):
    """Only a kubelet may; whoever else writes the annotation is told as above."""
    plane.call("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
        "metadata": {"name": "kubelets"}, "subjects": [{"kind": "Group", "name": "system:nodes", "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"kind": "ClusterRole", "name": "cluster-admin", "apiGroup": "rbac.authorization.k8s.io"}})
    mirror = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "static", "annotations": {"kubernetes.io/config.mirror": "any"}},
              "spec": {"nodeName": "any", "containers": [{"name": "app", "image": "none"}], "automountServiceAccountToken": False}}

    def show(**annotations) -> dict:
        (plane.folder / "static.json").write_text(json.dumps(mirror))
        return subprocess.run([plane.binaries / "kubectl", f"--kubeconfig={plane.kubeconfig}", "--as=system:node:any", "--as-group=system:nodes",
                               "--as-group=system:authenticated", "-n", "states", "create", "--dry-run=server", "-f", plane.folder / "static.json"],
                              capture_output=True, text=True)
    shown = show()
    assert shown.returncode == 0, shown.stderr
    del mirror["metadata"]["annotations"]
    assert "must not name its node" in show().stderr


def app(**more) -> dict:
    return {"name": "app", "image": "none"} | more


@pytest.mark.parametrize("spec", [
    {"containers": [app(resources={"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}})]},
    {"containers": [app(resources={"limits": {"cpu": "1"}})]},
    {"containers": [app(resources={"requests": {MARKER: "0"}, "limits": {MARKER: "0"}})]},
    {"containers": [app(resources={"requests": {MARKER: "5"}, "limits": {MARKER: "5"}})]},
    {"containers": [app(resources={"limits": {MARKER: "1"}})]},
    {"containers": [app()], "initContainers": [{"name": "init", "image": "none", "resources": {"requests": {MARKER: "1"}, "limits": {MARKER: "1"}}}]},
    {"containers": [app(), {"name": "other", "image": "none"}]},
    # Doubled items, which an apply configuration could not take.
    {"containers": [app(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}])]},
    {"containers": [app(ports=[{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "protocol": "TCP"}])]},
    {"resources": {"requests": {"cpu": "1"}}, "containers": [app()]},
], ids=lambda spec: json.dumps(spec.get("containers"))[30:90])
def test_whatever_its_containers_are_a_pod_with_limits_is_marked(ask, spec):
    before = {c["name"]: c.get("resources", {}) for c in spec["containers"]}
    made = ask.pod("placed", FRENCH, **spec)
    assert made["schedulerName"] == "sobre" and marked(made), made["containers"]
    for container in made["containers"]:
        for part, amounts in before[container["name"]].items():
            rest = {k: v for k, v in amounts.items() if k != MARKER}
            assert rest.items() <= container["resources"].get(part, {}).items(), "what it had it keeps"
    assert len(made["containers"][0].get("env", [])) == len(spec["containers"][0].get("env", []))


@pytest.mark.parametrize("gates", [None, [], [{"name": "example.com/other"}], [{"name": "sobre.dev/carbon"}]])
def test_who_waits_for_a_cleaner_hour_gets_the_gate_once(ask, gates):
    wanted = {"sobre.dev/carbon"} | {g["name"] for g in gates or []}
    for container in (app(), app(env=[{"name": "A", "value": "1"}] * 2)):
        made = ask.pod("placed", {"sobre.dev/defer-below-gco2e-per-kwh": "50"}, containers=[container], **({} if gates is None else {"schedulingGates": gates}))
        assert sorted(g["name"] for g in made["schedulingGates"]) == sorted(wanted)
    assert "schedulingGates" not in ask.pod("placed", {"sobre.dev/defer-below-gco2e-per-kwh": "50"}, nodeName="any")


def test_a_pod_with_more_annotations_than_anybody_writes_is_marked_unread(ask):
    """To look at them all would take the API server seconds: such a pod is asked about."""
    def many(count: int) -> dict:
        return {f"a{i:x}": "" for i in range(count)}
    assert ask("placed", many(1000)) == ("sobre", False) and ask("placed", many(999) | {"sobre.dev/allowed-country": "FR"}) == ("sobre", True)
    assert ask("placed", many(20_000)) == ("sobre", True) and ask("outside", many(20_000)) == ("default-scheduler", False)


@contextlib.contextmanager
def followed(plane, values: dict, folder, probe):
    """The policies as the chart renders them, in place of the plain ones, until probe(); afterwards the plain ones again."""
    rendered = [o for o in chart.objects(chart.render(values, folder).stdout) if "AdmissionPolicy" in o["kind"]]
    assert rendered
    apply(plane, rendered, folder)
    eventually(probe, "the chart's policies are followed")
    yield
    plane.apply(ROOT / "deploy" / "admission-policies.yaml")


@pytest.mark.parametrize("policy", [
    {"annotations": {"max-exposure": "contested"}, "enforced": "max-exposure"}, {"annotations": {"allowed-countries": "EU"}},
    {"enforced": "objective, allowed-regions"}])
def test_limits_of_the_configuration_hold_in_namespaces_that_opted_in(tools, plane, ask, tmp_path, policy):
    with followed(plane, {"config": {"policy": policy}}, tmp_path, lambda: ask("placed") == ("sobre", True)):
        assert ask("limited") == ask("prefers") == ("sobre", True)
        assert ask("outside", schedulerName="sobre") == ("sobre", True)
        for namespace in ("outside", "declined", "kube-system", "sobre"):
            assert ask(namespace) == ("default-scheduler", False)
        assert ask("outside", nodeName="any") == ("default-scheduler", False)

        eventually(lambda: ask.is_refused("must not name its node", "placed", nodeName="any"), "the validating policy is followed")
        assert ask.is_refused("must be sobre", "limited", schedulerName="other")
    eventually(lambda: ask("placed") == ("sobre", False), "the plain policies are followed again")


def test_preferences_of_the_configuration_mark_nobody(tools, tmp_path):
    for policy in ({}, {"objective": "carbon", "annotations": {"mode": "shadow"}, "enforced": "objective,mode"}):
        found = chart.objects(chart.render({"config": {"policy": policy}}, tmp_path).stdout)
        variables = {v["name"]: v["expression"] for v in chart.pick(found, "MutatingAdmissionPolicy", "sobre-limits")["spec"]["variables"]}
        assert variables["clusterLimits"] == "[]", policy


def test_other_profiles_that_ask_count_as_well(tools, plane, ask, tmp_path):
    values = {"scheduler": {"name": "frugal", "extraProfiles": [{"schedulerName": "frugal-batch"}]}}
    with followed(plane, values, tmp_path, lambda: ask("placed", FRENCH) == ("frugal", True)):
        assert ask("outside", FRENCH, schedulerName="frugal-batch") == ("frugal-batch", True)
        assert ask("outside", FRENCH, schedulerName="sobre") == ("sobre", False)
        eventually(lambda: ask.is_refused("must be frugal or frugal-batch", "states"), "the validating policy is followed")
    eventually(lambda: ask("placed", FRENCH) == ("sobre", True), "the plain policies are followed again")


class Beta(ControlPlane):
    api_arguments = [*ControlPlane.api_arguments, "--feature-gates=MutatingAdmissionPolicy=true", "--runtime-config=admissionregistration.k8s.io/v1beta1=true"]


@pytest.mark.versions
def test_an_older_api_server_takes_the_beta(tools, control_plane_of, tmp_path):
    plane = Beta(tmp_path, control_plane_of("1.34"))
    try:
        for name, (labels, annotations) in NAMESPACES.items():
            plane.add_namespace(name, annotations, labels)
        rendered = chart.objects(chart.render({}, tmp_path, "--api-versions", "admissionregistration.k8s.io/v1beta1/MutatingAdmissionPolicy",
                                              mutating=False).stdout)
        policies = [o for o in rendered if "AdmissionPolicy" in o["kind"]]
        assert {o["apiVersion"].rpartition("/")[2] for o in policies if o["kind"].startswith("Mutating")} == {"v1beta1"}
        apply(plane, policies, tmp_path)
        ask = Admission(plane)
        eventually(lambda: ask("placed", {"sobre.dev/allowed-country": "FR"}) == ("sobre", True), "the policies are followed")
        assert ask("placed") == ("sobre", False) and ask("misspells") == ask("limited") == ("sobre", True)
        assert ask("placed", FRENCH, containers=[app(env=[{"name": "A", "value": "1"}] * 2)]) == ("sobre", True)
        eventually(lambda: ask.is_refused("must be sobre", "states"), "the validating policy is followed")
    finally:
        plane.stop()


class Live:
    """The real kube-scheduler and Sobre on the plane, with a node in each of four regions."""

    def __init__(self, plane, folder) -> None:
        self.plane = plane
        for region in world.REGIONS:
            plane.add_node(f"{region}-0", world.REGIONS[region][1], region)
        (folder / "rows").mkdir()
        (folder / "rows" / "certifications.csv").write_text(random_limits.CERTIFICATIONS)
        (folder / "rows" / "prices.csv").write_text(
            "provider,resource,price_per_hour,currency,source,year,method,licence\n" + "".join(
                f"{provider},{resource},0.01,EUR,test,2026,list,own\n" for provider in ("scaleway", "aws") for resource in ("vcpu", "gb", "gpu")))
        self.sobre = Sobre(folder, {"kubernetes": {"kubeconfig": str(plane.kubeconfig)}, "catalog": {"directory": "rows"},
                                    "limits": {"trust_node_labels": True}})
        plane.start_scheduler(self.sobre.url)
        eventually(lambda: len(self.sobre.nodes()) == len(world.REGIONS), "Sobre knows all nodes")

    def add(self, name: str, namespace: str, annotations=None, **spec) -> None:
        """As people do: nothing is said of a scheduler or of a marker."""
        self.plane.add_pod(name, annotations, namespace=namespace, cpu="10m", memory="8Mi", **{"schedulerName": "default-scheduler"} | spec)

    def refused(self, name: str, namespace: str) -> str:
        """Why it has no node."""
        why = eventually(lambda: next((e for e in self.plane.events(name, namespace) if e.startswith("FailedScheduling")), None), f"{name} is refused")
        assert not self.plane.placements(namespace)[name]
        return why


@pytest.fixture(scope="module")
def live(plane, tmp_path_factory, sobre_bin):
    live = Live(plane, tmp_path_factory.mktemp("live"))
    yield live
    live.sobre.stop()


def test_what_cannot_be_read_is_nowhere_by_the_policies_alone(live):
    """Three nodes of four would do for some of them: none is taken."""
    said = [{f"sobre.dev/{key}": value} for key, value in (
        ("allowed-country", "FR"), ("countries", "FR"), ("max-eur", "1"), ("Allowed-Countries", "FR"), ("operators-denied", "aws"), ("exposure", "contested"))]
    said += [{"Sobre.dev/allowed-countries": "FR"}, {"SOBRE.DEV/objective": "carbon"}]
    said += [{"sobre.dev/denied-operators": name} for name in ("Gooogle", "[aws]", "aws;azure", "aws azure", "*", "US")]
    said += [{"sobre.dev/allowed-countries": "FR", "sobre.dev/denied-operator": "aws"}]
    for number, annotations in enumerate(said):
        live.add(f"unread-{number}", "placed", annotations)
        live.add(f"named-{number}", "outside", annotations, schedulerName="sobre")
    live.add("ordinary", "misspells")
    live.add("neighbour", "placed")
    live.plane.wait_placed(["neighbour"], namespace="placed")
    for number in range(len(said)):
        assert "a limit cannot be read" in live.refused(f"unread-{number}", "placed"), said[number]
        assert "a limit cannot be read" in live.refused(f"named-{number}", "outside"), said[number]
    assert "allowed-country" in live.refused("ordinary", "misspells")
    assert not any(node for name, node in (live.plane.placements("placed") | live.plane.placements("outside")).items()
                   if name.startswith(("unread-", "named-")))


def test_what_can_be_read_holds_by_the_policies_alone(live):
    zero = [app(resources={"requests": {MARKER: "0"}, "limits": {MARKER: "0"}})]
    init = {"initContainers": [app(name="init", resources={"requests": {MARKER: "1"}, "limits": {MARKER: "1"}})]}
    live.add("own", "placed", FRENCH)
    live.add("zero", "placed", FRENCH, containers=zero)
    live.add("init", "placed", FRENCH, **init)
    live.add("inherited", "states-and-placed")
    live.add("named", "states", schedulerName="sobre")
    live.add("denying", "limited", {"sobre.dev/denied-operators": "aws", "sobre.dev/allowed-countries": "DE,SE,PL"})
    for namespace, names in {"placed": ["own", "zero", "init"], "states-and-placed": ["inherited"], "states": ["named"]}.items():
        assert set(live.plane.wait_placed(names, namespace=namespace).values()) == {"fr-par-0"}
    assert live.plane.wait_placed(["denying"], namespace="limited")["denying"] == "pl-waw-0"


def test_random_annotations_leak_nothing(live):
    """`SOBRE_RANDOM_SEED` and `SOBRE_RANDOM_PODS` ask for others, and more."""
    seed, count = int(os.environ.get("SOBRE_RANDOM_SEED", 1)), int(os.environ.get("SOBRE_RANDOM_PODS", 90))
    tally = random_limits.run(live.plane, seed, count)
    print(f"seed {seed}: {tally}")
    assert tally["placed"] > count / 8 and tally["nowhere"] > count / 8 and tally["refused"], tally
