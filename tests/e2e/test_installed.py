"""The chart installed by real Helm, and what it made really run: sobre and a second kube-scheduler, over TLS, as their service accounts."""
import contextlib
import itertools
import json
import threading

import grpc
import pytest
import yaml

from tests import autoscaler, chart
from tests.harness import eventually, fetch

NAMESPACE = "sobre"


def install(cluster, *settings: str, release: str = "sobre") -> None:
    """As a user would, and until all that was installed is ready."""
    cluster.helm("install", release, chart.CHART, "--namespace", NAMESPACE, "--create-namespace", *(a for s in settings for a in ("--set", s)))
    cluster.wait_ready("deployment", NAMESPACE, "sobre")
    cluster.wait_ready("deployment", NAMESPACE, "sobre-scheduler")


def add_regions(cluster) -> None:
    """Beside the nodes that run Sobre: one in a clean grid and one in a dirty one; until every replica knows both."""
    regions = {"paris": "eu-west-3", "frankfurt": "eu-central-1"}
    for name, region in regions.items():
        cluster.add_node(name, "aws:///x/i-", region, cpu=16)

    def known(pod: str) -> dict:
        return {n["node"]: n["region"] for n in json.loads(fetch(cluster.pod_url(NAMESPACE, pod, 8091) + "/api/v1/nodes")) if n["node"] in regions}

    eventually(lambda: all(known(pod) == regions for pod in replicas(cluster)), "every replica knows both nodes")


def replicas(cluster) -> list[str]:
    return [p["metadata"]["name"] for p in cluster.pods(NAMESPACE, "app.kubernetes.io/component=extender")]


def calls(cluster, outcome: str) -> float:
    """Calls of kube-scheduler to all replicas that ended so: served or refused."""
    lines = [line for pod in replicas(cluster) for line in fetch(cluster.pod_url(NAMESPACE, pod, 8091) + "/metrics").decode().splitlines()]
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("sobre_requests_total{") and f'outcome="{outcome}"' in line)


def stop_quietly(stream):
    """Its events, until it is cancelled."""
    try:
        yield from stream
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.CANCELLED, error


def ask_replica(cluster, pod: str, arguments: dict) -> list:
    """One replica's scores, as kube-scheduler asks for them."""
    reply = fetch(cluster.pod_url(NAMESPACE, pod, 8090, "https") + "/v1/prioritize", "POST", arguments, {"Content-Type": "application/json"})
    return json.loads(reply)


def left_of_release(cluster, before: set) -> set:
    """What was not there before, but for the namespace itself and what this file adds."""
    return {o for o in cluster.objects() - before if o[3] not in (NAMESPACE, "kube-root-ca.crt", "default", "paris", "frankfurt") and o[1] != "Pod"}


@pytest.mark.parametrize("version, settings", [
    ("1.36", []), ("1.36", ["tls.mutual=true"]), pytest.param("1.34", [], marks=pytest.mark.versions), pytest.param("1.37", [], marks=pytest.mark.versions)])
def test_pods_are_placed_over_tls(make_cluster, version, settings):
    cluster = make_cluster(version)
    before = cluster.objects()
    # A scheduler that waits long: with the default of 2 s a machine that stands still for so long has the pod placed without Sobre.
    install(cluster, "config.limits.trust_node_labels=true", "scheduler.httpTimeout=30s", *settings)
    add_regions(cluster)
    config = yaml.safe_load(cluster.call("GET", f"/api/v1/namespaces/{NAMESPACE}/configmaps/sobre-scheduler")["data"]["scheduler.yaml"])
    assert all(e["urlPrefix"].startswith("https://") and e["tlsConfig"]["caData"] for e in config["extenders"])
    names = [f"web-{i}" for i in range(4)]
    for name in names:
        cluster.add_pod(name, annotations={"sobre.dev/objective": "carbon"})
    cluster.add_pod("limited", annotations={"sobre.dev/allowed-countries": "DE"}, limits=True)
    placed = cluster.wait_placed([*names, "limited"])
    assert placed == dict.fromkeys(names, "paris") | {"limited": "frankfurt"}
    assert calls(cluster, "served") >= 5 and calls(cluster, "refused") == 0
    cluster.helm("test", "sobre", "--namespace", NAMESPACE)
    # A pod that waits is let go as the release is taken away.
    cluster.add_pod("waits", annotations={"sobre.dev/defer-below-gco2e-per-kwh": "1"}, schedulingGates=[{"name": "sobre.dev/carbon"}],
                    schedulerName="default-scheduler")
    cluster.helm("uninstall", "sobre", "--namespace", NAMESPACE, "--wait")
    cluster.wait_placed(["waits"])
    eventually(lambda: not left_of_release(cluster, before), "all gone")
    assert not left_of_release(cluster, before)


