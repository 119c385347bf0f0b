"""Runs the pods that are bound to nodes, and tells the API server how they are. One thread a pod; none for fake images."""
import concurrent.futures
import contextlib
import pathlib
import shutil
import threading
import time
import traceback

from tests.minicluster.containers import Container, Image, now
from tests.minicluster.network import Network, Sandbox
from tests.minicluster.probes import Prober
from tests.minicluster.volumes import NotYet, Objects, Volume
from tests.minicluster.watch import Cache

# What is done, and what may be left undone without harm. Whatever else a pod asks for is an error in its status.
POD_FIELDS = set("""affinity automountServiceAccountToken containers dnsPolicy enableServiceLinks hostname imagePullSecrets
    initContainers nodeName nodeSelector preemptionPolicy priority priorityClassName restartPolicy schedulerName schedulingGates
    securityContext serviceAccount serviceAccountName subdomain terminationGracePeriodSeconds tolerations
    topologySpreadConstraints volumes""".split())
POD_CONTEXT = set("fsGroup fsGroupChangePolicy runAsGroup runAsNonRoot runAsUser seccompProfile supplementalGroups".split())
CONTAINER_FIELDS = set("""args command env envFrom image imagePullPolicy lifecycle livenessProbe name ports readinessProbe
    resources securityContext startupProbe terminationMessagePath terminationMessagePolicy volumeMounts workingDir""".split())
CONTEXT = POD_CONTEXT | {"allowPrivilegeEscalation", "capabilities", "readOnlyRootFilesystem"}
MOUNT_FIELDS = set("mountPath name readOnly".split())
HOOKS = set("exec sleep".split())
CONDITIONS = ("Initialized", "Ready", "ContainersReady")
TICK_SECONDS, VOLUMES_SECONDS = 0.1, 0.5


class Unsupported(Exception):
    pass


class Deleted(Exception):
    pass


def refuse_unsupported(pod: dict) -> None:
    def refuse(where: str, found: dict | None, known: set[str]) -> None:
        unknown = sorted(k for k, v in (found or {}).items() if k not in known and v not in (None, False, {}, []))
        if unknown:
            raise Unsupported(f"the test cluster does not do {where}{unknown[0]}")

    spec = pod["spec"]
    refuse("spec.", spec, POD_FIELDS)
    refuse("spec.securityContext.", spec.get("securityContext"), POD_CONTEXT)
    for container in spec["containers"] + (spec.get("initContainers") or []):
        name = f"container {container['name']}: "
        refuse(name, container, CONTAINER_FIELDS)
        refuse(name + "securityContext.", container.get("securityContext"), CONTEXT)
        refuse(name + "lifecycle.", container.get("lifecycle"), {"preStop"})
        refuse(name + "preStop.", (container.get("lifecycle") or {}).get("preStop"), HOOKS)
        for mount in container.get("volumeMounts") or []:
            refuse(name + "volumeMounts.", mount, MOUNT_FIELDS)


