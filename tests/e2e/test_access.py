"""Who may see what on the read-only port, where the administrator says that the API server decides."""
import contextlib
import json
import urllib.error
import urllib.request

import pytest

from tests import world
from tests.browser import Browser
from tests.harness import Sobre, eventually, fetch

RBAC = "/apis/rbac.authorization.k8s.io/v1"
# What the role `view` is made of; no controller adds it up here.
VIEW = "system:aggregate-to-view"


@pytest.fixture(scope="module")
def cluster(control_plane, tmp_path_factory):
    """Two tenants, somebody who looks after all, a decision for each tenant, and Sobre with the rights that the chart grants for this."""
    plane, folder = control_plane, tmp_path_factory.mktemp("sobre")
    plane.add_node("n-0", world.REGIONS["fr-par"][1], "fr-par")
    tokens = {}
    for name in ("shop", "bank", "platform", "sobre-itself"):
        plane.add_namespace(name)
        plane.call("POST", f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "viewer"}})
        tokens[name] = plane.call("POST", f"/api/v1/namespaces/{name}/serviceaccounts/viewer/token", {"spec": {}})["status"]["token"]
    bind(plane, "shop", VIEW, "shop")
    bind(plane, "bank", VIEW, "bank")
    bind(plane, "platform", VIEW)
    plane.call("POST", f"{RBAC}/clusterroles", {"metadata": {"name": "sobre"}, "rules": [
        {"apiGroups": [""], "resources": ["nodes", "namespaces", "pods"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]},
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
        {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]}]})
    bind(plane, "sobre-itself", "sobre")
    sobre = Sobre(folder, {"kubernetes": {"kubeconfig": str(plane.make_kubeconfig("sobre", tokens["sobre-itself"]))}, "listen": {"status_access": "token"},
                           "records": {"directory": str(folder / "records")}})
    for namespace in ("shop", "bank"):
        plane.add_pod("web", namespace=namespace, schedulerName="nobody")
        about = plane.call("GET", f"/api/v1/namespaces/{namespace}/pods/web")
        fetch(sobre.url + "/v1/prioritize", "POST", {"Pod": about, "Nodes": None, "NodeNames": ["n-0"]}, {"Content-Type": "application/json"})
    yield plane, sobre, tokens
    sobre.stop()


