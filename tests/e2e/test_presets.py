"""Every preset on a real Prometheus that scrapes what each exporter prints, against figures worked out by hand."""
import datetime
import json
import subprocess
import urllib.parse

import pytest

from tests.harness import Sobre, eventually, fetch

WINDOW = 20  # seconds; counters must have run for as long


def counters(t: float, lines: dict[str, float]) -> str:
    """Series that grow by so much a second."""
    return "".join(f"{series} {rate * (t % 1e6):.6f}\n" for series, rate in lines.items())


def gauges(lines: dict[str, float]) -> str:
    return "".join(f"{series} {value}\n" for series, value in lines.items())


NODES = {  # name: (address, vCPU, accelerators)
    "kepler-new": ("10.0.0.11", 128, 0), "kepler-old": ("10.0.0.12", 128, 0), "kepler-both": ("10.0.0.13", 128, 0),
    "scaphandre": ("10.0.0.14", 64, 0), "gpu-old": ("10.0.0.15", 64, 4), "gpu-new": ("10.0.0.16", 64, 2),
    "node-exporter": ("10.0.0.17", 64, 0), "gpu-energy": ("10.0.0.18", 64, 1)}


FORECASTS = [("grid_foreseen", "1h", 35), ("grid_foreseen", "6h", 20), ("price_foreseen", "1h", 60), ("price_foreseen", "6h", -5)]


def dcgm(host_label: str, host: str, uuid: str, **more: str) -> str:
    labels = {"gpu": "0", "UUID": uuid, "modelName": "NVIDIA H100 80GB HBM3", host_label: host} | more
    return "{" + ",".join(f'{k}="{v}"' for k, v in labels.items()) + "}"


def exporters(t: float) -> str:
    power = gauges({
        # Kepler 0.10: the platform's meter twice (two BMC ways to it), two sockets, zones that overlap.
        'kepler_platform_watts{node_name="kepler-new",source="redfish"}': 420, 'kepler_platform_watts{node_name="kepler-new",source="ipmi"}': 418,
        'kepler_node_cpu_watts{node_name="kepler-new",zone="package",path="/sys/a"}': 100,
        'kepler_node_cpu_watts{node_name="kepler-new",zone="package",path="/sys/b"}': 110,
        'kepler_node_cpu_watts{node_name="kepler-new",zone="core",path="/sys/a/0"}': 90,
        'kepler_node_cpu_watts{node_name="kepler-new",zone="dram",path="/sys/a/1"}': 20,
        'kepler_node_cpu_usage_ratio{node_name="kepler-new"}': 0.4,
        'kepler_platform_watts{node_name="kepler-both",source="redfish"}': 300,
        # Scaphandre: millionths of a watt, named by its address.
        'scaph_host_power_microwatts{instance="10.0.0.14:8080"}': 95_000_000,
        # node_exporter: the platform's meter, and a chip that is part of it.
        'node_hwmon_power_average_watt{instance="10.0.0.17:9100",chip="LNXSYSTM:00_LNXSYBUS:00_ACPI000D:00",sensor="power1"}': 210,
        'node_hwmon_power_average_watt{instance="10.0.0.17:9100",chip="pci0000:00_0000:00:08_1",sensor="power1"}': 40,
    })
    # DCGM with the old label: four devices, the first partitioned and so repeated.
    for i, watts in enumerate([300, 310, 320, 330]):
        power += gauges({"DCGM_FI_DEV_POWER_USAGE" + dcgm("Hostname", "gpu-old", f"GPU-{i}"): watts,
                         "DCGM_FI_DEV_GPU_UTIL" + dcgm("Hostname", "gpu-old", f"GPU-{i}"): 50})
    power += gauges({"DCGM_FI_DEV_POWER_USAGE" + dcgm("Hostname", "gpu-old", "GPU-0", GPU_I_ID="1"): 300})
    # With the new label, and in the middle of a roll-out one device under both.
    power += gauges({"DCGM_FI_DEV_POWER_USAGE" + dcgm("hostname", "gpu-new", "GPU-8"): 150,
                     "DCGM_FI_DEV_POWER_USAGE" + dcgm("hostname", "gpu-new", "GPU-9"): 160,
                     "DCGM_FI_DEV_POWER_USAGE" + dcgm("Hostname", "gpu-new", "GPU-9"): 160})
    power += counters(t, {"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION" + dcgm("Hostname", "gpu-energy", "GPU-20"): 250_000,
                          "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION" + dcgm("hostname", "gpu-new", "GPU-8"): 150_000})
    old = "kepler_node_platform_joules_total"
    joules = {f'{old}{{instance="kepler-old",mode="dynamic",package="",source="acpi"}}': 100,
              f'{old}{{instance="kepler-old",mode="idle",package="",source="acpi"}}': 150,
              f'{old}{{instance="kepler-old",mode="dynamic",package="",source="redfish"}}': 100,
              f'{old}{{instance="kepler-old",mode="idle",package="",source="redfish"}}': 150,
              f'{old}{{instance="kepler-old",mode="dynamic",package="",source="trained_power_model"}}': 700,
              f'{old}{{instance="kepler-both",mode="dynamic",package="",source="acpi"}}': 310}
    for package, rate in [("0", 60), ("1", 50)]:
        joules[f'kepler_node_package_joules_total{{instance="kepler-old",mode="dynamic",package="{package}",source="rapl-sysfs"}}'] = rate
        joules[f'node_rapl_package_joules_total{{instance="10.0.0.17:9100",index="{package}",path="/sys/{package}"}}'] = 45 + 10 * int(package)
    for cpu in range(4):
        joules |= {f'node_cpu_seconds_total{{instance="10.0.0.17:9100",cpu="{cpu}",mode="idle"}}': 0.70,
                   f'node_cpu_seconds_total{{instance="10.0.0.17:9100",cpu="{cpu}",mode="iowait"}}': 0.05,
                   f'node_cpu_seconds_total{{instance="10.0.0.17:9100",cpu="{cpu}",mode="user"}}': 0.25}
    prices = gauges({f'node_total_hourly_cost{{node="{name}",instance="{name}",provider_id="x"}}': 1.5 for name in NODES})
    prices += gauges({'electricity_price_eur_per_mwh{zone="FR"}': 85, 'electricity_price_eur_per_mwh{zone="DE"}': -12.5})
    grid = gauges({'grid_intensity_carbon_average{provider="Ember",location="FRA",node="",region="",units="gCO2e per kWh",is_estimated="false"}': 44,
                   'grid_intensity_carbon_average{provider="Ember",location="FRA",node="",region="",units="gCO2e per kWh",is_estimated="true"}': 99,
                   'grid_intensity_carbon_average{provider="WattTime",location="DE",node="",region="",units="lbCO2e per MWh",is_estimated="true"}': 800})
    forecasts = gauges({f'{name}{{zone="FR",ahead="{ahead}"}}': value for name, ahead, value in FORECASTS})
    return power + counters(t, joules) + prices + grid + forecasts + requests(t)


