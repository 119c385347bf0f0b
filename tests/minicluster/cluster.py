"""A whole cluster on this machine for one test: started, used, and gone without a trace."""
import json
import os
import pathlib
import subprocess
import urllib.parse

from tests.harness import TOKEN, ControlPlane, eventually, free_ports
from tests.minicluster.claims import Provisioner
from tests.minicluster.containers import Image
from tests.minicluster.kubelet import Kubelet
from tests.minicluster.network import Network
from tests.minicluster.node_server import NodeServer
from tests.minicluster.services import Services

FAKE_IMAGES: dict[str, Image | None] = {"none": None, "pause": None, "registry.k8s.io/pause": None}
AUDIT_POLICY = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
                "rules": [{"level": "Metadata"}]}


def make_certificates(folder: pathlib.Path, addresses: list[str]) -> None:
    """ca.crt, and server.crt with server.key for the API server."""
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
    alternatives = ",".join([f"DNS:{n}" for n in names] + [f"IP:{a}" for a in addresses])
    config = folder / "openssl.cnf"
    config.write_text("[req]\ndistinguished_name=dn\n[dn]\n"
                      "[ca]\nbasicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n"
                      f"[server]\nbasicConstraints=CA:false\nsubjectAltName={alternatives}\n"
                      "extendedKeyUsage=serverAuth\nauthorityKeyIdentifier=keyid\n")
    signed = ["-CA", folder / "ca.crt", "-CAkey", folder / "ca.key"]
    for name, subject, signer in (("ca", "test-cluster-ca", []), ("server", "kube-apiserver", signed)):
        subprocess.run(["openssl", "req", "-x509", "-config", config, "-extensions", name, "-subj", f"/CN={subject}",
                        "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt", *signer],
                       check=True, capture_output=True)


