"""What stands on the ways tells of each call, whatever becomes of its connection."""
import http.client
import http.server
import json
import threading
import time

import pytest

from tests.chaos.history import History, load
from tests.chaos.proxies import Service, Way

POD = json.dumps({"Pod": {"metadata": {"uid": "u1", "namespace": "shop", "name": "web"}}})


class Extender(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, *_):
        pass


@pytest.fixture()
def service(tmp_path):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Extender)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    history = History(tmp_path)
    made = Service(history)
    made.backends = {"a": server.server_address[1]}
    yield made
    made.stop()
    history.close()
    server.shutdown()
    server.server_close()


def calls_of(folder) -> list[dict]:
    return [line for line in load(folder) if line["kind"] == "call"]


def ask(service: Service, seconds: float) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=seconds)
    connection.request("POST", "/prioritize", POD)
    return connection


def test_a_call_whose_answer_arrives_is_told(service, tmp_path):
    assert ask(service, 10).getresponse().read() == b"[]"
    service.drain()
    assert [(c["status"], c["delivered"]) for c in calls_of(tmp_path)] == [(200, True)]


@pytest.mark.parametrize("fault", ["hush", "hole"])
def test_a_call_that_its_caller_gave_up_is_told_though_the_way_never_heals(service, tmp_path, fault):
    if fault == "hole":
        service.way = Way(hole=True)
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=0.3)
    connection.connect()
    until = time.monotonic() + 10
    while not service.connections and time.monotonic() < until:
        time.sleep(0.01)
    if fault == "hush":
        service.hush()
    connection.request("POST", "/prioritize", POD)
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()
    while not calls_of(tmp_path) and time.monotonic() < until:
        time.sleep(0.02)
    assert [(c["status"], c["delivered"], c["replica"]) for c in calls_of(tmp_path)] == [(200, False, "a")]


def test_the_end_of_a_run_waits_for_what_is_still_on_its_way(service, tmp_path):
    service.way = Way(hole=True)
    connection = ask(service, 10)
    until = time.monotonic() + 10
    while not service.in_flight and time.monotonic() < until:
        time.sleep(0.01)
    service.drain()
    assert not service.in_flight
    assert [c["delivered"] for c in calls_of(tmp_path)] == [False]
    connection.close()