def test_the_cluster_autoscaler_is_answered_and_every_replica_s_decisions_are_told(make_cluster, stubs, tmp_path):
    from proto.sobre.v1 import service_pb2, service_pb2_grpc
    cluster = make_cluster()
    install(cluster, "config.limits.trust_node_labels=true", "grpc.enabled=true")
    cluster.wait_ready("deployment", NAMESPACE, "sobre-grpc")
    add_regions(cluster)
    authority = chart.decoded(cluster.call("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets/sobre-grpc-tls"))["ca.crt"]
    (tmp_path / "ca.crt").write_bytes(authority)
    address, name = cluster.service_url(NAMESPACE, "sobre-grpc", 8092).removeprefix("http://"), f"sobre-grpc.{NAMESPACE}.svc"
    groups = {region: {"metadata": {"name": "template", "labels": {"topology.kubernetes.io/region": region}},
                       "spec": {"providerID": "aws:///x/i-1"}, "status": {"allocatable": {"cpu": "8", "memory": "32Gi"}}}
              for region in ("eu-central-1", "eu-west-3")}
    pod = {"metadata": {"name": "p", "namespace": "default", "annotations": {"sobre.dev/objective": "carbon"}},
           "spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "8"}}}]}}
    question = {"shape": "bytes", "options": [autoscaler.option(region, node, [pod]) for region, node in groups.items()]}
    (answer,) = autoscaler.ask(address, tmp_path / "ca.crt", [question], name)
    assert (answer["code"], answer["groups"]) == ("OK", ["eu-west-3"]), answer
    credentials = grpc.ssl_channel_credentials(authority)
    with grpc.secure_channel(address, credentials, [("grpc.ssl_target_name_override", name)]) as channel:
        told = service_pb2_grpc.SobreStub(channel).WatchDecisions(service_pb2.WatchDecisionsRequest())
        list(told.initial_metadata())
        told_by: dict[str, set[str]] = {}
        reader = threading.Thread(target=lambda: [told_by.setdefault(getattr(e, "from"), set()).add(e.decision.pod) for e in stop_quietly(told)])
        reader.start()
        numbers = itertools.count()

        def every_replica_is_told_of() -> bool:
            """Each is asked, whichever kube-scheduler is connected to; again, as streams may begin meanwhile."""
            number = next(numbers)
            for replica in replicas(cluster):
                one = {"metadata": {"name": f"{replica}-{number}", "namespace": "default"}, "spec": pod["spec"]}
                assert ask_replica(cluster, replica, {"Pod": one, "NodeNames": ["paris", "frankfurt"]})
            return all(any(replica in name for names in told_by.values() for name in names) for replica in replicas(cluster))

        eventually(every_replica_is_told_of, "decisions of every replica", pause=1)
        assert len(told_by) == len(replicas(cluster)) == 2
        told.cancel()
        reader.join()
    used = {(e["objectRef"]["resource"], e["verb"]) for e in asked(cluster, account="sobre-grpc") if "objectRef" in e}
    assert used == {(resource, verb) for resource in ("nodes", "namespaces", "pods") for verb in ("list", "watch")}
    assert not denied(cluster, account="sobre-grpc")


def test_rolling_restart_fails_no_call(make_cluster):
    """Two replicas, pods that keep coming, one restart of all replicas: every pod is placed by Sobre's choice, and no call fails."""
    cluster = make_cluster()
    install(cluster, "config.limits.trust_node_labels=true", "scheduler.replicas=1", "scheduler.logLevel=5", "scheduler.httpTimeout=10s")
    add_regions(cluster)
    for number in range(5):
        cluster.add_node(f"paris-{number}", "aws:///x/i-", "eu-west-3")
    stop, names = threading.Event(), []

    def keep_coming() -> None:
        while not stop.wait(0.2):
            name = f"load-{len(names)}"
            cluster.add_pod(name, annotations={"sobre.dev/objective": "carbon"}, cpu="10m", memory="16Mi", limits=len(names) % 2 == 0)
            names.append(name)

    load = threading.Thread(target=keep_coming)
    load.start()
    try:
        eventually(lambda: len(names) > 20, "load")
        before = set(replicas(cluster))
        cluster.kubectl("-n", NAMESPACE, "rollout", "restart", "deployment/sobre")
        eventually(lambda: not before & set(replicas(cluster)) and cluster.is_ready("deployment", NAMESPACE, "sobre"), "all replicas new", 240)
    finally:
        stop.set()
        load.join()
    (scheduler,) = cluster.pods(NAMESPACE, "app.kubernetes.io/component=scheduler")
    try:
        placed = cluster.wait_placed(names, 240)
    finally:
        log = cluster.logs(NAMESPACE, scheduler["metadata"]["name"])
        failed = [line for line in log.splitlines() if any(words in line for words in
                  ("Failed to run extender", "Unable to schedule pod", "connection refused", "[restarted:", "leaderelection lost"))]
        assert not failed, (len(failed), failed[:5])
    assert len(names) > 50 and all(node.startswith("paris") for node in placed.values())
    events = [e for e in cluster.call("GET", "/api/v1/namespaces/default/events")["items"] if e["reason"] == "FailedScheduling"]
    assert not events, events[0]["message"]


def rules_of(cluster) -> list[tuple[str, list[dict], int]]:
    """(address of the role, its rules, index) of every rule that the extender has."""
    roles = "/apis/rbac.authorization.k8s.io/v1"
    paths = (f"{roles}/clusterroles/{NAMESPACE}:sobre", f"{roles}/namespaces/{NAMESPACE}/roles/sobre")
    return [(path, rules, index) for path in paths for rules in [cluster.call("GET", path)["rules"]] for index in range(len(rules))]


def ask_for_all(cluster, number: int) -> tuple[str, str]:
    """Two pods that make the extender use all its rights: one to be told of, one to be let go."""
    bad, waits = f"bad-{number}", f"waits-{number}"
    cluster.add_pod(bad, annotations={"sobre.dev/cost-tolerance": "much"})
    cluster.add_pod(waits, annotations={"sobre.dev/defer-below-gco2e-per-kwh": "1", "sobre.dev/max-delay": "1s"}, schedulingGates=[{"name": "sobre.dev/carbon"}])
    return bad, waits


def asked(cluster, begun: int = 0, account: str = "sobre") -> list[dict]:
    """What a service account asked of the API server, from the audit log; `begun` is where to begin."""
    return [e for e in cluster.audit()[begun:] if e["user"]["username"] == f"system:serviceaccount:{NAMESPACE}:{account}"]


def denied(cluster, begun: int = 0, account: str = "sobre") -> list[str]:
    return [e["requestURI"] for e in asked(cluster, begun, account) if e.get("responseStatus", {}).get("code") == 403]


def have_something_moved(cluster) -> None:
    """A Deployment's pod that came to run in the dirty region, as the clean one was closed, and may be moved."""
    cluster.kubectl("cordon", "paris")
    template = {"metadata": {"labels": {"app": "stray"}, "annotations": {"sobre.dev/move": "auto", "sobre.dev/objective": "carbon"}},
                "spec": {"schedulerName": "sobre", "nodeSelector": {"place": "open"},
                         "containers": [{"name": "app", "image": "none", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}]}}
    for node in ("paris", "frankfurt"):
        cluster.kubectl("label", "node", node, "place=open")
    cluster.call("POST", "/apis/apps/v1/namespaces/default/deployments", {
        "metadata": {"name": "stray"}, "spec": {"selector": {"matchLabels": {"app": "stray"}}, "template": template}})
    cluster.wait_ready("deployment", "default", "stray")
    assert [p["spec"]["nodeName"] for p in cluster.pods("default", "app=stray")] == ["frankfurt"]
    cluster.kubectl("uncordon", "paris")


LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/sobre-gatekeeper"
MOVES = ["evict=true", "every=1s", "window=24s", "min_time_between=1s", "max_evictions_per_hour=3600"]


@pytest.mark.parametrize("moves", [[], MOVES], ids=["", "evicting"])
def test_role_has_what_is_used_and_no_more(make_cluster, moves):
    """The rules are compared with what the API server's audit log saw of the extender, doing all that it does."""
    cluster = make_cluster()
    install(cluster, "config.records.seal_every=1s", "scheduler.replicas=1", *(f"config.moves.{setting}" for setting in moves))
    add_regions(cluster)
    cluster.wait_placed(list(ask_for_all(cluster, 0)))
    if moves:
        have_something_moved(cluster)
    cluster.call("DELETE", LEASE)

    def seen() -> set[tuple[str, str, str]]:
        return {(o.get("apiGroup", ""), "/".join(filter(None, (o["resource"], o.get("subresource")))), e["verb"]) for e in asked(cluster)
                if (o := e.get("objectRef")) and (e["stage"] == "ResponseComplete" or e["verb"] == "watch")}

    allowed = {(group, resource, verb) for _, rules, index in rules_of(cluster) for group in rules[index]["apiGroups"]
               for resource in rules[index]["resources"] for verb in rules[index]["verbs"]}
    eventually(lambda: allowed <= seen(), "all that is allowed is used", 120)
    assert seen() == allowed
    assert not denied(cluster)
    if moves:
        eventually(lambda: [p["spec"].get("nodeName") for p in cluster.pods("default", "app=stray")] == ["paris"], "the pod is moved")


def test_without_any_one_rule_something_fails(make_cluster):
    """With all rules all happens and nothing is denied; without one of them something is."""
    cluster = make_cluster()
    install(cluster, "config.records.seal_every=1s", "scheduler.replicas=1", "extender.replicas=1")
    add_regions(cluster)
    bad, waits = ask_for_all(cluster, 0)
    eventually(lambda: any("GateOpened" in e for e in cluster.events(waits)) and any("PolicyProblem" in e for e in cluster.events(bad)), "events")
    cluster.wait_placed([bad, waits])
    eventually(lambda: cluster.call("GET", f"/api/v1/namespaces/{NAMESPACE}/configmaps/sobre-heads").get("data"), "heads")
    assert not denied(cluster)
    numbers = itertools.count(1)

    def missed(begun: int) -> list[str]:
        # Again and again: a pod that comes before the new replica is placed without a question.
        ask_for_all(cluster, next(numbers))
        with contextlib.suppress(OSError):  # nobody has made it again
            cluster.call("DELETE", LEASE)
        return denied(cluster, begun)

    for path, rules, index in rules_of(cluster):
        cluster.call("PATCH", path, {"rules": rules[:index] + rules[index + 1:]}, content_type="application/merge-patch+json")
        begun, (old,) = len(cluster.audit()), replicas(cluster)
        cluster.call("DELETE", f"/api/v1/namespaces/{NAMESPACE}/pods/{old}")
        eventually(lambda: old not in replicas(cluster), "the old replica gone")
        eventually(lambda: missed(begun), f"somebody misses {rules[index]}", 120, pause=3)
        cluster.call("PATCH", path, {"rules": rules}, content_type="application/merge-patch+json")
        cluster.wait_ready("deployment", NAMESPACE, "sobre")
