"""The Helm chart as the tests render it: by real Helm, in combinations of values that users have."""
import base64
import difflib
import json
import os
import pathlib
import re
import subprocess

import yaml

from tests import programs
from tests.harness import ROOT

CHART = ROOT / "helm" / "sobre"
MUTATING = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"

# Each is rendered, held against schemas and compared with what tests/golden/chart records of it.
COMBINATIONS: dict[str, dict] = {
    "default": {},
    "existing-scheduler": {"scheduler": {"mode": "existing"}, "extender": {"service": {"clusterIP": "10.96.0.50"}}},
    "plain-http": {"tls": {"mode": "off"}},
    "mutual": {"tls": {"mutual": True}},
    "cert-manager": {"tls": {"mode": "cert-manager", "mutual": True}},
    "cert-manager-issuer": {"tls": {"mode": "cert-manager", "certManager": {"issuerRef": {"kind": "ClusterIssuer", "name": "corp",
                                                                                         "group": "cert-manager.io"}}}},
    "own-secrets": {"tls": {"mode": "secret", "mutual": True, "clientNames": ["kube-scheduler"], "secret": {"server": "sobre-server", "client": "sobre-client"}}},
    "own-secret-existing": {"scheduler": {"mode": "existing"}, "tls": {"mode": "secret", "secret": {"server": "sobre-server"}}},
    "persistent": {"records": {"persistence": {"enabled": True, "storageClassName": "ssd", "size": "20Gi", "whenDeleted": "Delete"},
                               "signingKeySecret": {"name": "seal"}}},
    "postgres": {"records": {"postgres": {"url": "postgresql://sobre@db.data.svc:5432/sobre?sslmode=verify-full",
                                          "passwordSecret": {"name": "db"}}}},
    "no-records": {"records": {"enabled": False}, "openGatesOnUninstall": False, "priorityClass": {"create": False}},
    "monitoring": {"monitoring": {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
                                  "prometheusRule": {"enabled": True, "runbook": "https://wiki.example.com/sobre/runbook"},
                                  "dashboards": {"enabled": True, "annotations": {"grafana_folder": "Sobre"}}},
                   "scheduler": {"name": "frugal"}},
    "pod-monitor": {"monitoring": {"podMonitor": {"enabled": True}}},
    "policy": {"config": {"policy": {"objective": "priced", "carbon_price_eur_per_tonne": 250, "annotations": {"max-exposure": "contested"},
                                     "enforced": "max-exposure"},
                          "prometheus": {"refresh": "15s", "servers": [
                              {"name": "a", "url": "http://prometheus.monitoring.svc:9090", "presets": ["kepler", {"preset": "opencost", "currency": "EUR"}]},
                              {"name": "b", "url": "https://mimir.example/prometheus", "tenant": "team-a"}]},
                          "currencies": [{"currency": "USD", "eur": 0.92, "date": "2026-11-01"}],
                          "log": {"level": "warning"}, "budgets": [{"namespace": "shop", "eur_per_month": 500}]},
               "catalog": {"pue.csv": "provider,region,pue,source,year,method,licence\nown,hall,1.12,meter,2026,measured,own\n"}},
    "status-access": {"extender": {"statusAccess": "token", "extraVolumes": [{"name": "backtests", "configMap": {"name": "backtests"}}],
                                   "extraVolumeMounts": [{"name": "backtests", "mountPath": "/etc/sobre-backtests"}]}, "grpc": {"enabled": True},
                      "config": {"backtests": {"directory": "/etc/sobre-backtests"}},
                      "monitoring": {"serviceMonitor": {"enabled": True}, "authorization": {"credentials": {"name": "prometheus", "key": "token"}}}},
    "grpc": {"grpc": {"enabled": True}, "catalog": {"pue.csv": "provider,region,pue,source,year,method,licence\nown,hall,1.12,meter,2026,measured,own\n"}},
    "grpc-cert-manager": {"tls": {"mode": "cert-manager"}, "grpc": {"enabled": True, "clientAuthorities": "grpc-clients", "replicas": 1}},
    "grpc-own-secrets": {"tls": {"mode": "secret", "mutual": True, "secret": {"server": "sobre-server", "client": "sobre-client"}},
                         "grpc": {"enabled": True, "tlsSecret": "sobre-grpc", "podDisruptionBudget": {"enabled": False}},
                         "networkPolicy": {"grpcFrom": [{"podSelector": {"matchLabels": {"app": "cluster-autoscaler"}},
                                                         "namespaceSelector": {}}]}},
    "everything": {
        "commonLabels": {"cost-center": "42"}, "commonAnnotations": {"contact": "platform"}, "imagePullSecrets": [{"name": "pull"}],
        "image": {"registry": "registry.example.com", "repository": "platform/sobre", "digest": "sha256:" + "0" * 64},
        "extender": {"replicas": 3, "hosts": ["sobre.example.com"], "maxBodyMegabytes": 64, "extraArgs": ["--help"], "extraEnv": [{"name": "TZ", "value": "UTC"}], "nodeSelector": {"pool": "system"},
                     "tolerations": [{"key": "system", "operator": "Exists"}], "autoscaling": {"enabled": True}, "podLabels": {"tier": "control"},
                     "podAnnotations": {"seen": "yes"}, "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
                     "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ca"}]},
        "scheduler": {"extraArgs": ["--feature-gates=AllAlpha=false"], "plugins": {"score": {"disabled": [{"name": "ImageLocality"}]}},
                      "extraProfiles": [{"schedulerName": "sobre-batch", "percentageOfNodesToScore": 100}]},
        "networkPolicy": {"apiServerCIDRs": ["10.0.0.1/32"], "statusFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}]},
        "config": {"moves": {"evict": True, "max_evictions_per_hour": 12, "min_eur_per_hour": 0.001},
                   "clusters": {"enabled": True, "valid_for": "10m", "workload": {"cpu": 4, "annotations": {"max-exposure": "contested"}},
                                "managed": [{"name": "paris", "provider": "scaleway", "region": "fr-par", "cpu": 16, "memory": "64Gi", "eur_per_hour": 0.44},
                                            {"name": "lyon", "provider": "own", "region": "lyon", "grid_zone": "FR", "cpu": 64, "memory": "256Gi",
                                             "own": {"purchase_eur": 14000, "lifetime_years": 5, "utilization": 0.4, "pue": 1.5,
                                                     "electricity_eur_per_kwh": 0.16}}]}},
        "extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-more"}}]},
}


