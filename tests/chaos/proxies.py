"""What stands on each way in a run, so that faults can be done there: to bytes, to HTTP of the API server, to HTTP of the extender."""
import contextlib
import dataclasses
import http.client
import json
import select
import socket
import ssl
import struct
import threading
import time

NOBODY = ("127.0.0.1", 1)


def reset(connection: socket.socket) -> None:
    """Ends a connection by RST, in whatever thread it is used."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    for end in (lambda: connection.shutdown(socket.SHUT_RDWR), connection.close):
        with contextlib.suppress(OSError, ValueError):
            end()


@dataclasses.dataclass
class Way:
    """What happens to bytes on their way."""
    refuse: bool = False        # each new connection is reset
    hole: bool = False          # nothing passes, nothing ends
    delay: float = 0.0          # of each piece that comes back, in seconds
    rate: int = 0               # bytes a second that come back; 0: as they come
    cut_after: int | None = None  # so many bytes come back, and then a reset


class Listener:
    """Accepts on a port of its own, a thread a connection."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.socket.getsockname()[1]
        self.way = Way()
        self.lock, self.connections, self.silent = threading.Lock(), set(), set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            if self.way.refuse:
                reset(client)
                continue
            threading.Thread(target=self._run, args=(client,), daemon=True).start()

    def _run(self, client: socket.socket) -> None:
        with self.lock:
            self.connections.add(client)
        try:
            self.serve(client)
        except (OSError, ValueError, http.client.HTTPException):
            pass  # whoever is at its ends sees that it ended
        finally:
            with self.lock:
                self.connections.discard(client)
                self.silent.discard(client)
            reset(client)

    def serve(self, client: socket.socket) -> None:
        raise NotImplementedError

    def cut(self) -> None:
        """Resets all that is open."""
        with self.lock:
            open_now = list(self.connections)
        for connection in open_now:
            reset(connection)

    def hush(self) -> None:
        """From now on nothing comes back on what is open now, and it does not end."""
        with self.lock:
            self.silent |= self.connections

    def send(self, client: socket.socket, data: bytes, to: socket.socket | None = None, sent: int = 0) -> None:
        """Passes on what comes back, as the way lets it. `sent`: bytes before, of what is cut after so many."""
        to = to or client
        way = self.way
        if way.delay:
            time.sleep(way.delay)
        while self.way.hole or client in self.silent:
            if self._left(client):
                raise OSError("left")
            time.sleep(0.05)
        way = self.way
        if way.cut_after is not None and sent + len(data) > way.cut_after:
            with contextlib.suppress(OSError):
                to.sendall(data[:max(0, way.cut_after - sent)])
                time.sleep(0.02)  # so that it is read before the reset
            reset(client)
            raise OSError("cut")
        if not way.rate:
            to.sendall(data)
            return
        step = max(1, way.rate // 10)
        for at in range(0, len(data), step):
            to.sendall(data[at:at + step])
            if self.way.rate:
                time.sleep(0.1)

    def _left(self, client: socket.socket) -> bool:
        """Whether it was ended here, or its client gave up: nothing is read meanwhile that would tell of that."""
        with self.lock:
            if client not in self.connections or client.fileno() < 0:
                return True
            ended = select.poll()
            ended.register(client, select.POLLRDHUP)
            return bool(ended.poll(0))

    def stop(self) -> None:
        self.way = Way()
        self.socket.close()
        self.cut()


class Relay(Listener):
    """Bytes to and from a target."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        super().__init__()

    def serve(self, client: socket.socket) -> None:
        while self.way.hole:
            if self._left(client):
                return
            time.sleep(0.05)
        with socket.create_connection(self.target, timeout=10) as upstream:
            upstream.settimeout(None)
            forward = threading.Thread(target=self._forward, args=(client, upstream), daemon=True)
            forward.start()
            try:
                sent = 0
                while data := upstream.recv(65536):
                    self.send(client, data, sent=sent)
                    sent += len(data)
            finally:
                reset(client)
                reset(upstream)

    def _forward(self, client: socket.socket, upstream: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            while data := client.recv(65536):
                while self.way.hole or client in self.silent:
                    if self._left(client):
                        return
                    time.sleep(0.05)
                upstream.sendall(data)
        reset(upstream)
        with self.lock:
            self.connections.discard(client)


@dataclasses.dataclass
class Request:
    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    def is_watch(self) -> bool:
        return "watch=1" in self.path


@dataclasses.dataclass
class Answer:
    """One that is given in the server's place."""
    status: int
    body: bytes = b""
    headers: tuple = ()

    def bytes(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} Made", f"Content-Length: {len(self.body)}", *(f"{k}: {v}" for k, v in self.headers)]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


def read_request(reader) -> Request | None:
    line = reader.readline(65536)
    if not line:
        return None
    method, path, _ = line.decode("latin-1").split(" ", 2)
    headers, length = [], 0
    while (line := reader.readline(65536)) not in (b"\r\n", b"\n", b""):
        name, _, value = line.decode("latin-1").partition(":")
        headers.append((name, value.strip()))
        if name.lower() == "content-length":
            length = int(value)
    return Request(method, path, headers, reader.read(length) if length else b"")


class HttpFront(Listener):
    """HTTP/1.1 in front of a server: whole requests, and answers as they come. `rule(request)` may give an Answer in the server's place."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.tls, self.rule = tls, None
        super().__init__()

    def connect(self) -> http.client.HTTPConnection:
        raise NotImplementedError

    def serve(self, client: socket.socket) -> None:
        stream = client
        if self.tls:
            client.settimeout(20)
            stream = self.tls.wrap_socket(client, server_side=True)
            with self.lock:  # wrapping took the descriptor over
                self.connections.discard(client)
                self.connections.add(stream)
            stream.settimeout(None)
        upstream = None
        try:
            with stream.makefile("rb") as reader:
                while self.wait(stream, upstream) and (request := read_request(reader)):
                    answer = self.rule(request) if self.rule else None
                    if answer:
                        self.send(stream, answer.bytes())
                        continue
                    upstream = upstream or self.connect()
                    if not self.exchange(stream, upstream, request):
                        return
        finally:
            if upstream:
                upstream.close()
            with self.lock:
                self.connections.discard(stream)
                self.silent.discard(stream)
            reset(stream)

    def wait(self, client: socket.socket, upstream: http.client.HTTPConnection | None) -> bool:
        """Until there may be a request; False where the server ended the connection, which ends the client's."""
        return True

    def exchange(self, client: socket.socket, upstream: http.client.HTTPConnection, request: Request) -> bool:
        """One request and its answer; False where the connection ends after it."""
        raise NotImplementedError


def head_of(answer: http.client.HTTPResponse, framing: str) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} {answer.reason}"]
    lines += [f"{k}: {v}" for k, v in answer.getheaders() if k.lower() not in ("transfer-encoding", "content-length")]
    return "\r\n".join([*lines, framing]).encode("latin-1") + b"\r\n\r\n"


