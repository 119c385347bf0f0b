"""An API server that lists the nodes, namespaces and pods of a test, as Kubernetes' protobuf (by the numbers of proto/k8s/objects.proto), and
takes whatever is written."""
import http.server
import json
import pathlib
import threading
import time
import urllib.parse

import yaml


def _number(value: int) -> bytes:
    out = b""
    while True:
        value, low = value >> 7, value & 0x7F
        out += bytes([low | (0x80 if value else 0)])
        if not value:
            return out


def _field(number: int, value: bytes | str | int | bool) -> bytes:
    if isinstance(value, int):
        return _number(number << 3) + _number(int(value))
    raw = value.encode() if isinstance(value, str) else value
    return _number(number << 3 | 2) + _number(len(raw)) + raw


def _map(number: int, entries: dict, wrap=lambda value: value) -> bytes:
    return b"".join(_field(number, _field(1, key) + _field(2, wrap(value))) for key, value in entries.items())


def _quantity(value: str) -> bytes:
    return _field(1, str(value))


def _meta(meta: dict) -> bytes:
    owners = b"".join(_field(13, _field(1, o["kind"]) + _field(3, o["name"]) + _field(6, o.get("controller", True)))
                      for o in meta.get("ownerReferences", []))
    return (_field(1, meta["name"]) + _field(3, meta.get("namespace", "")) + _field(5, meta.get("uid", "uid-" + meta["name"])) + _field(6, "1")
            + _map(11, meta.get("labels", {})) + _map(12, meta.get("annotations", {})) + owners)


def node_bytes(node: dict) -> bytes:
    addresses = b"".join(_field(5, _field(1, a["type"]) + _field(2, a["address"])) for a in node["status"].get("addresses", []))
    return (_field(1, _meta(node["metadata"])) + _field(2, _field(3, node["spec"].get("providerID", "")))
            + _field(3, _map(2, node["status"]["allocatable"], _quantity) + addresses))


def pod_bytes(pod: dict) -> bytes:
    containers = b"".join(_field(2, _field(8, _map(2, c.get("resources", {}).get("requests", {}), _quantity))) for c in pod["spec"]["containers"])
    ready = _field(2, _field(1, "Ready") + _field(2, "True"))
    return (_field(1, _meta(pod["metadata"])) + _field(2, containers + _field(10, pod["spec"]["nodeName"]) + _field(19, "default-scheduler"))
            + _field(3, _field(1, "Running") + ready))


class KubeApi:
    """Serves `nodes` and `pods` (as `kubectl get -o json` prints them) over HTTP; nothing ever changes."""

    def __init__(self, folder: pathlib.Path, nodes: list[dict], pods: list[dict]) -> None:
        namespaces = sorted({p["metadata"]["namespace"] for p in pods} | {"default"})
        lists = {"/api/v1/nodes": [node_bytes(n) for n in nodes], "/api/v1/pods": [pod_bytes(p) for p in pods],
                 "/api/v1/namespaces": [_field(1, _meta({"name": n})) for n in namespaces]}
        stopped = self.stopped = threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urllib.parse.urlparse(self.path)
                query = urllib.parse.parse_qs(url.query)
                if url.path not in lists:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Type", "application/vnd.kubernetes.protobuf")
                self.end_headers()
                if "watch" in query:
                    self.wfile.flush()
                    until = time.monotonic() + float(query["timeoutSeconds"][0])
                    while time.monotonic() < until and not stopped.wait(0.2):
                        pass
                    return
                raw = _field(1, _field(2, "1")) + b"".join(_field(2, item) for item in lists[url.path])
                self.wfile.write(b"k8s\0" + _field(2, raw))

            def do_POST(self) -> None:
                """Leases and events: kept by nobody, as if nobody else had any."""
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                body.setdefault("metadata", {})["resourceVersion"] = "1"
                answer = json.dumps(body).encode()
                self.send_response(201 if self.command == "POST" else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
            do_PUT = do_PATCH = do_POST

            def log_message(self, *arguments) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{self.server.server_address[1]}"}}],
            "users": [{"name": "user", "user": {}}], "contexts": [{"name": "test", "context": {"cluster": "test", "user": "user"}}]}))

    def stop(self) -> None:
        self.stopped.set()
        self.server.shutdown()
        self.server.server_close()