def helm(*arguments, check: bool = True, folder: pathlib.Path | None = None) -> subprocess.CompletedProcess:
    """Real Helm with settings of its own; an error's text where it fails."""
    home = {f"HELM_{part}_HOME": str((folder or pathlib.Path("/nonexistent")) / part) for part in ("CACHE", "CONFIG", "DATA")}
    done = subprocess.run([f"{programs.named('tools')}/helm", *map(str, arguments)], capture_output=True, text=True, env=os.environ | home)
    assert not check or done.returncode == 0, done.stderr
    return done


def render(values: dict, folder: pathlib.Path, *arguments, check: bool = True, mutating: bool = True) -> subprocess.CompletedProcess:
    path = folder / "values.yaml"
    path.write_text(yaml.safe_dump(values))
    return helm("template", "sobre", CHART, "--namespace", "sobre", "--kube-version", "v1.36.3-gke.1", "--values", path,
                *(["--api-versions", MUTATING] if mutating else []), *arguments, check=check, folder=folder)


def objects(text: str) -> list[dict]:
    return [o for o in yaml.safe_load_all(text) if o]


def pick(found: list[dict], kind: str, name: str) -> dict:
    (one,) = [o for o in found if o["kind"] == kind and o["metadata"]["name"] == name]
    return one


