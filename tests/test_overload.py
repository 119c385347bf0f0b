"""Overload: crowds and dawdlers are shed in order, kube-scheduler's own connection is served all the while, and nothing is left behind."""
import json
import resource
import socket
import subprocess
import threading

import pytest

from tests.harness import Sobre, eventually, fetch
from tests.overload import (JSON, Holder, Observer, Scheduler, allow_descriptors, connect, crowd, descriptors, is_cut, is_served, neighbours, post,
                            question, resident_mib)

LIMIT = 64
ATTEMPTS = 10_000
STREAMS = 16
# Of all that a crowd may leave in the allocator's and the C library's hands.
ALLOWED_MIB = 32
NODES = {"items": [{"metadata": {"name": f"node-{i:04d}", "labels": {"topology.kubernetes.io/region": region}},
                    "spec": {"providerID": f"aws:///{region}a/n{i}"}, "status": {"allocatable": {"cpu": "16", "memory": "64Gi"}}}
                   for i, region in enumerate(["eu-west-3", "eu-central-1", "eu-north-1", "eu-west-1"] * 250)]}
NAMES = [n["metadata"]["name"] for n in NODES["items"]]
FEW = NAMES[:20]
COSTLY = b"GET /api/v1/ranking?cpu=1&memory-gib=2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class World:
    """A service, its scheduler, and what it held before the crowd came."""

    def __init__(self, folder) -> None:
        allow_descriptors(4096)
        (folder / "nodes.json").write_text(json.dumps(NODES))
        self.sobre = Sobre(folder, {"listen": {"max_connections": LIMIT, "max_body_megabytes": 1}}, "--nodes", folder / "nodes.json")
        self.stack = []
        try:
            self._fill_once()
            self.observer = Observer(self.sobre)
            self.stack.append(self.observer)
            eventually(lambda: self.observer.connections("extender") == 0, "those who filled the extender port have left")
            self.scheduler = Scheduler(self.sobre, FEW)
            self.stack.append(self.scheduler)
            self.own = {"extender": 1, "status": 1}
            self.settled()
            self.turned_away_before = {server: self.observer.turned_away(server) for server in self.own}
            self.descriptors, self.resident = descriptors(self.sobre), resident_mib(self.sobre)
        except BaseException:
            self.close()
            raise

    def _fill_once(self) -> None:
        """Every thread that there can be has served a large question: buffers and stacks are as large as they get."""
        for port, data in [(self.sobre.extender_port, post(question(NAMES))), (self.sobre.status_port, COSTLY)]:
            clients = [connect(port, source=source) for source in neighbours(LIMIT)]
            for client in clients:
                client.sendall(data)
            for client in clients:
                assert client.recv(1 << 16).startswith(b"HTTP/1.1 200")
            for client in clients:
                client.close()

    def port(self, server: str) -> int:
        return self.sobre.extender_port if server == "extender" else self.sobre.status_port

    def turned_away(self, server: str) -> int:
        return self.observer.turned_away(server) - self.turned_away_before[server]

    def settled(self) -> None:
        for server, own in self.own.items():
            eventually(lambda server=server, own=own: self.observer.connections(server) == own, f"only our own connections of {server} are left", 120)

    def check_nothing_is_left(self) -> None:
        self.scheduler.wait_answers(3)
        self.settled()
        eventually(lambda: descriptors(self.sobre) == self.descriptors, "all descriptors are back")
        assert is_served(self.sobre, FEW)
        now = resident_mib(self.sobre)
        print(f"resident before {self.resident:.1f} MiB, after {now:.1f}; descriptors {self.descriptors}; scheduler's answers {self.scheduler.answered}")
        assert now <= self.resident + ALLOWED_MIB

    def close(self) -> None:
        for part in reversed(self.stack):
            part.stop()
        self.sobre.stop()


@pytest.fixture
def world(tmp_path, sobre_bin):
    world = World(tmp_path)
    yield world
    world.close()


