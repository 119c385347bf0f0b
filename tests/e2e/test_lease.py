"""Replicas without a shared database, and the Lease by which they agree on who counts what pods take: missing, forbidden, made, deleted."""
import datetime
import re
import subprocess
import time

import pytest

from tests import world
from tests.harness import Sobre, eventually, fetch

RBAC = "/apis/rbac.authorization.k8s.io/v1"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/sobre/leases"
DURATION = 3.0
KNOWN = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": ["sobre-gatekeeper"], "verbs": ["get", "update"]}
MAKE = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]}


def allow(plane, *rules) -> None:
    plane.call("PATCH", f"{RBAC}/namespaces/sobre/roles/sobre", {"rules": list(rules)}, content_type="application/merge-patch+json")


@pytest.fixture(scope="module")
def cluster(control_plane, tmp_path_factory):
    """Two replicas with the rights of the chart's Role but for one, and a pod that runs. As an installer that leaves Leases out: there is none."""
    plane = control_plane
    plane.add_namespace("sobre")
    plane.call("POST", "/api/v1/namespaces/sobre/serviceaccounts", {"metadata": {"name": "sobre"}})
    token = plane.call("POST", "/api/v1/namespaces/sobre/serviceaccounts/sobre/token", {"spec": {}})["status"]["token"]
    plane.call("POST", f"{RBAC}/clusterroles", {"metadata": {"name": "sobre"}, "rules": [
        {"apiGroups": [""], "resources": ["nodes", "namespaces", "pods"], "verbs": ["list", "watch"]}]})
    plane.call("POST", f"{RBAC}/namespaces/sobre/roles", {"metadata": {"name": "sobre"}, "rules": [KNOWN]})
    for scope, kind in (("", "ClusterRole"), ("namespaces/sobre/", "Role")):
        plane.call("POST", f"{RBAC}/{scope}{kind.lower()}bindings", {
            "metadata": {"name": "sobre"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": "sobre"},
            "subjects": [{"kind": "ServiceAccount", "name": "sobre", "namespace": "sobre"}]})
    plane.add_node("n-0", world.REGIONS["fr-par"][1], "fr-par")
    plane.add_pod("web", cpu="2", memory="4Gi", nodeName="n-0")
    since = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    plane.call("PATCH", "/api/v1/namespaces/default/pods/web/status", {"status": {"phase": "Running", "startTime": since}},
               content_type="application/merge-patch+json")
    kubeconfig = plane.make_kubeconfig("sobre", token)
    replicas = []
    try:
        for name in "ab":
            folder = tmp_path_factory.mktemp(name)
            replicas.append(Sobre(folder, {
                "kubernetes": {"kubeconfig": str(kubeconfig)}, "records": {"directory": str(folder / "records")},
                "accounting": {"every": "1s", "flush": "1s"},
                "deferral": {"check": "300ms", "lease_duration": f"{DURATION:g}s", "lease_namespace": "sobre"}}))
        yield plane, replicas
    finally:
        for replica in replicas:
            replica.stop()


def metrics(replica: Sobre) -> dict[str, float]:
    lines = [line for line in fetch(replica.status_url + "/metrics").decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def leads(replica: Sobre) -> bool:
    told = metrics(replica)
    return bool(told["sobre_lease_holder"] or told["sobre_accounting_holder"])


def watch(replicas: list[Sobre], seconds: float) -> set[int]:
    """Which of them led, one look after the other; never both: one between two looks at the other cannot lead as well."""
    led, end = set(), time.monotonic() + seconds
    while time.monotonic() < end:
        begun = time.monotonic()
        first, second, again = leads(replicas[0]), leads(replicas[1]), leads(replicas[0])
        if time.monotonic() - begun < DURATION:  # it could not have lost the Lease and taken it again
            assert not (first and second and again)
        led |= {number for number, one in enumerate((first, second)) if one}
    return led


def doctor(replica: Sobre, sobre_bin: str) -> subprocess.CompletedProcess:
    return subprocess.run([sobre_bin, "doctor", "--config", replica.config], capture_output=True, text=True)


def test_without_a_lease_nobody_counts_and_all_say_so(cluster, sobre_bin):
    plane, replicas = cluster
    for replica in replicas:
        told = eventually(lambda r=replica: (lambda page: page if "[!]lease failed, not needed" in page else "")(
            fetch(r.status_url + "/readyz?verbose").decode()), "the Lease is missed")
        assert 'cannot create resource "leases"' in told and told.endswith("readyz check passed\n")
        eventually(lambda r=replica: metrics(r).get("sobre_accounted_through_timestamp_seconds"), "what pods take is in its own database")
        assert "lease: it cannot be had" in replica.process.tail()
    assert watch(replicas, 2 * DURATION) == set()
    for replica in replicas:
        told = metrics(replica)
        assert told["sobre_lease_failing"] == 1 and not any(name.startswith("sobre_attributed_") for name in told)
    done = doctor(replicas[0], sobre_bin)
    assert done.returncode == 1 and "error    lease: sobre/sobre-gatekeeper cannot be taken" in done.stdout
    with pytest.raises(OSError, match=" 404 "):
        plane.call("GET", f"{LEASES}/sobre-gatekeeper")


def test_one_that_is_missing_is_made_and_one_counts(cluster, sobre_bin):
    plane, replicas = cluster
    allow(plane, KNOWN, MAKE)
    eventually(lambda: any(map(leads, replicas)), "somebody leads")
    assert len(watch(replicas, 2 * DURATION)) == 1
    told = eventually(lambda: (lambda all_: all_ if sum(m.get("sobre_running_pods", 0) for m in all_) else None)([metrics(r) for r in replicas]), "it counts")
    assert [m["sobre_lease_failing"] for m in told] == [0, 0]
    assert sum(any(name.startswith("sobre_attributed_") for name in m) for m in told) == 1
    assert sorted(re.search(r"^\[\+\]lease ok: (.*)$", fetch(r.status_url + "/readyz?verbose").decode(), re.M)[1] for r in replicas) == [
        "another replica leads", "this replica leads"]
    done = doctor(replicas[0], sobre_bin)
    assert "ok       lease: sobre/sobre-gatekeeper can be taken; " in done.stdout, done.stdout
    holder = plane.call("GET", f"{LEASES}/sobre-gatekeeper")["spec"]["holderIdentity"]
    assert holder in done.stdout


def test_one_that_is_deleted_is_never_held_by_two(cluster):
    plane, replicas = cluster
    led = set()
    for _ in range(6):
        plane.call("DELETE", f"{LEASES}/sobre-gatekeeper")
        led |= watch(replicas, DURATION / 2)
    eventually(lambda: any(map(leads, replicas)), "somebody leads")
    assert led or watch(replicas, DURATION)


def test_one_that_may_no_longer_be_written_is_nobodys(cluster):
    plane, replicas = cluster
    allow(plane, KNOWN | {"verbs": ["get"]})
    eventually(lambda: all(metrics(r)["sobre_lease_failing"] and not leads(r) for r in replicas), "nobody leads")
    assert watch(replicas, DURATION) == set()
    allow(plane, KNOWN, MAKE)
    eventually(lambda: any(map(leads, replicas)), "somebody leads again")
