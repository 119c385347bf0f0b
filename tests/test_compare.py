"""`sobre compare` on the cases of docs/compare.md, held against the same calculation made here."""
import json
import re
import subprocess

import pytest
import yaml

from tests import programs
from tests.harness import ROOT

AT = "2026-11-24T00:00:00Z"
GIB = 2**30 / 1e9
# From the catalogue's rows: grid; PUE; watts per vCPU idle and full, vcpus of the server; embodied kg low, mid, high and hours.
GRID = {"FR": 56.039, "PL": 661.926, "DE": 380.95, "SE": 40.695}
CLOUDS = {"paris": ("FR", 1.25, (0.456, 1.957), 128, "instance"), "warsaw": ("PL", 1.51, (0.456, 1.957), 128, "instance"),
          "stockholm": ("SE", 1.10, (0.74, 3.5), 96, "provider")}
SERVER = ((460, 900, 2087), 35040)
GPU_SERVER = ((655, 1500, 3943), 26280)
H100 = ((164, 575, 575), 26280, 84, 714)
LIST_PRICE = {"cpu": 0.031611, "gb": 0.004237, "gpu": 0.95}
POWER_BAND = {"instance": (0.75, 1, 1.25), "provider": (0.6, 1, 1.5), "world": (0.5, 1, 2)}
GRID_BAND, PUE_BAND = (0.75, 1, 1.25), (0.98, 1, 1.02)


def block(name: str) -> str:
    return re.search(rf"```\w+ {re.escape(name)}\n(.*?)```", (ROOT / "docs" / "compare.md").read_text(), re.S)[1]


def gib(text: str) -> float:
    return float(text[:-2]) * {"Gi": 1, "Ti": 1024}[text[-2:]]


def bounds(*factors: tuple) -> tuple:
    out = [1, 1, 1]
    for factor in factors:
        out = [a * b for a, b in zip(out, factor)]
    return tuple(out)


def parts(offer: dict, pod: dict) -> dict:
    """F and V of a unit by low, mid and high, in euros and grams, and what the contract makes of it."""
    annotations = pod["metadata"]["annotations"]
    requests = pod["spec"]["containers"][0]["resources"]["requests"]
    cpu, memory, gpus = float(requests["cpu"]), gib(requests["memory"]), float(requests.get("nvidia.com/gpu", 0))
    load = float(annotations["sobre.dev/expected-utilization"])
    units = 3600 * float(annotations["sobre.dev/requests-per-second"]) if "sobre.dev/requests-per-second" in annotations else 1
    size_cpu, size_memory, size_gpus = float(offer["cpu"]), gib(offer["memory"]), float(offer.get("gpus", 0))
    own = offer.get("own")
    if own:
        grid, pue = GRID[offer["grid_zone"]], own["pue"]
        stated = "idle_watts" in own
        watts = (own["idle_watts"] / size_cpu, own["full_watts"] / size_cpu) if stated else (0.767, 3.758)
        band = "instance" if stated else "world"
        host, years = size_cpu, own["lifetime_years"]
        price = own["purchase_eur"] / (years * 8760) + own.get("running_eur_per_year", 0) / 8760
    else:
        zone, pue, watts, host, band = CLOUDS[offer["name"]]
        grid, price = GRID[zone], offer["eur_per_hour"]
    whole = [LIST_PRICE["cpu"] * size_cpu, LIST_PRICE["gb"] * size_memory * GIB, LIST_PRICE["gpu"] * size_gpus]
    mine = [whole[0] * cpu / size_cpu, whole[1] * memory / size_memory, LIST_PRICE["gpu"] * gpus]
    share = sum(mine) / sum(whole)
    idle = (watts[0] * cpu + 0.392 * memory * GIB + H100[2] * gpus) * pue / 1000
    work = ((watts[1] - watts[0]) * cpu + (H100[3] - H100[2]) * gpus) * load * pue / 1000
    kilograms, hours = GPU_SERVER if gpus else SERVER
    if own and "embodied_kgco2e" in own:
        kilograms = tuple(own["embodied_kgco2e"][k] for k in ("low", "mid", "high"))
    server_hours, gpu_hours = (own["lifetime_years"] * 8760,) * 2 if own else (hours, H100[1])
    embodied = [1000 * (k * cpu / host / server_hours + g * gpus / gpu_hours) for k, g in zip(kilograms, H100[0])]
    energy = bounds(POWER_BAND[band], PUE_BAND)
    carbon = bounds(energy, GRID_BAND)
    kwh_price = own["electricity_eur_per_kwh"] if own else 0
    figures = {"F_eur": [price * share + idle * kwh_price * e for e in energy], "V_eur": [work * kwh_price * e for e in energy],
               "F_g": [idle * grid * c + m for c, m in zip(carbon, embodied)], "V_g": [work * grid * c for c in carbon]}
    found = {k: [x / units for x in v] for k, v in figures.items()}
    use = own["utilization"] if own else 1
    found["eur"] = [f / use + v for f, v in zip(found["F_eur"], found["V_eur"])]
    found["g"] = [f / use + v for f, v in zip(found["F_g"], found["V_g"])]
    if own and "contract_gco2e_per_kwh" in own:
        found["market"] = ((idle / use + work) * own["contract_gco2e_per_kwh"] + embodied[1] / use) / units
    return found


