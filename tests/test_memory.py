"""Memory: the largest questions that are taken, many at once, from clients that do not read too. It stays below the chart's limit, and comes back."""
import collections
import json
import pathlib
import re
import threading

import pytest
import yaml

from tests.harness import ROOT, Sobre, eventually, fetch
from tests.overload import JSON, allow_descriptors, connect, post, question, resident_mib

# What the chart lets a replica take.
LIMIT_MIB = 512
# Of all that the allocator keeps.
KEPT_MIB = 48
COUNT = 5000
LARGEST = 32 << 20


def node(name: str, size: int = 3300) -> dict:
    """As kube-scheduler sends it: images and conditions make most of it."""
    made = {"metadata": {"name": name, "labels": {"topology.kubernetes.io/region": "eu-west-3"}}, "spec": {"providerID": f"aws:///a/{name}"},
            "status": {"allocatable": {"cpu": "16", "memory": "64Gi"}, "images": []}}
    while len(json.dumps(made)) < size:
        made["status"]["images"].append({"names": [f"registry.example/{'x' * 40}@sha256:{'0' * 64}"], "sizeBytes": 1})
    return made


NODES = [node(f"node-{i:05d}") for i in range(COUNT)]


def whole(nodes: list[dict], annotations=None) -> bytes:
    pod = {"metadata": {"name": "p", "namespace": "shop", "uid": "p", "annotations": annotations or {}}, "spec": {"containers": [{"name": "a"}]}}
    return json.dumps({"Pod": pod, "Nodes": {"items": nodes}, "NodeNames": None}).encode()