class Kubelet:
    """`images`: what an image's name, without its tag, stands for; None counts as running at once, without a process."""

    def __init__(self, plane, token: str, folder: pathlib.Path, network: Network, names: pathlib.Path,
                 images: dict[str, Image | None]) -> None:
        self.plane, self.token, self.folder, self.network, self.names, self.images = plane, token, folder, network, names, images
        self.runners: dict[str, PodRunner] = {}
        self.faked: dict[str, str] = {}  # by uid, what was done last
        self.stopping = False
        self.objects = Objects(plane, token)
        self.api_server = (plane.service_address, "443")
        self.pool = concurrent.futures.ThreadPoolExecutor(8)
        self.pods: Cache | None = None
        self.pods = Cache(plane, token, "/api/v1/pods", self._pods_changed)

    def image(self, reference: str) -> Image | None:
        """Longest name first; KeyError: no such image."""
        for name in sorted(self.images, key=len, reverse=True):
            if reference == name or reference.startswith((name + ":", name + "@")):
                return self.images[name]
        raise KeyError(reference)

    def is_fake(self, pod: dict) -> bool:
        try:
            return all(self.image(c["image"]) is None for c in pod["spec"]["containers"])
        except KeyError:
            return False

    def _pods_changed(self) -> None:
        if self.stopping or self.pods is None:
            return
        for pod in self.pods.all():
            uid, deleted = pod["metadata"]["uid"], pod["metadata"].get("deletionTimestamp")
            if not pod["spec"].get("nodeName") or uid in self.runners:
                continue
            if self.is_fake(pod) or pod["status"].get("phase") in ("Succeeded", "Failed"):
                self._fake(pod, "delete" if deleted else "run")
            else:
                self.runners[uid] = PodRunner(self, pod)

    def _fake(self, pod: dict, what: str) -> None:
        """Lets a pod without processes run, or go."""
        uid = pod["metadata"]["uid"]
        if self.faked.get(uid) != what and (what == "delete" or pod["status"].get("phase") == "Pending"):
            self.faked[uid] = what
            self.pool.submit(self.delete if what == "delete" else self._run_fake, pod)

    def _run_fake(self, pod: dict) -> None:
        running = {"state": {"running": {"startedAt": now()}}, "ready": True, "started": True, "restartCount": 0}
        conditions = [{"type": kind, "status": "True", "lastTransitionTime": now()} for kind in CONDITIONS]
        self.patch_status(pod, {"phase": "Running", "startTime": now(), "hostIP": self.network.gateway, "conditions": conditions,
                                "containerStatuses": [running | {"name": c["name"], "image": c["image"], "imageID": c["image"]}
                                                      for c in pod["spec"]["containers"]]})

    def patch_status(self, pod: dict, status: dict) -> None:
        metadata = pod["metadata"]
        self.plane.call("PATCH", f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/status",
                        {"metadata": {"uid": metadata["uid"]}, "status": status},
                        content_type="application/strategic-merge-patch+json", token=self.token)

    def delete(self, pod: dict) -> None:
        metadata = pod["metadata"]
        self.plane.call("DELETE", f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}",
                        {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}}, token=self.token)

    def runner(self, namespace: str, name: str) -> "PodRunner":
        pod = self.pods.get(namespace, name)
        if not pod or pod["metadata"]["uid"] not in self.runners:
            raise OSError(f"pod {namespace}/{name} does not run here")
        return self.runners[pod["metadata"]["uid"]]

    def log_path(self, namespace: str, name: str, container: str) -> pathlib.Path:
        return self.folder / "logs" / namespace / name / f"{container}.log"

    def stop(self) -> None:
        self.stopping = True
        self.objects.stop()
        if self.pods:
            self.pods.stopping = True
        for runner in list(self.runners.values()):
            runner.join(20)
        self.pool.shutdown()


