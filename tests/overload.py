"""Clients that mean no good, or come in crowds, and what they were answered."""
import asyncio
import collections
import http.client
import json
import pathlib
import resource
import socket
import threading
import time

from tests.harness import Sobre, eventually, fetch

JSON = {"Content-Type": "application/json"}


def allow_descriptors(wanted: int) -> None:
    """For this process, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def question(names: list[str], pod: str = "p", namespace: str = "shop") -> bytes:
    pod_json = {"metadata": {"name": pod, "namespace": namespace, "uid": pod},
                "spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "1"}}}]}}
    return json.dumps({"Pod": pod_json, "Nodes": None, "NodeNames": names}).encode()


def post(body: bytes, path: str = "/v1/prioritize", length: int | None = None) -> bytes:
    return (f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body) if length is None else length}\r\n\r\n").encode() + body


class Scheduler:
    """Asks as kube-scheduler does, one call after the other, on one connection that it keeps from before the crowd came."""

    def __init__(self, sobre: Sobre, names: list[str]) -> None:
        self.answered, self.wrong, self.stopping = 0, [], False
        self.names, self.body = names, question(names)
        self.connection = http.client.HTTPConnection("127.0.0.1", sobre.extender_port, timeout=60)
        self.connection.connect()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        self.wait_answers(1)

    def _run(self) -> None:
        self.connection.auto_open = 0  # whoever loses its connection fails
        while not self.stopping and not self.wrong:
            try:
                self.connection.request("POST", "/v1/prioritize", self.body, JSON)
                reply = self.connection.getresponse()
                scores = json.loads(reply.read())
                if reply.status != 200 or len(scores) != len(self.names):
                    self.wrong.append(f"{reply.status}: {scores}")
                self.answered += 1
            except (OSError, http.client.HTTPException) as error:
                self.wrong.append(repr(error))
            time.sleep(0.02)

    def wait_answers(self, more: int) -> None:
        """It is still served."""
        want = self.answered + more
        eventually(lambda: self.wrong or self.answered >= want, "the scheduler is answered", 120, 0.01)
        assert not self.wrong, self.wrong

    def stop(self) -> None:
        self.stopping = True
        self.thread.join()
        self.connection.close()
        assert not self.wrong, self.wrong


class Observer:
    """Reads metrics on a kept connection of the second port, which idles out there: a full port does not blind it."""

    def __init__(self, sobre: Sobre) -> None:
        self.lock, self.stopping = threading.Lock(), threading.Event()
        self.connection = http.client.HTTPConnection("127.0.0.1", sobre.status_port, timeout=60)
        # The port may still be full of those who are leaving.
        eventually(lambda: self.page("/healthz") == "ok\n" or self.connection.close(), "the observer is taken")
        self.thread = threading.Thread(target=self._keep)
        self.thread.start()

    def _keep(self) -> None:
        while not self.stopping.wait(3):
            self.page("/healthz")

    def page(self, path: str) -> str:
        with self.lock:
            self.connection.request("GET", path)
            return self.connection.getresponse().read().decode()

    def metric(self, series: str) -> float:
        return next(float(line.rsplit(" ", 1)[1]) for line in self.page("/metrics").splitlines() if line.startswith(series + " "))

    def connections(self, server: str) -> int:
        return int(self.metric(f'sobre_connections{{server="{server}"}}'))

    def turned_away(self, server: str) -> int:
        return int(self.metric(f'sobre_connections_turned_away_total{{server="{server}"}}'))

    def stop(self) -> None:
        self.stopping.set()
        self.thread.join()
        self.connection.close()


def descriptors(sobre: Sobre) -> int:
    return len(list(pathlib.Path(f"/proc/{sobre.process.child.pid}/fd").iterdir()))


def resident_mib(sobre: Sobre) -> float:
    status = pathlib.Path(f"/proc/{sobre.process.child.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def connect(port: int, receive_buffer: int = 0, source: str = "127.0.0.1") -> socket.socket:
    client = socket.socket()
    client.bind((source, 0))
    if receive_buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.settimeout(60)
    client.connect(("127.0.0.1", port))
    return client


def is_cut(client: socket.socket) -> bool:
    """The server has closed it. Reads what there is."""
    client.setblocking(False)
    try:
        while client.recv(1 << 16):
            pass
        return True
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        client.setblocking(True)


def neighbours(count: int) -> list[str]:
    """Addresses for so many clients, few for each: of the second port's connections one address has half."""
    return [f"127.0.1.{1 + i % 8}" for i in range(count)]


class Holder:
    """Connections that the server has taken. Those of the second port ask now and then: who idles there is closed after ten seconds."""

    def __init__(self, port: int, count: int, asks: bool) -> None:
        self.clients, self.stopping, self.thread = [connect(port, source=source) for source in neighbours(count)], threading.Event(), None
        if asks:
            self.thread = threading.Thread(target=self._keep)
            self.thread.start()

    def _keep(self) -> None:
        while not self.stopping.wait(1):
            for client in self.clients:
                try:
                    client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    client.recv(4096)
                except OSError:
                    pass  # is_cut() tells

    def lost(self) -> int:
        """How many the server has closed."""
        if self.thread:
            self.stopping.set()
            self.thread.join()
        return sum(is_cut(client) for client in self.clients)

    def close(self) -> None:
        self.stopping.set()
        if self.thread:
            self.thread.join()
        for client in self.clients:
            client.close()


async def _ask_once(port: int, data: bytes) -> str:
    """The status of what was answered, or until the server closed; "reset" where it was lost, "refused" where nobody took the call."""
    got = b""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return "refused"
    try:
        if data:
            writer.write(data)
        while chunk := await asyncio.wait_for(reader.read(1 << 16), 120):
            got += chunk
            # Its answer is whole; the connection may be kept.
            head, found, body = got.partition(b"\r\n\r\n")
            if found and b"Content-Length: " in head:
                if len(body) >= int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0]):
                    break
    except OSError:
        pass
    finally:
        writer.close()
    return got.split(b" ")[1].decode() if got.startswith(b"HTTP/1.1 ") else "reset"


def crowd(port: int, attempts: int, at_once: int, data: bytes = b"") -> collections.Counter:
    """So many connections, each with one request or none; how often which status came."""
    async def all_of_them() -> collections.Counter:
        room = asyncio.Semaphore(at_once)

        async def one() -> str:
            async with room:
                return await _ask_once(port, data)
        return collections.Counter(await asyncio.gather(*(one() for _ in range(attempts))))
    return asyncio.run(all_of_them())


def is_served(sobre: Sobre, names: list[str]) -> bool:
    """On a new connection of each port."""
    reply = json.loads(fetch(sobre.url + "/v1/prioritize", "POST", question(names), JSON))
    return len(reply) == len(names) and fetch(sobre.status_url + "/healthz") == b"ok\n"