def requests(t: float) -> str:
    vllm = {}
    for pod, scale in [("llm-0", 1), ("llm-1", 3)]:
        labels = f'namespace="ai",pod="{pod}",model_name="llama-3-8b"'
        vllm |= {f'vllm:request_success_total{{{labels},engine="0",finished_reason="stop"}}': 2.0 * scale,
                 f'vllm:request_success_total{{{labels},engine="0",finished_reason="length"}}': 0.5 * scale,
                 f'vllm:generation_tokens_total{{{labels},engine="0"}}': 400.0 * scale}
    mesh = {}
    for reporter in ["source", "destination"]:  # each request is told by both
        mesh[f'istio_requests_total{{reporter="{reporter}",destination_workload_namespace="shop",destination_workload="cart",response_code="200"}}'] = 28
        mesh[f'istio_requests_total{{reporter="{reporter}",destination_workload_namespace="shop",destination_workload="cart",response_code="500"}}'] = 2
    mesh['istio_requests_total{reporter="source",destination_workload_namespace="shop",destination_workload="legacy",response_code="200"}'] = 7
    # Envoy tells the same of cart, and alone of search.
    mesh['envoy_cluster_upstream_rq_total{envoy_cluster_name="outbound|80||cart.shop.svc.cluster.local"}'] = 30
    mesh['envoy_cluster_upstream_rq_total{envoy_cluster_name="search.shop.svc"}'] = 11
    others = {
        'nginx_ingress_controller_requests{exported_namespace="shop",exported_service="front",namespace="ingress-nginx",service="metrics",status="200",ingress="front"}': 60,
        'nginx_ingress_controller_requests{exported_namespace="shop",exported_service="front",namespace="ingress-nginx",service="metrics",status="404",ingress="front"}': 4,
        'nginx_ingress_controller_requests{exported_namespace="shop",exported_service="front",namespace="ingress-external",service="metrics",status="200",ingress="front"}': 16,
        'nv_inference_request_success{namespace="ai",pod="triton-0",model="bert",version="1",gpu_uuid="GPU-1"}': 5,
        'nv_inference_request_success{namespace="ai",pod="triton-0",model="resnet",version="1",gpu_uuid="GPU-1"}': 12,
        'nv_inference_request_success{namespace="ai",pod="triton-0",model="resnet",version="1",gpu_uuid="GPU-2"}': 13,
        'revision_app_request_count{namespace_name="shop",pod_name="fn-0",revision_name="fn-1",container_name="queue-proxy",response_code="200"}': 3}
    return counters(t, vllm | mesh | others)