@pytest.mark.parametrize("server, other", [("extender", "status"), ("status", "extender")])
def test_ten_thousand_connections_over_the_limit_are_refused_in_order(world, server, other):
    holder = Holder(world.port(server), LIMIT - 1, asks=server == "status")
    eventually(lambda: world.observer.connections(server) == LIMIT, "all are taken")
    before = world.turned_away(server)
    outcomes = crowd(world.port(server), ATTEMPTS, 200)
    print(f"{server}: {dict(outcomes)}")
    assert outcomes == {"503": ATTEMPTS}
    assert world.turned_away(server) - before == ATTEMPTS
    # None of those that were there before was cut, nor does the other port feel anything.
    assert holder.lost() == 0
    assert world.turned_away(other) == 0
    world.scheduler.wait_answers(3)
    if other == "status":
        assert fetch(world.sobre.status_url + "/healthz") == b"ok\n"
        assert json.loads(fetch(world.sobre.status_url + "/api/v1/nodes"))
    else:
        assert len(json.loads(fetch(world.sobre.url + "/v1/prioritize", "POST", question(FEW), JSON))) == len(FEW)
    holder.close()
    world.check_nothing_is_left()
    # The log tells of it, and is not filled by it.
    lines = [line for line in map(json.loads, world.sobre.process.log.read_text().splitlines()) if "turned away" in line["msg"]]
    assert len(lines) <= 60 and server in {line.get("server") for line in lines}


def test_a_burst_of_real_calls_is_answered_or_shed_and_all_of_it_again_afterwards(world):
    outcomes = crowd(world.sobre.extender_port, 2000, 400, post(question(NAMES)))
    print(dict(outcomes))
    # A call that was sent on a connection which is turned away may be lost with it.
    assert set(outcomes) <= {"200", "503", "reset"} and outcomes["200"] > 0
    assert outcomes["503"] + outcomes["reset"] == world.turned_away("extender")
    world.check_nothing_is_left()
    assert crowd(world.sobre.extender_port, 200, 8, post(question(FEW))) == {"200": 200}


def test_who_drips_headers_or_bodies_or_never_reads_is_cut_off(world):
    """Together they take every connection but the scheduler's; what they hold, they lose."""
    third = (LIMIT - 1) // 3
    port = world.sobre.extender_port
    headers = [connect(port) for _ in range(third)]
    bodies = [connect(port) for _ in range(third)]
    deaf = [connect(port, receive_buffer=4096) for _ in range(LIMIT - 1 - 2 * third)]
    large = post(question(NAMES))
    for client in headers:
        client.sendall(b"POST /v1/prioritize HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
    for client in bodies:
        client.sendall(post(b'{"Pod": {"metadata": ', length=100_000))
    for client in deaf:
        client.setblocking(False)
        try:
            while True:
                client.send(large)  # until neither side's buffers take more
        except OSError:
            pass
    eventually(lambda: world.observer.connections("extender") == LIMIT, "they hold all")
    assert crowd(port, 50, 10) == {"503": 50}
    world.scheduler.wait_answers(3)
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.2):
            for client in headers + bodies:
                try:
                    client.send(b"x", socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT)
                except OSError:
                    pass
    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        for kind, clients in [("headers", headers), ("bodies", bodies)]:
            eventually(lambda clients=clients: all(is_cut(client) for client in clients), f"who drips {kind} is cut off", 120, 0.5)
        # Of who never reads the server alone can tell.
        world.settled()
        assert is_served(world.sobre, FEW)
        world.scheduler.wait_answers(3)
    finally:
        stop.set()
        dripping.join()
    for client in headers + bodies + deaf:
        client.close()
    world.check_nothing_is_left()


def test_event_streams_up_to_and_over_their_limit(world):
    stream = b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
    port = world.sobre.status_port

    def follow() -> list[socket.socket]:
        clients = [connect(port) for _ in range(STREAMS)]
        for client in clients:
            client.sendall(stream)
        for client in clients:
            assert client.recv(1 << 16).startswith(b"HTTP/1.1 200")
        return clients
    followers = follow()
    outcomes = crowd(port, ATTEMPTS // 10, 8, stream)
    print(f"streams: {dict(outcomes)}")
    assert outcomes == {"503": ATTEMPTS // 10}
    # Refused as streams: neither as connections, nor was anybody else kept out.
    assert world.turned_away("status") == 0
    assert fetch(world.sobre.status_url + "/readyz") == b"ok\n"
    world.scheduler.wait_answers(3)
    # Decisions still come to those who follow, also to one that is slow to read.
    fetch(world.sobre.url + "/v1/prioritize", "POST", question(FEW, "streamed"), JSON)
    for client in followers:
        got = b""
        while b'"shop/streamed"' not in got:
            got += client.recv(1 << 16)
    for client in followers:
        client.close()
    eventually(lambda: world.observer.connections("status") == 1, "their places are free")
    for client in follow():
        client.close()
    world.check_nothing_is_left()


def answer(port: int, path: str, source: str = "127.0.0.1") -> bytes:
    """To one request on a new connection, whole."""
    with connect(port, source=source) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: client.recv(1 << 16), b""))