class ApiFront(HttpFront):
    """TLS in front of the API server, for one replica. `only(request)`: whose answers the way mangles; all, if not set."""

    def __init__(self, tls: ssl.SSLContext, address: str, port: int, trust: ssl.SSLContext) -> None:
        self.target, self.trust, self.only = (address, port), trust, None
        self.led = 0.0  # when the Lease was taken or renewed through here
        super().__init__(tls)

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPSConnection(*self.target, timeout=400, context=self.trust)

    def exchange(self, client: socket.socket, upstream: http.client.HTTPConnection, request: Request) -> bool:
        upstream.request(request.method, request.path, request.body or None,
                         {k: v for k, v in request.headers if k.lower() not in ("host", "connection", "content-length")})
        answer = upstream.getresponse()
        if request.method in ("PUT", "POST") and "/leases" in request.path and answer.status < 300:
            self.led = time.monotonic()
        mangled = self.only is None or self.only(request)
        sent = 0

        def put(data: bytes) -> None:
            nonlocal sent
            if mangled:
                self.send(client, data, sent=sent)
            else:
                client.sendall(data)
            sent += len(data)
        if not answer.chunked:
            body = answer.read()
            put(head_of(answer, f"Content-Length: {len(body)}") + body)
        else:
            put(head_of(answer, "Transfer-Encoding: chunked"))
            sent = 0
            while data := answer.read1(65536):
                put(b"%x\r\n" % len(data) + data + b"\r\n")
            put(b"0\r\n\r\n")
        return not answer.will_close


