"""The test cluster itself: what a pod asks for is what it gets, and nothing stays behind."""
import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time

import pytest
import yaml

from tests import programs
from tests.harness import ROOT, eventually, fetch
from tests.minicluster import Image, MiniCluster

IMAGES = {"python": Image(["/usr/bin/python3"]), "shell": Image(["/bin/sh", "-c"])}
SERVER = ["-m", "http.server", "8000", "--directory", "/etc/web"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, containers):
    cluster = MiniCluster(tmp_path_factory.mktemp("cluster"), pathlib.Path(programs.named("control-plane")), IMAGES,
                          tools=pathlib.Path(programs.named("tools")))
    yield cluster
    cluster.stop()


@pytest.fixture
def space(cluster, request):
    """A namespace of the test's own; it goes while the next test runs."""
    name = request.node.name.replace("_", "-").split("[")[0][:60].lower()
    cluster.add_namespace(name)
    eventually(lambda: cluster.call("GET", f"/api/v1/namespaces/{name}/serviceaccounts/default"), "default service account")
    yield name
    cluster.call("DELETE", f"/api/v1/namespaces/{name}")


def create(cluster, space: str, *objects: dict) -> None:
    cluster.kubectl("apply", "--namespace", space, "-f", "-", text=yaml.safe_dump_all(objects))


def pod(name: str, image: str, *arguments: str, container: dict | None = None, labels: dict | None = None, **spec) -> dict:
    main = {"name": "main", "image": image, "args": list(arguments)} | (container or {})
    spec = {"terminationGracePeriodSeconds": 1, "containers": [main]} | spec
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels or {}}, "spec": spec}


def patch(cluster, path: str, body: dict) -> None:
    cluster.call("PATCH", path, body, content_type="application/merge-patch+json")


def config_map(name: str, **data: str) -> dict:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def secret(name: str, **data: str) -> dict:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def template(app: str, *arguments, **more) -> dict:
    """As pod(), for what makes pods."""
    return {"metadata": {"labels": {"app": app}}, "spec": pod(app, *arguments, **more)["spec"]}


