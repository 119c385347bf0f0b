"""What Prometheus may do wrong, and what Sobre says of it: the table of docs/signals.md, and the cases of test_faults.py."""
import dataclasses
import http.server
import json
import re
import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable

# Two nodes of 8 vCPU; in good health each signal has one value by node or zone.
GOOD = {
    "price": [({"node": "fr"}, 0.4), ({"node": "de"}, 0.3)],
    "watts": [({"node": "fr"}, 20.0), ({"node": "de"}, 22.0)],
    "busy": [({"node": "fr"}, 0.4), ({"node": "de"}, 0.5)],
    "grid": [({"zone": "FR"}, 40.0), ({"zone": "DE"}, 350.0)],
    "power_price": [({"zone": "FR"}, 80.0), ({"zone": "DE"}, 95.0)],
}
SIGNALS = [
    {"signal": "node_price_per_hour", "name": "prices", "query": "price", "max_age": "30m"},
    {"signal": "node_watts", "name": "meters", "query": "watts", "resets_query": "resets(watts[5m])"},
    {"signal": "node_cpu_utilization", "name": "load", "query": "busy"},
    {"signal": "grid_gco2e_per_kwh", "name": "grid", "query": "grid"},
    {"signal": "electricity_price_per_kwh", "name": "exchange", "query": "power_price", "unit": "EUR/MWh"},
]