def use_from(fixed: list, added: list, other: list) -> list:
    def at(f, v, c):
        return f / (c - v) if c > v and f <= c - v else None
    return [at(f, v, c) for f, v, c in zip(fixed, added, reversed(other))]


def carbon_price(a: dict, b: dict) -> list:
    clean, cheap = (a, b) if a["g"][1] < b["g"][1] else (b, a)
    if clean["eur"][1] <= cheap["eur"][1]:
        return [None, None, None]
    found = []
    for low, high in ((0, 2), (1, 1), (2, 0)):
        euros, grams = clean["eur"][low] - cheap["eur"][high], cheap["g"][high] - clean["g"][low]
        found.append(max(euros, 0) / grams * 1e6 if grams > 0 else None)
    return found


def same(answer, expected: list, where: str) -> None:
    for key, value in zip(("low", "mid", "high"), expected):
        assert answer[key] == (None if value is None else pytest.approx(value, rel=1e-9)), (where, key)


class Case:
    def __init__(self, folder, number: int) -> None:
        self.folder = folder
        self.pod, self.offers = json.loads(block(f"case-{number}-pod")), yaml.safe_load(block(f"case-{number}-offers"))["offers"]
        (folder / "pod.json").write_text(block(f"case-{number}-pod"))
        (folder / "offers.yaml").write_text(block(f"case-{number}-offers"))

    def run(self, *more: str) -> subprocess.CompletedProcess:
        return subprocess.run([programs.sobre(), "compare", "--in", str(self.folder / "offers.yaml"), "--pod", str(self.folder / "pod.json"),
                               "--at", AT, *more], capture_output=True, text=True)


@pytest.fixture
def case(tmp_path):
    return Case(tmp_path, 1)


@pytest.mark.parametrize("number", [1, 2])
def test_the_documented_cases_are_what_a_hand_calculates(tmp_path, number):
    case = Case(tmp_path, number)
    answer = json.loads(case.run("--format", "json").stdout)
    hand = {o["name"]: parts(o, case.pod) for o in case.offers}
    assert [o["offer"] for o in answer["offers"]] == list(hand)
    for offer in answer["offers"]:
        expected = hand[offer["offer"]]
        for where, found, key in [("total eur", offer["eurPerUnit"], "eur"), ("total g", offer["gco2ePerUnit"], "g"),
                                  ("fixed eur", offer["fixedAtFullUse"]["eur"], "F_eur"), ("fixed g", offer["fixedAtFullUse"]["gco2e"], "F_g"),
                                  ("added eur", offer["addedByWork"]["eur"], "V_eur"), ("added g", offer["addedByWork"]["gco2e"], "V_g")]:
            same(found, expected[key], f"{offer['offer']} {where}")
        assert offer["marketGco2ePerUnit"] == (pytest.approx(expected["market"]) if "market" in expected else None)
        assert offer["pricedEurPerUnit"] == pytest.approx(expected["eur"][1] + expected["g"][1] * 300 / 1e6)
    clouds = [o["name"] for o in case.offers if "own" not in o]
    own = next(o["name"] for o in case.offers if "own" in o)
    assert [(p["offer"], p["against"]) for p in answer["pairs"]] == [(own, cloud) for cloud in clouds]
    for pair in answer["pairs"]:
        a, b = hand[pair["offer"]], hand[pair["against"]]
        same(pair["breakEvenUtilizationEur"], use_from(a["F_eur"], a["V_eur"], b["eur"]), pair["against"])
        same(pair["breakEvenUtilizationGco2e"], use_from(a["F_g"], a["V_g"], b["g"]), pair["against"])
        same(pair["breakEvenCarbonPriceEurPerTonne"], carbon_price(a, b), pair["against"])