def web(text: str, replicas: int = 2, grace_seconds: int = 1, **container) -> list[dict]:
    """A Deployment that serves `text` as /text, and its Service."""
    files = {"name": "web", "configMap": {"name": "web"}}
    served = template("web", "python", *SERVER, volumes=[files], terminationGracePeriodSeconds=grace_seconds, container={
        "ports": [{"name": "http", "containerPort": 8000}],
        "readinessProbe": {"httpGet": {"path": "/text", "port": "http"}, "periodSeconds": 1},
        "volumeMounts": [{"name": "web", "mountPath": "/etc/web"}]} | container)
    return [config_map("web", text=text),
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
             "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": served,
                      "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}},
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
             "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]}}]


def state(cluster, space: str, name: str) -> dict:
    return cluster.call("GET", f"/api/v1/namespaces/{space}/pods/{name}")["status"]


def container_state(cluster, space: str, name: str) -> dict:
    return state(cluster, space, name)["containerStatuses"][0]["state"]


def ended(cluster, space: str, name: str) -> str:
    """What a pod that ended well printed."""
    eventually(lambda: state(cluster, space, name)["phase"] in ("Succeeded", "Failed"), f"{name} ended")
    assert state(cluster, space, name)["phase"] == "Succeeded", cluster.logs(space, name)
    return cluster.logs(space, name)


def running(cluster, space: str, name: str) -> dict:
    return eventually(lambda: (s := state(cluster, space, name))["phase"] == "Running" and s, f"{name} running")


def test_deployment_is_reached_through_its_service_by_name(cluster, space):
    create(cluster, space, *web("hello"), pod("client", "python", "-c", textwrap.dedent(f"""
        import time, urllib.request
        while True:
            try:
                print(urllib.request.urlopen("http://web.{space}.svc/text", timeout=5).read().decode(), flush=True)
                break
            except OSError:
                time.sleep(0.2)"""), restartPolicy="Never"))
    cluster.wait_ready("deployment", space, "web")
    assert ended(cluster, space, "client") == "hello\n"
    assert fetch(cluster.service_url(space, "web", 80) + "/text") == b"hello"
    nodes = {p["spec"]["nodeName"] for p in cluster.pods(space, "app=web")}
    assert nodes == {"node-1", "node-2"}  # by the default scheduler's spreading
    name = cluster.pods(space, "app=web")[0]["metadata"]["name"]
    assert fetch(cluster.pod_url(space, name, 8000) + "/text") == b"hello"
    assert "kube-probe" not in cluster.kubectl("logs", name, "--namespace", space).split("GET /text")[0]
    assert '"GET /text HTTP/1.1" 200' in cluster.kubectl("logs", name, "--namespace", space)


def test_rolling_update_replaces_pods_and_loses_no_request(cluster, space):
    # The old pod serves on while the proxy forgets it, as preStop is for.
    create(cluster, space, *web("hello", grace_seconds=6, lifecycle={"preStop": {"sleep": {"seconds": 3}}}))
    cluster.wait_ready("deployment", space, "web")
    old = {p["metadata"]["name"] for p in cluster.pods(space, "app=web") if not p["metadata"].get("deletionTimestamp")}
    url = cluster.service_url(space, "web", 80) + "/text"
    change = {"spec": {"template": {"metadata": {"annotations": {"version": "2"}}}}}
    patch(cluster, f"/apis/apps/v1/namespaces/{space}/deployments/web", change)
    asked = 0

    def replaced():
        nonlocal asked
        assert fetch(url) == b"hello"
        asked += 1
        return cluster.is_ready("deployment", space, "web") and not old & {p["metadata"]["name"] for p in cluster.pods(space)}
    eventually(replaced, "all pods replaced", 120, pause=0.02)
    assert len(cluster.pods(space)) == 2 and asked > 10


def test_service_without_ready_endpoint_refuses_but_keeps_connections(cluster, space):
    echo = textwrap.dedent("""
        import socketserver
        class Echo(socketserver.StreamRequestHandler):
            def handle(self):
                for line in self.rfile:
                    self.wfile.write(line)
        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = daemon_threads = True
        Server(("", 8000), Echo).serve_forever()""")
    ready = {"exec": {"command": ["test", "!", "-e", "/tmp/unready"]}, "periodSeconds": 1, "failureThreshold": 1}
    create(cluster, space, *web("hello", replicas=1, args=["-c", echo], readinessProbe=ready))
    cluster.wait_ready("deployment", space, "web")
    address = cluster.service_url(space, "web", 80)[len("http://"):].split(":")[0], 80
    kept = eventually(lambda: socket.create_connection(address, 5), "Service connects")
    name = cluster.pods(space)[0]["metadata"]["name"]

    def refused() -> bool:
        try:
            socket.create_connection(address, 5).close()
        except ConnectionRefusedError:
            return True
        return False
    assert cluster.exec(space, name, "touch", "/tmp/unready").returncode == 0
    eventually(refused, "new connections refused")
    with kept:
        kept.sendall(b"still here\n")
        assert kept.recv(100) == b"still here\n"
    assert cluster.exec(space, name, "rm", "/tmp/unready").returncode == 0
    eventually(lambda: not refused(), "new connections again")


def test_changed_config_map_and_secret_appear_in_the_running_container(cluster, space):
    volume = {"name": "config", "projected": {"defaultMode": 0o440, "sources": [
        {"configMap": {"name": "config", "items": [{"key": "a", "path": "deep/a"}]}}, {"secret": {"name": "secret"}},
        {"configMap": {"name": "missing", "optional": True}}]}}
    mounted = {"volumeMounts": [{"name": "config", "mountPath": "/config"}]}
    create(cluster, space, config_map("config", a="one", b="unseen"),
           pod("reader", "shell", "sleep 1000", container=mounted, volumes=[volume]))
    eventually(lambda: 'secret "secret" not found' in container_state(cluster, space, "reader")["waiting"]["message"],
               "pod says what it waits for")
    create(cluster, space, secret("secret", password="hunter2"))
    running(cluster, space, "reader")

    def seen(path: str) -> bytes:
        return cluster.exec(space, "reader", "cat", path).stdout
    eventually(lambda: seen("/config/deep/a") == b"one", "first content")
    assert seen("/config/password") == b"hunter2"
    look = "cd /config; echo *; stat -L -c %a password; readlink password; echo x >new"
    assert cluster.exec(space, "reader", "sh", "-c", look).stdout == b"deep password\n440\n..data/password\n"
    patch(cluster, f"/api/v1/namespaces/{space}/configmaps/config", {"data": {"a": "two"}})
    eventually(lambda: seen("/config/deep/a") == b"two", "changed content")
    cluster.call("DELETE", f"/api/v1/namespaces/{space}/secrets/secret")
    time.sleep(0.5)
    assert seen("/config/password") == b"hunter2"


def test_variables_are_expanded(cluster, space):
    variables = [{"name": "a", "value": "one"}, {"name": "B", "value": "$(a)-$$(a)-$(unknown)"}] + [
        {"name": name, "valueFrom": source} for name, source in {
            "NODE": {"fieldRef": {"fieldPath": "spec.nodeName"}}, "IP": {"fieldRef": {"fieldPath": "status.podIP"}},
            "KEY": {"configMapKeyRef": {"name": "c", "key": "k"}},
            "NONE": {"secretKeyRef": {"name": "s", "key": "k", "optional": True}}}.items()]
    say = 'echo "$B $KEY $NODE $IP ${NONE-unset} $HOSTNAME $(hostname) $0 $(pwd)"'
    create(cluster, space, config_map("c", k="from-map"),
           pod("p", "shell", say, "$(KEY)", restartPolicy="Never", container={"workingDir": "/usr", "env": variables}))
    status = eventually(lambda: (s := state(cluster, space, "p")).get("podIP") and s, "address")
    node = cluster.call("GET", f"/api/v1/namespaces/{space}/pods/p")["spec"]["nodeName"]
    assert ended(cluster, space, "p") == f"one-$(a)-$(unknown) from-map {node} {status['podIP']} unset p p from-map /usr\n"


def test_restricted_container_is_restricted(cluster, space):
    cluster.kubectl("label", "namespace", space, "pod-security.kubernetes.io/enforce=restricted")
    show = ("id -u; id -g; id -G; grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status; touch /root-file; "
            "touch /tmp/file && stat -c '%u %g' /tmp/file; cat /s/k")
    context = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    restricted = pod("p", "shell", show, restartPolicy="Never",
                     container={"securityContext": context,
                                "volumeMounts": [{"name": n, "mountPath": f"/{n}"} for n in ("tmp", "s")]},
                     securityContext={"runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65531, "fsGroup": 65530,
                                      "seccompProfile": {"type": "RuntimeDefault"}},
                     volumes=[{"name": "tmp", "emptyDir": {}},
                              {"name": "s", "secret": {"secretName": "s", "defaultMode": 0o400}}])
    create(cluster, space, secret("s", k="readable by group"), restricted)
    lines = ended(cluster, space, "p").splitlines()
    assert lines[:3] == ["65532", "65531", "65531 65530"]
    assert {line.split()[0]: line.split()[1] for line in lines[3:6]} == \
        {"CapEff:": "0" * 16, "CapBnd:": "0" * 16, "NoNewPrivs:": "1"}
    assert "Read-only file system" in lines[6]
    assert lines[7:] == ["65532 65530", "readable by group"]
    refused = cluster.kubectl("apply", "--namespace", space, "-f", "-", check=False, text=json.dumps(pod("q", "shell", "true")))
    assert "violates PodSecurity" in refused
    cluster.kubectl("label", "namespace", space, "pod-security.kubernetes.io/enforce-")
    del restricted["spec"]["securityContext"]["runAsUser"]
    restricted["metadata"]["name"] = "as-root"
    create(cluster, space, restricted)
    eventually(lambda: "runAsNonRoot" in json.dumps(container_state(cluster, space, "as-root")), "root refused")


def test_an_image_has_a_root_and_a_user_of_its_own(cluster, space, tmp_path):
    libraries = re.findall(r"(/\S+) \(", subprocess.run(["ldd", "/bin/sleep"], capture_output=True, text=True, check=True).stdout)
    for path in ["/bin/sleep", "/bin/cat", *libraries]:
        copy = tmp_path / path[1:]
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    (tmp_path / "own").write_text("mine")
    cluster.kubelet.images["scratch"] = Image(["/bin/sleep"], root=tmp_path, user=1234)
    create(cluster, space, pod("p", "scratch:1", "1000"))
    running(cluster, space, "p")
    eventually(lambda: cluster.exec(space, "p", "cat", "/own").stdout == b"mine", "its own files")
    assert b"cannot run /bin/sh" in cluster.exec(space, "p", "/bin/sh", "-c", "true").stderr
    assert pathlib.Path(f"/proc/{cluster.kubelet.runner(space, 'p').main[0].first_process()}").stat().st_uid == 1234


def test_service_account_token_is_accepted_inside(cluster, space):
    ask = textwrap.dedent("""
        import json, ssl, urllib.request, urllib.error
        folder = "/var/run/secrets/kubernetes.io/serviceaccount/"
        def ask(path, body=None):
            request = urllib.request.Request("https://kubernetes.default.svc" + path, data=body and json.dumps(body).encode())
            request.add_header("Authorization", "Bearer " + open(folder + "token").read())
            request.add_header("Content-Type", "application/json")
            return json.load(urllib.request.urlopen(request, context=ssl.create_default_context(cafile=folder + "ca.crt")))
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        print(ask("/apis/authentication.k8s.io/v1/selfsubjectreviews", review)["status"]["userInfo"]["username"])
        try:
            ask("/api/v1/secrets")
        except urllib.error.HTTPError as error:
            print(error.code)
    """)
    create(cluster, space, pod("p", "python", "-c", ask, restartPolicy="Never"))
    user = f"system:serviceaccount:{space}:default"
    assert ended(cluster, space, "p") == f"{user}\n403\n"
    eventually(lambda: [(e["verb"], e["responseStatus"]["code"]) for e in cluster.audit() if e["user"]["username"] == user] ==
               [("create", 201), ("list", 403)], "audit")


def test_jobs_end(cluster, space):
    def job(name: str, script: str) -> dict:
        first = {"name": "first", "image": "shell", "args": ["echo first"]}
        work = template(name, "shell", script, restartPolicy="Never", initContainers=[first])
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
                "spec": {"backoffLimit": 0, "template": work}}
    create(cluster, space, job("good", "true"), job("bad", "exit 3"))
    cluster.kubectl("wait", "--namespace", space, "--for=condition=Complete", "job/good", "--timeout=120s")
    cluster.kubectl("wait", "--namespace", space, "--for=condition=Failed", "job/bad", "--timeout=120s")
    (bad,) = cluster.pods(space, "job-name=bad")
    assert bad["status"]["phase"] == "Failed"
    assert bad["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 3
    assert cluster.logs(space, bad["metadata"]["name"], "first") == "first\n"


def test_liveness_restarts_and_crashes_back_off(cluster, space):
    live = {"exec": {"command": ["test", "!", "-e", "/tmp/dead"]}, "periodSeconds": 1, "failureThreshold": 1}
    create(cluster, space, pod("sick", "shell", "rm -f /tmp/dead; sleep 1000", container={"livenessProbe": live}),
           pod("crash", "shell", "exit 7"))
    running(cluster, space, "sick")
    eventually(lambda: cluster.exec(space, "sick", "touch", "/tmp/dead").returncode == 0, "exec")
    eventually(lambda: state(cluster, space, "sick")["containerStatuses"][0]["restartCount"] > 0, "restarted")
    eventually(lambda: container_state(cluster, space, "sick").get("running"), "running again")

    def crashed():
        status = state(cluster, space, "crash")["containerStatuses"][0]
        return status["restartCount"] > 1 and "waiting" in status["state"] and status
    crash = eventually(crashed, "crashed twice")
    assert crash["lastState"]["terminated"]["exitCode"] == 7 and crash["state"]["waiting"]["reason"] == "CrashLoopBackOff"


def test_a_deleted_pod_ends_gracefully(cluster, space):
    script = "trap 'echo term; exit 0' TERM; echo up; while :; do sleep 0.1; done"
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo preStop >>/proc/1/fd/1"]}}}
    create(cluster, space, pod("good", "shell", script, terminationGracePeriodSeconds=30, container={"lifecycle": hook}),
           pod("stubborn", "shell", "echo up; sleep 1000"))
    for name in ("good", "stubborn"):
        eventually(lambda n=name: cluster.logs(space, n) == "up\n", f"{name} up")
    cluster.kubectl("delete", "pod", "good", "stubborn", "--namespace", space, "--timeout=120s")
    assert cluster.logs(space, "good") == "up\npreStop\nterm\n"


def test_what_cannot_be_done_is_told(cluster, space):
    create(cluster, space, pod("unknown", "registry.example.com/none:1"), pod("host", "shell", "true", hostNetwork=True),
           pod("fake", "none:1"))

    def waits(name: str) -> dict:
        return container_state(cluster, space, name)["waiting"]
    eventually(lambda: waits("unknown")["reason"] == "ErrImagePull", "unknown image told")
    eventually(lambda: "spec.hostNetwork" in waits("host")["message"], "unsupported field told")
    running(cluster, space, "fake")
    cluster.kubectl("delete", "pod", "--all", "--namespace", space, "--timeout=120s")


def test_stateful_set_keeps_its_claim(cluster, space):
    written = template("db", "shell", "echo $(hostname) >>/data/log; sleep 1000",
                       container={"volumeMounts": [{"name": "data", "mountPath": "/data"}]})
    claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "any",
                                                   "resources": {"requests": {"storage": "1Gi"}}}}
    create(cluster, space, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "db"},
                            "spec": {"clusterIP": "None", "selector": {"app": "db"}}},
           {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"},
            "spec": {"serviceName": "db", "replicas": 1, "selector": {"matchLabels": {"app": "db"}}, "template": written,
                     "volumeClaimTemplates": [claim]}})
    cluster.wait_ready("statefulset", space, "db")
    eventually(lambda: cluster.exec(space, "db-0", "cat", "/data/log").stdout == b"db-0\n", "written")
    eventually(lambda: cluster.exec(space, "db-0", "getent", "hosts", f"db-0.db.{space}.svc").returncode == 0, "name of its own")
    cluster.kubectl("delete", "pod", "db-0", "--namespace", space)
    eventually(lambda: cluster.exec(space, "db-0", "cat", "/data/log").stdout == b"db-0\ndb-0\n", "data kept")