class MiniCluster(ControlPlane):
    """Control plane, default kube-scheduler, `nodes` nodes named node-1 and up, and what runs on them.

    `images` maps names of images, without tags, to what they stand for (None: counts as running, runs nothing).
    `tools`: the folder with helm. Pods are reached at their own addresses, Services at theirs, from this machine too.
    """

    KUBELET, CONTROLLERS, SCHEDULER = "test-kubelet-token", "test-controllers-token", "test-scheduler-token"
    users = {TOKEN: "admin", KUBELET: "kubelet", CONTROLLERS: "system:kube-controller-manager",
             SCHEDULER: "system:kube-scheduler"}

    def __init__(self, folder: pathlib.Path, binaries: pathlib.Path, images: dict[str, Image | None] | None = None,
                 nodes: int = 2, tools: pathlib.Path | None = None) -> None:
        self.processes, self.tools, self.provisioner = [], tools, None
        self.network = self.kubelet = self.services = self.node_server = None
        try:
            self.network = Network()
            gateway, self.service_address = self.network.gateway, str(next(self.network.services.hosts()))
            make_certificates(folder, [gateway, self.service_address, "127.0.0.1"])
            self.audit_log = folder / "audit.log"
            (folder / "audit-policy.yaml").write_text(json.dumps(AUDIT_POLICY))
            # Nobody sends heartbeats for the nodes, so nobody judges them.
            self.api_arguments = ["--disable-admission-plugins=TaintNodesByCondition", f"--advertise-address={gateway}",
                                  # As in every cluster: kube-scheduler asks for what it is told by this.
                                  f"--client-ca-file={folder / 'ca.crt'}",
                                  f"--service-cluster-ip-range={self.network.services}",
                                  f"--tls-cert-file={folder / 'server.crt'}", f"--tls-private-key-file={folder / 'server.key'}",
                                  f"--audit-policy-file={folder / 'audit-policy.yaml'}", f"--audit-log-path={self.audit_log}"]
            super().__init__(folder, binaries, gateway)
            self._start_cluster(nodes, FAKE_IMAGES | (images or {}))
        except BaseException:
            self.stop()
            raise

    def _start(self, *ports: int) -> None:
        self.certificate_authority = self.folder / "ca.crt"
        super()._start(*ports)

    def _start_cluster(self, nodes: int, images: dict[str, Image | None]) -> None:
        f = self.folder
        self._run_with_kubeconfig("kube-controller-manager", self.CONTROLLERS, f"--root-ca-file={f / 'ca.crt'}",
                                  f"--service-account-private-key-file={f / 'sa.key'}", "--use-service-account-credentials",
                                  "--controllers=*,-node-lifecycle-controller")
        self._run_with_kubeconfig("kube-scheduler", self.SCHEDULER)
        self.node_server = NodeServer(self.network.gateway, f / "logs", f / "server.crt", f / "server.key")
        for number in range(1, nodes + 1):
            self.add_node(f"node-{number}", "test://", "test-region", labels={"topology.kubernetes.io/zone": f"zone-{number}"})
        self.services = Services(self, self.KUBELET, self.network, f / "names")
        self.kubelet = Kubelet(self, self.KUBELET, f, self.network, f / "names", images)
        self.provisioner = Provisioner(self, self.KUBELET, f / "claims")
        eventually(self._has_begun, "kube-controller-manager's first work", 120)

    def _has_begun(self) -> bool:
        """Whether every namespace has what it gets without being asked, so that objects() is what others made."""
        spaces = {n["metadata"]["name"] for n in self.call("GET", "/api/v1/namespaces")["items"]}
        found = self.objects()
        return spaces >= {"default", "kube-system", "kube-public", "kube-node-lease"} and all(
            {("v1", "ConfigMap", s, "kube-root-ca.crt"), ("v1", "ServiceAccount", s, "default")} <= found for s in spaces)

    def add_node(self, name: str, *arguments, **more) -> None:
        super().add_node(name, *arguments, **{"address": self.network.gateway} | more)
        served = {"daemonEndpoints": {"kubeletEndpoint": {"Port": self.node_server.port}}}
        self.call("PATCH", f"/api/v1/nodes/{name}/status", {"status": served}, content_type="application/merge-patch+json")

    def _run_with_kubeconfig(self, program: str, token: str, *arguments) -> None:
        kubeconfig, (port,) = self.make_kubeconfig(f"{program}.kubeconfig", token), free_ports(1)
        self.run(program, *(f"--{use}kubeconfig={kubeconfig}" for use in ("", "authentication-", "authorization-")),
                 f"--secure-port={port}", "--bind-address=127.0.0.1", f"--cert-dir={self.folder / program}-certs",
                 "--leader-elect=false", *arguments)

    # Using it.

    def kubectl(self, *arguments, check: bool = True, text: str | None = None) -> str:
        """What kubectl prints; `text` is its input."""
        return self._tool([self.binaries / "kubectl", *arguments], check, text)

    def helm(self, *arguments, check: bool = True) -> str:
        return self._tool([self.tools / "helm", *arguments], check)

    def _tool(self, command: list, check: bool, text: str | None = None) -> str:
        homes = {f"HELM_{part}_HOME": str(self.folder / "helm" / part) for part in ("CACHE", "CONFIG", "DATA")}
        done = subprocess.run([str(c) for c in command], input=text, capture_output=True, text=True,
                              env=os.environ | homes | {"KUBECONFIG": str(self.kubeconfig), "HOME": str(self.folder)})
        if check and done.returncode:
            raise AssertionError(f"{' '.join(map(str, command))}: {done.stderr or done.stdout}")
        return done.stdout + ("" if check else done.stderr)

    def is_ready(self, kind: str, namespace: str, name: str) -> bool:
        """Whether a Deployment or StatefulSet runs as it now says: every replica new, ready, and no other there."""
        found = self.call("GET", f"/apis/apps/v1/namespaces/{namespace}/{kind}s/{name}")
        spec, status = found["spec"], found["status"]
        count = spec.get("replicas", 1)
        counted = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
        return (status.get("observedGeneration") == found["metadata"]["generation"]
                and all(status.get(field, 0) == count for field in counted))

    def wait_ready(self, kind: str, namespace: str, name: str, seconds: float = 180) -> None:
        try:
            eventually(lambda: self.is_ready(kind, namespace, name), f"{kind} {namespace}/{name} ready", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.describe(namespace)}") from None

    def pods(self, namespace: str, selector: str = "") -> list[dict]:
        return self.call("GET", f"/api/v1/namespaces/{namespace}/pods?labelSelector={urllib.parse.quote(selector)}")["items"]

    def describe(self, namespace: str) -> str:
        """What somebody who looks for a fault wants to see: pods that are not well, and the ends of their logs."""
        lines = []
        for pod in self.pods(namespace):
            status, name = pod["status"], pod["metadata"]["name"]
            states = [c["state"] for c in status.get("containerStatuses") or []]
            lines += [f"pod {name}: {status.get('phase')}, {json.dumps(states)}", self.logs(namespace, name)[-1500:]]
        return "\n".join(lines)

    def logs(self, namespace: str, pod: str, container: str = "*") -> str:
        """All that the pod's containers printed so far; they may be gone."""
        paths = sorted(self.kubelet.log_path(namespace, pod, "x").parent.glob(f"{container}.log"))
        return "".join(path.read_text(errors="replace") for path in paths)

    def exec(self, namespace: str, pod: str, *command: str, container: str | None = None,
             seconds: float = 30) -> subprocess.CompletedProcess:
        """Runs a command in a container of the pod, the first by default; what it printed is bytes."""
        containers = self.kubelet.runner(namespace, pod).main
        chosen = next(c for c in containers if container in (None, c.spec["name"]))
        return chosen.exec(list(command), seconds)

    def pod_url(self, namespace: str, pod: str, port: int, scheme: str = "http") -> str:
        return f"{scheme}://{self.call('GET', f'/api/v1/namespaces/{namespace}/pods/{pod}')['status']['podIP']}:{port}"

    def service_url(self, namespace: str, name: str, port: int, scheme: str = "http") -> str:
        return f"{scheme}://{self.call('GET', f'/api/v1/namespaces/{namespace}/services/{name}')['spec']['clusterIP']}:{port}"

    def audit(self) -> list[dict]:
        """What the API server was asked, oldest first; the cluster's own programs are users kubelet and system:kube-…"""
        *whole, _ = self.audit_log.read_text().split("\n")
        return [json.loads(line) for line in whole]

    def stop(self) -> None:
        for part in (self.provisioner, self.kubelet, self.services, self.node_server):
            if part:
                part.stop()
        super().stop()
        if self.network:
            self.network.close()
            self.network = None
