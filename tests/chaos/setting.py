"""A control plane, two replicas behind a Service, their stores and a Prometheus, with something on every way that can do faults."""
import concurrent.futures
import contextlib
import dataclasses
import json
import os
import pathlib
import random
import shutil
import signal
import ssl
import subprocess
import threading
import time
import urllib.error

import yaml

from tests import programs, world
from tests.certificates import Authority, Mount
from tests.chaos.history import History
from tests.chaos.proxies import ApiFront, Relay, Service
from tests.faults import FakePrometheus
from tests.harness import ROOT, TOKEN, ControlPlane, Postgres, Process, eventually, fetch, free_ports, trusting

SIGNALS = [
    {"signal": "node_price_per_hour", "name": "prices", "query": "price", "max_age": "20s"},
    {"signal": "grid_gco2e_per_kwh", "name": "grid", "query": "grid", "max_age": "20s"},
]
# Short, so that what takes minutes in a cluster is seen in seconds.
CHECK_SECONDS, LEASE_SECONDS = 1, 4
NODES = 12
SEED_NAMESPACES = {
    "shop": {},
    "french": {"sobre.dev/allowed-countries": "FR", "sobre.dev/enforced": "allowed-countries"},
    "moody": {"sobre.dev/allowed-countries": "FR"},
    "garbled": {"sobre.dev/allowed-region": "scaleway/fr-par"},
}
OPTED_IN = {"sobre.dev/placement": "enabled"}
FAKETIME = pathlib.Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
PROMETHEUS_NAME, API_NAME = "prometheus.test", "kubernetes.test"