def test_helm_installs_and_leaves_nothing(cluster, space, tmp_path):
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: web\nversion: 1.0.0\n")
    (tmp_path / "templates" / "all.yaml").write_text(yaml.safe_dump_all(web("by helm")))

    def objects() -> set:
        """Without what other tests' namespaces leave as they go."""
        return {o for o in cluster.objects(without=("Event", "Namespace", "PersistentVolume")) if o[2] in ("", space)}
    before = objects()
    cluster.helm("install", "web", tmp_path, "--namespace", space, "--wait", "--timeout", "180s")
    assert cluster.is_ready("deployment", space, "web")
    assert objects() - before >= {("apps/v1", "Deployment", space, "web"), ("v1", "Service", space, "web")}
    cluster.helm("uninstall", "web", "--namespace", space, "--wait")
    eventually(lambda: objects() == before, "nothing left")


STARTED = """
import pathlib, sys, time
from tests.minicluster import MiniCluster
from tests.e2e.test_minicluster import IMAGES, create, pod, running
cluster = MiniCluster(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), IMAGES)
create(cluster, "default", pod("p", "shell", "sleep 1000"))
running(cluster, "default", "p")
print(cluster.network.bridge, cluster.kubelet.runner("default", "p").main[0].first_process(), flush=True)
if sys.argv[3] == "stop":
    cluster.stop()
else:
    time.sleep(1000)
"""


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_nothing_stays_behind(tmp_path, containers, how):
    """Neither after stop() nor when the tests themselves are killed."""
    folder = str(tmp_path)
    with subprocess.Popen([sys.executable, "-c", STARTED, folder, programs.named("control-plane"), how], cwd=ROOT, text=True,
                          stdout=subprocess.PIPE, start_new_session=True) as started:
        try:
            bridge, pid = started.stdout.readline().split()
            if how == "kill":
                assert pathlib.Path(f"/sys/class/net/{bridge}").exists() and pathlib.Path(f"/proc/{pid}").exists()
                started.send_signal(signal.SIGKILL)
            else:
                assert started.wait(120) == 0
        finally:
            started.kill()

    def left() -> list[str]:
        processes = subprocess.run(["ps", "-eo", "args", "-ww"], capture_output=True, text=True, check=True).stdout.splitlines()
        mounts = pathlib.Path("/proc/mounts").read_text().splitlines()
        paths = [path for path in (f"/proc/{pid}", f"/sys/class/net/{bridge}") if pathlib.Path(path).exists()]
        return [line for line in processes + mounts if folder in line] + paths
    eventually(lambda: not left(), "nothing left")