def pod_specs(found: list[dict]) -> dict[str, dict]:
    """The templates of everything that runs, as pods."""
    pods = {}
    for o in found:
        if o["kind"] == "Pod":
            pods[f"Pod/{o['metadata']['name']}"] = {"metadata": {"labels": o["metadata"]["labels"]}, "spec": o["spec"]}
        elif "template" in o.get("spec", {}):
            template = o["spec"]["template"]
            for claim in o["spec"].get("volumeClaimTemplates", []):
                template["spec"]["volumes"].append({"name": claim["metadata"]["name"], "persistentVolumeClaim": {"claimName": "any"}})
            pods[f"{o['kind']}/{o['metadata']['name']}"] = template
    return pods


def without_chance(text: str) -> str:
    """A rendering without what is new each time: keys, certificates, and the digests of what names them."""
    text = re.sub(r"((?:ca\.crt|tls\.crt|tls\.key|caData): )[A-Za-z0-9+/=]{40,}", r"\1MADE", text)
    return re.sub(r"(sobre\.dev/config: )\S+", r"\1DIGEST", text)


def by_object(text: str) -> dict[str, str]:
    """The parts of a rendering by the kind and name of their objects."""
    parts = {}
    for part in re.split(r"^---\n", text, flags=re.MULTILINE):
        if part.strip():
            kind, name = re.search(r"^kind: (\S+)", part, re.MULTILINE), re.search(r'^  name: "?([^"\n]+)', part, re.MULTILINE)
            key = f"{kind[1]} {name[1]}"
            assert key not in parts, f"two objects are called {key}"
            parts[key] = part
    return parts


def difference(before: str, after: str) -> str:
    """What differs between two renderings, object by object; without line numbers, which would change with every object before."""
    old, new = by_object(before), by_object(after)
    lines = []
    for key in sorted(old.keys() | new.keys()):
        if key not in new:
            lines.append(f"without {key}\n")
        elif old.get(key) != new[key]:
            lines.append(f"{'in' if key in old else 'with'} {key}\n")
            changes = difflib.unified_diff(old.get(key, "").splitlines(keepends=True), new[key].splitlines(keepends=True), n=2)
            # The first two lines name files.
            lines += ["@@\n" if line.startswith("@@") else line for line in list(changes)[2:]]
    return "".join(lines)


def decoded(secret: dict) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in secret["data"].items()}


def reachable(definitions: dict, name: str) -> set[str]:
    found, waiting = set(), [name]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += re.findall(r'"#/definitions/([^"]+)"', json.dumps(definitions[name]))
    return found


def openapi_schemas(openapi: dict, kinds: set[tuple[str, str]], folder: pathlib.Path) -> None:
    """Of the API server's own OpenAPI, a JSON schema by (apiVersion, kind) that knows no other fields."""
    definitions = openapi["definitions"]
    for definition in definitions.values():
        if definition.get("properties") and "additionalProperties" not in definition:
            definition["additionalProperties"] = False
        for field in definition.get("properties", {}).values():
            # What is left out and what is null are the same to the API server.
            if isinstance(field.get("type"), str):
                field["type"] = [field["type"], "null"]
    definitions["io.k8s.apimachinery.pkg.util.intstr.IntOrString"] = {"type": ["string", "integer"]}
    definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"] = {"type": ["string", "number"]}
    by_kind = {}
    for name, definition in definitions.items():
        for k in definition.get("x-kubernetes-group-version-kind", []):
            by_kind[("/".join(filter(None, (k["group"], k["version"]))), k["kind"])] = name
    folder.mkdir(parents=True, exist_ok=True)
    for version, kind in kinds:
        if (version, kind) in by_kind:
            needed = reachable(definitions, by_kind[version, kind])
            schema = {"$ref": f"#/definitions/{by_kind[version, kind]}", "definitions": {name: definitions[name] for name in needed}}
            # kubeconform's own way to name them: the group's first word.
            group, _, number = version.rpartition("/")
            (folder / "-".join(filter(None, (kind.lower(), group.split(".")[0], f"{number}.json")))).write_text(json.dumps(schema))