def server_context(certificate: pathlib.Path, key: pathlib.Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


class Names:
    """What the replicas' host names resolve to: files of their own in place of the system's, for them alone. Needs root."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.hosts, self.resolver = folder / "hosts", folder / "resolv.conf"
        self.resolver.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")  # nobody answers there
        self.restore()
        tried = subprocess.run([*self.prefix(), "true"], capture_output=True)
        self.possible = os.geteuid() == 0 and tried.returncode == 0

    def prefix(self) -> list:
        return ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && mount --bind "$1" /etc/resolv.conf && shift && exec "$@"',
                self.hosts, self.resolver]

    def restore(self) -> None:
        self.hosts.write_text(f"127.0.0.1 localhost\n127.0.0.1 {PROMETHEUS_NAME} {API_NAME}\n")

    def forget(self) -> None:
        """In place: the file is mounted."""
        self.hosts.write_text("127.0.0.1 localhost\n")


class Replica:
    """One `sobre serve` and the ways that lead from and to it."""

    def __init__(self, name: str, setting: "Setting") -> None:
        self.name, self.setting, self.history = name, setting, setting.history
        self.folder = setting.folder / name
        self.folder.mkdir()
        self.records = self.folder / "records"
        self.records.mkdir()
        self.mounted = os.geteuid() == 0 and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", self.records], capture_output=True).returncode == 0
        self.authority = Authority(self.folder / "authority-0", f"api-{name}")
        self.authorities = 1
        plane = setting.plane
        self.api = ApiFront(self._api_context(), plane.address, plane.api_port, trusting())
        self.prometheus = Relay("127.0.0.1", int(setting.prometheus.url.rpartition(":")[2]))
        self.postgres = Relay("127.0.0.1", setting.postgres.port) if setting.postgres else None
        self.token = self.folder / "token"
        self.token.write_text(TOKEN)
        self.ca = self.folder / "ca.crt"
        self.ca.write_bytes(self.authority.pem.read_bytes())
        self.mount = Mount(self.folder / "tls", *setting.serving.issue(f"sobre-{name}", alternatives="IP:127.0.0.1,DNS:localhost"))
        self.extender_port, self.status_port = free_ports(2)
        self.status_url = f"http://127.0.0.1:{self.status_port}"
        self.config = self.folder / "sobre.yaml"
        self.config.write_text(yaml.safe_dump(self._config()))
        self.clock = self.folder / "clock"
        self.clock.write_text("+0\n")
        self.log = self.folder / "sobre.log"
        self.process: Process | None = None
        self.paused = False

    def _api_context(self) -> ssl.SSLContext:
        return server_context(*self.authority.issue("api", alternatives=f"IP:127.0.0.1,DNS:{API_NAME}"))

    def rotate_authority(self) -> None:
        """The API server shows a certificate of another authority from now on; renew_ca() tells the replica's files."""
        self.authority = Authority(self.folder / f"authority-{self.authorities}", f"api-{self.name}-{self.authorities}")
        self.authorities += 1
        self.api.tls = self._api_context()
        self.api.cut()

    def renew_ca(self) -> None:
        fresh = self.ca.with_suffix(".new")
        fresh.write_bytes(self.authority.pem.read_bytes())
        fresh.rename(self.ca)

    def _config(self) -> dict:
        setting = self.setting
        kubeconfig = self.folder / "kubeconfig"
        host = {True: (PROMETHEUS_NAME, API_NAME), False: ("127.0.0.1", "127.0.0.1")}[setting.names.possible]
        kubeconfig.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": f"https://{host[1]}:{self.api.port}", "certificate-authority": str(self.ca)}}],
            "users": [{"name": "user", "user": {"tokenFile": str(self.token)}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "user"}}]}))
        records = {"directory": str(self.records), "name": f"sobre-{self.name}", "seal_every": "10s", "signing_key_file": str(setting.key),
                   "head_config_map": "default/sobre-heads"}
        if self.postgres:
            records["postgres"] = f"postgresql://postgres@127.0.0.1:{self.postgres.port}/postgres"
        return {"kubernetes": {"kubeconfig": str(kubeconfig)},
                "prometheus": {"url": f"http://{host[0]}:{self.prometheus.port}", "refresh": "1s", "timeout": "2s", "presets": "none",
                               "signals": SIGNALS},
                "deferral": {"check": f"{CHECK_SECONDS}s", "lease_duration": f"{LEASE_SECONDS}s", "lease_namespace": "default"},
                "records": records, "accounting": {"every": "5s", "flush": "10s"}, "limits": {"trust_node_labels": True},
                "listen": {"extender": f"127.0.0.1:{self.extender_port}", "status": f"127.0.0.1:{self.status_port}", "shutdown_grace": "1s",
                           "tls": {"certificate_file": str(self.mount.folder / "tls.crt"), "key_file": str(self.mount.folder / "tls.key"),
                                   "check": "1s"}}}

    def start(self) -> None:
        """Does not wait: what it needs may be away."""
        if self.running():
            return
        command = [programs.sobre(), "serve", "--config", self.config]
        if FAKETIME.exists():
            command = ["env", f"LD_PRELOAD={FAKETIME}", f"FAKETIME_TIMESTAMP_FILE={self.clock}", "FAKETIME_NO_CACHE=1",
                       "FAKETIME_DONT_FAKE_MONOTONIC=1", *command]
        if self.setting.names.possible:
            command = [*self.setting.names.prefix(), *command]
        self.paused = False
        self.process = self.setting.on_starter(lambda: Process(self.log, *command))
        self.history.add("replica", replica=self.name, step="started", pid=self.process.child.pid)

    def running(self) -> bool:
        return self.process is not None and self.process.running()

    def end(self, how: signal.Signals) -> int | None:
        if self.process is None:
            return None
        self.history.add("replica", replica=self.name, step="ending", how=how.name)
        code = self.process.stop(how, 60)
        self.history.add("replica", replica=self.name, step="ended", how=how.name, code=code)
        return code

    def send(self, which: signal.Signals) -> None:
        if self.running():
            self.process.child.send_signal(which)
            self.paused = which == signal.SIGSTOP
            self.history.add("replica", replica=self.name, step="paused" if self.paused else "continued")

    def limit(self, which: str, value: str) -> None:
        """By prlimit on the running process: `which` as `nofile`, `value` as SOFT:HARD."""
        if self.running():
            subprocess.run(["prlimit", f"--pid={self.process.child.pid}", f"--{which}={value}"], check=True, capture_output=True)

    def metric(self, name: str) -> float | None:
        with contextlib.suppress(OSError, urllib.error.URLError):
            for line in fetch(self.status_url + "/metrics", timeout=3).decode().splitlines():
                if line.startswith(name):
                    return float(line.rsplit(" ", 1)[1])
        return None

    def stop(self) -> None:
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                self.process.child.send_signal(signal.SIGCONT)
            self.process.stop(signal.SIGKILL)
        for part in (self.api, self.prometheus, self.postgres):
            if part:
                part.stop()

    def unmount(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "-l", self.records], capture_output=True)


@dataclasses.dataclass
class Options:
    seed: int = 1
    minutes: float = 1.0
    store: str = ""  # sqlite or postgres; "": by the seed
    pods_per_second: float = 0.8


