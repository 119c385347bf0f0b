"""Watts against load, learnt from what a real Prometheus remembers of the past day."""
import json
import random
import time

import pytest

from tests.harness import Exporter, Prometheus, Sobre, eventually

NODES = [f"n{i}" for i in range(4)]
IDLE, FULL = 12.0, 45.0  # watts of 8 vCPU: 1.5 and 5.625 per vCPU
SIGNALS = [{"signal": "node_watts", "name": "ipmi", "query": "ipmi_milliwatts", "unit": "mW"},
           {"signal": "node_cpu_utilization", "name": "load", "query": "busy"}]


def watts(load: float, noise: random.Random) -> float:
    # One reading in ten is nonsense, as meters are.
    if noise.random() < 0.1:
        return noise.uniform(5, 60)
    return (IDLE + load * (FULL - IDLE)) * noise.uniform(0.98, 1.02)


def history(now: float) -> str:
    noise = random.Random(5)
    lines = {"ipmi_milliwatts": [], "busy": []}
    for node_number, node in enumerate(NODES):
        for minute in range(0, 24 * 60 + 10):
            at = now - 24 * 3600 - 300 + minute * 60
            load = 0.1 + 0.8 * ((minute // 60 * 7 + node_number * 5) % 24) / 24
            lines["busy"].append(f'busy{{node="{node}"}} {load:.4f} {at:.3f}')
            lines["ipmi_milliwatts"].append(f'ipmi_milliwatts{{node="{node}"}} {watts(load, noise) * 1000:.3f} {at:.3f}')
    return "".join(f"# TYPE {name} gauge\n" + "\n".join(found) + "\n" for name, found in lines.items()) + "# EOF\n"


@pytest.fixture
def world(tmp_path, sobre_bin):
    exporter = Exporter()
    exporter.text = "".join(f'ipmi_milliwatts{{node="{n}"}} {1000 * (IDLE + 0.5 * (FULL - IDLE))}\nbusy{{node="{n}"}} 0.5\n' for n in NODES)
    prometheus = Prometheus(tmp_path, exporter, history(time.time() - 600))
    (tmp_path / "nodes.json").write_text(json.dumps({"items": [
        {"metadata": {"name": n, "labels": {"topology.kubernetes.io/region": "eu-west-3", "node.kubernetes.io/instance-type": "own.8"}},
         "spec": {"providerID": "aws:///a/1"}, "status": {"allocatable": {"cpu": "8", "memory": "32Gi"}}} for n in NODES + ["unmeasured"]]}))
    # Power from one server, load from another, here the same program under two names.
    servers = [{"name": s["name"], "url": prometheus.url, "presets": "none", "signals": [s]} for s in SIGNALS]
    sobre = Sobre(tmp_path, {"prometheus": {"refresh": "200ms", "servers": servers}},
                  "--nodes", tmp_path / "nodes.json")
    yield sobre
    sobre.stop()
    prometheus.stop()
    exporter.stop()


def test_a_kind_of_machine_gets_its_line_from_the_past_and_again_after_a_restart(world):
    def calibrated():
        nodes = world.nodes()
        return nodes if all(n["powerFrom"] == "calibrated" for n in nodes.values()) else None
    for _ in range(2):
        # Fits are made every 20 s at most, and when a moment of the past was learnt.
        nodes = eventually(calibrated, "the line is used", 120)
        learnt = eventually(lambda: next((c for c in world.signals()["calibration"] if c["points"] >= 80), None), "the whole past is learnt", 120)
        for node in world.nodes().values():
            assert node["idleWattsPerVcpu"] == pytest.approx(IDLE / 8, rel=0.06)
            assert node["wattsPerVcpu"] == pytest.approx((FULL - IDLE) / 8, rel=0.06)
        assert "points of aws/own.8" in nodes["unmeasured"]["powerSource"]
        assert 0 < learnt["error"] < 0.05
        world.stop()
        world.start()


def test_the_doctor_says_what_calibration_has(world):
    eventually(lambda: any(c["used"] for c in world.signals()["calibration"]), "the line is used", 120)
    said = next(f["text"] for f in world.signals()["findings"] if f["about"] == "calibration")
    assert said.startswith("aws/own.8 (4 nodes): ") and "off the line" in said