PODS = [("ai", "llm-0", "llm", "gpu-old"), ("ai", "llm-1", "llm", "gpu-new"), ("ai", "triton-0", "triton", "gpu-new"),
        ("shop", "cart-a", "cart", "kepler-new"), ("shop", "cart-b", "cart", "kepler-old"), ("shop", "legacy-a", "legacy", "scaphandre"),
        ("shop", "search-a", "search", "scaphandre"), ("shop", "front-a", "front", "kepler-new"), ("shop", "front-b", "front", "kepler-new"),
        ("shop", "fn-0", "fn", "node-exporter")]


@pytest.fixture(scope="module")
def sobre(control_plane, exporter, prometheus, tmp_path_factory, sobre_bin):
    exporter.text = exporters
    for name, (address, cpu, gpus) in NODES.items():
        zone = {"sobre.dev/grid-zone": "DE" if name == "scaphandre" else "FR", "sobre.dev/hardware-class": name}
        control_plane.add_node(name, "own://", "", cpu=cpu, address=address, gpus=gpus,
                               labels=zone | ({"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"} if gpus else {}))
    for namespace in ["ai", "shop"]:
        control_plane.add_namespace(namespace)
    for namespace, pod, workload, node in PODS:
        owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": workload, "uid": "u-" + workload, "controller": True}
        control_plane.call("POST", f"/api/v1/namespaces/{namespace}/pods", {
            "metadata": {"name": pod, "ownerReferences": [owner]},
            "spec": {"nodeName": node, "automountServiceAccountToken": False, "containers": [{"name": "a", "image": "none"}]}})
    folder = tmp_path_factory.mktemp("presets")
    sobre = Sobre(folder, {"kubernetes": {"kubeconfig": str(control_plane.kubeconfig)},
                           "currencies": [{"currency": "USD", "eur": 0.9, "date": "2026-11-01"}],
                           "prometheus": {"url": prometheus.url, "refresh": "1s", "discover": "1s", "timeout": "5s",
                                          "rate_window": f"{WINDOW}s", "calibration": {"past_moments": 0}, "signals": [
                                              {"signal": "grid_forecast_gco2e_per_kwh", "query": "grid_foreseen"},
                                              {"signal": "electricity_price_forecast_per_kwh", "query": "price_foreseen", "unit": "EUR/MWh"}]}})

    def whole_window() -> bool:
        query = urllib.parse.urlencode({"query": f"count_over_time(scaph_host_power_microwatts[{WINDOW + 5}s])"})
        found = json.loads(fetch(f"{prometheus.url}/api/v1/query?{query}"))["data"]["result"]
        return found and int(found[0]["value"][1]) > WINDOW + 3
    eventually(whole_window, "counters have run for a whole window", 180, 0.5)
    now = datetime.datetime.now(datetime.timezone.utc)

    def asked_since() -> bool:
        queries = sobre.signals()["servers"][0]["queries"]
        return all(datetime.datetime.fromisoformat(q["answered"].replace("Z", "+00:00")) > now for q in queries if not q["idle"] and not q["problem"])
    eventually(asked_since, "every query was answered since")
    yield sobre
    sobre.stop()


def close(value, expected: float) -> bool:
    return value is not None and abs(value - expected) <= 0.02 * abs(expected)


def measured(sobre, kind: str = "workloads") -> dict:
    return {(m["name"], m["hardwareClass"]): m for m in sobre.signals()[kind]}