class Setting:
    """All of it; stop() ends all. `ways()` are for faults."""

    def __init__(self, folder: pathlib.Path, options: Options) -> None:
        self.folder, self.options = folder, options
        self.stack = contextlib.ExitStack()
        self.history = History(folder)
        self.names = Names(folder)
        # A child dies with the thread that made it: this one lives as long as we do.
        self.starter = concurrent.futures.ThreadPoolExecutor(1)
        store = options.store or ("postgres" if options.seed % 2 else "sqlite")
        try:
            self._start(store)
        except BaseException:
            self.stop()
            raise

    def _start(self, store: str) -> None:
        folder = self.folder
        self.plane = ControlPlane(folder, pathlib.Path(programs.named("control-plane")))
        self.stack.callback(self.plane.stop)
        self.controllers = self.plane.run(
            "kube-controller-manager", f"--kubeconfig={self.plane.kubeconfig}", "--controllers=namespace-controller",
            "--leader-elect=false", f"--secure-port={free_ports(1)[0]}", "--bind-address=127.0.0.1", f"--cert-dir={folder / 'kcm-certs'}")
        self.etcd_url = next(a for a in self._process("etcd").child.args if a.startswith("--listen-client-urls=")).partition("=")[2]
        self.key = folder / "seal.pem"
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", self.key], check=True, capture_output=True)
        der = subprocess.run(["openssl", "pkey", "-in", self.key, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
        self.public_key = der[-32:].hex()
        self.serving = Authority(folder / "serving", "serving")
        self.prometheus = FakePrometheus()
        self.stack.callback(self.prometheus.stop)
        self.postgres = Postgres(folder) if store == "postgres" else None
        if self.postgres:
            self.stack.callback(self.postgres.close)
        self.service = Service(self.history)
        self.stack.callback(self.service.stop)
        self.service.trust = ssl.create_default_context(cafile=self.serving.pem)
        self.node_regions: dict[str, str] = {}
        self.prices, self.intensity = dict(world.PRICES), dict(world.INTENSITY)
        self.plane.apply(ROOT / "deploy" / "admission-policies.yaml")
        for name, annotations in SEED_NAMESPACES.items():
            self.plane.add_namespace(name, annotations, OPTED_IN)
        # Policies take a moment before they are followed.
        eventually(self.policies_are_followed, "the policies are followed")
        self.plane.call("POST", "/apis/scheduling.k8s.io/v1/priorityclasses", {"metadata": {"name": "urgent"}, "value": 1000})
        for number in range(NODES):
            self.add_node(f"node-{number}", sorted(world.REGIONS)[number % len(world.REGIONS)])
        self.tell_signals()
        self.replicas = []
        for name in ("a", "b"):
            replica = Replica(name, self)
            self.replicas.append(replica)
            self.stack.callback(replica.unmount)
            self.stack.callback(replica.stop)
            replica.start()
        for replica in self.replicas:
            eventually(lambda r=replica: fetch(r.status_url + "/readyz") == b"ok\n", f"replica {replica.name} ready", 120)
            self.service.backends[replica.name] = replica.extender_port
        self.start_scheduler()
        self.history.add("begin", seed=self.options.seed, store=store, minutes=self.options.minutes,
                         names=self.names.possible, disks=all(r.mounted for r in self.replicas), clocks=FAKETIME.exists())

    def policies_are_followed(self) -> bool:
        pod = _pod(self.plane.add_pod("asked", namespace="french", dry_run=True, schedulerName="default-scheduler"))
        return pod["marked"] and pod["scheduler"] == "sobre"

    def on_starter(self, start):
        """For whatever starts a program."""
        return self.starter.submit(start).result()

    def start_scheduler(self, extender: bool = True) -> None:
        """With the profile as it is shipped, or without an extender."""
        url = f"http://127.0.0.1:{self.service.port}" if extender else None
        self.on_starter(lambda: self.plane.start_scheduler(url, http_timeout="2s"))

    def _process(self, program: str) -> Process:
        return next(p for p in self.plane.processes if pathlib.Path(p.child.args[0]).name == program)

    def restart(self, program: str, after: float, meanwhile=lambda: None) -> None:
        """Kills a program of the control plane, and starts it as it was."""
        old = self._process(program)
        self.kill(program)
        time.sleep(after)
        meanwhile()
        self.plane.processes[self.plane.processes.index(old)] = new = self.on_starter(
            lambda: Process(old.log, *old.child.args))
        if program == "kube-scheduler":
            self.plane.scheduler = new

    def kill(self, program: str) -> None:
        self._process(program).stop(signal.SIGKILL)

    def signal(self, program: str, which: signal.Signals) -> None:
        self._process(program).child.send_signal(which)

    def wait_api(self) -> None:
        eventually(lambda: self.plane.call("GET", "/readyz", raw=True) == b"ok", "kube-apiserver ready again", 120)

    # Nodes and signals.

    def patiently(self, do):
        """do(), again while the API server is away: other faults may have taken it."""
        for left in reversed(range(60)):
            try:
                return do()
            except OSError as error:
                # What it refuses it will refuse again.
                if left == 0 or any(f" {status} " in str(error) for status in (400, 403, 404, 409, 422)):
                    raise
                time.sleep(1)

    def add_node(self, name: str, region: str) -> None:
        try:
            self.patiently(lambda: self.plane.add_node(name, world.REGIONS[region][1], region))
        except OSError as error:
            if " 409 " not in str(error):
                raise
            # Half made before: the API server was taken away in between.
            self.plane.call("DELETE", f"/api/v1/nodes/{name}")
            self.plane.add_node(name, world.REGIONS[region][1], region)
        self.node_regions[name] = region
        self.tell_signals()

    def remove_node(self, name: str) -> None:
        self.patiently(lambda: self.plane.call("DELETE", f"/api/v1/nodes/{name}"))
        self.node_regions.pop(name, None)

    def tell_signals(self) -> None:
        """Sets what Prometheus says, and writes it down."""
        self.prometheus.series = {
            "price": [({"node": n}, self.prices[r]) for n, r in list(self.node_regions.items())],
            "grid": [({"provider": world.REGIONS[r][0], "region": r}, self.intensity[r]) for r in world.REGIONS]}
        self.history.add("signals", intensity=dict(self.intensity), prices=dict(self.prices))

    def etcd(self, path: str, body: dict) -> dict:
        return json.loads(fetch(self.etcd_url + path, "POST", body, timeout=20))

    def compact(self) -> None:
        revision = int(self.etcd("/v3/kv/range", {"key": "AA=="})["header"]["revision"])
        with contextlib.suppress(urllib.error.HTTPError):  # compacted already
            self.etcd("/v3/kv/compaction", {"revision": revision, "physical": True})

    def leader(self) -> Replica:
        """Who renewed the Lease last: the identity alone does not say which process it is."""
        return max(self.replicas, key=lambda r: r.api.led)

    def stop(self) -> None:
        self.stack.close()
        self.starter.shutdown()
        self.history.close()


class Prober:
    """Asks both replicas every second how they are, tells the Service who is ready, and writes down both and what they take."""

    def __init__(self, setting: Setting) -> None:
        self.setting, self.stopped = setting, threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(r,), daemon=True) for r in setting.replicas]
        for thread in self.threads:
            thread.start()

    @staticmethod
    def _ask(url: str) -> str:
        try:
            return fetch(url, timeout=2).decode().strip()
        except urllib.error.HTTPError as error:
            return f"{error.code} {error.read()[:200].decode(errors='replace').strip()}"
        except (OSError, ValueError) as error:
            return f"no answer: {error!r}"[:200]
        except Exception as error:  # noqa: BLE001 - half an answer is none
            return f"no answer: {error!r}"[:200]

    def _run(self, replica: Replica) -> None:
        while not self.stopped.wait(1):
            begin = time.time()
            health, ready = self._ask(replica.status_url + "/healthz"), self._ask(replica.status_url + "/readyz")
            if ready == "ok":
                self.setting.service.backends[replica.name] = replica.extender_port
            else:
                self.setting.service.backends.pop(replica.name, None)
            took = self._takes(replica)
            records, led = {}, None
            if ready == "ok":
                asked = time.time()
                page = self._ask(replica.status_url + "/metrics")
                if "\nsobre_lease_holder 1\n" in page:
                    led = [asked, time.time()]
                for line in page.splitlines():
                    for name in ("dropped_total", "failing", "backlog", "shipping_failing"):
                        if line.startswith(f"sobre_records_{name} "):
                            records[name] = float(line.split()[1])
            self.setting.history.add("probe", at=begin, replica=replica.name, running=replica.running(), paused=replica.paused,
                                     healthz=health, readyz=ready, records=records, led=led, **took)

    @staticmethod
    def _takes(replica: Replica) -> dict:
        try:
            pid = replica.process.child.pid
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            rss = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))
            return {"pid": pid, "rss_kib": rss, "descriptors": len(os.listdir(f"/proc/{pid}/fd"))}
        except (OSError, StopIteration, AttributeError):
            return {}

    def stop(self) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join()