class Service(HttpFront):
    """The extender's Service, for kube-scheduler: a connection goes to one of the replicas that are ready, and stays with it. Every
    call and its answer is told to the history."""

    def __init__(self, history) -> None:
        self.history, self.backends, self.turn = history, {}, 0  # backends: port by name of those that are ready
        self.trust: ssl.SSLContext | None = None
        self.mangle = None  # mangle(answer's body) -> other bytes
        self.in_flight: dict[int, str] = {}
        super().__init__()

    def wait(self, client: socket.socket, upstream: http.client.HTTPConnection | None) -> bool:
        if upstream is None or upstream.sock is None:
            return True
        return client in select.select([client, upstream.sock], [], [])[0]

    def connect(self) -> http.client.HTTPConnection:
        names = sorted(self.backends)
        if not names:
            raise OSError("no replica is ready")
        self.turn += 1
        name = names[self.turn % len(names)]
        made = http.client.HTTPSConnection("127.0.0.1", self.backends[name], timeout=600, context=self.trust) if self.trust \
            else http.client.HTTPConnection("127.0.0.1", self.backends[name], timeout=600)
        made.replica = name
        return made

    def open(self, upstream: http.client.HTTPConnection) -> None:
        try:
            upstream.connect()
        except ssl.SSLCertVerificationError as error:
            self.history.add("claim", claim="the extender port is trusted", fault="a new connection", holds=False, text=f"{upstream.replica}: {error!r}")
            raise

    def exchange(self, client: socket.socket, upstream: http.client.HTTPConnection, request: Request) -> bool:
        asked = json.loads(request.body)
        meta = asked["Pod"]["metadata"]
        call = {"verb": request.path.rpartition("/")[2], "uid": meta["uid"], "pod": f"{meta['namespace']}/{meta['name']}",
                "replica": upstream.replica, "begin": time.time(), "status": None, "delivered": False}
        self.in_flight[id(call)] = upstream.replica
        try:
            if upstream.sock is None:
                self.open(upstream)
            call["sent"] = True  # some of it, at least
            upstream.request(request.method, request.path, request.body, {"Content-Type": "application/json"})
            answer = upstream.getresponse()
            body = answer.read()
            call["status"], call["answered"] = answer.status, time.time()
            if answer.status != 200:
                call["said"] = body[:300].decode(errors="replace")
            elif call["verb"] == "filter":
                told = json.loads(body)
                call["passed"], call["error"] = told["NodeNames"], told.get("Error", "")
            if self.mangle:
                body = self.mangle(body)
            self.send(client, head_of(answer, f"Content-Length: {len(body)}") + body)
            call["delivered"] = True
            return not answer.will_close
        finally:
            call["end"] = time.time()
            self.history.add("call", **call)
            del self.in_flight[id(call)]

    def drain(self) -> None:
        """Ends what is open, and waits until each call is in the history."""
        until = time.monotonic() + 20
        while self.in_flight and time.monotonic() < until:
            self.cut()
            time.sleep(0.05)
        if self.in_flight:
            raise TimeoutError(f"{len(self.in_flight)} calls do not end: what the history says of them is not known")