def bind(plane, who: str, role: str, namespace: str = "") -> None:
    kind = "rolebindings" if namespace else "clusterrolebindings"
    plane.call("POST", f"{RBAC}/namespaces/{namespace}/{kind}" if namespace else f"{RBAC}/{kind}", {
        "metadata": {"name": f"sees-{who}"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": "viewer", "namespace": who}]})


def get(sobre: Sobre, path: str, token: str = "") -> tuple[int, str]:
    request = urllib.request.Request(sobre.status_url + path, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_tenant_sees_its_own_namespace(cluster):
    _, sobre, tokens = cluster
    eventually(lambda: get(sobre, "/api/v1/decisions/shop/web", tokens["shop"])[0] == 200, "the decision is on record")
    status, text = get(sobre, "/api/v1/decisions?namespace=shop", tokens["shop"])
    assert status == 200 and {d["namespace"] for d in json.loads(text)} == {"shop"}
    assert json.loads(get(sobre, "/api/v1/decisions/shop/web", tokens["shop"])[1])["pod"] == "shop/web"
    assert get(sobre, "/api/v1/what-if/shop/web?objective=cost", tokens["shop"])[0] == 200
    policy = json.loads(get(sobre, "/api/v1/policy?namespace=shop", tokens["shop"])[1])
    assert {n["namespace"] for n in policy["namespaces"]} <= {"shop"}


def test_and_nothing_of_another(cluster):
    _, sobre, tokens = cluster
    eventually(lambda: get(sobre, "/api/v1/decisions/bank/web", tokens["bank"])[0] == 200, "the decision is on record")
    own = json.loads(get(sobre, "/api/v1/decisions/bank/web", tokens["bank"])[1])
    for path in ("/api/v1/decisions?namespace=bank", "/api/v1/decisions/bank/web", f"/api/v1/decisions/{own['id']}", f"/api/v1/decisions/{own['uid']}",
                 f"/api/v1/what-if/{own['id']}", "/api/v1/policy?namespace=bank", "/api/v1/stream?namespace=bank", "/api/v1/stream", "/api/v1/decisions",
                 "/api/v1/policy", "/api/v1/overview", "/api/v1/workloads", "/api/v1/recommendations", "/api/v1/reports", "/api/v1/budgets", "/api/v1/signals",
                 "/api/v1/nodes", "/metrics", "/metrics?namespace=shop", "/debug/process", "/api/v1/labels/bank/web.svg",
                 "/api/v1/decisions/shop%2F..%2Fbank%2Fweb", "/api/v1/decisions/shop/../bank/web"):
        status, text = get(sobre, path, tokens["shop"])
        assert status in (403, 404), f"{path}: {status}"
        assert "n-0" not in text and own["uid"] not in text.replace(path, ""), path


def test_who_looks_after_all_sees_all(cluster):
    _, sobre, tokens = cluster
    assert {d["namespace"] for d in json.loads(get(sobre, "/api/v1/decisions", tokens["platform"])[1])} == {"shop", "bank"}
    for path in ("/api/v1/overview", "/metrics", "/debug/process", "/api/v1/policy", "/api/v1/nodes"):
        assert get(sobre, path, tokens["platform"])[0] == 200, path


def test_without_a_token_there_are_the_page_and_the_probes(cluster):
    _, sobre, _ = cluster
    for path in ("/", "/healthz", "/readyz"):
        assert get(sobre, path)[0] == 200, path
    for path in ("/api/v1/decisions?namespace=shop", "/metrics"):
        for token in ("", "no-token"):
            assert get(sobre, path, token)[0] == 401, path


def test_a_right_that_is_taken_away_ends(cluster):
    plane, sobre, tokens = cluster
    plane.add_namespace("left")
    bind(plane, "shop", VIEW, "left")
    path = "/api/v1/decisions?namespace=left"
    assert get(sobre, path, tokens["shop"])[0] == 200
    plane.call("DELETE", f"{RBAC}/namespaces/left/rolebindings/sees-shop")
    eventually(lambda: get(sobre, path, tokens["shop"])[0] == 403, "it is closed", 60, 2)


def test_the_stream_tells_of_one_namespace(cluster):
    plane, sobre, tokens = cluster
    request = urllib.request.Request(sobre.status_url + "/api/v1/stream?namespace=shop", headers={"Authorization": f"Bearer {tokens['shop']}"})
    with contextlib.closing(urllib.request.urlopen(request, timeout=30)) as stream:
        assert stream.readline().startswith(b"retry")
        for namespace in ("bank", "shop"):
            about = plane.call("GET", f"/api/v1/namespaces/{namespace}/pods/web")
            fetch(sobre.url + "/v1/prioritize", "POST", {"Pod": about, "Nodes": None, "NodeNames": ["n-0"]}, {"Content-Type": "application/json"})
        told = []
        while not told:
            line = stream.readline().decode()
            assert "bank" not in line
            if line.startswith("data: {"):
                told = json.loads(line[6:])["decisions"]
        assert {d["namespace"] for d in told} == {"shop"}


def test_the_page_asks_who_looks(cluster, tmp_path):
    """A tenant's token and namespace, typed into the page, show that namespace's decisions."""
    _, sobre, tokens = cluster
    with contextlib.closing(Browser()) as browser:
        browser.open(sobre.status_url + "/#/decisions")
        browser.wait("[data-testid=sign-in]")
        browser.screenshot(tmp_path / "sign-in.png")
        assert not browser.violations()
        browser.wait("[data-testid=token]").send_keys(tokens["shop"])
        browser.wait("[data-testid=only-namespace]").send_keys("shop")
        browser.wait("[data-testid=sign-in-go]").click()
        eventually(lambda: "shop/web" in browser.wait("main").text, "the decision is shown", 30)
        assert "bank/web" not in browser.wait("main").text and not browser.all("[data-testid=sign-in]")
