"""The tables of docs/, made by `sobre score` or from what tests do. `./run tables` rewrites them; test_tables.py compares."""
import json
import pathlib
import subprocess
import tempfile

from tests import faults, programs

ROOT = pathlib.Path(__file__).resolve().parent.parent
OBJECTIVES = ["balanced", "carbon", "cost", "priced"]
AT = "2026-11-24T00:00:00Z"


class World:
    """Nodes, signals and rows of one's own for `sobre score`."""

    def __init__(self) -> None:
        self.nodes, self.signals, self.catalogue = [], [], {}

    def node(self, name: str, provider: str, region: str, eur_per_hour: float, instance_type: str = "", gpu: str = "",
             cpu: str = "8", memory: str = "32Gi", zone: str = "") -> "World":
        labels = {"sobre.dev/provider": provider, "topology.kubernetes.io/region": region,
                  "node.kubernetes.io/instance-type": instance_type, "nvidia.com/gpu.product": gpu, "sobre.dev/grid-zone": zone}
        allocatable = {"cpu": cpu, "memory": memory} | ({"nvidia.com/gpu": "1"} if gpu else {})
        self.nodes.append({"metadata": {"name": name, "labels": {k: v for k, v in labels.items() if v}},
                           "status": {"allocatable": allocatable}})
        self.signals.append({"signal": "node_price_per_hour", "labels": {"node": name}, "value": eur_per_hour, "unit": "EUR/h",
                             "time": AT, "source": "example"})
        return self

    def signal(self, name: str, value: float, **labels: str) -> "World":
        self.signals.append({"signal": name, "labels": labels, "value": value, "time": AT, "source": "example"})
        return self

    def score(self, annotations: dict, requests: dict) -> dict:
        """The decision for one pod; candidates by name."""
        pod = {"metadata": {"name": "web-0", "namespace": "shop", "annotations": {f"sobre.dev/{k}": v for k, v in annotations.items()}},
               "spec": {"containers": [{"name": "app", "resources": {"requests": requests}}]}}
        with tempfile.TemporaryDirectory() as text:
            folder = pathlib.Path(text)
            (folder / "rows").mkdir()
            for name, rows in self.catalogue.items():
                (folder / "rows" / name).write_text(rows)
            files = {"nodes": {"items": self.nodes}, "signals": self.signals, "pod": pod,
                     "config": {"catalog": {"directory": "rows"}}}
            arguments = [programs.sobre(), "score", "--at", AT]
            for name, content in files.items():
                (folder / f"{name}.json").write_text(json.dumps(content))
                arguments += [f"--{name}", str(folder / f"{name}.json")]
            decision = json.loads(subprocess.run(arguments, capture_output=True, text=True, check=True).stdout)
        decision["by_name"] = {c["node"]: c for c in decision["candidates"]}
        return decision


def cloud_cpu() -> World:
    return (World().node("de", "aws", "eu-central-1", 0.460, "m6i.2xlarge").node("fr", "aws", "eu-west-3", 0.448, "m6i.2xlarge")
            .node("se", "aws", "eu-north-1", 0.408, "m6i.2xlarge").node("pl", "scaleway", "pl-waw", 0.395, "PRO2-M"))


def cloud_gpu() -> World:
    world = World()
    for name, region, price in [("fr", "fr-par", 3.014), ("nl", "nl-ams", 2.90), ("pl", "pl-waw", 3.167)]:
        world.node(name, "scaleway", region, price, "", "NVIDIA-H100-80GB-HBM3", "24", "240Gi")
    return world.node("se", "aws", "eu-north-1", 3.90, "p5", "NVIDIA-H100-80GB-HBM3", "24", "240Gi")


def own_data_centre(eur_per_kwh: float = 0.12) -> World:
    world = (World().node("own-a", "onprem", "lyon", 0.19, zone="FR").node("own-b", "onprem", "leipzig", 0.18, zone="DE")
             .node("cloud", "aws", "eu-west-3", 0.448, "m6i.2xlarge"))
    head = "provider,region,{},source,year,method,licence\n"
    world.catalogue = {"electricity.csv": head.format("eur_per_kwh") + "onprem,lyon,0.10,contract,2026,average,own\n"
                                          f"onprem,leipzig,{eur_per_kwh},contract,2026,average,own\n",
                       "pue.csv": head.format("pue") + "onprem,*,1.3,meters,2026,measured,own\n"}
    return world


WORLDS = {"cloud CPU": cloud_cpu, "cloud GPU": cloud_gpu, "own data centre": own_data_centre,
          "negative electricity price": lambda: own_data_centre(-0.50)}


def demand(world: str) -> dict:
    return {"cpu": "8", "memory": "64Gi", "nvidia.com/gpu": "1"} if world == "cloud GPU" else {"cpu": "2", "memory": "4Gi"}


