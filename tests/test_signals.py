"""What exporters say that is not so: a real Prometheus scrapes them, with the labels that service discovery gives their targets, and what cannot
be so is set aside and told. Each world of series has nodes, or pods, of its own, so that one Prometheus and one Sobre serve them all."""
import dataclasses
import json
import subprocess
import time
import urllib.parse

import pytest
import yaml

from tests.harness import HttpStub, Process, Sobre, eventually, fetch, free_ports
from tests.kubeapi import KubeApi

WINDOW = 20  # seconds
STARTED = time.time()


def gauge(metric: str, value: float, /, **labels: str) -> str:
    return f'{metric}{{{",".join(f"{key}={json.dumps(text)}" for key, text in labels.items())}}} {value:.6f}\n'


def rate(metric: str, by: float, /, **labels: str):
    """A counter that grows by so much a second."""
    return lambda now: gauge(metric, by * (now - STARTED + 1000), **labels)


def wild(metric: str, value: float, moment: float, /, **labels: str):
    """A gauge that is wrong for 3 seconds in 20."""
    return lambda now: gauge(metric, moment if now % WINDOW < 3 else value, **labels)


@dataclasses.dataclass
class Target:
    labels: dict[str, str]
    series: list  # of texts, and of functions of the time

    def text(self, now: float) -> str:
        return "".join(one if isinstance(one, str) else one(now) for one in self.series)


def dcgm(host: str, watts: float, devices: int = 8, first: int = 0, **more: str) -> list[str]:
    return [gauge("DCGM_FI_DEV_POWER_USAGE", watts, UUID=f"GPU-{host}-{first + i}", Hostname=host, gpu=str(i), **more) for i in range(devices)]


def devices_that_change_hands(host: str):
    """Half of each 20 seconds a pod holds them at 600 W, else nobody at 60 W: other labels, other series."""
    return lambda now: "".join(dcgm(host, 600, pod="train", namespace="ai") if now % WINDOW < WINDOW / 2 else dcgm(host, 60))


def vllm(requests: dict[str, float], tokens: float, **labels: str) -> list:
    return [rate("vllm:request_success_total", by, finished_reason=reason, engine="0", **labels) for reason, by in requests.items()] + \
        [rate("vllm:generation_tokens_total", tokens, engine="0", **labels)]


def opencost(node: str, usd: float, spot: bool | None = None) -> list[str]:
    flag = [] if spot is None else [gauge("kubecost_node_is_spot", int(spot), node=node, instance=node)]
    return [gauge("node_total_hourly_cost", usd, node=node, instance=node, instance_type="m6i.16xlarge"), *flag]


def rapl(instance: str, index: str, interface: str, watts: float):
    return rate("node_rapl_package_joules_total", watts, index=index, path=f"/sys/class/powercap/{interface}:{index}")


PLATFORM, PACKAGE = "kepler_platform_watts", "kepler_node_cpu_watts"
COLLECTOR = {"job": "collector", "namespace": "monitoring", "pod": "collector-0"}
PRICES = {"job": "opencost", "namespace": "opencost", "pod": "opencost-0"}


def supply(node: str, number: int, watts: float, chassis: str = "1") -> str:
    return gauge(PLATFORM, watts, source="redfish", node_name=node, bmc_id="bmc", chassis_id=chassis, source_id=f"PSU{number}",
                 source_type="PowerSupply")


def control(node: str, name: str, watts: float, chassis: str) -> str:
    return gauge(PLATFORM, watts, source="redfish", node_name=node, bmc_id="bmc", chassis_id=chassis, source_id=name, source_name=name,
                 source_type="PowerControl")


