"""What stands around a service in a soak: an API server behind a line that can be cut, a Prometheus that fails in turns."""
import asyncio
import json
import threading
import time
import urllib.parse

from tests.harness import HttpStub


class Line:
    """A TCP line to somewhere, which can be cut: all that runs through it ends, and for a while nothing is let through."""

    def __init__(self, host: str, port: int) -> None:
        self.target, self.writers, self.broken, self.ready = (host, port), set(), False, threading.Event()
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self._run, daemon=True).start()
        self.ready.wait()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()
        self.loop.run_forever()

    async def _serve(self, reader, writer) -> None:
        if self.broken:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, far_writer}
        self.writers |= ends
        try:
            await asyncio.gather(self._copy(reader, far_writer), self._copy(far_reader, writer))
        finally:
            self.writers -= ends
            for end in ends:
                end.close()

    @staticmethod
    async def _copy(reader, writer) -> None:
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
            writer.write_eof()
        except OSError:
            writer.transport.abort()

    def cut(self) -> None:
        def abort() -> None:
            for writer in list(self.writers):
                writer.transport.abort()
        self.loop.call_soon_threadsafe(abort)

    def stop(self) -> None:
        self.cut()
        self.loop.call_soon_threadsafe(self.loop.stop)


class PrometheusStub(HttpStub):
    """Answers queries of prices and intensities for so many nodes; `mode` is how."""

    MODES = ["well", "garbage", "errors", "empty", "slow"]

    def __init__(self, nodes: int) -> None:
        self.mode, self.nodes = "well", nodes
        super().__init__(self._answer)

    def _answer(self, path: str, body: bytes) -> tuple[str, str]:
        if self.mode == "garbage":
            return "text/html", "<html>no" + "x" * 10_000
        if self.mode == "errors":
            return "application/json", json.dumps({"status": "error", "errorType": "internal", "error": "no"})
        if self.mode == "slow":
            time.sleep(3)
        query = urllib.parse.unquote_plus(body.decode(errors="replace")) + urllib.parse.unquote_plus(path)
        now, result = time.time(), []
        if "/query" in path and self.mode != "empty":
            if "node_total_hourly_cost" in query:
                result = [{"metric": {"node": f"node-{i:06d}"}, "value": [now, str(now if "timestamp(" in query else 0.4 + i % 7 / 10 + now % 60 / 600)]}
                          for i in range(self.nodes)]
            elif "grid_intensity_carbon_average" in query:
                result = [{"metric": {"provider": provider, "region": region}, "value": [now, str(now if "timestamp(" in query else 50 + now % 300)]}
                          for provider, region in [("scaleway", "fr-par"), ("aws", "eu-central-1"), ("aws", "eu-north-1"), ("scaleway", "pl-waw")]]
        if "/query" not in path:
            return "application/json", json.dumps({"status": "success", "data": []})
        return "application/json", json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}})
