"""What a node answers to the API server, so that kubectl logs and helm test --logs work."""
import http.server
import pathlib
import ssl
import threading


class NodeServer:
    """Serves /containerLogs/NAMESPACE/POD/CONTAINER from the folder of logs, whole."""

    def __init__(self, address: str, logs: pathlib.Path, certificate: pathlib.Path, key: pathlib.Path) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                kind, *names = self.path.partition("?")[0].strip("/").split("/")
                path = logs.joinpath(*names[:2], f"{names[-1]}.log")
                found = kind == "containerLogs" and ".." not in names and path.is_file()
                body = path.read_bytes() if found else f"{self.path}: the test cluster has no such thing\n".encode()
                self.send_response(200 if found else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer((address, 0), Handler)
        self.port = self.server.server_address[1]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