TARGETS = [
    Target(PRICES, [
        *opencost("price-none", 0), *opencost("price-of-a-part", 0.01), *opencost("price-in-won", 5200), *opencost("price-good", 3.3),
        *opencost("spot-told", 1.1, True), *opencost("spot-untold", 1.1), *opencost("spot-at-list-price", 3.4, True)]),
    Target({"job": "grid"}, [
        gauge("grid_intensity_carbon_average", value, provider="ElectricityMaps", location=zone, node="", region="",
              units="gCO2e per kWh", is_estimated="false") for zone, value in [("FRA", 0), ("BEL", 0.4), ("DEU", -1), ("GBR", 210)]]),
    Target({"job": "kepler"}, [
        wild(PACKAGE, 70, 8000, node_name="spike", zone="package", path="/a"), wild(PLATFORM, 200, 3000, node_name="spike"),
        wild(PLATFORM, 310, 0, node_name="dip"),
        gauge(PLATFORM, 40, node_name="whole-below-processors"), gauge(PACKAGE, 180, node_name="whole-below-processors", zone="package", path="/a"),
        gauge(PLATFORM, 2000, node_name="whole-below-accelerators"),
        gauge(PACKAGE, 2600, node_name="processors-too-hot", zone="package", path="/a"),
        gauge(PACKAGE, 80, node_name="pods", zone="package", path="/a"),
        gauge("kepler_pod_cpu_watts", 500, pod_namespace="shop", pod_name="hot-0", pod_id="u1", node_name="pods", zone="package", state="running"),
        gauge("kepler_pod_cpu_watts", 30, pod_namespace="shop", pod_name="warm-0", pod_id="u2", node_name="pods", zone="package", state="running"),
        supply("supplies", 1, 230), supply("supplies", 2, 250),
        control("chassis", "System", 420, "System.Embedded.1"), control("chassis", "Enclosure", 1900, "Enclosure.Internal.0-1"),
        control("chassis", "CPU Sub-system", 170, "System.Embedded.1"),
        control("two-chassis", "System", 420, "1"), control("two-chassis", "System", 900, "2")]),
    Target({"job": "node-exporter", "node": "two-interfaces"}, [
        rapl("x", "0", "intel-rapl", 60), rapl("x", "0", "intel-rapl-mmio", 60), rapl("x", "1", "intel-rapl", 50)]),
    Target({"job": "dcgm"}, [devices_that_change_hands("churn"), *dcgm("whole-below-accelerators", 400), *dcgm("boards-too-hot", 1100)]),
    Target({"job": "dcgm", "cluster": "prod"}, dcgm("twin-watts", 300)),
    Target({"job": "dcgm", "cluster": "staging"}, [*dcgm("twin-watts", 310, first=100), *dcgm("not-ours", 310)]),
    Target(PRICES | {"cluster_id": "prod"}, opencost("twin-price", 3.3)),
    Target(PRICES | {"cluster_id": "staging"}, opencost("twin-price", 3.9)),
    Target({"job": "idrac", "instance": "192.0.2.77"}, [gauge("idrac_power_control_consumed_watts", 333, id="0", name="System")]),
    Target({"job": "idrac", "instance": "192.0.2.78", "node": "bmc-by-label"}, [gauge("idrac_power_control_consumed_watts", 333, id="0", name="System")]),
    Target(COLLECTOR, [*vllm({"stop": 2, "length": 1, "abort": 4, "error": 3}, 300, namespace="ai", pod="through-0", model_name="through"),
                       rate("nv_inference_request_success", 6, namespace="ai", pod="triton-through-0", model="bert", version="1"),
                       rate("revision_app_request_count", 4, namespace_name="shop", pod_name="fn-0", revision_name="fn-1", response_code="200")]),
    Target({"job": "ensemble", "namespace": "ai", "pod": "ensemble-0"}, [
        rate("nv_inference_request_success", by, model=model, version="1")
        for model, by in [("text_ensemble", 4), ("tokenize", 4), ("engine", 12), ("detokenize", 4)]]),
    Target({"job": "chain", "namespace": "ai", "pod": "chain-0"}, [
        rate("nv_inference_request_success", by, model=model, version="1") for model, by in [("whole", 3), ("first", 3), ("second", 3), ("other", 8)]]),
    Target({"job": "p", "namespace": "ai", "pod": "split-prefill-0"}, vllm({"length": 3}, 3, model_name="split")),
    Target({"job": "d", "namespace": "ai", "pod": "split-decode-0"}, vllm({"stop": 3}, 450, model_name="split")),
    Target({"job": "p", "namespace": "ai", "pod": "labelled-a-0", "llm_d_ai_role": "prefill"}, vllm({"length": 2}, 2, model_name="labelled")),
    Target({"job": "d", "namespace": "ai", "pod": "labelled-b-0", "llm_d_ai_role": "decode"}, vllm({"stop": 2}, 100, model_name="labelled")),
    *(Target({"job": job, "instance": f"192.0.2.9:{port}", "namespace": "shop", "pod": "mesh-0"} | more,
             [rate("istio_requests_total", 9, reporter="destination", destination_workload="mesh", destination_workload_namespace="shop", response_code="200")])
      for job, port, more in [("istio-proxies", 15020, {}), ("pods", 15090, {"endpoint": "http-envoy-prom"}), ("istio-proxies", 15020, {"tsdb_copy": "b"})]),
]

SIZES = {"gpu": {"cpu": "192", "memory": "2000Gi", "nvidia.com/gpu": "8"}, "cpu": {"cpu": "64", "memory": "256Gi"}}
WITH_GPUS = {"whole-below-accelerators", "churn", "boards-too-hot", "twin-watts"}
NODES = {  # name: region
    **{name: "eu-west-3" for name in [
        "price-none", "price-of-a-part", "price-in-won", "price-good", "spot-told", "spot-untold", "spot-at-list-price", "spike", "dip",
        "whole-below-processors", "whole-below-accelerators", "processors-too-hot", "pods", "supplies", "chassis", "two-chassis",
        "two-interfaces", "churn", "boards-too-hot", "twin-watts", "twin-price", "bmc-by-label"]},
    "belgium": "europe-west1", "germany": "eu-central-1", "britain": "eu-west-2"}
