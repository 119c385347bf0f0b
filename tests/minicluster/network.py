"""One bridge a cluster, with addresses for this machine, the pods and the Services in a range that no other cluster here has."""
import ipaddress
import itertools
import json
import os
import pathlib
import random
import socket
import subprocess
import threading

from tests.harness import Process, eventually

# For benchmarks of networks (RFC 2544): nobody's real network.
RANGE = ipaddress.ip_network("198.18.0.0/15")


def ip(*arguments) -> str:
    done = subprocess.run(["ip", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ip {' '.join(map(str, arguments))}: {done.stderr.strip()}")
    return done.stdout


def claim_network() -> tuple[socket.socket, ipaddress.IPv4Network]:
    """A part of RANGE, ours while the socket is open."""
    taken = [ipaddress.ip_interface(f"{a['local']}/{a['prefixlen']}").network
             for link in json.loads(ip("-json", "address")) for a in link["addr_info"] if a["family"] == "inet"]
    for network in random.sample(list(RANGE.subnets(new_prefix=20)), 32):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0sobre-minicluster-{network}")  # abstract: gone with us, whatever happens
        except OSError:
            claim.close()
            continue
        if not any(network.overlaps(other) for other in taken):
            return claim, network
        claim.close()
    raise OSError(f"no free network in {RANGE}: are old bridges left? See `ip address`")


class Network:
    def __init__(self) -> None:
        self.claim, network = claim_network()
        pods, services = network.subnets()
        self.services, self.prefix = services, network.prefixlen
        self.bridge = f"sobre-{os.urandom(4).hex()}"
        addresses = pods.hosts()
        self.gateway = str(next(addresses))
        self._free, self._lock = itertools.cycle(map(str, addresses)), threading.Lock()
        self._used: set[str] = set()
        # Ends with us by the pipe, and takes the bridge with it.
        self._guard = subprocess.Popen(["sh", "-c", f"read gone; ip link delete {self.bridge}"], stdin=subprocess.PIPE,
                                       stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            # Of its own: else it takes the lowest of its pods' addresses, and as another pod joins, what pods send to the old one is lost
            # until they ask again, half a minute later.
            ip("link", "add", self.bridge, "address", f"02:{os.urandom(5).hex(':')}", "type", "bridge")
            ip("address", "add", f"{self.gateway}/{self.prefix}", "dev", self.bridge)
            ip("link", "set", self.bridge, "up")
        except BaseException:
            self.close()
            raise

    def add_service(self, address: str) -> None:
        ip("address", "replace", f"{address}/32", "dev", self.bridge)

    def remove_service(self, address: str) -> None:
        ip("address", "delete", f"{address}/32", "dev", self.bridge)

    def take(self) -> str:
        with self._lock:
            address = next(a for a in self._free if a not in self._used)
            self._used.add(address)
            return address

    def release(self, address: str) -> None:
        with self._lock:
            self._used.discard(address)

    def close(self) -> None:
        self._guard.stdin.close()
        self._guard.wait()
        self.claim.close()


class Sandbox:
    """A pod's network and host name, held by a process that sleeps: they go with it."""

    def __init__(self, network: Network, hostname: str, log: pathlib.Path) -> None:
        self.network, self.address = network, network.take()
        self.process = Process(log, "unshare", "--net", "--uts", "--ipc", "sleep", "infinity")
        try:
            self._connect(hostname)
        except BaseException:
            self.close()
            raise

    def _connect(self, hostname: str) -> None:
        pid = self.process.child.pid
        own = os.readlink("/proc/self/ns/ipc")
        eventually(lambda: os.readlink(f"/proc/{pid}/ns/ipc") != own, "a pod's namespaces", pause=0.005)
        outer = f"so{os.urandom(5).hex()}"
        ip("link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", pid)
        ip("link", "set", outer, "master", self.network.bridge, "up")
        enter = ["nsenter", f"--target={pid}", "--net", "--uts"]
        subprocess.run([*enter, "sh", "-ec", f"ip link set lo up; ip address add {self.address}/{self.network.prefix} dev eth0; "
                                             f"ip link set eth0 up; hostname {hostname[:63]}"], check=True, capture_output=True)

    def close(self) -> None:
        self.process.stop(9)
        self.network.release(self.address)
