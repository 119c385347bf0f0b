"""What the README has people type, as it stands there, on the real API server and kube-scheduler: what it promises happens to an ordinary pod."""
import re
import subprocess

import pytest
import yaml

from tests import chart
from tests.harness import ROOT, Sobre, eventually

PREFIX = "node-restriction.kubernetes.io/sobre-"


def example() -> str:
    """The values of the README that state a limit for the whole cluster."""
    (text,) = [block for block in re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.S) if "enforced: max-exposure" in block]
    return text


def opting_in() -> list[str]:
    """The command of the README that lets the namespace `shop` opt in."""
    (line,) = re.findall(r"^kubectl label namespace shop .*$", (ROOT / "README.md").read_text(), re.M)
    return line.partition("#")[0].split()


class Cluster:
    """The chart's policies and configuration for these values; Sobre and the scheduler themselves run beside it."""

    def __init__(self, plane, folder) -> None:
        self.plane, self.folder = plane, folder
        values = folder / "values.yaml"
        values.write_text(example())
        found = chart.objects(chart.helm("template", "sobre", chart.CHART, "--namespace", "sobre", "--kube-version", "v1.36.3", "--values", values,
                                         "--api-versions", chart.MUTATING, folder=folder).stdout)
        for namespace in ("sobre", "shop", "elsewhere"):
            plane.add_namespace(namespace)
        self.kubectl("label", "namespace", "shop", *opting_in()[4:])
        policies = folder / "policies.yaml"
        policies.write_text(yaml.safe_dump_all(o for o in found if "AdmissionPolicy" in o["kind"]))
        plane.apply(policies)
        # What a controller of the cloud attests of its nodes.
        self.add_node("abroad", "aws:///us-east-1a/", "us-east-1", {"provider": "aws", "region": "us-east-1"})
        config = yaml.safe_load(chart.pick(found, "ConfigMap", "sobre")["data"]["sobre.yaml"])
        (folder / "rows").mkdir()
        for name, rows in chart.pick(found, "ConfigMap", "sobre-catalog")["data"].items():
            (folder / "rows" / name).write_text(rows)
        # Only what has to fit this machine is not as the chart says.
        config["kubernetes"] = config.get("kubernetes", {}) | {"kubeconfig": str(plane.kubeconfig)}
        config |= {"catalog": {"directory": str(folder / "rows")}, "records": {"directory": str(folder / "records")}}
        del config["listen"]
        self.sobre = Sobre(folder, config)
        plane.start_scheduler(self.sobre.url)
        eventually(lambda: self.plane.add_pod("asked", namespace="shop", dry_run=True, schedulerName="")["spec"]["schedulerName"] == "sobre",
                   "the policies are followed")

    def add_node(self, name: str, provider_id: str, region: str, attested: dict) -> None:
        self.plane.add_node(name, provider_id, region, labels={PREFIX + key: value for key, value in attested.items()})

    def kubectl(self, *arguments) -> str:
        return subprocess.run([self.plane.binaries / "kubectl", f"--kubeconfig={self.plane.kubeconfig}", *arguments],
                              check=True, capture_output=True, text=True).stdout

    def run(self, name: str, namespace: str = "shop", *more) -> None:
        """As anybody does, without a word about Sobre."""
        self.kubectl("-n", namespace, "run", name, "--image=none", "--overrides", '{"spec":{"automountServiceAccountToken":false}}', *more)

    def spec(self, name: str, namespace: str) -> dict:
        return self.plane.call("GET", f"/api/v1/namespaces/{namespace}/pods/{name}")["spec"]

    def waits_because(self, name: str, said: str) -> None:
        eventually(lambda: any(said in e for e in self.plane.events(name, "shop")), f"{name}: {said}")
        assert not self.plane.placements("shop")[name]


@pytest.fixture(scope="module")
def cluster(control_plane, tools, tmp_path_factory, sobre_bin):
    cluster = Cluster(control_plane, tmp_path_factory.mktemp("readme"))
    yield cluster
    cluster.sobre.stop()


def test_the_policy_example_holds_an_ordinary_pod(cluster):
    cluster.run("web")
    cluster.waits_because("web", "exposure to foreign law is exposed, at most contested is allowed")
    with pytest.raises(OSError, match="must not name its node"):
        cluster.plane.add_pod("rogue", namespace="shop", nodeName="abroad")
    with pytest.raises(OSError, match="must be sobre"):
        cluster.plane.add_pod("rogue", namespace="shop", schedulerName="other")
    cluster.add_node("home", "openstack:///", "GRA", {"provider": "ovhcloud", "region": "gra"})
    assert cluster.plane.wait_placed(["web"], namespace="shop") == {"web": "home"}
    # Enforced: nobody loosens it.
    cluster.run("bold", "shop", "--annotations=sobre.dev/max-exposure=exposed")
    assert cluster.plane.wait_placed(["bold"], namespace="shop") == {"bold": "home"}
    # With Sobre away it waits, as a pod with limits of its own does.
    cluster.sobre.stop()
    cluster.run("late")
    cluster.waits_because("late", "connection refused")
    cluster.sobre.start()
    assert cluster.plane.wait_placed(["late"], namespace="shop") == {"late": "home"}


def test_where_it_does_not_hold_is_said(cluster):
    """In a namespace that did not opt in a pod is nobody's, and the doctor counts it."""
    cluster.run("free", "elsewhere")
    spec = cluster.spec("free", "elsewhere")
    assert spec["schedulerName"] == "default-scheduler" and "sobre.dev/limits" not in spec["containers"][0].get("resources", {}).get("requests", {})
    cluster.plane.add_pod("runs", namespace="elsewhere", nodeName="abroad", schedulerName="default-scheduler")
    doctor = subprocess.run([cluster.sobre.process.child.args[0], "doctor", "--config", cluster.sobre.config, "--wait", "5s"], capture_output=True, text=True).stdout
    assert "(max-exposure) holds in namespaces that opted in: outside of them 1 pod runs in 1 namespace (for example elsewhere/runs)" in doctor, doctor
