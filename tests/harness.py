"""Real programs for tests: started on free ports, stopped whatever happens."""
import contextlib
import ctypes
import http.client
import http.server
import itertools
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml

from tests import programs

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOKEN = "test-admin-token"


class _Ports:
    """Ports for programs that are still to be started. Between a look and the start nobody may take one: they are below those that
    the kernel gives out by itself, and in a block that no other process of tests has."""

    FIRST, BLOCK = 10_000, 400

    def __init__(self) -> None:
        self.lock, self.numbers = threading.Lock(), None

    def _claim(self):
        first_of_kernel = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
        blocks = list(range(self.FIRST, first_of_kernel - self.BLOCK + 1, self.BLOCK))
        random.SystemRandom().shuffle(blocks)
        for first in blocks:
            self.claim = socket.socket(socket.AF_UNIX)
            try:
                self.claim.bind(f"\0sobre-test-ports-{first}")  # abstract: gone with us, whatever happens
                return itertools.cycle(range(first, first + self.BLOCK))
            except OSError:
                self.claim.close()
        raise OSError(f"no block of free ports from {self.FIRST} to {first_of_kernel}")

    def take(self) -> int:
        with self.lock:
            self.numbers = self.numbers or self._claim()
            for port in itertools.islice(self.numbers, self.BLOCK):
                with socket.socket() as tried:
                    try:
                        tried.bind(("", port))
                        return port
                    except OSError:
                        pass  # somebody else's, or still closing
        raise OSError("no port of our block is free")