def figure(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def worlds_table() -> str:
    lines = ["| world | node | € per pod-hour | over the cheapest | gCO2e per pod-hour | " + " | ".join(OBJECTIVES) + " |",
             "|---|---|--:|--:|--:|" + "--:|" * len(OBJECTIVES)]
    for name, make in WORLDS.items():
        decisions = {o: make().score({"unit": "pod-hour", "objective": o}, demand(name)) for o in OBJECTIVES}
        first = decisions["balanced"]["by_name"]
        cheapest = min(c["placement"]["eurPerUnit"] for c in first.values())
        for node in sorted(first, key=lambda n: first[n]["placement"]["eurPerUnit"]):
            placement = first[node]["placement"]
            euros = placement["eurPerUnit"]
            over = f"{(euros / cheapest - 1) * 100:.1f} %" if cheapest > 0 else "–"
            scores = [str(d["by_name"][node]["score"]) for d in decisions.values()]
            lines.append(f"| {name} | {node} | {figure(euros)} | {over} | {figure(placement['gco2ePerUnit']['mid'])} | "
                         + " | ".join(scores) + " |")
    return "\n".join(lines)


# Requests per second of one replica of an 8-billion-parameter model. That of the H100 follows from ML.ENERGY's 0.0150 Wh
# per request on that card at full load; the others are this example's assumptions.
RATES = {"ice-lake": 0.1, "L4": 1.0, "H100": 12.0}
HARDWARE = {"ice-lake": ("m6i.8xlarge", "", "32", "128Gi"), "L4": ("g6.2xlarge", "NVIDIA-L4", "8", "32Gi"),
            "H100": ("p5.4xlarge", "NVIDIA-H100-80GB-HBM3", "16", "256Gi")}
PLACES = {"FR": ("aws", "eu-west-3"), "SE": ("aws", "eu-north-1"), "DE": ("aws", "eu-central-1"), "PL": ("scaleway", "pl-waw")}
PRICES = {"ice-lake": {"FR": 1.79, "SE": 1.63, "DE": 1.84, "PL": 1.70}, "L4": {"FR": 0.90, "SE": 0.88, "DE": 0.98, "PL": 0.85},
          "H100": {"FR": 3.014, "SE": 3.90, "DE": 4.10, "PL": 3.167}}


def inference() -> dict[str, dict]:
    """Each place and hardware with its candidate."""
    world = World()
    for hardware, (instance_type, gpu, cpu, memory) in HARDWARE.items():
        for place, (provider, region) in PLACES.items():
            world.node(node_name(place, hardware), provider, region, PRICES[hardware][place],
                       instance_type if provider == "aws" else "", gpu, cpu, memory)
        world.signal("model_requests_per_second", RATES[hardware], model="llama-3.1-8b", hardware_class=hardware)
    world.catalogue = {"instances.csv": "provider,instance_type,profile,host_vcpus,source,year,method,licence\n" + "".join(
        f"{provider},{pattern},ice-lake,{host},example,2026,assumption,own\n"
        for provider, pattern, host in [("scaleway", "*", 128), ("aws", "g6.*", 128), ("aws", "p5.*", 192)])}
    candidates = {}
    # On a processor the pod asks for all of it, elsewhere for the accelerator.
    for gpu, requests in [(False, {"cpu": "32", "memory": "64Gi"}), (True, {"cpu": "8", "memory": "28Gi", "nvidia.com/gpu": "1"})]:
        part = World()
        part.catalogue, part.signals = world.catalogue, world.signals
        part.nodes = [n for n in world.nodes if ("nvidia.com/gpu" in n["status"]["allocatable"]) == gpu]
        candidates |= part.score({"model": "llama-3.1-8b", "bound": "throughput", "expected-utilization": "0.9"}, requests)["by_name"]
    return candidates


def node_name(place: str, hardware: str) -> str:
    return f"{place}-{hardware}".lower()


def inference_table() -> str:
    candidates = inference()
    lines = ["| place | hardware | Wh | gCO2e (of it embodied) | € | energy class | carbon class | best for |",
             "|---|---|--:|--:|--:|:-:|:-:|---|"]
    winners: dict[str, list[str]] = {}
    for objective, name in winners_of(candidates).items():
        winners.setdefault(name, []).append(objective)
    for hardware in HARDWARE:
        for place in PLACES:
            name = node_name(place, hardware)
            report = candidates[name]["report"]
            lines.append(f"| {place} | {hardware} | {figure(report['whPerUnit']['mid'])} | {figure(report['gco2ePerUnit']['mid'])} "
                         f"({figure(report['embodiedGco2ePerUnit']['mid'])}) | {report['eurPerUnit']:.6f} | {report['energyClass']} | "
                         f"{report['carbonClass']} | {', '.join(winners.get(name, []))} |")
    return "\n".join(lines)


def winners_of(candidates: dict) -> dict[str, str]:
    """The best by each objective on the report ledger, over pods of different requests, which no one decision compares."""
    grams = {n: c["report"]["gco2ePerUnit"]["mid"] for n, c in candidates.items()}
    euros = {n: c["report"]["eurPerUnit"] for n, c in candidates.items()}
    limit = min(euros.values()) * 1.1
    return {"balanced": min((n for n in euros if euros[n] <= limit), key=lambda n: grams[n]),
            "carbon": min(grams, key=lambda n: grams[n]), "cost": min(euros, key=lambda n: euros[n]),
            "priced": min(euros, key=lambda n: euros[n] + grams[n] * 300 / 1e6)}


TABLES = {ROOT / "docs" / "methodology.md": {"worlds": worlds_table, "inference": inference_table},
          ROOT / "docs" / "signals.md": {"faults": faults.table}}


def rendered(document: pathlib.Path) -> str:
    text = document.read_text()
    for name, make in TABLES[document].items():
        begin, end = f"<!-- table: {name} -->\n", f"\n<!-- end: {name} -->"
        head, rest = text.split(begin)
        text = head + begin + make() + end + rest.split(end)[1]
    return text


if __name__ == "__main__":
    for path in TABLES:
        path.write_text(rendered(path))