@pytest.mark.parametrize("node, key, expected", [
    ("kepler-new", "measuredWatts", 420),      # the platform's meter, once
    ("kepler-new", "measuredCpuWatts", 210),   # 100 + 110: packages alone
    ("kepler-old", "measuredWatts", 250),      # 100 dynamic + 150 idle, of one meter; the model's 700 left out
    ("kepler-old", "measuredCpuWatts", 110),   # 60 + 50
    ("kepler-both", "measuredWatts", 300),     # the new Kepler's, not 610
    ("scaphandre", "measuredCpuWatts", 95),    # from microwatts, by address
    ("gpu-old", "measuredGpuWatts", 1260),     # 300 + 310 + 320 + 330, the partition not again
    ("gpu-new", "measuredGpuWatts", 310),      # 150 + 160, one device under two labels
    ("gpu-energy", "measuredGpuWatts", 250),   # from millijoules
    ("node-exporter", "measuredWatts", 210),   # the platform's meter without its part
    ("node-exporter", "measuredCpuWatts", 100),  # 45 + 55
    ("kepler-new", "eurPerHour", 1.35),        # 1.5 USD at 0.9
    ("kepler-new", "liveGco2ePerKwh", 44),     # by its three-letter code
    ("scaphandre", "liveGco2ePerKwh", 800 * 0.45359237),  # from pounds a megawatt-hour
    ("kepler-new", "electricityEurPerKwh", 0.085),
    ("scaphandre", "electricityEurPerKwh", -0.0125),
])
def test_a_node_gets_its_own_figures(sobre, node, key, expected):
    # A rate is as even as the scrapes that it is taken from, which a busy machine makes uneven.
    eventually(lambda: close(sobre.nodes()[node][key], expected), f"{node}'s {key} is {expected}")


@pytest.mark.parametrize("workload, node, key, expected", [
    ("ai/llm", "gpu-old", "requestsPerSecond", 2.5),    # 2 + 0.5, both ways to finish
    ("ai/llm", "gpu-new", "requestsPerSecond", 7.5),
    ("ai/llm", "gpu-old", "tokensPerSecond", 400),
    ("ai/triton", "gpu-new", "requestsPerSecond", 30),  # two devices and two models of one pod
    ("shop/cart", "", "requestsPerSecond", 15),         # 30 over two replicas; not 60, though two reporters and Envoy tell it
    ("shop/legacy", "", "requestsPerSecond", 7),        # no destination reports: the source does
    ("shop/search", "", "requestsPerSecond", 11),
    ("shop/front", "", "requestsPerSecond", 40),        # 64 + 16 of two controllers, over two replicas
    ("shop/fn", "node-exporter", "requestsPerSecond", 3),
])
def test_a_replica_gets_its_own_rate(sobre, workload, node, key, expected):
    eventually(lambda: close(measured(sobre).get((workload, node), {}).get(key), expected), f"{key} of {workload} on {node} is {expected}")


def test_a_model_gets_the_rate_of_its_replicas(sobre):
    for model, expected in (("llama-3-8b", 7.5), ("resnet", 25)):
        eventually(lambda: close(measured(sobre, "models")[(model, "gpu-new")]["requestsPerSecond"], expected), f"{model} has {expected} a second")


def test_forecasts_stand_with_their_place(sobre):
    place = next(p for p in sobre.signals()["places"] if p["zone"] == "FR")
    assert [f["value"] for f in place["forecastGco2ePerKwh"]] == [35, 20]
    assert [f["value"] for f in place["forecastEurPerKwh"]] == pytest.approx([0.06, -0.005])


def test_nothing_is_counted_twice_and_what_was_left_out_is_told(sobre):
    signals = {s["signal"]: s for s in sobre.signals()["signals"]}
    assert signals["node_watts"]["superseded"] == 1  # old Kepler beside the new
    assert all(s["duplicate"] == 0 for s in signals.values())
    assert signals["workload_requests_per_second"]["superseded"] == 1  # Envoy beside Istio
    found = {p["name"] for p in sobre.signals()["servers"][0]["presets"] if p["found"]}
    assert found == {"kepler", "kepler-0.9", "scaphandre", "dcgm", "node-exporter", "opencost", "grid-intensity",
                     "electricity-price", "vllm", "istio", "envoy", "triton", "knative", "ingress-nginx"}


def test_the_doctor_finds_all_of_it(sobre, sobre_bin):
    run = subprocess.run([sobre_bin, "doctor", "--config", sobre.config], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    for said in ["found Kepler 0.10 and later", "found vLLM", "node_watts: several sources tell it; 1 value set aside, kepler is believed "
                 "instead of kepler-0.9 (for example kepler-both)", "0 errors"]:
        assert said in run.stdout, run.stdout
