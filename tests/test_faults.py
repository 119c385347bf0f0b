"""Each fault of tests/faults.py, done to a server that Sobre asks: the decision is made, and both it and the doctor say what is wrong."""
import copy
import json
import ssl
import subprocess

import pytest
import yaml

from tests.faults import FAULTS, SIGNALS, FakePrometheus

NODES = {"items": [
    {"metadata": {"name": name, "labels": {"topology.kubernetes.io/region": region}},
     "spec": {"providerID": "aws:///a/1"}, "status": {"allocatable": {"cpu": "8", "memory": "32Gi"}}}
    for name, region in [("fr", "eu-west-3"), ("de", "eu-central-1")]]}
POD = {"metadata": {"name": "p", "namespace": "shop", "uid": "u"},
       "spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "1"}}}]}}


def certificate(folder, host: str) -> ssl.SSLContext:
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "key.pem", "-out", folder / "cert.pem",
                    "-days", "1", "-subj", f"/CN={host}", "-addext", f"subjectAltName=IP:{host}"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


class Setting:
    """Files, a server in good health, and a configuration that names it."""

    def __init__(self, folder, binary: str, tls: str = "") -> None:
        self.folder, self.binary = folder, binary
        context = certificate(folder, "192.0.2.1" if tls == "elsewhere" else "127.0.0.1") if tls else None
        if tls == "mutual":
            context.load_verify_locations(folder / "cert.pem")
            context.verify_mode = ssl.CERT_REQUIRED
        self.server = FakePrometheus(context)
        (folder / "nodes.json").write_text(json.dumps(NODES))
        (folder / "pod.json").write_text(json.dumps(POD))
        (folder / "token").write_text("stale\n")
        self.prometheus = {"url": self.server.url, "timeout": "20s", "presets": "none", "signals": copy.deepcopy(SIGNALS),
                           "bearer_token_file": str(folder / "token")}
        if tls in ("elsewhere", "right", "mutual"):
            self.prometheus["tls"] = {"ca_file": str(folder / "cert.pem")}

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess:
        (self.folder / "sobre.yaml").write_text(yaml.safe_dump({"prometheus": self.prometheus}))
        return subprocess.run([self.binary, command, "--config", self.folder / "sobre.yaml", "--nodes", self.folder / "nodes.json", *arguments],
                              capture_output=True, text=True, timeout=120)

    def decide(self) -> dict:
        run = self.run("score", "--live", "--pod", str(self.folder / "pod.json"))
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)


@pytest.fixture
def setting(tmp_path, sobre_bin):
    made = []

    def make(tls: str = "") -> Setting:
        made.append(Setting(tmp_path, sobre_bin, tls))
        return made[-1]
    yield make
    for one in made:
        one.server.stop()


def test_in_good_health_nothing_is_said(setting):
    healthy = setting()
    decision = healthy.decide()
    assert decision["intensityBasis"] == "live" and decision["rankedBy"] == "balanced"
    assert decision["notes"] == ["no rate of requests is known: counted per pod-hour"]
    doctor = healthy.run("doctor", "--strict")
    assert doctor.returncode == 0, doctor.stdout


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_survived_and_told(setting, name):
    fault = FAULTS[name]
    broken = setting(fault.tls)
    fault.do(broken.server, broken.prometheus)
    decision = broken.decide()
    assert decision["best"] and len(decision["candidates"]) == 2
    said = decision["notes"] + [decision["intensityBasis"]]
    assert any(fault.decision in text for text in said), said
    doctor = broken.run("doctor")
    assert fault.doctor in doctor.stdout, doctor.stdout
    assert doctor.returncode == fault.exit, doctor.stdout
    # What is wrong is told once, not once by query.
    assert len(set(decision["notes"])) == len(decision["notes"]), decision["notes"]


def test_a_certificate_that_is_trusted_and_a_token_that_is_renewed_are_taken(setting):
    good = setting("right")
    good.server.token = "fresh"
    (good.folder / "token").write_text("fresh\n")
    assert good.decide()["intensityBasis"] == "live"


def test_a_client_certificate_is_shown_to_a_server_that_asks_for_one(setting):
    good = setting("mutual")
    assert good.decide()["intensityBasis"] == "catalogue"  # without one, the server hangs up
    good.prometheus["tls"] |= {"certificate_file": "cert.pem", "key_file": "key.pem"}  # relative to the configuration
    assert good.decide()["intensityBasis"] == "live"


def test_basic_auth_and_tenant_reach_the_server(setting):
    seen = []

    def body(handler) -> None:
        seen.append((handler.headers["Authorization"], handler.headers["X-Scope-OrgID"]))
        handler.answer(200, b'{"status":"success","data":{"resultType":"vector","result":[]}}')
    one = setting()
    one.server.body = body
    (one.folder / "password").write_text("secret\n")
    del one.prometheus["bearer_token_file"]
    one.prometheus |= {"tenant": "team-a", "basic_auth": {"username": "aladdin", "password_file": str(one.folder / "password")}}
    one.decide()
    assert set(seen) == {("Basic YWxhZGRpbjpzZWNyZXQ=", "team-a")}