def filled(frame: bytes, unit: bytes, size: int = LARGEST) -> bytes:
    """As much as fits."""
    return frame.replace(b"%s", unit * ((size - len(frame)) // len(unit)))


@pytest.fixture(scope="module")
def sobre(tmp_path_factory, sobre_bin):
    allow_descriptors(4096)
    folder = tmp_path_factory.mktemp("memory")
    (folder / "nodes.json").write_text(json.dumps({"items": [{k: v for k, v in n.items() if k != "status"} | {"status": {"allocatable": n["status"]["allocatable"]}}
                                                             for n in NODES]}))
    sobre = Sobre(folder, {"records": {"directory": str(folder / "records")}}, "--nodes", folder / "nodes.json")
    # As large as it gets by what it is for.
    for _ in range(5):
        assert len(json.loads(fetch(sobre.url + "/v1/prioritize", "POST", question([n["metadata"]["name"] for n in NODES]), JSON))) == COUNT
    yield sobre
    sobre.stop()


def peak_mib(sobre: Sobre) -> float:
    return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{sobre.process.child.pid}/status").read_text())[1]) / 1024


def reset_peak(sobre: Sobre) -> None:
    pathlib.Path(f"/proc/{sobre.process.child.pid}/clear_refs").write_text("5")


class Watch:
    """Of what runs within it: memory stays below the limit, and comes back."""

    def __init__(self, sobre: Sobre, what: str) -> None:
        self.sobre, self.what = sobre, what

    def __enter__(self) -> None:
        self.before = resident_mib(self.sobre)
        reset_peak(self.sobre)

    def __exit__(self, kind, *_) -> None:
        if kind:
            return
        peak = peak_mib(self.sobre)
        assert self.sobre.process.running() and peak < LIMIT_MIB, peak
        eventually(lambda: resident_mib(self.sobre) < self.before + KEPT_MIB, f"memory is back at {self.before:.0f} MiB")
        print(f"{self.what}: before {self.before:.0f} MiB, peak {peak:.0f}, after {resident_mib(self.sobre):.0f}")


def send(sobre: Sobre, bodies: list[bytes], path: str, reads: bool = True) -> collections.Counter:
    """All at once, each on a connection of its own; which status came how often."""
    outcomes, lock, stop = collections.Counter(), threading.Lock(), threading.Event()

    def one(body: bytes) -> None:
        outcome = "reset"
        with connect(sobre.extender_port, 0 if reads else 4096) as client:
            try:
                client.sendall(post(body, path))
                if not reads:
                    stop.wait(120)
                    return
                outcome = client.recv(1 << 16).split(b" ")[1].decode()
            except (OSError, IndexError):
                pass  # refused, and cut off before it had sent all
        with lock:
            outcomes[outcome] += 1
    threads = [threading.Thread(target=one, args=[body]) for body in bodies]
    for thread in threads:
        thread.start()
    if not reads:
        eventually(lambda: fetch(sobre.status_url + "/healthz") == b"ok\n", "it answers others")
        stop.set()
    for thread in threads:
        thread.join()
    return outcomes


def test_the_limit_is_that_of_the_chart():
    values = yaml.safe_load((ROOT / "helm" / "sobre" / "values.yaml").read_text())
    assert values["extender"]["resources"]["limits"]["memory"] == f"{LIMIT_MIB}Mi" and values["extender"]["maxBodyMegabytes"] == 0


@pytest.mark.parametrize("verb", ["prioritize", "filter"])
@pytest.mark.parametrize("prefix", ["node", "stranger"])
def test_five_thousand_whole_nodes_are_answered(sobre, verb, prefix):
    """Those that it knows, and those of whom it hears for the first time."""
    nodes = [node(f"{prefix}-{i:05d}") for i in range(COUNT)]
    body = whole(nodes, {"sobre.dev/allowed-countries": "FR"})
    assert len(body) > 16_000_000
    with Watch(sobre, f"{len(body) / 1e6:.1f} MB of {prefix}s, {verb}"):
        for _ in range(2):
            answer = json.loads(fetch(f"{sobre.url}/v1/{verb}", "POST", body, JSON, timeout=120))
            names = [e["Host"] for e in answer] if verb == "prioritize" else [n["metadata"]["name"] for n in answer["Nodes"]["items"]] \
                + list(answer["FailedNodes"]) + list(answer["FailedAndUnresolvableNodes"])
            assert len(names) == COUNT


def test_millions_of_names_that_nobody_knows_cost_nothing(sobre):
    names = ",".join(f'"{i:x}"' for i in range(3_000_000))
    body = json.dumps({"Pod": {"metadata": {"name": "p"}}, "Nodes": None, "NodeNames": []}).replace("[]", f"[{names}]").encode()
    assert 24 << 20 < len(body) < LARGEST
    with Watch(sobre, f"{len(body) / 1e6:.0f} MB of names"):
        assert send(sobre, [body], "/v1/prioritize") == {"413": 1}
        assert send(sobre, [body], "/v1/filter") == {"413": 1}
    error = [json.loads(line) for line in sobre.process.log.read_text().splitlines()][-1]
    assert error["msg"] == "a call was refused" and "20000 nodes in the request, most of which are not known" in error["error"]


SHAPES = {
    "lists": (b'{"Pod":%s', b"["), "commas": (b'{"Pod":[%s]}', b","), "names": (b'{"Pod":{},"NodeNames":["x"%s]}', b',"y"'),
    "objects": (b'{"Pod":{},"NodeNames":[%s1]}', b"{},"), "escapes": (b'{"Pod":{"metadata":{"name":"%s"}},"NodeNames":["x"]}', rb"\n"),
    "annotations": (b'{"Pod":{"metadata":{"annotations":{%s"sobre.dev/a":""}}},"NodeNames":["x"]}', b'"sobre.dev/b":"",'),
    "containers": (b'{"Pod":{"spec":{"containers":[%s{}]}},"NodeNames":["x"]}', b"{},"),
    "nodes": (b'{"Pod":{},"Nodes":{"items":[%s{}]}}', b'{"metadata":{"name":"n"}},')}


@pytest.mark.parametrize("name", SHAPES)
def test_the_largest_bodies_many_at_once_leave_it_alive(sobre, name):
    """Each as large as is taken, of what costs most to read."""
    body = filled(*SHAPES[name])
    assert LARGEST - 100 < len(body) <= LARGEST
    with Watch(sobre, name):
        outcomes = send(sobre, [body] * 12, "/v1/prioritize")
        print(dict(outcomes))
        assert set(outcomes) <= {"200", "400", "413", "503", "reset"} and sum(outcomes.values()) == 12


@pytest.mark.parametrize("size", [2 << 20, 4 << 20])
def test_many_large_bodies_at_once_leave_it_alive(sobre, size):
    with Watch(sobre, f"48 of {size >> 20} MB"):
        for name, (frame, unit) in SHAPES.items():
            outcomes = send(sobre, [filled(frame, unit, size)] * 48, "/v1/filter")
            assert set(outcomes) <= {"200", "400", "413", "503", "reset"}, (name, outcomes)
    assert len(json.loads(fetch(sobre.url + "/v1/prioritize", "POST", question(["node-00000"]), JSON))) == 1


def test_large_answers_that_nobody_reads_are_bounded(sobre):
    body = whole(NODES[:1500])
    with Watch(sobre, "40 who do not read"):
        send(sobre, [body] * 40, "/v1/filter", reads=False)


def test_small_questions_are_answered_while_large_ones_fill_all_room(sobre):
    """Names of 5,000 nodes: nobody's whole nodes are in their way."""
    held = [connect(sobre.extender_port) for _ in range(2)]
    try:
        for client in held:
            client.sendall(post(b"", length=LARGEST) + b"[" * (20 << 20))
        names = [n["metadata"]["name"] for n in NODES]
        eventually(lambda: send(sobre, [b"[" * (20 << 20)], "/v1/prioritize") == {"503": 1}, "there is no room for large ones")
        assert len(json.loads(fetch(sobre.url + "/v1/prioritize", "POST", question(names), JSON))) == COUNT
    finally:
        for client in held:
            client.close()