@pytest.mark.parametrize("number", [1, 2])
def test_the_documented_output_is_the_real_one(tmp_path, number):
    done = Case(tmp_path, number).run()
    assert done.returncode == 0, done.stderr
    # The version of the catalogue changes with any of its rows.
    version = re.compile(r"catalogue [0-9a-f]{16}")
    assert version.sub("", done.stdout) == version.sub("", block(f"case-{number}-output"))


def test_one_that_is_better_in_both_leaves_no_carbon_price(case):
    text = (case.folder / "offers.yaml").read_text()
    (case.folder / "offers.yaml").write_text(text.replace("eur_per_hour: 0.32", "eur_per_hour: 0.5"))
    pair = json.loads(case.run("--format", "json").stdout)["pairs"][1]
    assert pair["betterInBoth"] == "rack" and pair["breakEvenCarbonPriceEurPerTonne"] == {"low": None, "mid": None, "high": None}
    assert "no break-even carbon price: rack is better in both euros and grams" in case.run().stdout


def test_without_a_price_the_catalogue_estimates_with_its_band(case):
    text = (case.folder / "offers.yaml").read_text()
    (case.folder / "offers.yaml").write_text(text.replace("    eur_per_hour: 0.44\n", ""))
    paris = json.loads(case.run("--format", "json").stdout)["offers"][1]
    assert paris["eurPerUnit"] is None  # in dollars, and no rate is configured
    (case.folder / "sobre.yaml").write_text("currencies: [{currency: USD, eur: 0.5, date: 2026-11-01}]\n")
    euros = json.loads(case.run("--format", "json", "--config", str(case.folder / "sobre.yaml")).stdout)["offers"][1]["eurPerUnit"]
    mid = 0.5 * (4 * 0.031611 + 16 * GIB * 0.004237)
    assert [euros[k] for k in ("low", "mid", "high")] == pytest.approx([0.7 * mid, mid, 1.5 * mid])


def test_limits_of_place_refuse(case):
    pod = json.loads((case.folder / "pod.json").read_text())
    pod["metadata"]["annotations"]["sobre.dev/allowed-countries"] = "FR"
    (case.folder / "pod.json").write_text(json.dumps(pod))
    offers = json.loads(case.run("--format", "json").stdout)["offers"]
    assert "country PL is not allowed" in offers[2]["refused"] and not offers[1]["refused"]


@pytest.mark.parametrize("old, new, said", [
    ("purchase_eur: 14000", "purchase_euro: 14000", "offers.yaml:9: unknown key 'offers[0].own.purchase_euro'; did you mean 'purchase_eur'?"),
    ("utilization: 0.4", "utilization: 40", "utilization: '40' is no number from 0.001 to 1"),
    ("      pue: 1.5\n", "", "offers[0].own: pue: is needed"),
    ("name: paris", "name: rack", "'rack' stands there twice"),
    ("memory: 64Gi", "memory: much", "memory: expected a quantity"),
    ("full_watts: 500", "full_watts: 100", "idle_watts and full_watts go together"),
    ("{low: 900, mid: 1500, high: 3000}", "{low: 900, mid: 500, high: 3000}", "expected low, mid and high in this order")])
def test_a_mistake_in_the_file_is_told(case, old, new, said):
    path = case.folder / "offers.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    done = case.run()
    assert done.returncode == 2 and said in done.stderr and not done.stdout, done.stderr


def test_wrong_usage_is_told(case):
    assert "--format: expected text or json" in case.run("--format", "xml").stderr
    assert case.run("--nodes", "/nowhere").returncode == 2
