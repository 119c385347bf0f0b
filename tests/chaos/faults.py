"""What is done to a run. Each fault is a generator: it does the harm, yields how long that lasts and what it blocks, and heals."""
import contextlib
import dataclasses
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator

from tests import programs, world
from tests.chaos.proxies import Answer, Request, Way
from tests.chaos.setting import FAKETIME, LEASE_SECONDS, Replica, Setting, random_name
from tests.chaos.workload import GATE, Workload
from tests.harness import eventually


@dataclasses.dataclass
class Hold:
    """It lasts so long. `blocks`: `api`, `scheduler`, `signals`, `clock`, `link:R`, `replica:R` or `records:R` of replica R."""
    seconds: float
    blocks: tuple = ()


@dataclasses.dataclass
class Run:
    """What a fault may use."""
    setting: Setting
    workload: Workload
    dice: random.Random
    name: str = ""

    def victim(self) -> Replica:
        return self.dice.choice(self.setting.replicas)

    def victims(self) -> list[Replica]:
        """One, or both."""
        both = self.dice.random() < 0.4
        return list(self.setting.replicas) if both else [self.victim()]

    def add(self, kind: str) -> tuple[str, str]:
        return self.setting.patiently(lambda: self.workload.add_pod(kind))

    def lasts(self, least: float, most: float) -> float:
        return self.dice.uniform(least, most)

    def claim(self, promise: str, holds: bool, text: str) -> None:
        self.setting.history.add("claim", claim=promise, holds=bool(holds), fault=self.name, text=text)

    def may_lose(self, replica: Replica, since: float, why: str) -> None:
        """Records of this replica since then may be gone, as docs/records.md says."""
        self.setting.history.add("may-lose", replica=replica.name, since=since, until=time.time(), why=why)


@dataclasses.dataclass
class Fault:
    name: str
    group: str   # of one group, one at a time; "a+b" is of two
    text: str    # for the table
    promise: str
    do: Callable[[Run], Iterator[Hold]]
    needs: tuple = ()  # postgres, sqlite, disks, names, clocks

    def groups(self) -> set[str]:
        return set(self.group.split("+"))


FAULTS: dict[str, Fault] = {}
PLAIN = "plain pods schedule"
LIMITS = "no limit leaks, plain pods schedule"
GATES = "gates open by their deadlines"
RECORDS = "answers as ever, nothing on record is lost"
LAST = "only the last moments' records may be lost"


def fault(name: str, group: str, text: str, promise: str, needs: tuple = ()):
    def register(do):
        FAULTS[name] = Fault(name, group, text, promise, do, needs)
        return do
    return register


def links(replicas: list[Replica]) -> tuple:
    return tuple(f"link:{r.name}" for r in replicas)


# The API server and etcd themselves.

@fault("api-restart", "plane", "the API server is killed and started", LIMITS + ", " + GATES)
def _(run: Run):
    yield Hold(0, ("api",))
    run.setting.restart("kube-apiserver", run.lasts(0, 4))
    run.setting.wait_api()


@fault("api-paused", "plane", "the API server stands still for 20 s (SIGSTOP)", LIMITS + ", " + GATES)
def _(run: Run):
    run.setting.signal("kube-apiserver", signal.SIGSTOP)
    try:
        yield Hold(20, ("api",))
    finally:
        run.setting.signal("kube-apiserver", signal.SIGCONT)
        run.setting.wait_api()


@fault("etcd-paused", "plane", "etcd stands still (SIGSTOP)", LIMITS + ", " + GATES)
def _(run: Run):
    run.setting.signal("etcd", signal.SIGSTOP)
    try:
        yield Hold(run.lasts(4, 10), ("api",))
    finally:
        run.setting.signal("etcd", signal.SIGCONT)
        run.setting.wait_api()


@fault("compaction", "plane+link", "etcd is compacted and the API server restarted, so that watches get 410", LIMITS + ", " + GATES)
def _(run: Run):
    for replica in run.setting.replicas:
        replica.api.way = Way(refuse=True)
        replica.api.cut()
    yield Hold(0, ("api", *links(run.setting.replicas)))
    try:
        for _ in range(3):  # what they missed
            run.add("plain")
        run.setting.compact()
        run.setting.restart("kube-apiserver", 0)
        run.setting.wait_api()
        run.setting.compact()
    finally:
        for replica in run.setting.replicas:
            replica.api.way = Way()


# The way between a replica and the API server.

