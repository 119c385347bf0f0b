"""A container: a process in the pod's network, with its image's files as root, and the user and rights that its spec asks for."""
import contextlib
import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

from tests.harness import Process
from tests.minicluster.network import Sandbox
from tests.minicluster.volumes import NotYet, Objects, Volume, field

ENTER = pathlib.Path(__file__).with_name("enter.py")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What a container of root has unless it drops them, with their numbers.
CAPABILITIES = {"CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "FSETID": 4, "KILL": 5, "SETGID": 6, "SETUID": 7, "SETPCAP": 8,
                "NET_BIND_SERVICE": 10, "NET_RAW": 13, "SYS_CHROOT": 18, "MKNOD": 27, "AUDIT_WRITE": 29, "SETFCAP": 31}


@dataclasses.dataclass(frozen=True)
class Image:
    """What an image's name stands for: a folder as its root (this machine's by default; never written to), and more files."""
    entrypoint: list[str] = dataclasses.field(default_factory=list)
    root: pathlib.Path = pathlib.Path("/")
    files: dict[str, pathlib.Path] = dataclasses.field(default_factory=dict)  # here, by path there
    user: int = 0
    folder: str = "/"


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def expand(text: str, variables: dict[str, str]) -> str:
    """$(NAME) by its value where it is known, $$ by $."""
    return re.sub(r"\$(\$|\(([-._a-zA-Z0-9]+)\))", lambda m: "$" if m[1] == "$" else variables.get(m[2], m[0]), text)