# What is kept of an object, by collection.
def _pod(o: dict) -> dict:
    spec = o["spec"]
    marked = any("sobre.dev/limits" in c.get("resources", {}).get("requests", {}) for c in spec["containers"])
    return {"node": spec.get("nodeName", ""), "gates": [g["name"] for g in spec.get("schedulingGates", [])], "marked": marked,
            "scheduler": spec.get("schedulerName"), "annotations": o["metadata"].get("annotations", {}),
            "created": o["metadata"]["creationTimestamp"], "phase": o.get("status", {}).get("phase"),
            "nominated": o.get("status", {}).get("nominatedNodeName", "")}


WATCHED = {
    "/api/v1/pods": ("pod", _pod),
    "/api/v1/nodes": ("node", lambda o: {"region": o["metadata"].get("labels", {}).get("topology.kubernetes.io/region", "")}),
    "/api/v1/namespaces": ("namespace", lambda o: {"annotations": o["metadata"].get("annotations", {})}),
    "/apis/coordination.k8s.io/v1/leases": ("lease", lambda o: {"holder": o["spec"].get("holderIdentity", "")}),
    "/api/v1/events": ("event", lambda o: {"reason": o.get("reason"), "message": (o.get("message") or "")[:300],
                                           "about": o.get("involvedObject", {}).get("uid")}),
}