def on_link(name: str, text: str, least: float, most: float, way: Way | None = None, rule=None, only=None, cut: bool = True, hush: bool = False,
            promise: str = LIMITS + ", " + GATES):
    @fault(name, "link", text, promise)
    def _(run: Run):
        replicas = run.victims()
        for replica in replicas:
            replica.api.only, replica.api.rule, replica.api.way = only, rule, way or Way()
            if hush:
                replica.api.hush()
            if cut:
                replica.api.cut()
        try:
            yield Hold(run.lasts(least, most), links(replicas))
        finally:
            for replica in replicas:
                replica.api.only, replica.api.rule, replica.api.way = None, None, Way()
                if not hush:
                    replica.api.cut()


def status(code: int, body: str = "", **headers):
    text = body or '{"kind":"Status","apiVersion":"v1","status":"Failure","message":"made for a test","code":%d}' % code
    answer = Answer(code, text.encode(), tuple({"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}.items()))
    return lambda request: answer


def when(condition, rule):
    return lambda request: rule(request) if condition(request) else None


def is_watch(request: Request) -> bool:
    return request.is_watch()


def is_list(request: Request) -> bool:
    return request.method == "GET" and "limit=" in request.path and not request.is_watch()


on_link("watch-cut", "watches are cut in mid-frame, again and again", 6, 15, Way(cut_after=700), only=is_watch)
on_link("watch-drip", "watches come at 300 bytes a second", 15, 40, Way(rate=300), only=is_watch)
on_link("watch-silent", "connections to the API server go silent and stay open (half-open)", 20, 60, cut=False, hush=True)
on_link("link-hole", "nothing passes to the API server and nothing ends (black hole)", 10, 40, Way(hole=True), cut=False)
on_link("link-reset", "each connection to the API server is reset", 10, 30, Way(refuse=True))
on_link("api-429", "the API server answers 429 with Retry-After", 8, 20, rule=status(429, Retry_After="3"))
on_link("api-500", "the API server answers 500", 8, 20, rule=status(500))
on_link("api-410", "every watch is answered 410", 8, 15, rule=when(is_watch, status(410)))
on_link("list-cut", "lists are cut in the middle", 8, 20, Way(cut_after=900), rule=when(is_watch, status(410)), only=is_list)
on_link("api-garbage", "the API server's answers are garbage", 8, 15, rule=status(200, "k8s\0\xff<html>log in</html>" * 50))
on_link("api-slow", "every answer of the API server comes 3 s late", 15, 30, Way(delay=3), cut=False)


@fault("token-expired", "link", "the token has expired (401 of the real API server), and is renewed later", LIMITS + ", " + GATES)
def _(run: Run):
    replicas = run.victims()
    good = {r.name: r.token.read_text() for r in replicas}
    for replica in replicas:
        replica.token.write_text("expired")
        replica.api.cut()
    try:
        yield Hold(run.lasts(8, 20), links(replicas))
    finally:
        for replica in replicas:
            replica.token.write_text(good[replica.name])


@fault("ca-rotated", "link", "the API server shows a certificate of another authority; the file with it follows later", LIMITS + ", " + GATES)
def _(run: Run):
    replica = run.victim()
    replica.rotate_authority()
    try:
        yield Hold(run.lasts(3, 10), links([replica]))
    finally:
        replica.renew_ca()


# Prometheus.

def on_prometheus(name: str, text: str, **attributes):
    @fault(name, "prometheus", f"Prometheus: {text}", PLAIN + ", what it told ages")
    def _(run: Run):
        server = run.setting.prometheus
        before = {key: getattr(server, key) for key in attributes}
        for key, value in attributes.items():
            setattr(server, key, value)
        try:
            yield Hold(run.lasts(5, 25), ("signals",))
        finally:
            for key, value in before.items():
                setattr(server, key, value)


def drip(handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    for _ in range(60):
        handler.wfile.write(b'{"status":')
        handler.wfile.flush()
        time.sleep(0.1)


def huge(handler) -> None:
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(b'{"status":"success","data":{"resultType":"vector","result":[')
    piece = b",".join(b'{"metric":{"node":"n%07d"},"value":[1,"1"]}' % i for i in range(20_000)) + b","
    for _ in range(100):
        handler.wfile.write(piece)


on_prometheus("prometheus-drip", "ten bytes every tenth of a second", body=drip)
on_prometheus("prometheus-garbage", "a page in place of JSON", body=b"<html>log in</html>")
on_prometheus("prometheus-cut", "JSON cut in the middle", body=b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{"node":"node-1"')
on_prometheus("prometheus-503", "HTTP 503", status=503, body=b"down")
on_prometheus("prometheus-429", "HTTP 429 with Retry-After", status=429, body=b"", headers={"Retry-After": "5"})
on_prometheus("prometheus-huge", "answers of 90 MB", body=huge)
on_prometheus("prometheus-ahead", "its clock is ten minutes ahead", clock=630.0)
on_prometheus("prometheus-stale", "all samples are an hour old", age=3600.0)
on_prometheus("prometheus-redirect", "each answer is a redirect", status=302, body=b"", headers={"Location": "http://127.0.0.1:1/"})


@fault("prometheus-numbers", "prometheus", "Prometheus: NaN, infinite and negative values", PLAIN + ", what it told ages")
def _(run: Run):
    server = run.setting.prometheus
    try:
        bad = run.dice.choice(["NaN", "+Inf", "-Inf", "-5", "1e308"])
        run.setting.history.add("note", text=f"all values are {bad}")
        held = run.setting.tell_signals
        run.setting.tell_signals = lambda: None
        server.series = {name: [(labels, bad) for labels, _ in found] for name, found in server.series.items()}
        yield Hold(run.lasts(5, 20), ("signals",))
    finally:
        run.setting.tell_signals = held
        held()


def on_relay(name: str, group: str, text: str, promise: str, which: str, way: Way, least: float, most: float, blocks, hush: bool = False,
             cut: bool = False, needs: tuple = ()):
    @fault(name, group, text, promise, needs)
    def _(run: Run):
        replicas = run.victims()
        for replica in replicas:
            relay = getattr(replica, which)
            relay.way = way
            if hush:
                relay.hush()
            if cut:
                relay.cut()
        try:
            yield Hold(run.lasts(least, most), blocks)
        finally:
            for replica in replicas:
                getattr(replica, which).way = Way()


on_relay("prometheus-refused", "prometheus", "Prometheus: each connection is reset", PLAIN + ", what it told ages", "prometheus",
         Way(refuse=True), 5, 25, ("signals",), cut=True)
on_relay("prometheus-half-open", "prometheus", "Prometheus: connections go silent and stay open", PLAIN + ", what it told ages", "prometheus",
         Way(), 5, 25, ("signals",), hush=True)
on_relay("prometheus-hole", "prometheus", "Prometheus: nothing passes and nothing ends", PLAIN + ", what it told ages", "prometheus",
         Way(hole=True), 5, 25, ("signals",))


@fault("dns-gone", "prometheus+link", "host names do not resolve any more, Prometheus' and the API server's", LIMITS + ", " + GATES, ("names",))
def _(run: Run):
    run.setting.names.forget()
    for replica in run.setting.replicas:
        replica.prometheus.cut()
        if run.dice.random() < 0.5:
            replica.api.cut()
    try:
        yield Hold(run.lasts(5, 20), ("signals", *links(run.setting.replicas)))
    finally:
        run.setting.names.restore()


# The replicas.

@fault("kill", "replica", "a replica is killed (SIGKILL) and started", LAST + ", the rest holds")
def _(run: Run):
    replica = run.victim()
    replica.end(signal.SIGKILL)
    try:
        yield Hold(run.lasts(0, 10))
    finally:
        replica.start()


@fault("kill-loop", "replica", "a replica is killed five times, a second or two after each start", LAST + ", the rest holds")
def _(run: Run):
    replica = run.victim()
    for _ in range(5):
        replica.end(signal.SIGKILL)
        replica.start()
        time.sleep(run.lasts(0.3, 2.5))
    yield Hold(1)


@fault("term", "replica", "a replica is stopped (SIGTERM) and started", "nothing is lost")
def _(run: Run):
    replica = run.victim()
    code = replica.end(signal.SIGTERM)
    run.claim("it stops when told", code == 0, f"status {code}")
    try:
        yield Hold(run.lasts(0, 10))
    finally:
        replica.start()


@fault("pause", "replica+service", "a replica stands still in mid-request (SIGSTOP)", PLAIN + ", nothing is lost")
def _(run: Run):
    replica = run.victim()
    run.setting.service.way = Way(delay=0.3)  # so that one is on its way
    until = time.monotonic() + 5
    while time.monotonic() < until and replica.name not in run.setting.service.in_flight.values():
        time.sleep(0.002)
    replica.send(signal.SIGSTOP)
    run.setting.service.way = Way()
    try:
        yield Hold(run.lasts(2, 15), (f"replica:{replica.name}",))
    finally:
        replica.send(signal.SIGCONT)


@fault("both-dead", "replica", "both replicas are killed, and started later", LIMITS + ", gates open afterwards")
def _(run: Run):
    for replica in run.setting.replicas:
        replica.end(signal.SIGKILL)
    try:
        yield Hold(run.lasts(10, 30))
    finally:
        for replica in run.setting.replicas:
            replica.start()


@fault("both-restarted", "replica", "both replicas are restarted at once (SIGTERM)", LIMITS + ", nothing is lost")
def _(run: Run):
    for replica in run.setting.replicas:
        replica.end(signal.SIGTERM)
    for replica in run.setting.replicas:
        replica.start()
    yield Hold(1)


@fault("two-leaders", "replica", "the leader stands still past its Lease, and goes on", GATES + ", each gate opens once")
def _(run: Run):
    replica = run.setting.leader()
    replica.send(signal.SIGSTOP)
    try:
        yield Hold(LEASE_SECONDS * 3, (f"replica:{replica.name}",))
    finally:
        replica.send(signal.SIGCONT)


@fault("descriptors", "replica", "no file descriptor is left (RLIMIT_NOFILE)", "the other replica answers; it recovers")
def _(run: Run):
    replica = run.victim()
    try:
        used = len(os.listdir(f"/proc/{replica.process.child.pid}/fd"))
        replica.limit("nofile", f"{used}:")
        yield Hold(run.lasts(5, 20), (f"replica:{replica.name}", f"records:{replica.name}", f"link:{replica.name}"))
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            replica.limit("nofile", "1024:")


@fault("memory", "replica", "no memory is left (RLIMIT_AS); whoever dies is started", LAST + ", the other replica answers")
def _(run: Run):
    replica = run.victim()
    try:
        replica.limit("as", f"{64 << 20}:")  # less than it has: nothing more is given
        yield Hold(run.lasts(5, 15), (f"replica:{replica.name}", f"records:{replica.name}", f"link:{replica.name}"))
    finally:
        if replica.running():
            with contextlib.suppress(subprocess.CalledProcessError):
                replica.limit("as", "unlimited:")
        else:
            died(run, replica)


def died(run: Run, replica: Replica) -> None:
    """As a kubelet: starts it again. What it took along is as of a kill."""
    run.setting.history.add("replica", replica=replica.name, step="ended", how="SIGKILL", code=replica.process.child.poll())
    run.may_lose(replica, time.time() - 20, "it died")
    replica.start()


@fault("clock-ahead", "replica", "a replica's clock jumps ten minutes ahead, and back", LIMITS + "; gates may open early", ("clocks",))
def _(run: Run):
    yield from clock(run, "+600\n")


@fault("clock-behind", "replica", "a replica's clock jumps ten minutes back, and ahead again", LIMITS + "; its gates wait by its clock", ("clocks",))
def _(run: Run):
    yield from clock(run, "-600\n")


def clock(run: Run, offset: str):
    replica = run.victim()
    replica.clock.write_text(offset)
    try:
        yield Hold(run.lasts(8, 20), ("clock", "signals"))
    finally:
        replica.clock.write_text("+0\n")


# The stores.

@fault("disk-full", "store", "the disk with the records is full", RECORDS, ("disks",))
def _(run: Run):
    replica = run.victim()
    filler = replica.records / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as out:
        while True:
            out.write(b"\0" * 65536)
    try:
        yield Hold(run.lasts(5, 20), (f"records:{replica.name}",))
    finally:
        filler.unlink(missing_ok=True)


@fault("disk-read-only", "store+replica", "the disk with the records can only be read", RECORDS, ("disks",))
def _(run: Run):
    replica = run.victim()
    done = subprocess.run(["mount", "-o", "remount,ro", replica.records], capture_output=True)
    if done.returncode:  # busy: files are open to be written
        run.setting.history.add("note", text=f"remount: {done.stderr.decode().strip()}")
    try:
        yield Hold(run.lasts(5, 15), (f"records:{replica.name}",))
    finally:
        subprocess.run(["mount", "-o", "remount,rw", replica.records], capture_output=True)


@fault("file-size", "store+replica", "files may not grow (RLIMIT_FSIZE)", RECORDS)
def _(run: Run):
    replica = run.victim()
    try:
        replica.limit("fsize", "4096:")
        yield Hold(run.lasts(5, 15), (f"records:{replica.name}",))
    finally:
        if replica.running():
            replica.limit("fsize", "unlimited:")
        else:
            run.claim("it survives what it cannot write", False, f"it ended with {replica.process.child.poll()}")
            died(run, replica)


@fault("store-locked", "store", "somebody else holds SQLite's lock", RECORDS)
def _(run: Run):
    replica = run.victim()
    connection = sqlite3.connect(replica.records / "records.db", timeout=10, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield Hold(run.lasts(3, 15), (f"records:{replica.name}",))
    finally:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        connection.close()


@fault("store-corrupt", "store+replica", "the records' file is overwritten with garbage while the replica is down", "it is put aside, a new chain is begun, the log says so",
       ("sqlite",))
def _(run: Run):
    replica = run.victim()
    replica.end(signal.SIGTERM)
    files = list(replica.records.glob("records.db*"))
    (replica.records / "records.db").write_bytes(b"not a database any more" * 500)
    for file in files:
        if file.name != "records.db":
            file.unlink(missing_ok=True)
    run.may_lose(replica, 0, "the file was overwritten")
    replica.start()
    yield Hold(2, (f"records:{replica.name}",))
    try:
        eventually(lambda: list(replica.records.glob("records.db.damaged-*")), "the file is put aside", 60)
        run.claim("damage is noticed", "damaged" in replica.log.read_text(errors="replace"), "the log says nothing of damage")
    except AssertionError as error:
        run.claim("damage is noticed", False, str(error))


@fault("store-removed", "store", "the records' file is removed while it is written", "it is noticed, a new chain is begun", ("sqlite",))
def _(run: Run):
    replica = run.victim()
    for file in replica.records.glob("records.db*"):
        file.unlink(missing_ok=True)
    yield Hold(12, (f"records:{replica.name}",))
    run.may_lose(replica, 0, "the file was removed")
    run.claim("removal is noticed", "was removed or replaced" in replica.log.read_text(errors="replace"), "the log says nothing of it")


@fault("store-lies", "store+replica", "a store that acknowledged and forgot: an older copy of the records comes back", "whoever kept a head notices", ("sqlite",))
def _(run: Run):
    replica, setting = run.victim(), run.setting
    replica.end(signal.SIGTERM)
    copy = replica.folder / f"older-{random_name(run.dice)}.db"
    checkpointed(replica)
    shutil.copy(replica.records / "records.db", copy)
    since = time.time()
    replica.start()
    with contextlib.suppress(AssertionError):
        eventually(lambda: (replica.metric("sobre_records_head_entries") or 0) > 0, "records go on", 30)
    yield Hold(8)
    replica.end(signal.SIGTERM)
    checkpointed(replica)
    heads = heads_of(setting, "--db", replica.records / "records.db")
    for file in replica.records.glob("records.db*"):
        if file.suffix != ".db" and "damaged" not in file.name:
            file.unlink()
    shutil.copy(copy, replica.records / "records.db")
    copy.unlink()
    run.may_lose(replica, since, "an older copy came back")
    with contextlib.closing(sqlite3.connect(replica.records / "records.db")) as connection:
        (chain, before), = connection.execute("SELECT chain, MAX(seq) FROM entries GROUP BY chain ORDER BY 2 DESC LIMIT 1").fetchall() or [("", 0)]
    head = lengthened({chain: f"{chain}:{before}:"}, heads)
    if head is None:
        run.setting.history.add("note", text="nothing was written meanwhile: nothing was forgotten")
    else:
        told = verify(setting, "--db", replica.records / "records.db", "--head", head)
        run.claim("a forged record is noticed", told.returncode == 1, f"{head}: status {told.returncode}, {told.stdout}{told.stderr}")
        setting.history.add("forged", replica=replica.name, head=head)
    replica.start()


def checkpointed(replica: Replica) -> None:
    with contextlib.closing(sqlite3.connect(replica.records / "records.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def verify(setting: Setting, *arguments) -> subprocess.CompletedProcess:
    return subprocess.run([programs.sobre(), "verify", "--public-key", setting.public_key, *map(str, arguments)], capture_output=True, text=True)


@fault("postgres-down", "store", "PostgreSQL dies (immediate) and is started", RECORDS, ("postgres",))
def _(run: Run):
    run.setting.postgres.stop("immediate")
    try:
        yield Hold(run.lasts(5, 20))
    finally:
        run.setting.on_starter(run.setting.postgres.start)


@fault("postgres-killed", "store", "PostgreSQL is killed with all its processes in mid-transaction, and started", RECORDS, ("postgres",))
def _(run: Run):
    run.setting.postgres.kill()
    try:
        yield Hold(run.lasts(2, 10))
    finally:
        (run.setting.postgres.data / "postmaster.pid").unlink(missing_ok=True)
        run.setting.on_starter(run.setting.postgres.start)


@fault("postgres-paused", "store", "PostgreSQL stands still (SIGSTOP)", RECORDS, ("postgres",))
def _(run: Run):
    run.setting.postgres.pause()
    try:
        yield Hold(run.lasts(5, 20))
    finally:
        run.setting.postgres.resume()


@fault("postgres-lies", "store", "PostgreSQL acknowledged and forgot: an older copy of all its data comes back",
       "whoever kept a head notices; what was forgotten comes again from the replicas' own disks", ("postgres",))
def _(run: Run):
    setting, postgres = run.setting, run.setting.postgres
    copy = postgres.home / f"older-{random_name(run.dice)}"
    eventually(lambda: heads_of(setting, "--db", postgres.url()), "the first entries arrive", 60)
    postgres.stop("fast")
    subprocess.run(["cp", "-a", postgres.data, copy], check=True)  # with their owner
    setting.on_starter(postgres.start)
    before = heads_of(setting, "--db", postgres.url())
    try:
        eventually(lambda: lengthened(before, heads_of(setting, "--db", postgres.url())), "entries arrive", 60)
    except AssertionError:
        setting.history.add("note", text="nothing was written meanwhile: nothing was forgotten")
    yield Hold(run.lasts(2, 8))
    # Heads are read, and the replicas kept from sending all again, for as long as it takes to ask what is missing.
    for replica in setting.replicas:
        replica.postgres.way = Way(refuse=True)
        replica.postgres.cut()
    try:
        head = lengthened(before, heads_of(setting, "--db", postgres.url()))
        postgres.stop("immediate")
        shutil.rmtree(postgres.data)
        copy.rename(postgres.data)
        setting.on_starter(postgres.start)
        if head:
            told = verify(setting, "--db", postgres.url(), "--head", head)
            run.claim("a forged record is noticed", told.returncode == 1, f"{head}: status {told.returncode}, {told.stdout}{told.stderr}")
    finally:
        for replica in setting.replicas:
            replica.postgres.way = Way()
    if head:
        try:
            eventually(lambda: verify(setting, "--db", postgres.url(), "--head", head).returncode == 0, "what was forgotten is there again", 120)
            run.claim("what a store forgot comes again", True, head)
        except AssertionError as error:
            run.claim("what a store forgot comes again", False, f"{head}: {error}")


def heads_of(setting: Setting, *database) -> dict[str, str]:
    """By chain: CHAIN:NUMBER:HASH, as `sobre verify` prints them."""
    lines = [line.split() for line in verify(setting, *database).stdout.splitlines()]
    heads = [line[1] for line in lines if line[:1] == ["head"]]
    return {head.rsplit(":", 2)[0]: head for head in heads}


def lengthened(before: dict[str, str], after: dict[str, str]) -> str | None:
    """The head of a chain that has more entries than it had."""
    def number(head: str) -> int:
        return int(head.rsplit(":", 2)[1])
    return next((head for chain, head in after.items() if chain in before and number(head) > number(before[chain])), None)


on_relay("postgres-slow", "store", "PostgreSQL: each answer comes half a second late", RECORDS, "postgres", Way(delay=0.5), 10, 25, (), needs=("postgres",))
on_relay("postgres-cut", "store", "PostgreSQL: each connection is cut after 2,000 bytes", RECORDS, "postgres", Way(cut_after=2000), 5, 20, (), cut=True,
         needs=("postgres",))
on_relay("postgres-half-open", "store", "PostgreSQL: connections go silent and stay open", RECORDS, "postgres", Way(), 5, 20, (), hush=True,
         needs=("postgres",))


# The way between kube-scheduler and the extender.

def on_service(name: str, text: str, promise: str, least: float, most: float, way: Way | None = None, mangle=None, cut: bool = False, hush: bool = False):
    @fault(name, "service", text, promise)
    def _(run: Run):
        service = run.setting.service
        service.way, service.mangle = way or Way(), mangle
        if hush:
            service.hush()
        if cut:
            service.cut()
        try:
            yield Hold(run.lasts(least, most))
        finally:
            service.way, service.mangle = Way(), None


on_service("extender-hole", "kube-scheduler's calls get no answer and do not end", LIMITS, 5, 15, Way(hole=True))
on_service("extender-half-open", "kube-scheduler's connections go silent and stay open", LIMITS, 3, 8, hush=True)
on_service("extender-near-timeout", "answers come 1.8 s late, where kube-scheduler waits 2 s", LIMITS, 5, 15, Way(delay=1.8))
on_service("extender-over-timeout", "answers come 2.1 s late, where kube-scheduler waits 2 s", LIMITS, 5, 15, Way(delay=2.1))
on_service("extender-cut", "answers are cut after 150 bytes", LIMITS, 5, 15, Way(cut_after=150))
on_service("extender-reset", "kube-scheduler's connections are reset", LIMITS, 5, 15, Way(refuse=True), cut=True)
on_service("extender-drip", "answers come at 60 bytes a second", LIMITS, 5, 15, Way(rate=60))
on_service("extender-garbage", "answers are garbage", LIMITS, 5, 15, mangle=lambda body: b"<html>log in</html>")
on_service("extender-emptied", "answers are of the right length, and all zeros", LIMITS, 5, 15, mangle=lambda body: bytes(len(body)))


@fault("tls-rotated", "certificate", "the extender port's certificate is renewed", "each new connection is trusted")
def _(run: Run):
    for replica in run.setting.replicas:
        replica.mount.swap(*run.setting.serving.issue(f"sobre-{random_name(run.dice)}", alternatives="IP:127.0.0.1,DNS:localhost"))
    yield Hold(4)


@fault("tls-broken", "certificate", "the extender port's certificate is half a file, and whole later", "the one before is shown, each new connection is trusted")
def _(run: Run):
    replica = run.victim()
    certificate, key = run.setting.serving.issue(f"sobre-{random_name(run.dice)}", alternatives="IP:127.0.0.1,DNS:localhost")
    half = replica.folder / "half.pem"
    half.write_bytes(certificate.read_bytes()[:200])
    replica.mount.swap(half, key)
    try:
        yield Hold(run.lasts(3, 8))
        run.claim("a broken certificate is not taken", (replica.metric('sobre_tls_reloads_total{outcome="failed"}') or 0) > 0, "no failure is counted")
    finally:
        replica.mount.swap(certificate, key)


# kube-scheduler, and what people and controllers do.

@fault("scheduler-restart", "scheduler", "kube-scheduler is killed and started", "each pod is bound once, and recorded")
def _(run: Run):
    yield Hold(0, ("scheduler",))
    run.setting.restart("kube-scheduler", run.lasts(0, 5))


@fault("uninstalled", "scheduler", "kube-scheduler runs without the extender, as if Sobre was uninstalled", LIMITS)
def _(run: Run):
    yield Hold(0, ("scheduler",))
    run.setting.start_scheduler(extender=False)
    try:
        for _ in range(4):
            run.add("country")
        yield Hold(run.lasts(8, 20), ("scheduler",))
    finally:
        run.setting.start_scheduler()


@fault("scheduler-paused", "scheduler", "kube-scheduler stands still (SIGSTOP)", "each pod is bound once, and recorded")
def _(run: Run):
    run.setting.signal("kube-scheduler", signal.SIGSTOP)
    try:
        yield Hold(run.lasts(3, 10), ("scheduler",))
    finally:
        run.setting.signal("kube-scheduler", signal.SIGCONT)


@fault("node-deleted", "objects+service", "nodes are deleted while a decision about them is on its way", LIMITS)
def _(run: Run):
    run.setting.service.way = Way(delay=0.8)
    for _ in range(3):
        run.add("country")
    time.sleep(0.4)
    taken = [(n, r) for n, r in run.setting.node_regions.items() if r == "fr-par"][:2]
    for name, _region in taken:
        run.setting.remove_node(name)
    yield Hold(2)
    run.setting.service.way = Way()
    for name, region in taken:
        run.setting.add_node(name, region)


@fault("node-moved", "link", "a node is made anew elsewhere under its name, while a replica's watch is silent", LIMITS)
def _(run: Run):
    for replica in run.setting.replicas:
        replica.api.hush()
    french = [n for n, r in run.setting.node_regions.items() if r == "fr-par"]
    # All but one, so that what asks for France has a choice between right and wrong.
    for name in french[1:]:
        run.setting.remove_node(name)
        run.setting.add_node(name, "pl-waw")
    yield Hold(0, links(run.setting.replicas))
    for _ in range(8):
        run.add("country")
        time.sleep(1)
    yield Hold(run.lasts(140, 180) if run.dice.random() < 0.5 else 10, links(run.setting.replicas))
    for _ in range(4):
        run.add("country")
        time.sleep(1)
    for replica in run.setting.replicas:
        replica.api.cut()
    for name in french[1:]:
        if run.setting.node_regions.get(name) == "pl-waw":
            run.setting.remove_node(name)
            run.setting.add_node(name, "fr-par")


@fault("namespace-tightened", "link", "a namespace's limits change while a replica's watches are cut", LIMITS)
def _(run: Run):
    for replica in run.setting.replicas:
        replica.api.way = Way(refuse=True)
        replica.api.cut()
    try:
        yield Hold(0, links(run.setting.replicas))
        for countries in ("SE", "FR", "PL"):
            said = {"metadata": {"annotations": {"sobre.dev/allowed-countries": countries}}}
            run.setting.patiently(lambda: run.setting.plane.call("PATCH", "/api/v1/namespaces/moody", said,
                                                                 content_type="application/merge-patch+json"))
            run.add("moody")
            yield Hold(run.lasts(2, 5), links(run.setting.replicas))
    finally:
        for replica in run.setting.replicas:
            replica.api.way = Way()


@fault("namespace-deleted", "objects", "a namespace is deleted with its pods", PLAIN)
def _(run: Run):
    name = f"gone-{random_name(run.dice)}"
    run.setting.patiently(lambda: run.setting.plane.add_namespace(name, {"sobre.dev/allowed-countries": "FR"}))
    for number in range(4):
        run.setting.plane.add_pod(f"gone-{number}", cpu="50m", memory="64Mi", namespace=name)
    run.setting.plane.add_pod("gone-gated", {"sobre.dev/defer-below-gco2e-per-kwh": "1"}, cpu="50m", namespace=name, schedulingGates=[GATE])
    yield Hold(run.lasts(0, 2))
    run.setting.patiently(lambda: run.setting.plane.call("DELETE", f"/api/v1/namespaces/{name}"))
    yield Hold(3)


@fault("gated-deleted", "objects", "pods are deleted as their gates are due", GATES)
def _(run: Run):
    pods = [run.add("gated") for _ in range(6)]
    yield Hold(run.lasts(5, 12))
    for pod in pods:
        run.workload.delete(pod)


LEASE = "/apis/coordination.k8s.io/v1/namespaces/default/leases/sobre-gatekeeper"


@fault("lease-deleted", "lease", "the Lease is deleted, again and again", GATES)
def _(run: Run):
    for _ in range(6):
        with contextlib.suppress(OSError):
            run.setting.plane.call("DELETE", LEASE)
        yield Hold(1.5)


@fault("lease-edited", "lease", "somebody else holds the Lease and never lets go", GATES)
def _(run: Run):
    """Renewed for as long as it lasts, so that neither replica can lead."""
    for _ in range(12):
        with contextlib.suppress(OSError):
            run.setting.plane.call("PATCH", LEASE, {"spec": {"holderIdentity": "‮nobody\n", "leaseDurationSeconds": 1000000,
                                                             "renewTime": "2099-01-01T00:00:00.000000Z", "leaseTransitions": int(time.time())}},
                                   content_type="application/merge-patch+json")
        yield Hold(1)


@fault("heads-mangled", "lease", "the ConfigMap with the heads is filled with 900 KB, and deleted", RECORDS)
def _(run: Run):
    path = "/api/v1/namespaces/default/configmaps/sobre-heads"
    with contextlib.suppress(OSError):
        run.setting.plane.call("PATCH", path, {"data": {"filler": "x" * 900_000}}, content_type="application/merge-patch+json")
    yield Hold(12)
    with contextlib.suppress(OSError):
        run.setting.plane.call("DELETE", path)


@fault("huge-objects", "objects", "namespaces and pods with 250 KB of annotations come and go", PLAIN)
def _(run: Run):
    big = {f"example.com/{i}": "y" * 25_000 for i in range(9)} | {"sobre.dev/cost-tolerance": "z" * 25_000}
    name = f"big-{random_name(run.dice)}"
    run.setting.plane.add_namespace(name, big)
    for number in range(4):
        run.setting.plane.add_pod(f"{name}-{number}", big, cpu="50m", memory="64Mi", namespace=name)
        run.workload.made.append((name, f"{name}-{number}"))
    yield Hold(run.lasts(3, 8))


@fault("many-pods", "objects", "sixty pods come at once", PLAIN + ", each is recorded")
def _(run: Run):
    for _ in range(60):
        run.add(run.dice.choice(["plain", "plain", "country", "region"]))
    yield Hold(5)


@fault("urgent-pods", "objects", "pods of high priority come that need a whole node each: some may run in one country, some nowhere",
       LIMITS + ", nobody is evicted where they may not run")
def _(run: Run):
    pods = []
    for _ in range(3):
        pods += [run.add("urgent"), run.add("urgent-nowhere")]
        yield Hold(run.lasts(2, 5))
    for pod in pods:
        run.setting.patiently(lambda: run.workload.delete(pod))


@fault("world-turned", "objects", "all prices and intensities change at once, tenfold and back", PLAIN)
def _(run: Run):
    setting = run.setting
    setting.prices = {r: v * 10 for r, v in world.PRICES.items()}
    setting.intensity = dict(zip(world.INTENSITY, reversed(world.INTENSITY.values())))
    setting.tell_signals()
    yield Hold(run.lasts(4, 10))
    setting.prices, setting.intensity = dict(world.PRICES), dict(world.INTENSITY)
    setting.tell_signals()


def possible(setting: Setting) -> dict[str, Fault]:
    """Those that can be done here; the others' needs are not there."""
    there = {"postgres": setting.postgres is not None, "sqlite": setting.postgres is None, "disks": all(r.mounted for r in setting.replicas),
             "names": setting.names.possible, "clocks": FAKETIME.exists()}
    return {name: f for name, f in FAULTS.items() if all(there[n] for n in f.needs)}