@pytest.mark.parametrize("beginning", [b"", b"GET /healthz HTTP/1.1\r\nX-Slow: "], ids=["silent", "dripping"])
@pytest.mark.parametrize("access", ["open", "token"])
def test_probes_are_answered_whoever_holds_all_places(tmp_path, sobre_bin, beginning, access):
    """As the kubelet asks: each probe on a connection of its own, from an address that nobody else has, or from that of whoever holds most."""
    (tmp_path / "nodes.json").write_text(json.dumps(NODES))
    sobre = Sobre(tmp_path, {"listen": {"status_access": access}}, "--nodes", tmp_path / "nodes.json")
    strangers = {source: [connect(sobre.status_port, source=source) for _ in range(80)] for source in ("127.0.0.2", "127.0.0.3")}
    try:
        for client in strangers["127.0.0.2"] + strangers["127.0.0.3"]:
            client.sendall(beginning)
        for _ in range(40):
            for source in ("127.0.0.4", "127.0.0.2"):
                for path in ("/healthz", "/readyz"):
                    got = answer(sobre.status_port, path, source)
                    assert got.startswith(b"HTTP/1.1 200 ") and got.endswith(b"\r\n\r\nok\n"), got
            # Who drips goes on, on all that are open still.
            for client in strangers["127.0.0.2"] + strangers["127.0.0.3"] if beginning else []:
                try:
                    client.send(b"x", socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT)
                except OSError:
                    pass
        # Half of all is for others than one address.
        for client in strangers["127.0.0.3"]:
            client.close()
        expected = b"HTTP/1.1 200 " if access == "open" else b"HTTP/1.1 401 "
        eventually(lambda: answer(sobre.status_port, "/metrics", "127.0.0.4").startswith(expected), "who holds half of the places keeps nobody else out")
    finally:
        for client in strangers["127.0.0.2"] + strangers["127.0.0.3"]:
            client.close()
        sobre.stop()