class Observer:
    """Watches the API server itself, past all faults, and writes down what it says and when."""

    def __init__(self, setting: Setting) -> None:
        self.setting, self.stopped = setting, False
        for path, (kind, keep) in WATCHED.items():
            threading.Thread(target=self._run, args=(path, kind, keep), daemon=True).start()

    def _run(self, path: str, kind: str, keep) -> None:
        version = None
        while not self.stopped:
            try:
                version = self._watch(path, kind, keep, version)
            except Exception:  # noqa: BLE001 - it is restarted and stopped as faults
                time.sleep(0.2)

    def _connection(self):
        import http.client
        return http.client.HTTPSConnection(self.setting.plane.address, self.setting.plane.api_port, timeout=70, context=trusting())

    def _watch(self, path: str, kind: str, keep, version: str | None) -> str | None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        if version is None:
            connection = self._connection()
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            listed = json.loads(answer.read())
            connection.close()
            for item in listed["items"]:
                self._tell(kind, keep, "LISTED", item)
            self.setting.history.add("listed", what=kind, uids=[i["metadata"]["uid"] for i in listed["items"]])
            version = listed["metadata"]["resourceVersion"]
        connection = self._connection()
        try:
            connection.request("GET", f"{path}?watch=1&allowWatchBookmarks=true&resourceVersion={version}&timeoutSeconds=60", headers=headers)
            answer = connection.getresponse()
            if answer.status != 200:
                return None if answer.status == 410 else version
            for line in answer:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return None
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self._tell(kind, keep, event["type"], event["object"])
        except (OSError, ValueError):
            time.sleep(0.2)
        finally:
            connection.close()
        return version

    def _tell(self, kind: str, keep, type_: str, item: dict) -> None:
        meta = item["metadata"]
        self.setting.history.add(kind, type=type_, uid=meta["uid"], namespace=meta.get("namespace", ""), name=meta["name"],
                                 version=int(meta["resourceVersion"]), **keep(item))

    def stop(self) -> None:
        self.stopped = True


def entries_of(setting: Setting) -> list[tuple[str, list[dict]]]:
    """All entries that are kept at the end, by database; each replica's own file, or the shared one."""
    import sqlite3
    if setting.postgres:
        rows = [r.split("|") for r in setting.postgres.query("SELECT chain, seq, kind, pod_uid, time_ms FROM entries ORDER BY 1, 2").splitlines()]
        return [("shared", [dict(zip(("chain", "seq", "entry", "uid", "time_ms"), (c, int(s), k, u, int(t)))) for c, s, k, u, t in rows])]
    found = []
    for replica in setting.replicas:
        file = replica.records / "records.db"
        if not file.exists():
            continue
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT chain, seq, kind, pod_uid, time_ms FROM entries ORDER BY 1, 2").fetchall()
        found.append((replica.name, [dict(zip(("chain", "seq", "entry", "uid", "time_ms"), row)) for row in rows]))
    return found


def keep_logs(setting: Setting, to: pathlib.Path) -> None:
    """What is worth a look after a failure: the history, logs and configurations."""
    to.mkdir(parents=True, exist_ok=True)
    for path in [setting.history.path, *setting.folder.glob("*.log")]:
        shutil.copy(path, to)
    for replica in setting.replicas:
        for path in (replica.log, replica.config):
            if path.exists():
                shutil.copy(path, to / f"{replica.name}-{path.name}")


def random_name(dice: random.Random) -> str:
    return "".join(dice.choice("abcdefghjkmnpqrstuvwxyz") for _ in range(6))