class PodRunner(threading.Thread):
    """One pod from its binding to its end."""

    def __init__(self, kubelet: Kubelet, pod: dict) -> None:
        self.kubelet, self.pod = kubelet, pod
        metadata = pod["metadata"]
        super().__init__(daemon=True, name=f"pod {metadata['namespace']}/{metadata['name']}")
        self.folder = kubelet.folder / "pods" / metadata["uid"]
        self.sandbox: Sandbox | None = None
        self.volumes: dict[str, Volume] = {}
        self.init: list[Container] = []
        self.main: list[Container] = []
        self.phase, self.start_time, self.transitions = "Pending", now(), {}
        self.sent, self.message, self.update_volumes_at = None, "", 0.0
        self.hurry = threading.Event()
        self.start()

    # What the API server says of the pod.

    def _current(self) -> dict | None:
        metadata = self.pod["metadata"]
        pod = self.kubelet.pods.get(metadata["namespace"], metadata["name"])
        return pod if pod and pod["metadata"]["uid"] == metadata["uid"] else None

    def _leave_if_deleted(self) -> None:
        pod = self._current()
        if self.kubelet.stopping or pod is None or pod["metadata"].get("deletionTimestamp"):
            raise Deleted

    # The pod's life.

    def run(self) -> None:
        try:
            self._live()
        except Deleted:
            pass
        except Exception as error:  # told to whoever looks at the pod
            text = str(error) if isinstance(error, Unsupported) else f"the test cluster failed: {traceback.format_exc()}"
            self._tell_waiting("Unsupported" if isinstance(error, Unsupported) else "MiniClusterError", text)
        try:
            self._await_deletion()
        finally:
            self._end()

    def _live(self) -> None:
        self._retry("CreateContainerConfigError", self._prepare)
        for container in self.init:
            if not self._run_init(container):
                return
        for container in self.main:
            self._retry("CreateContainerConfigError", lambda c=container: self._start(c), container)
        while self.phase in ("Pending", "Running"):
            for container in self.main:
                self._tend(container)
            self._judge_phase()
            self._update_volumes()
            self._report()
            self._leave_if_deleted()
            time.sleep(TICK_SECONDS)

    def _retry(self, reason: str, step, container: Container | None = None) -> None:
        """The step, again and again until what it needs is there."""
        while True:
            self._leave_if_deleted()
            try:
                return step()
            except (NotYet, OSError) as error:
                self._tell_waiting(reason, str(error), container)
            except KeyError as error:
                self._tell_waiting("ErrImagePull", f"no image {error} in the test cluster", container)
            time.sleep(0.3)

    def _prepare(self) -> None:
        """Images, volumes, network."""
        pod, kubelet = self.pod, self.kubelet
        refuse_unsupported(pod)
        metadata = pod["metadata"]

        def container(spec: dict) -> Container:
            image = kubelet.image(spec["image"])
            if image is None:
                raise Unsupported(f"container {spec['name']} has a fake image, others of its pod have not")
            log = kubelet.log_path(metadata["namespace"], metadata["name"], spec["name"])
            return Container(spec, pod, image, self.folder / "containers" / spec["name"], log)

        if not self.main:
            self.init = [container(c) for c in pod["spec"].get("initContainers") or []]
            self.main = [container(c) for c in pod["spec"]["containers"]]
        if not self.volumes:
            self.volumes = {v["name"]: Volume(v, pod, kubelet.objects, self.folder / "volumes" / v["name"])
                            for v in pod["spec"].get("volumes") or []}
        if not self.sandbox:
            (self.folder / "volumes").mkdir(parents=True, exist_ok=True)
            self.sandbox = Sandbox(kubelet.network, pod["spec"].get("hostname") or metadata["name"], self.folder / "sandbox.log")
        for volume in self.volumes.values():
            volume.update(self.sandbox.address)

    def _run_init(self, container: Container) -> bool:
        """True once it ended well; false if the pod failed by it."""
        while True:
            self._retry("CreateContainerConfigError", lambda: self._start(container), container)
            while container.running():
                self._report()
                self._leave_if_deleted()
                time.sleep(TICK_SECONDS)
            code = container.reap()
            container.ready = code == 0
            if code == 0:
                return True
            if self.pod["spec"]["restartPolicy"] == "Never":
                self.phase = "Failed"
                self._report()
                return False
            self._back_off(container)
            while time.monotonic() < container.restart_at:
                self._report()
                self._leave_if_deleted()
                time.sleep(TICK_SECONDS)

    def _start(self, container: Container) -> None:
        environment = container.environment(self.kubelet.objects, self.sandbox.address, self.kubelet.api_server)
        container.start(self.sandbox, self.volumes, self.kubelet.names, environment)
        if container in self.main:
            container.prober = Prober(container, self.sandbox.address)

    def _back_off(self, container: Container) -> None:
        container.last_state = container.state
        container.restart_at = time.monotonic() + min(2 ** container.restarts, 10)
        container.restarts += 1
        container.state = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off restarting failed container"}}

    def _tend(self, container: Container) -> None:
        if container.running():
            if container.prober.failed:
                container.log.open("a").write(f"[restarted: {container.prober.failed}]\n")
                container.terminate(self.pod["spec"].get("terminationGracePeriodSeconds", 30), self.hurry)
            else:
                container.started = container.prober.started
                container.ready = container.prober.started and container.prober.ready
                return
        if container.process:
            failed_probe = container.prober.failed
            code = container.reap()
            policy = self.pod["spec"]["restartPolicy"]
            if policy == "Always" or policy == "OnFailure" and (code or failed_probe):
                self._back_off(container)
        elif "waiting" in container.state and time.monotonic() >= container.restart_at:
            try:
                self._start(container)
            except (NotYet, OSError) as error:
                container.state = {"waiting": {"reason": "CreateContainerConfigError", "message": str(error)}}
                container.restart_at = time.monotonic() + 1

    def _judge_phase(self) -> None:
        ended = [c.state["terminated"]["exitCode"] for c in self.main if "terminated" in c.state]
        self.phase = "Running" if len(ended) < len(self.main) else "Failed" if any(ended) else "Succeeded"

    def _update_volumes(self) -> None:
        if time.monotonic() < self.update_volumes_at:
            return
        self.update_volumes_at = time.monotonic() + VOLUMES_SECONDS
        for volume in self.volumes.values():
            with contextlib.suppress(NotYet, OSError):  # what it shows is gone: the last content stays
                volume.update(self.sandbox.address)

    def _await_deletion(self) -> None:
        while True:
            try:
                self._report()
                self._leave_if_deleted()
            except Deleted:
                return
            time.sleep(TICK_SECONDS)

    def _end(self) -> None:
        """Ends what runs, gracefully if the pod was deleted so, and lets the object go."""
        pod = self._current()
        grace = (pod["metadata"].get("deletionGracePeriodSeconds", 0) if pod else 0) if not self.kubelet.stopping else 0
        enders = [threading.Thread(target=c.terminate, args=(grace, self.hurry)) for c in self.init + self.main if c.running()]
        for ender in enders:
            ender.start()
        while any(e.is_alive() for e in enders):
            if self.kubelet.stopping or self._current() is None:
                self.hurry.set()
            for container in self.main:
                if container.running() and container.prober:
                    container.ready = container.prober.started and container.prober.ready
            self._report()
            time.sleep(0.05)
        for container in self.init + self.main:
            container.stop_probes()
            if container.process:
                container.reap()
        if self.sandbox:
            self.sandbox.close()
        if self.main and self.phase in ("Pending", "Running"):
            self.phase = "Failed" if any(c.state.get("terminated", {}).get("exitCode", 1) for c in self.main) else "Succeeded"
        self._report()
        if pod and not self.kubelet.stopping:
            with contextlib.suppress(OSError):  # it is gone
                self.kubelet.delete(pod)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.kubelet.runners.pop(self.pod["metadata"]["uid"], None)

    # What the API server is told.

    def _tell_waiting(self, reason: str, message: str, container: Container | None = None) -> None:
        for c in [container] if container else self.main:
            c.state = {"waiting": {"reason": reason, "message": message}}
        self.message = "" if container or self.main else f"{reason}: {message}"
        self._report()

    def _condition(self, kind: str, value: bool, message: str = "") -> dict:
        known, since = self.transitions.get(kind, (None, ""))
        if known != value:
            since = now()
            self.transitions[kind] = value, since
        return {"type": kind, "status": "True" if value else "False", "lastTransitionTime": since, "message": message}

    def _report(self) -> None:
        """Tells what changed since it was last told."""
        ready = bool(self.main) and all(c.ready for c in self.main) and self.phase == "Running"
        initialized = all(c.state.get("terminated", {}).get("exitCode") == 0 for c in self.init)
        unready = "; ".join(c.prober.unready_because for c in self.main if c.prober and not c.ready and c.prober.unready_because)
        address = self.sandbox.address if self.sandbox else None
        waiting = [{"name": c["name"], "image": c["image"], "imageID": "", "ready": False, "restartCount": 0,
                    "state": {"waiting": {"reason": self.message.split(":")[0] or "ContainerCreating", "message": self.message}}}
                   for c in self.pod["spec"]["containers"]]
        status = {
            "phase": self.phase, "startTime": self.start_time, "hostIP": self.kubelet.network.gateway,
            "conditions": [self._condition(kind, value, unready if kind != "Initialized" else "")
                           for kind, value in zip(CONDITIONS, (initialized, ready, ready))],
            "initContainerStatuses": [c.status() for c in self.init],
            "containerStatuses": [c.status() for c in self.main] or waiting,
            **({"podIP": address, "podIPs": [{"ip": address}]} if address else {})}
        if status == self.sent or self._current() is None or self.kubelet.stopping:
            return
        with contextlib.suppress(OSError):  # told again at the next tick
            self.kubelet.patch_status(self.pod, status)
            self.sent = status