_PORTS = _Ports()


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses, all different, and that nobody else here is given."""
    return [_PORTS.take() for _ in range(count)]


def eventually(check, what: str, seconds: float = 60.0, pause: float = 0.1):
    """The first true value of check(), which may fail meanwhile; an error that says what never came."""
    deadline = time.monotonic() + seconds
    last = None
    while time.monotonic() < deadline:
        try:
            value = check()
            if value:
                return value
            last = value
        except (OSError, urllib.error.URLError, ValueError, KeyError) as error:
            last = error
        time.sleep(pause)
    raise AssertionError(f"{what}: not within {seconds:g} s; last: {last!r}")


_LIBC = ctypes.CDLL("libc.so.6")  # not loaded by the child: after a fork, another thread may have held the loader's lock


def _die_with_parent() -> None:
    _LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Process:
    """A child with its log in a file; it dies with us."""

    def __init__(self, log: pathlib.Path, *arguments) -> None:
        self.log = log
        with log.open("ab") as out:
            self.child = subprocess.Popen([str(a) for a in arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                          preexec_fn=_die_with_parent)

    def running(self) -> bool:
        return self.child.poll() is None

    def stop(self, how=signal.SIGTERM, seconds: float = 60.0) -> int:
        if self.running():
            self.child.send_signal(how)
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.child.kill()
        return self.child.wait()

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def fetch(url: str, method: str = "GET", body=None, headers=None, timeout: float = 30.0) -> bytes:
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    with urllib.request.urlopen(request, timeout=timeout, context=trusting() if url.startswith("https") else None) as reply:
        return reply.read()


class ControlPlane:
    """etcd and kube-apiserver; kube-scheduler by start_scheduler()."""

    # No controller runs that would make service accounts, or take the not-ready taint off a node.
    api_arguments = ["--disable-admission-plugins=ServiceAccount,TaintNodesByCondition"]
    users = {TOKEN: "admin"}  # name by token; all may do everything, but for those named system:…

    def __init__(self, folder: pathlib.Path, binaries: pathlib.Path, address: str = "127.0.0.1") -> None:
        self.folder, self.binaries, self.processes = folder, binaries, []
        etcd_client, etcd_peer, api = free_ports(3)
        self.address, self.api_port, self.url = address, api, f"https://{address}:{api}"
        self.certificate_authority = folder / "certs" / "apiserver.crt"
        self.kept = threading.local()
        self.scheduler = None
        try:
            self._start(etcd_client, etcd_peer, api)
        except BaseException:
            self.stop()
            raise

    def _start(self, etcd_client: int, etcd_peer: int, api: int) -> None:
        f = self.folder
        self.run("etcd", "--data-dir", f / "etcd", "--unsafe-no-fsync", "--log-level=warn",
                 f"--listen-client-urls=http://127.0.0.1:{etcd_client}",
                 f"--advertise-client-urls=http://127.0.0.1:{etcd_client}",
                 f"--listen-peer-urls=http://127.0.0.1:{etcd_peer}",
                 f"--initial-advertise-peer-urls=http://127.0.0.1:{etcd_peer}",
                 f"--initial-cluster=default=http://127.0.0.1:{etcd_peer}")
        subprocess.run(["openssl", "genrsa", "-out", f / "sa.key", "2048"], check=True, capture_output=True)
        (f / "tokens.csv").write_text("".join(f'{token},{name},{name},"{"" if name.startswith("system:") else "system:masters"}"\n'
                                              for token, name in self.users.items()))
        self.api = self.run(
            "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{etcd_client}", f"--bind-address={self.address}",
            f"--secure-port={api}", f"--cert-dir={f / 'certs'}", f"--token-auth-file={f / 'tokens.csv'}",
            f"--service-account-key-file={f / 'sa.key'}", f"--service-account-signing-key-file={f / 'sa.key'}",
            "--service-account-issuer=https://kubernetes.default.svc", "--authorization-mode=RBAC", *self.api_arguments)
        eventually(lambda: self.call("GET", "/readyz", raw=True) == b"ok", "kube-apiserver ready", 120)
        self.kubeconfig = self.make_kubeconfig("kubeconfig", TOKEN)

    def make_kubeconfig(self, name: str, token: str) -> pathlib.Path:
        path = self.folder / name
        path.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.url, "certificate-authority": str(self.certificate_authority)}}],
            "users": [{"name": "user", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "user"}}]}))
        return path

    def run(self, program: str, *arguments) -> Process:
        process = Process(self.folder / f"{program}.log", self.binaries / program, *arguments)
        self.processes.append(process)
        return process

    def call(self, method: str, path: str, body=None, raw: bool = False, content_type: str = "application/json", token: str = TOKEN):
        """One API call on this thread's kept connection; an error's status and message as an OSError."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": content_type}
        kept = hasattr(self.kept, "connection")
        if not kept:
            self.kept.connection = http.client.HTTPSConnection(self.address, self.api_port, timeout=30, context=trusting())
        try:
            self.kept.connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = self.kept.connection.getresponse()
            reply = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.kept.connection.close()
            del self.kept.connection
            # The API server closes what was idle for long.
            if kept and isinstance(error, (ssl.SSLEOFError, http.client.RemoteDisconnected)):
                return self.call(method, path, body, raw, content_type, token)
            raise OSError(f"{method} {path}: {error!r}") from error
        if answer.status >= 300:
            raise OSError(f"{method} {path}: {answer.status} {reply.decode(errors='replace')[:600]}")
        return reply if raw else json.loads(reply)

    def start_scheduler(self, sobre_url: str | None, http_timeout: str = "30s", percent_of_nodes: int | None = None,
                        limits_entry=None, **extender) -> None:
        """The profile that we ship, pointed here; `extender` overrides fields of its first extender, `limits_entry` those of its second (None: without).
        No URL: no extender. `percent_of_nodes`: of which scores are asked, 0 for kube-scheduler's own choice."""
        text = (ROOT / "deploy" / "kube-scheduler-config.yaml").read_text()
        config = yaml.safe_load(text.replace("KUBECONFIG", str(self.kubeconfig)).replace("SOBRE_URL", sobre_url or ""))
        # Patient: with 2 s, as shipped, a machine that stands still for so long has the pod placed without Sobre.
        extenders = [e | {"httpTimeout": http_timeout} for e in config["extenders"]]
        preference, limits = extenders[0] | extender, extenders[1] | (limits_entry or {})
        config["extenders"] = [preference, {k: v for k, v in limits.items() if v is not None}] if sobre_url else []
        if percent_of_nodes is not None:
            config["profiles"][0]["percentageOfNodesToScore"] = percent_of_nodes
        path = self.folder / "scheduler.yaml"
        path.write_text(yaml.safe_dump(config))
        if self.scheduler:
            self.scheduler.stop()
            self.processes.remove(self.scheduler)
        (port,) = free_ports(1)
        self.scheduler = self.run("kube-scheduler", f"--config={path}", f"--secure-port={port}", "--bind-address=127.0.0.1",
                                  f"--cert-dir={self.folder / 'scheduler-certs'}",
                                  f"--authentication-kubeconfig={self.kubeconfig}", f"--authorization-kubeconfig={self.kubeconfig}")
        eventually(lambda: fetch(f"https://127.0.0.1:{port}/healthz") == b"ok", "kube-scheduler ready")

    def add_node(self, name: str, provider_id: str, region: str, cpu: int = 16, memory_gib: int = 64, labels=None,
                 address: str | None = None, gpus: int = 0) -> None:
        amounts = {"cpu": str(cpu), "memory": f"{memory_gib}Gi", "pods": "110"} | ({"nvidia.com/gpu": str(gpus)} if gpus else {})
        node = {"apiVersion": "v1", "kind": "Node",
                "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "topology.kubernetes.io/region": region} | (labels or {})},
                "spec": {"providerID": provider_id + name}}
        status = {"capacity": amounts, "allocatable": amounts,
                  "addresses": [{"type": "InternalIP", "address": address}] if address else [],
                  "conditions": [{"type": "Ready", "status": "True", "reason": "Test", "message": "",
                                  "lastHeartbeatTime": None, "lastTransitionTime": None}]}
        self.call("POST", "/api/v1/nodes", node)
        self.call("PATCH", f"/api/v1/nodes/{name}/status", {"status": status}, content_type="application/merge-patch+json")

    def add_pod(self, name: str, annotations=None, cpu: str = "500m", memory: str = "1Gi", namespace: str = "default",
                limits: bool = False, dry_run: bool = False, **spec) -> dict:
        """`limits` requests the marker; `dry_run` only tells what would become of it; what else is given goes to the pod's spec."""
        requests = {"cpu": cpu, "memory": memory} | ({"sobre.dev/limits": "1"} if limits else {})
        resources = {"requests": requests} | ({"limits": {"sobre.dev/limits": "1"}} if limits else {})
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "annotations": annotations or {}},
               "spec": {"schedulerName": "sobre", "automountServiceAccountToken": False,
                        "containers": [{"name": "app", "image": "none", "resources": resources}]} | spec}
        return self.call("POST", f"/api/v1/namespaces/{namespace}/pods" + ("?dryRun=All" if dry_run else ""), pod)

    def add_namespace(self, name: str, annotations=None, labels=None) -> None:
        self.call("POST", "/api/v1/namespaces",
                  {"metadata": {"name": name, "annotations": annotations or {}, "labels": labels or {}}})

    def apply(self, path: pathlib.Path) -> None:
        """kubectl apply of a file that we ship."""
        subprocess.run([self.binaries / "kubectl", f"--kubeconfig={self.kubeconfig}", "apply", "-f", path], check=True,
                       capture_output=True, text=True)

    def events(self, pod: str, namespace: str = "default") -> list[str]:
        items = self.call("GET", f"/api/v1/namespaces/{namespace}/events?fieldSelector=involvedObject.name%3D{pod}")["items"]
        return [f"{e['reason']}: {e['message']}" for e in items]

    def placements(self, namespace: str = "default") -> dict[str, str]:
        pods = self.call("GET", f"/api/v1/namespaces/{namespace}/pods")["items"]
        return {p["metadata"]["name"]: p["spec"].get("nodeName", "") for p in pods}

    def wait_placed(self, names: list[str], seconds: float = 120, namespace: str = "default") -> dict[str, str]:
        def placed():
            found = self.placements(namespace)
            return {n: found[n] for n in names} if all(found.get(n) for n in names) else None
        try:
            return eventually(placed, f"{len(names)} pods placed", seconds)
        except AssertionError as error:
            left = [n for n in names if not self.placements(namespace).get(n)]
            raise AssertionError(f"{error}; without a node: {left}; {left[0]}: {self.events(left[0], namespace)}" if left else f"{error}; too late") from error

    def objects(self, without=("Event",)) -> set[tuple[str, str, str, str]]:
        """(apiVersion, kind, namespace, name) of all that is there, without some kinds and the API server's own leases."""
        found = set()
        versions = ["v1"] + [g["preferredVersion"]["groupVersion"] for g in self.call("GET", "/apis")["groups"]]
        for version in versions:
            group = "/api/v1" if version == "v1" else f"/apis/{version}"
            for resource in self.call("GET", group)["resources"]:
                kind = resource["kind"]
                if "list" not in resource["verbs"] or "/" in resource["name"] or kind in {"ComponentStatus", *without}:
                    continue
                for item in self.call("GET", f"{group}/{resource['name']}")["items"]:
                    namespace = item["metadata"].get("namespace", "")
                    name = item["metadata"]["name"]
                    if kind != "Lease" or not name.startswith("apiserver-"):
                        found.add((version, kind, namespace, name))
        return found

    def delete_pods(self) -> None:
        self.call("DELETE", "/api/v1/namespaces/default/pods", {"gracePeriodSeconds": 0})
        eventually(lambda: not self.placements(), "pods deleted")

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.stop(signal.SIGKILL)