PODS = [("shop", "hot-0", "pods"), ("shop", "warm-0", "pods"), ("shop", "fn-0", "spike"), ("shop", "mesh-0", "spike"), ("monitoring", "collector-0", "spike"),
        *(("ai", pod, "churn") for pod in ["through-0", "triton-through-0", "ensemble-0", "chain-0", "split-prefill-0", "split-decode-0",
                                           "labelled-a-0", "labelled-b-0"])]


def node(name: str, region: str) -> dict:
    labels = {"topology.kubernetes.io/region": region}
    if name in WITH_GPUS:
        labels["nvidia.com/gpu.product"] = "NVIDIA-H100-80GB-HBM3"
    else:
        labels["node.kubernetes.io/instance-type"] = "n2-standard-64" if region.startswith("europe") else "m6i.16xlarge"
    if name.startswith("spot"):
        labels |= {"karpenter.sh/capacity-type": "spot", "karpenter.sh/nodepool": "batch"}
    # Its own type, so that no node's list price speaks for the spot nodes.
    if name == "price-good":
        labels["node.kubernetes.io/instance-type"] = "m5.16xlarge"
    provider = "gce://project/zone/x" if region.startswith("europe") else "aws:///zone/i-1"
    return {"metadata": {"name": name, "labels": labels}, "spec": {"providerID": provider},
            "status": {"allocatable": SIZES["gpu" if name in WITH_GPUS else "cpu"]}}


def pod(namespace: str, name: str, on: str) -> dict:
    owner = {"kind": "StatefulSet", "name": name.rpartition("-")[0]}
    return {"metadata": {"name": name, "namespace": namespace, "ownerReferences": [owner]}, "spec": {"nodeName": on, "containers": [{}]}}


@pytest.fixture(scope="module")
def sobre(tmp_path_factory, sobre_bin):
    folder = tmp_path_factory.mktemp("signals")
    exporters = HttpStub(lambda path, body: ("text/plain; version=0.0.4", TARGETS[int(path.strip("/"))].text(time.time())))
    (port,) = free_ports(1)
    scrapes = [{"job_name": str(number), "metrics_path": f"/{number}", "static_configs": [{"targets": [exporters.address], "labels": target.labels}]}
               for number, target in enumerate(TARGETS)]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(
        {"global": {"scrape_interval": "2s", "scrape_timeout": "2s"}, "scrape_configs": scrapes}))
    prometheus = Process(folder / "prometheus.log", "prometheus", f"--config.file={folder / 'prometheus.yml'}",
                         f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}")
    cluster = KubeApi(folder, [node(*entry) for entry in NODES.items()], [pod(*entry) for entry in PODS])
    (folder / "own").mkdir()
    (folder / "own" / "discounts.csv").write_text("provider,region,instance_type,pool,kind,discount_percent,source,year,method,licence\n"
                                                  "*,*,*,batch*,spot,60,own,2026,own contract,own\n")
    url = f"http://127.0.0.1:{port}"
    eventually(lambda: b"Ready" in fetch(url + "/-/ready"), "Prometheus ready")
    sobre = Sobre(folder, {"kubernetes": {"kubeconfig": str(cluster.kubeconfig)}, "catalog": {"directory": str(folder / "own")},
                           "currencies": [{"currency": "USD", "eur": 0.9, "date": "2026-11-01"}],
                           "prometheus": {"url": url, "refresh": "1s", "discover": "1s", "rate_window": f"{WINDOW}s",
                                          "calibration": {"past_moments": 0}}})
    # However few samples a busy machine takes.
    query = f"count(up offset {WINDOW + 5}s == 1)"

    def whole_window() -> bool:
        found = json.loads(fetch(f"{url}/api/v1/query?query={urllib.parse.quote(query)}"))["data"]["result"]
        return found and float(found[0]["value"][1]) == len(TARGETS)
    eventually(whole_window, "every target has been scraped for a whole window", 180, 0.5)
    yield sobre
    sobre.stop()
    prometheus.stop()
    cluster.stop()
    exporters.stop()


def close(value, expected) -> bool:
    return value is None if expected is None else value is not None and abs(value - expected) <= 0.1 * abs(expected)