class FakePrometheus:
    """Answers plain names, timestamp(NAME) and resets(NAME…) from a table; what is wrong with it is the test's to set."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.series = {name: list(values) for name, values in GOOD.items()}
        self.age = 0.0              # of all samples, in seconds
        self.clock = 0.0            # how far its clock is ahead
        self.resets: dict[str, int] = {}
        self.warnings: list[str] = []
        self.status, self.headers, self.body = 200, {}, None
        self.token = None           # asked for, if set
        self.asked = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                query = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())["query"][0]
                outer.asked += 1
                if outer.token and self.headers.get("Authorization") != f"Bearer {outer.token}":
                    self.answer(401, b"unauthorized")
                elif callable(outer.body):
                    outer.body(self)
                elif outer.body is not None:
                    self.answer(outer.status, outer.body)
                else:
                    self.answer(outer.status, outer.answer(query))

            def answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address) -> None:
                pass  # a client that gives up is what some faults are about

        self.server = Server(("127.0.0.1", 0), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, query: str) -> bytes:
        now = time.time() + self.clock
        plain = re.fullmatch(r"\w+", query)
        of_time = re.fullmatch(r"timestamp\((\w+)\)", query)
        of_resets = re.fullmatch(r"resets\((\w+)\[5m\]\)", query)
        if of_time:
            found = [(labels, now - self.age) for labels, _ in self.series.get(of_time[1], [])]
        elif of_resets:
            found = [(labels, self.resets.get(labels.get("node", ""), 0)) for labels, _ in self.series.get(of_resets[1], [])]
        else:
            found = self.series.get(query, []) if plain else []
        result = [{"metric": {"__name__": query} | labels, "value": [now, value if isinstance(value, str) else repr(value)]}
                  for labels, value in found]
        reply = {"status": "success", "data": {"resultType": "vector", "result": result}}
        return json.dumps(reply | ({"warnings": self.warnings} if self.warnings else {})).encode()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@dataclasses.dataclass
class Fault:
    done: str       # what was done, for the table
    decision: str   # what a decision's notes say
    doctor: str     # what the doctor says
    do: Callable[[FakePrometheus, dict], object]  # the server and the section `prometheus` of the configuration
    exit: int = 0   # of the doctor: 1 for errors
    tls: str = ""   # "unknown" or "elsewhere": by whom, or for whom, the certificate is


def values(name: str, fr: object, de: object | None = None):
    """Replaces the values of one metric."""
    def do(server: FakePrometheus, prometheus: dict) -> None:
        (labels_fr, _), (labels_de, good) = GOOD[name]
        server.series[name] = [(labels_fr, fr), (labels_de, good if de is None else de)]
    return do


def attribute(**attributes):
    def do(server: FakePrometheus, prometheus: dict) -> None:
        for name, value in attributes.items():
            setattr(server, name, value)
    return do


def slow_drip(handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    for _ in range(40):
        handler.wfile.write(b'{"status":')
        handler.wfile.flush()
        time.sleep(0.1)


def two_hundred_megabytes(handler) -> None:
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(b'{"status":"success","data":{"resultType":"vector","result":[')
    piece = b",".join(b'{"metric":{"node":"n%07d"},"value":[1,"1"]}' % i for i in range(20_000)) + b","
    for _ in range(200_000_000 // len(piece)):
        handler.wfile.write(piece)


def hang_up(handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{\"status\":")
    handler.connection.shutdown(socket.SHUT_RDWR)


def config(**more):
    def do(server: FakePrometheus, prometheus: dict) -> None:
        prometheus.update(more)
    return do


def series(name: str, found: list):
    def do(server: FakePrometheus, prometheus: dict) -> None:
        server.series[name] = found
    return do


def second_source(server: FakePrometheus, prometheus: dict) -> None:
    server.series["watts2"] = [({"node": "fr"}, 40.0)]
    prometheus["servers"] = [{"name": "second", "url": server.url, "presets": "none",
                              "signals": [{"signal": "node_watts", "name": "other", "query": "watts2"}]}]


def signal(**changes):
    """Changes the first query, that of prices."""
    def do(server: FakePrometheus, prometheus: dict) -> None:
        prometheus["signals"][0].update(changes)
    return do


def all_of(*steps):
    def do(server: FakePrometheus, prometheus: dict) -> None:
        for step in steps:
            step(server, prometheus)
    return do


FAULTS = {
    "missing": Fault("the exporter is gone, its series with it", "node_price_per_hour from prices: the query gives no series",
                     "check that the exporter runs and is scraped", series("price", []), 1),
    "stale": Fault("all samples are an hour old", "60 min old, over the limit of 30 min", "check that the exporter still runs and is scraped",
                   attribute(age=3600)),
    "NaN": Fault("one price is NaN", "node_price_per_hour: 1 value set aside, implausible: NaN EUR/h (for example fr)",
                 "check the query's unit and the exporter", values("price", "NaN")),
    "+Inf": Fault("one price is +Inf", "implausible: Infinity EUR/h (for example fr)", "check the query's unit and the exporter",
                  values("price", "+Inf")),
    "-Inf": Fault("one intensity is -Inf", "implausible: -Infinity gCO2e/kWh (for example FR)", "check the query's unit and the exporter",
                  values("grid", "-Inf")),
    "zero": Fault("a machine draws 0 W, as on virtual machines", "node_watts: 1 value set aside, implausible: 0 W (for example fr)",
                  "on a virtual machine that cannot measure, switch the exporter off there", values("watts", 0)),
    "50 kW": Fault("8 vCPU draw 50 kW", "implausible for 8 vCPU: 50000 W", "check the query's unit", values("watts", 50000)),
    "reset": Fault("a counter began anew", "node_watts: 1 value set aside, their counter began anew a moment ago (for example fr)",
                   "nothing, if the exporter was restarted", attribute(resets={"fr": 1})),
    "renamed label": Fault("the label `node` is now `kubernetes_node`", "2 values set aside, of no known node (for example one without a name)",
                           "2 of 2 series from prices do not say what they are about; the first has the labels kubernetes_node",
                           series("price", [({"kubernetes_node": "fr"}, 0.4), ({"kubernetes_node": "de"}, 0.3)])),
    "wrong unit": Fault("milliwatts are taken for watts", "22000 W; 22 W would be plausible: is it in mW?", "check the query's unit",
                        values("watts", 20_000, 22_000)),
    "per cent": Fault("a utilization of 40 is per cent", "0.5 would be plausible: is it in %?", "check the query's unit and the exporter",
                      values("busy", 40, 50)),
    "clock ahead": Fault("the server's clock is 10 minutes ahead", "min in the future", "its clock is 10 min ahead of ours",
                         attribute(clock=630), 1),
    "clock behind": Fault("the server's clock is 10 minutes behind", "node_watts: 2 values set aside, 10 min old, over the limit of 5 min",
                          "its clock is 10 min behind ours", attribute(clock=-630), 1),
    "duplicate series": Fault("one exporter is scraped by two jobs", "2 values set aside, said twice by prices (for example de)",
                              "something is scraped twice", series("price", [(labels | {"job": job}, v) for labels, v in GOOD["price"] for job in "ab"])),
    "500": Fault("HTTP 500", "prometheus: HTTP status 500", "look into the server's own log", attribute(status=500, body=b"oops"), 1),
    "500, presets alone": Fault("HTTP 500, and nothing is asked but what is found by itself", "prometheus: HTTP status 500",
                               "look into the server's own log", all_of(config(presets="auto", signals=[]), attribute(status=500, body=b"oops")), 1),
    "503 page": Fault("a proxy answers 503 with a page", "prometheus: HTTP status 503", "look into the server's own log",
                      attribute(status=503, body=b"<html>down</html>"), 1),
    "200 page": Fault("a proxy answers 200 with a page", "the answer is not what Prometheus sends", "a proxy may cut or replace answers",
                      attribute(body=b"<html>log in</html>"), 1),
    "429": Fault("HTTP 429 with Retry-After", "HTTP status 429 (too many requests: asked again later)",
                 "raise prometheus.refresh, or the server's limit", attribute(status=429, body=b"", headers={"Retry-After": "120"}), 1),
    "slow drip": Fault("ten bytes every tenth of a second", "Operation timed out", "raise prometheus.timeout, or give the server room",
                       all_of(config(timeout="2s"), attribute(body=slow_drip)), 1),
    "cut short": Fault("JSON cut in the middle", "the answer is not what Prometheus sends (cut short after 82 bytes)",
                       "a proxy may cut or replace answers",
                       attribute(body=b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{"node":"fr"'), 1),
    "other JSON": Fault("JSON of another shape", "the answer is not what Prometheus sends", "a proxy may cut or replace answers",
                        attribute(body=b'{"status":"success","data":{"resultType":"vector","result":[{"metric":7,"value":[1,"1"]}]}}'), 1),
    "half of the nodes": Fault("half of the nodes have a price", "price unknown for 1 of 2 nodes (for example de)",
                               "unknown for 1 of 2 nodes (for example de)", series("price", GOOD["price"][:1])),
    "half of the regions": Fault("half of the regions have a live intensity", "catalogue", "where one candidate lacks it, the catalogue serves all",
                                 series("grid", GOOD["grid"][:1])),
    "200 MB": Fault("an answer of 200 MB", "the answer is larger than 67108864 bytes", "let the query aggregate to one series a node",
                    attribute(body=two_hundred_megabytes), 1),
    "unknown authority": Fault("a certificate of an authority that is not trusted", "certificate", "check prometheus.tls.ca_file", lambda s, p: None, 1,
                               tls="unknown"),
    "another host": Fault("a certificate for another host", "certificate", "that the certificate names the URL's host", lambda s, p: None, 1,
                          tls="elsewhere"),
    "expired token": Fault("the token has expired", "HTTP status 401 (the token or password is missing, wrong or expired)",
                           "a token that has expired must be renewed on disk", attribute(token="fresh"), 1),
    "no token": Fault("the token's file is gone", "/nonexistent/token: cannot be read", "check the path, and that Sobre may read the file",
                      config(bearer_token_file="/nonexistent/token"), 1),
    "forbidden": Fault("HTTP 403", "HTTP status 403 (who we are may not ask this)", "the right to query", attribute(status=403, body=b""), 1),
    "wrong path": Fault("the URL has a path too many", "HTTP status 404 (is the URL the API's root?)", "it is what stands before /api/v1/query",
                        attribute(status=404, body=b"404 page not found"), 1),
    "refused": Fault("nobody listens", "Failed to connect", "check prometheus.url, and that the network lets Sobre reach it",
                     config(url="http://127.0.0.1:1"), 1),
    "no such host": Fault("the host name does not resolve", "Could not resolve host", "check the host name in prometheus.url, and DNS",
                          config(url="http://prometheus.invalid:9090"), 1),
    "hung up": Fault("the connection breaks in the middle of an answer", "prometheus: http", "check prometheus.url", attribute(body=hang_up), 1),
    "bad query": Fault("a query that does not parse", "HTTP status 400: parse error", "try the query in Prometheus' own page",
                       attribute(status=400, body=b'{"status":"error","errorType":"bad_data","error":"parse error"}'), 1),
    "scalar": Fault("a query that gives a scalar", "the query gives a scalar; an instant vector is needed", "write a query that gives one value by series",
                    attribute(body=b'{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}'), 1),
    "partial": Fault("a store behind Thanos is away", "", "the server warns from prices: store eu-2 is away", attribute(warnings=["store eu-2 is away"])),
    "foreign": Fault("prices in a currency without a rate", "2 values set aside, in USD, for which no rate to euros is configured",
                     "add the currency's rate under currencies", signal(unit="USD/h")),
    "strangers": Fault("series of nodes that are not there", "1 value set aside, of no known node (for example ghost)", "set the query's node_label",
                       series("price", GOOD["price"] + [({"node": "ghost"}, 1.0)])),
    "negative price": Fault("a node's price is negative", "node_price_per_hour: 1 value set aside, implausible: -1 EUR/h", "check the query's unit",
                            values("price", -1)),
    "3,000 g": Fault("an intensity of 3,000 g", "implausible: 3000 gCO2e/kWh", "check the query's unit", values("grid", 3000)),
    "negative electricity": Fault("electricity at a negative price, which is legal", "", "electricity_price_per_kwh: 2 values in use",
                                  values("power_price", -50.0, -20.0)),
    "disagreement": Fault("two servers differ twofold about one node", "fr: meters says 20, other says 40 W",
                          "find out which one is right", second_source),
    "trap": Fault("a query of one's own sums over zones that overlap", "", "kepler_node_cpu_watts without its label zone",
                  all_of(series("price", GOOD["price"]), lambda s, p: p["signals"].append(
                      {"signal": "node_cpu_watts", "name": "mine", "query": "sum by (node_name) (kepler_node_cpu_watts)"})), 1),
    "named and missing": Fault("a preset is named whose exporter is not there", "preset vllm is switched on, but none of its metrics is there",
                               "check that vLLM runs and is scraped", config(presets=["vllm"]), 1),
}


def table() -> str:
    lines = ["| what was done | what a decision said | what `sobre doctor` said |", "|---|---|---|"]
    return "\n".join(lines + [f"| {f.done} | {f.decision or '(nothing: nothing is missing)'} | {f.doctor} |" for f in FAULTS.values()])