class HttpStub:
    """A server that a test stands up; `answer(path, body)` gives the content type and the text of each GET or POST."""

    def __init__(self, answer) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content_type, text = answer(self.path, self.rfile.read(int(self.headers["Content-Length"] or 0)))
                body = text.encode()
                self.send_response(200)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                with contextlib.suppress(ConnectionError):  # of a client that has gone
                    self.end_headers()
                    self.wfile.write(body)
            do_POST = do_GET

            def log_message(self, *arguments) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        self.url = f"http://{self.address}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Exporter(HttpStub):
    """A page of metrics in Prometheus' text format, which the test writes: text, or a function of the time."""

    def __init__(self) -> None:
        self.text = ""  # or a callable that gets time.time()
        super().__init__(lambda path, body: ("text/plain; version=0.0.4", self.text(time.time()) if callable(self.text) else self.text))


class Prometheus:
    """Debian's Prometheus, scraping one exporter, or whatever has an address; `history` (OpenMetrics) is what it remembers of before."""

    def __init__(self, folder: pathlib.Path, exporter: Exporter, history: str = "", scrape_interval: str = "1s", rules=()) -> None:
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        if history:
            (folder / "history.om").write_text(history)
            subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", folder / "history.om", folder / "tsdb"],
                           check=True, capture_output=True)
        config = {"global": {"scrape_interval": scrape_interval, "scrape_timeout": scrape_interval, "evaluation_interval": scrape_interval},
                  "rule_files": [str(path) for path in rules],
                  "scrape_configs": [{"job_name": "test", "honor_labels": True,
                                      "static_configs": [{"targets": [exporter.address]}]}]}
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        self.process = Process(folder / "prometheus.log", "prometheus", f"--config.file={folder / 'prometheus.yml'}",
                               f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}")
        eventually(lambda: b"Ready" in fetch(self.url + "/-/ready"), "Prometheus ready")

    def ask(self, path: str, **parameters):
        """The data of one answer of its API."""
        query = urllib.parse.urlencode(parameters)
        reply = json.loads(fetch(f"{self.url}/api/v1/{path}?{query}"))
        assert reply["status"] == "success", reply
        return reply["data"]

    def stop(self) -> None:
        self.process.stop()