class Container:
    """One container of a pod, over its restarts."""

    def __init__(self, spec: dict, pod: dict, image: Image, folder: pathlib.Path, log: pathlib.Path) -> None:
        self.spec, self.pod, self.image, self.folder, self.log = spec, pod, image, folder, log
        self.process: Process | None = None
        self.prober = None
        self.state: dict = {"waiting": {"reason": "ContainerCreating"}}
        self.last_state: dict = {}
        self.restarts, self.restart_at = 0, 0.0
        self.ready = self.started = False
        self.context = (pod["spec"].get("securityContext") or {}) | (spec.get("securityContext") or {})

    def environment(self, objects: Objects, address: str, api_server: tuple[str, str]) -> dict[str, str]:
        namespace = self.pod["metadata"]["namespace"]
        host, port = api_server
        found = {"PATH": PATH, "HOSTNAME": self.pod["metadata"]["name"], "HOME": "/", "KUBERNETES_SERVICE_HOST": host,
                 "KUBERNETES_SERVICE_PORT": port, "KUBERNETES_SERVICE_PORT_HTTPS": port}
        for source in self.spec.get("envFrom") or []:
            for key, kind in (("configMapRef", "configmap"), ("secretRef", "secret")):
                if key in source:
                    data = objects.data(kind, namespace, source[key]["name"], source[key].get("optional", False)) or {}
                    found |= {source.get("prefix", "") + k: v.decode() for k, v in data.items()}
        for variable in self.spec.get("env") or []:
            if "valueFrom" in variable:
                value = self._value(variable["valueFrom"], objects, address)
            else:
                value = expand(variable.get("value", ""), found)
            if value is not None:
                found[variable["name"]] = value
        return found

    def _value(self, source: dict, objects: Objects, address: str) -> str | None:
        if "fieldRef" in source:
            return field(self.pod, source["fieldRef"]["fieldPath"], address)
        for key, kind in (("configMapKeyRef", "configmap"), ("secretKeyRef", "secret")):
            if key in source:
                ref = source[key]
                optional = ref.get("optional", False)
                data = objects.data(kind, self.pod["metadata"]["namespace"], ref["name"], optional) or {}
                if ref["key"] not in data and not optional:
                    raise NotYet(f"couldn't find key {ref['key']} in {kind} {ref['name']}")
                return data[ref["key"]].decode() if ref["key"] in data else None
        raise ValueError(f"valueFrom {sorted(source)} is not supported here")

    def start(self, sandbox: Sandbox, volumes: dict[str, Volume], names: pathlib.Path, environment: dict[str, str]) -> None:
        """Must be called in a thread that outlives the container, which dies with it."""
        context, spec = self.context, self.spec
        uid = context.get("runAsUser", self.image.user)
        if context.get("runAsNonRoot") and uid == 0:
            raise NotYet("container has runAsNonRoot and image will run as root")
        gid = context.get("runAsGroup", 0)
        wanted = context.get("capabilities") or {}
        dropped = set(wanted.get("drop") or [])
        kept = [] if "ALL" in dropped else [n for n in CAPABILITIES if n not in dropped]
        mounts = [(str(source), target, True) for target, source in self.image.files.items()]
        for mount in spec.get("volumeMounts") or []:
            volume = volumes[mount["name"]]
            mounts.append((str(volume.folder), mount["mountPath"], volume.read_only or mount.get("readOnly", False)))
        command = [expand(c, environment) for c in spec.get("command") or self.image.entrypoint]
        arguments = [expand(a, environment) for a in spec.get("args") or []]
        scratch = self.folder / "scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        self.begun = self.folder / "begun"
        self.begun.write_text("")
        self.description = self.folder / "container.json"
        self.description.write_text(json.dumps({
            "scratch": str(scratch), "begun": str(self.begun), "image_root": str(self.image.root), "names": str(names),
            "mounts": sorted(mounts, key=lambda m: m[1]),
            "read_only": context.get("readOnlyRootFilesystem", False), "uid": uid, "gid": gid,
            "groups": sorted({gid, context.get("fsGroup", gid), *(context.get("supplementalGroups") or [])}),
            "capabilities": [CAPABILITIES[n] for n in kept + (wanted.get("add") or [])],
            "no_new_privileges": context.get("allowPrivilegeEscalation") is False,
            "environment": environment, "folder": spec.get("workingDir") or self.image.folder, "command": command + arguments}))
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.process = Process(self.log, "nsenter", f"--target={sandbox.process.child.pid}", "--net", "--uts", "--ipc",
                               "unshare", "--mount", "--pid", "--fork", "--kill-child",
                               sys.executable, "-I", ENTER, "start", self.description)
        # Before that it is in the root of this machine: nobody may exec there.
        while self.process.running() and not self.begun.stat().st_size:
            time.sleep(0.005)
        self.state = {"running": {"startedAt": now()}}

    def first_process(self) -> int | None:
        """Process 1 of the container, by its number on this machine."""
        pid = self.process.child.pid
        try:
            children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return int(children[0]) if children else None

    def exec(self, command: list[str], seconds: float = 30) -> subprocess.CompletedProcess:
        """Runs a command beside the container's process, with its root, user, rights and environment."""
        pid = self.first_process() if self.process else None
        if not pid:
            raise OSError(f"container {self.spec['name']} is not running")
        try:
            return subprocess.run([sys.executable, "-I", ENTER, "exec", self.description, str(pid), *command],
                                  capture_output=True, timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"{command}: not within {seconds} s") from error

    def running(self) -> bool:
        return self.process is not None and self.process.running()

    def terminate(self, grace_seconds: float, hurry: threading.Event) -> None:
        """preStop, SIGTERM, and SIGKILL when the time is over, or somebody is in a hurry."""
        deadline = time.monotonic() + grace_seconds
        hook = (self.spec.get("lifecycle") or {}).get("preStop") or {}
        try:
            if "sleep" in hook:
                hurry.wait(min(hook["sleep"]["seconds"], grace_seconds))
            elif "exec" in hook:
                self.exec(hook["exec"]["command"], max(grace_seconds, 0.1))
        except (OSError, TimeoutError):
            pass  # as a kubelet does: the container ends all the same
        self.signal(signal.SIGTERM)
        while self.running() and time.monotonic() < deadline and not hurry.wait(0.02):
            pass
        self.signal(signal.SIGKILL)
        if self.process:
            self.process.child.wait()

    def signal(self, which: signal.Signals) -> None:
        pid = self.first_process() if self.running() else None
        with contextlib.suppress(ProcessLookupError):
            if pid:
                os.kill(pid, which)
            elif self.running() and which == signal.SIGKILL:
                self.process.child.kill()

    def reap(self) -> int:
        """The exit code of an ended process; as Kubernetes has it, 128 and the signal's number for a signal."""
        code = self.process.child.wait()
        code = 128 - code if code < 0 else code
        self.stop_probes()
        started = self.state.get("running", {}).get("startedAt", now())
        reason = "Completed" if code == 0 else "Error" if self.begun.stat().st_size else "StartError"
        self.state = {"terminated": {"exitCode": code, "reason": reason, "startedAt": started, "finishedAt": now()}}
        self.process = None
        self.ready = self.started = False
        return code

    def stop_probes(self) -> None:
        if self.prober:
            self.prober.stopping.set()
            self.prober = None

    def status(self) -> dict:
        return {"name": self.spec["name"], "image": self.spec["image"], "imageID": self.spec["image"], "state": self.state,
                "lastState": self.last_state, "ready": self.ready, "started": self.started, "restartCount": self.restarts}