def test_who_follows_decisions_gives_way_to_others(world):
    stream = b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"

    def follow(source: str) -> tuple[socket.socket, bytes]:
        client = connect(world.sobre.status_port, source=source)
        client.sendall(stream)
        return client, client.recv(1 << 16)
    held = [follow("127.0.0.2") for _ in range(STREAMS)]
    assert all(got.startswith(b"HTTP/1.1 200 ") for _, got in held)
    others = [follow("127.0.0.3") for _ in range(STREAMS)]
    assert [got[:12] for _, got in others] == [b"HTTP/1.1 200"] * (STREAMS // 2) + [b"HTTP/1.1 503"] * (STREAMS // 2)
    # The oldest of the first, in good order; a third has its part too.
    for client, _ in held[:STREAMS // 2]:
        assert b"".join(iter(lambda client=client: client.recv(1 << 16), b"")).endswith(b"0\r\n\r\n")
    third, got = follow("127.0.0.4")
    assert got.startswith(b"HTTP/1.1 200 ")
    for client in [third, *(c for c, _ in held + others)]:
        client.close()
    world.check_nothing_is_left()


@pytest.mark.parametrize("data, status", [
    (post(b"x" * 1000, length=200 << 20), "413"),
    (post(question(FEW), length=-1), "400"),
    (b"POST /v1/filter HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + b"fffffff\r\n" + b"x" * 9000, "411"),
    (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Large: " + b"x" * 200_000 + b"\r\n\r\n", None),
    (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", None),
    (b"POST /v1/prioritize HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(20_000)) + b"\r\n", None),
], ids=["a body over the limit", "a negative length", "chunks", "a large header", "a long address", "many headers"])
def test_oversized_requests_are_refused_and_cost_nothing(world, data, status):
    for port in (world.sobre.extender_port, world.sobre.status_port):
        outcomes = crowd(port, 200, 16, data)
        print(port, dict(outcomes))
        assert "200" not in outcomes and "refused" not in outcomes and sum(outcomes.values()) == 200
        if status and port == world.sobre.extender_port:
            assert outcomes == {status: 200}
    world.check_nothing_is_left()


def test_pipelined_requests_are_answered_in_their_order(world):
    count = 300
    client = connect(world.sobre.extender_port)
    # More than any buffer of the server takes at once; each asks about nodes of its own.
    asked = [[NAMES[i], NAMES[i + 1]] for i in range(count)]
    sending = threading.Thread(target=lambda: client.sendall(b"".join(post(question(names)) for names in asked)))
    sending.start()
    with client.makefile("rb") as answers:
        for names in asked:
            assert answers.readline().startswith(b"HTTP/1.1 200")
            header = dict(line.strip().lower().split(b": ", 1) for line in iter(answers.readline, b"\r\n"))
            assert [score["Host"] for score in json.loads(answers.read(int(header[b"content-length"])))] == names
    sending.join()
    client.close()
    world.check_nothing_is_left()


SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int fails(void) {
  static const int kErrors[] = {ENFILE, ECONNABORTED, ENOMEM, EPROTO, ENOBUFS, EINTR, EMFILE};
  static unsigned calls;
  unsigned call = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
  errno = kErrors[call / 2 % 7];
  return call % 2;  /* every other one */
}
int accept(int fd, struct sockaddr *address, socklen_t *length) {
  if (fails()) return -1;
  return ((int (*)(int, struct sockaddr *, socklen_t *))dlsym(RTLD_NEXT, "accept"))(fd, address, length);
}
int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags) {
  if (fails()) return -1;
  return ((int (*)(int, struct sockaddr *, socklen_t *, int))dlsym(RTLD_NEXT, "accept4"))(fd, address, length, flags);
}
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument) {
  if (access(getenv("NO_THREADS"), F_OK) == 0) return EAGAIN;
  return ((int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))dlsym(RTLD_NEXT, "pthread_create"))(thread, attributes, start, argument);
}
"""


@pytest.fixture
def failing_system(tmp_path, sobre_bin, monkeypatch):
    """A service of which every other accept() fails, and, while the file is there, every new thread."""
    (tmp_path / "shim.c").write_text(SHIM)
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", tmp_path / "shim.so", tmp_path / "shim.c", "-ldl"], check=True)
    (tmp_path / "nodes.json").write_text(json.dumps(NODES))
    no_threads = tmp_path / "no-threads"
    with monkeypatch.context() as environment:
        environment.setenv("LD_PRELOAD", str(tmp_path / "shim.so"))
        environment.setenv("NO_THREADS", str(no_threads))
        sobre = Sobre(tmp_path, {}, "--nodes", tmp_path / "nodes.json")
    yield sobre, no_threads
    sobre.stop()


def test_a_port_outlives_errors_of_the_system(failing_system):
    """Out of files or memory for a moment: the port waits, and takes who waits."""
    sobre, _ = failing_system
    scheduler = Scheduler(sobre, FEW)
    assert crowd(sobre.extender_port, 200, 8, post(question(FEW))) == {"200": 200}
    assert crowd(sobre.status_port, 200, 8, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") == {"200": 200}
    scheduler.stop()
    assert "a connection cannot be taken: trying again" in sobre.process.log.read_text()
    assert sobre.stop() == 0


def test_who_finds_no_thread_is_turned_away_and_the_service_lives(failing_system):
    sobre, no_threads = failing_system
    scheduler = Scheduler(sobre, FEW)
    no_threads.touch()
    outcomes = crowd(sobre.extender_port, 100, 20)
    assert outcomes == {"503": 100}
    scheduler.wait_answers(3)
    no_threads.unlink()
    assert crowd(sobre.extender_port, 100, 8, post(question(FEW))) == {"200": 100}
    scheduler.stop()
    assert sobre.stop() == 0


def test_without_descriptors_who_connects_waits_and_is_served_once_there_are_some(world):
    pid = world.sobre.process.child.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors(world.sobre), hard))
    try:
        waiting = [connect(world.sobre.extender_port) for _ in range(20)]
        for client in waiting:
            client.sendall(post(question(FEW)))
        world.scheduler.wait_answers(10)
        eventually(lambda: "a connection cannot be taken" in world.sobre.process.log.read_text(), "the log tells")
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    for client in waiting:
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 200")
        client.close()
    world.check_nothing_is_left()


def test_a_crowd_of_readers_does_not_keep_the_scheduler_waiting(world):
    """Every connection of the second port asks for what costs most, one question after the other."""
    stop = threading.Event()
    answered = []

    def read(source: str) -> None:
        with connect(world.sobre.status_port, source=source) as client:
            client.sendall(COSTLY)
            first = client.recv(1 << 20)
            while client.recv(1 << 20):
                pass
            answered.extend([1] * first.startswith(b"HTTP/1.1 200"))

    def keep_reading(source: str) -> None:
        while not stop.is_set():
            try:
                read(source)
            except OSError:
                pass
    readers = [threading.Thread(target=keep_reading, args=[source]) for source in neighbours(LIMIT - 8)]
    for reader in readers:
        reader.start()
    try:
        eventually(lambda: len(answered) > 200, "readers are answered", 120)
        world.scheduler.wait_answers(50)
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    world.check_nothing_is_left()
