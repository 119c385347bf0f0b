"""Services: their names for the pods, and a proxy on their addresses that connects to ready endpoints. TCP only."""
import asyncio
import hashlib
import pathlib
import random
import threading

from tests.minicluster.network import Network
from tests.minicluster.watch import Cache

Address = tuple[str, int]


class Services(threading.Thread):
    """`names` is a folder with hosts and resolv.conf, which all pods see."""

    def __init__(self, plane, token: str, network: Network, names: pathlib.Path) -> None:
        super().__init__(daemon=True, name="services")
        self.network, self.names = network, names
        names.mkdir()
        (names / "resolv.conf").write_text("")
        (names / "hosts").write_text("127.0.0.1 localhost\n")
        self.loop, self.changed = asyncio.new_event_loop(), asyncio.Event()
        self.stopping = False
        self.endpoints: dict[Address, list[Address]] = {}
        self.sticky: set[Address] = set()
        self.servers: dict[Address, asyncio.Server] = {}
        self.addresses: set[str] = set()
        self.services = self.slices = None
        self.services = Cache(plane, token, "/api/v1/services", self._wake)
        self.slices = Cache(plane, token, "/apis/discovery.k8s.io/v1/endpointslices", self._wake)
        self.start()

    def _wake(self) -> None:
        if not self.stopping:
            self.loop.call_soon_threadsafe(self.changed.set)

    def run(self) -> None:
        self.loop.run_until_complete(self._keep_current())

    async def _keep_current(self) -> None:
        while not self.stopping:
            await self.changed.wait()
            self.changed.clear()
            if self.slices is not None and not self.stopping:
                await self._update()
        for server in self.servers.values():
            server.close()
        connections = asyncio.all_tasks() - {asyncio.current_task()}
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _update(self) -> None:
        slices: dict[tuple[str, str], list[dict]] = {}
        for s in self.slices.all():
            service = (s["metadata"].get("labels") or {}).get("kubernetes.io/service-name", "")
            slices.setdefault((s["metadata"]["namespace"], service), []).append(s)
        lines, addresses, sticky = ["127.0.0.1 localhost"], set(), set()
        endpoints: dict[Address, list[Address]] = {}
        for service in self.services.all():
            name, namespace, spec = service["metadata"]["name"], service["metadata"]["namespace"], service["spec"]
            own = slices.get((namespace, name), [])
            if spec.get("clusterIP", "None") == "None":
                lines += headless_names(name, namespace, own)
                continue
            ip = spec["clusterIP"]
            addresses.add(ip)
            lines.append(f"{ip} {names_of(name, namespace)}")
            for port in spec["ports"]:
                if port.get("protocol", "TCP") == "TCP":
                    endpoints[ip, port["port"]] = ready_endpoints(own, port.get("name", ""))
                    if spec.get("sessionAffinity") == "ClientIP":
                        sticky.add((ip, port["port"]))
        self._write_names(lines)
        self.endpoints, self.sticky = endpoints, sticky
        for ip in addresses - self.addresses:
            self.network.add_service(ip)
        # A Service with no ready endpoint refuses connections; those that are open stay.
        wanted = {address for address, ready in endpoints.items() if ready}
        for address in set(self.servers) - wanted:
            self.servers.pop(address).close()
        for address in wanted - set(self.servers):
            self.servers[address] = await asyncio.start_server(lambda r, w, a=address: self._connected(a, r, w), *address)
        for ip in self.addresses - addresses:
            self.network.remove_service(ip)
        self.addresses = addresses

    def _write_names(self, lines: list[str]) -> None:
        new = self.names / "hosts.new"
        new.write_text("\n".join(lines) + "\n")
        new.rename(self.names / "hosts")

    async def _connected(self, service: Address, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ready = self.endpoints.get(service)
        out = None
        try:
            if not ready:
                return
            client = writer.get_extra_info("peername")[0]
            # A hash of both keeps most clients where they were when endpoints come and go.
            chosen = random.choice(ready) if service not in self.sticky else \
                min(ready, key=lambda endpoint: hashlib.sha256(f"{client} {endpoint}".encode()).digest())
            incoming, out = await asyncio.wait_for(asyncio.open_connection(*chosen), 5)
            await asyncio.gather(pump(reader, out), pump(incoming, writer))
        except (OSError, asyncio.TimeoutError):
            pass
        finally:
            writer.transport.abort() if out is None else writer.close()
            if out:
                out.close()

    def stop(self) -> None:
        self.stopping = True
        for cache in (self.services, self.slices):
            cache.stopping = True
        self.loop.call_soon_threadsafe(self.changed.set)
        self.join(10)


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction, until its end."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


def names_of(name: str, namespace: str) -> str:
    return f"{name}.{namespace}.svc {name}.{namespace}.svc.cluster.local {name}.{namespace}"


def headless_names(service: str, namespace: str, slices: list[dict]) -> list[str]:
    """The Service's name for every ready endpoint, and the endpoint's own name."""
    lines = []
    for endpoint in (e for s in slices for e in s.get("endpoints") or []):
        if (endpoint.get("conditions") or {}).get("ready", True):
            own = " " + names_of(f"{endpoint['hostname']}.{service}", namespace) if endpoint.get("hostname") else ""
            lines += [f"{ip} {names_of(service, namespace)}{own}" for ip in endpoint["addresses"]]
    return lines


def ready_endpoints(slices: list[dict], port_name: str) -> list[Address]:
    found = set()
    for s in slices:
        for port in s.get("ports") or []:
            if (port.get("name") or "") == port_name:
                found |= {(ip, port["port"]) for e in s.get("endpoints") or [] if (e.get("conditions") or {}).get("ready", True)
                          for ip in e["addresses"]}
    return sorted(found)
