"""Startup, readiness and liveness probes of a running container."""
import http.client
import socket
import threading
import time
import urllib.parse

from tests.harness import trusting


def port_number(port: int | str, container: dict) -> int:
    """A probe's port, which may be a name among the container's."""
    if isinstance(port, int):
        return port
    return next(p["containerPort"] for p in container.get("ports") or [] if p.get("name") == port)


def check(probe: dict, container, address: str) -> str:
    """What is wrong; empty when nothing is."""
    seconds = probe.get("timeoutSeconds", 1)
    try:
        if "exec" in probe:
            done = container.exec(probe["exec"]["command"], seconds)
            said = (done.stdout + done.stderr).decode(errors="replace")[-500:]
            return "" if done.returncode == 0 else f"exit code {done.returncode}: {said}"
        if "httpGet" in probe:
            return _get(probe["httpGet"], container.spec, address, seconds)
        if "tcpSocket" in probe:
            with socket.create_connection((address, port_number(probe["tcpSocket"]["port"], container.spec)), seconds):
                return ""
    except (OSError, http.client.HTTPException) as error:
        return repr(error)
    except TimeoutError:
        return f"no answer within {seconds} s"
    raise ValueError(f"probe {sorted(probe)} is not supported here")


def _get(request: dict, container: dict, address: str, seconds: float) -> str:
    host, port = request.get("host") or address, port_number(request["port"], container)
    if request.get("scheme", "HTTP") == "HTTPS":
        connection = http.client.HTTPSConnection(host, port, timeout=seconds, context=trusting())
    else:
        connection = http.client.HTTPConnection(host, port, timeout=seconds)
    try:
        headers = {h["name"]: h["value"] for h in request.get("httpHeaders") or []}
        path = urllib.parse.quote(request.get("path", "/"), safe="/?=&%")
        connection.request("GET", path, headers={"User-Agent": "kube-probe/1"} | headers)
        status = connection.getresponse().status
        return "" if 200 <= status < 400 else f"HTTP status {status}"
    finally:
        connection.close()


class Prober(threading.Thread):
    """Watches one run of a container. `failed` says why it has to be restarted."""

    def __init__(self, container, address: str) -> None:
        super().__init__(daemon=True, name=f"probes of {container.spec['name']}")
        self.container, self.address = container, address
        self.probes = {kind: container.spec[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")
                       if container.spec.get(f"{kind}Probe")}
        self.started = "startup" not in self.probes
        self.ready = "readiness" not in self.probes
        self.failed = self.unready_because = ""
        self.streaks = {kind: (False, 0) for kind in self.probes}
        self.stopping = threading.Event()
        if self.probes:
            self.start()

    def run(self) -> None:
        begun = time.monotonic()
        due = {kind: begun + probe.get("initialDelaySeconds", 0) for kind, probe in self.probes.items()}
        while not self.failed:
            now = time.monotonic()
            kinds = [k for k in self.probes if (k == "startup") != self.started]
            for kind in kinds:
                if due[kind] <= now:
                    due[kind] = now + self.probes[kind].get("periodSeconds", 10)
                    self._judge(kind, check(self.probes[kind], self.container, self.address))
            wait = min((due[k] for k in self.probes if (k == "startup") != self.started), default=now + 3600) - time.monotonic()
            if self.stopping.wait(max(wait, 0.0)):
                return

    def _judge(self, kind: str, wrong: str) -> None:
        """Counts equal results in a row; acts once they reach the probe's threshold."""
        good, count = self.streaks[kind]
        count = count + 1 if good == (not wrong) else 1
        self.streaks[kind] = (not wrong, count)
        if count < self.probes[kind].get("failureThreshold" if wrong else "successThreshold", 3 if wrong else 1):
            return
        if kind == "readiness":
            self.ready, self.unready_because = not wrong, wrong
        elif wrong:
            self.failed = f"{kind} probe failed: {wrong}"
        elif kind == "startup":
            self.started = True