class Postgres:
    """Debian's PostgreSQL with a database cluster of its own; as root it runs as Debian's user. `password`: asked for by SCRAM."""

    BINARIES = pathlib.Path("/usr/lib/postgresql/15/bin")

    def __init__(self, folder: pathlib.Path, password: str = "") -> None:
        self.log, self.password, self.process = folder / "postgres.log", password, None
        (self.port,) = free_ports(1)
        # pytest's folders cannot be entered by another user, and their names are too long for a socket.
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="sobre-postgres-"))
        self.data = self.home / "data"
        try:
            self._initialise()
            self.start()
        except BaseException:
            self.close()
            raise

    @staticmethod
    def _as_user(*command) -> list:
        # A change of user forgets the parent's death signal, so it is asked for again.
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=KILL", *command] if os.geteuid() == 0 \
            else list(command)

    def _initialise(self) -> None:
        secret = self.home / "password"
        secret.write_text(self.password)
        if os.geteuid() == 0:
            shutil.chown(self.home, "postgres", "postgres")
            shutil.chown(secret, "postgres", "postgres")
        auth = ["--auth=scram-sha-256", f"--pwfile={secret}"] if self.password else ["--auth=trust"]
        done = subprocess.run(self._as_user(self.BINARIES / "initdb", "-D", self.data, "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8",
                                            "--no-sync", *auth), capture_output=True, text=True, cwd="/")
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        settings = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": self.home, "fsync": "off",
                    "shared_buffers": "16MB", "max_connections": 30}
        self.process = Process(self.log, *self._as_user(self.BINARIES / "postgres", "-D", self.data,
                                                        *(a for key, value in settings.items() for a in ("-c", f"{key}={value}"))))
        eventually(lambda: self.query("SELECT 1") == "1", "PostgreSQL ready")

    def url(self, user: str = "postgres") -> str:
        """Without the password."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/postgres"

    def query(self, sql: str) -> str:
        """What psql prints; an error as an OSError."""
        done = subprocess.run([self.BINARIES / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", self.url(), "-c", sql],
                              capture_output=True, text=True, timeout=60, env=os.environ | {"PGPASSWORD": self.password})
        if done.returncode:
            raise OSError(done.stderr.strip())
        return done.stdout.strip()

    def stop(self, mode: str = "fast") -> None:
        """As pg_ctl's: `smart` waits for clients, `fast` ends them, `immediate` does not tidy up."""
        self.process.stop({"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode], 30)

    def kill(self) -> None:
        """As if the machine died."""
        pids = self._pids()
        for pid in pids:
            self._signal(pid, signal.SIGKILL)
        self.process.child.wait()
        eventually(lambda: not any(pathlib.Path(f"/proc/{pid}").exists() for pid in pids), "PostgreSQL gone")

    def pause(self) -> None:
        """No process of it runs until resume()."""
        for pid in self._pids():
            self._signal(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in self._pids():
            self._signal(pid, signal.SIGCONT)

    @staticmethod
    def _signal(pid: int, which: signal.Signals) -> None:
        try:
            os.kill(pid, which)
        except ProcessLookupError:
            pass  # ended meanwhile

    def _pids(self) -> list[int]:
        """The server's first process, which is our child, and its children."""
        first = self.process.child.pid
        return [first] + [int(pid) for pid in pathlib.Path(f"/proc/{first}/task/{first}/children").read_text().split()]

    def close(self) -> None:
        """Stops it, whatever state it is in, and removes its data."""
        if self.process and self.process.running():
            self.kill()
        shutil.rmtree(self.home, ignore_errors=True)


class Sobre:
    """`sobre serve` with a configuration of the test's."""

    def __init__(self, folder: pathlib.Path, config: dict, *arguments) -> None:
        self.folder, self.arguments = folder, arguments
        self.extender_port, self.status_port = free_ports(2)
        listen = {"extender": f"127.0.0.1:{self.extender_port}", "status": f"127.0.0.1:{self.status_port}",
                  "shutdown_grace": "200ms"}
        self.config = folder / "sobre.yaml"
        self.config.write_text(yaml.safe_dump(config | {"listen": listen | config.get("listen", {})}))
        self.url = f"http://127.0.0.1:{self.extender_port}"
        self.status_url = f"http://127.0.0.1:{self.status_port}"
        self.start()

    def start(self) -> None:
        self.process = Process(self.folder / "sobre.log", programs.sobre(), "serve", "--config", self.config, *self.arguments)
        eventually(lambda: fetch(self.status_url + "/readyz") == b"ok\n", "sobre ready")

    def signals(self) -> dict:
        return json.loads(fetch(self.status_url + "/api/v1/signals"))

    def nodes(self) -> dict[str, dict]:
        return {n["node"]: n for n in json.loads(fetch(self.status_url + "/api/v1/nodes"))}

    def stop(self, how=signal.SIGTERM) -> int:
        return self.process.stop(how)