@pytest.mark.parametrize("name, key, expected", [
    ("price-good", "eurPerHour", 2.97),
    ("spot-told", "eurPerHour", 0.99),            # 1.1 USD, which is a spot price: no 60 % off
    ("spot-untold", "eurPerHour", 0.99),          # as the price itself tells
    ("spot-at-list-price", "eurPerHour", 1.224),  # called a spot price and none: 3.4 USD less 60 %
    ("britain", "liveGco2ePerKwh", 210), ("price-good", "liveGco2ePerKwh", None), ("belgium", "liveGco2ePerKwh", None),
    ("germany", "liveGco2ePerKwh", None),
    ("spike", "measuredCpuWatts", 70), ("spike", "measuredWatts", 200), ("dip", "measuredWatts", 310),
    ("whole-below-processors", "measuredWatts", None), ("whole-below-processors", "measuredCpuWatts", 180),
    ("whole-below-accelerators", "measuredWatts", None), ("whole-below-accelerators", "measuredGpuWatts", 3200),
    ("processors-too-hot", "measuredCpuWatts", None), ("boards-too-hot", "measuredGpuWatts", None),
    ("supplies", "measuredWatts", 480),           # both power supplies
    ("chassis", "measuredWatts", 420),            # without its enclosure, and not its parts again
    ("two-chassis", "measuredWatts", None),       # which is the node, nobody can say
    ("two-interfaces", "measuredCpuWatts", 110),  # intel-rapl-mmio is the same package
    ("churn", "measuredGpuWatts", 8 * 330),
    ("twin-watts", "measuredGpuWatts", None), ("bmc-by-label", "measuredWatts", 333),
])
def test_a_node_has_what_can_be_so_and_nothing_else(sobre, name, key, expected):
    eventually(lambda: close(sobre.nodes()[name][key], expected) or [sobre.nodes()[name][key]] == [expected], f"{name}'s {key} is {expected}")


@pytest.mark.parametrize("name", ["price-none", "price-of-a-part", "price-in-won", "twin-price"])
def test_a_price_that_cannot_be_gives_way_to_our_estimate(sobre, name):
    eventually(lambda: "estimate" in sobre.nodes()[name]["priceFrom"] and 2 < sobre.nodes()[name]["eurPerHour"] < 4, f"{name}'s price is estimated")


def rates(sobre, kind: str, name: str, key: str) -> list:
    return [m[key] for m in sobre.signals()[kind] if m["name"] == name and m[key] is not None]


@pytest.mark.parametrize("kind, name, key, expected", [
    ("workloads", "ai/through", "requestsPerSecond", 3),   # 2 + 1; what was aborted, or failed, was not served
    ("workloads", "ai/through", "tokensPerSecond", 300), ("models", "through", "tokensPerSecond", 300),
    ("workloads", "monitoring/collector", "tokensPerSecond", None), ("workloads", "monitoring/collector", "requestsPerSecond", None),
    ("workloads", "ai/triton-through", "requestsPerSecond", 6), ("workloads", "shop/fn", "requestsPerSecond", 4),
    ("workloads", "ai/ensemble", "requestsPerSecond", 4),  # also where a step runs three times
    ("workloads", "ai/chain", "requestsPerSecond", 11),    # three steps of one, and another model
    ("models", "split", "requestsPerSecond", 1.5), ("models", "split", "tokensPerSecond", 225),  # of each pod of the two
    ("workloads", "ai/split-prefill", "tokensPerSecond", None), ("workloads", "ai/split-decode", "requestsPerSecond", 3),
    ("models", "labelled", "requestsPerSecond", 1), ("models", "labelled", "tokensPerSecond", 50),
    ("workloads", "shop/mesh", "requestsPerSecond", 9),    # one proxy, three times scraped
])
def test_a_request_counts_once_and_where_it_was_served(sobre, kind, name, key, expected):
    def is_so():
        found = rates(sobre, kind, name, key)
        return not found if expected is None else len(found) == 1 and close(found[0], expected)
    eventually(is_so, f"{key} of {name} is {expected}")


def test_the_doctor_says_what_was_set_aside_and_what_to_do(sobre, sobre_bin):
    run = subprocess.run([sobre_bin, "doctor", "--config", sobre.config], capture_output=True, text=True)
    assert run.returncode == 1, run.stdout + run.stderr  # for the clusters
    for said in ["of one name in several clusters: cluster=prod, cluster=staging (for example twin-watts)",
                 "of one name in several clusters: cluster_id=prod, cluster_id=staging (for example twin-price)", "prometheus.matchers: {cluster: prod}",
                 "not-ours", "3 values set aside, implausible: ", "EUR/h (for example price-in-won)", "our estimate from list prices serves meanwhile",
                 "3 values set aside, implausible: 0.4 gCO2e/kWh (for example BEL)", "the catalogue serves meanwhile", "192.0.2.77",
                 "a management controller's address is no node's", "W of a pod on a node whose processors draw 80 W (for example pod shop/hot-0)"]:
        assert said in run.stdout, run.stdout
    assert "is it in" not in run.stdout, run.stdout
