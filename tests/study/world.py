"""The clusters, workloads, prices and policies of the study, as scenarios of `sobre backtest`."""
import dataclasses
import datetime
import random

YEAR, NODES, SEEDS = 2019, 1000, 20
WARM_UP_HOURS, HOURS = 24, 7 * 24
FILL = 0.5  # of the vCPUs, before weekends
MAX_DELAY_HOURS = 12


@dataclasses.dataclass(frozen=True)
class Region:
    provider: str
    name: str
    list_price: float  # EUR/h of the older machine of 16 vCPU and 64 GiB; an example near public list prices, nobody's quote


REGIONS = {
    "SE": Region("aws", "eu-north-1", 0.82), "FR": Region("aws", "eu-west-3", 0.90), "BE": Region("gcp", "europe-west1", 0.85),
    "FI": Region("gcp", "europe-north1", 0.85), "GB": Region("aws", "eu-west-2", 0.89), "IE": Region("aws", "eu-west-1", 0.86),
    "DE": Region("aws", "eu-central-1", 0.92), "PL": Region("gcp", "europe-central2", 1.00)}
OLDER = {"aws": "m5n.4xlarge", "gcp": "n2-standard-16"}    # both Cascade Lake
NEWER = {"aws": "m6a.4xlarge", "gcp": "n2d-standard-16"}   # EPYC of the third and of the second generation
GENERATIONS = ["m5n.4xlarge", "m6i.4xlarge", "m6a.4xlarge", "m7a.4xlarge"]
NEWER_COSTS = 0.88   # of the older machine's price, in the list
MIDDLE_PRICE = 0.88  # EUR/h
SPREAD = 0.20        # how far prices go above and below it where they follow the grid

MIXES = {"services": (0.7, 0.1, 0.2), "inference": (0.2, 0.7, 0.1), "batch": (0.3, 0.2, 0.5)}  # shares of services, inference, jobs
LEVER_MIXES = ["services", "batch"]
PRICES = ["equal", "list", "clean is dear", "dirty is dear"]

ALONE = {"name": "kube-scheduler alone", "sobre": False}
COST, BALANCED, CARBON = ({"name": o, "objective": o, "waiting": False} for o in ("cost", "balanced", "carbon"))
WAITING = {"name": "carbon, waiting", "objective": "carbon"}
STALE = {"name": "carbon, 12 h old", "objective": "carbon", "waiting": False, "signal_age": "12h"}


@dataclasses.dataclass
class Grids:
    """What the loader wrote: by hour's begin as text, then by country."""
    average: dict[str, dict[str, float]]
    margin: dict[str, dict[str, float]]

    def mean(self, zone: str) -> float:
        return sum(hour[zone] for hour in self.average.values()) / len(self.average)

    def by_cleanness(self) -> list[str]:
        return sorted(REGIONS, key=self.mean)

    def _days(self, zone: str) -> list[list[float]]:
        days: dict[str, list[float]] = {}
        for time, hour in self.average.items():
            days.setdefault(time[:10], []).append(hour[zone])
        return [day for day in days.values() if len(day) == 24]

    def swing(self, zone: str) -> float:
        """How far it moves within a day, as a share of the day's mean; the mean of all days."""
        days = self._days(zone)
        return sum((max(day) - min(day)) / (sum(day) / 24) for day in days) / len(days)

    def flattest(self) -> str:
        return min(REGIONS, key=self.swing)

    def most_crossing(self) -> tuple[str, str]:
        """The two grids of which the cleaner one changes most often within twelve hours."""
        times = sorted(self.average)
        def crossings(pair):
            cleaner = [self.average[time][pair[0]] < self.average[time][pair[1]] for time in times]
            return sum(a != b for a, b in zip(cleaner, cleaner[12:]))
        zones = sorted(REGIONS)
        return max(((a, b) for i, a in enumerate(zones) for b in zones[i + 1:]), key=crossings)

    def start(self, seed: int, seeds: int) -> str:
        """The first hour of the seed's own week, a midnight: a day drawn from the seed's part of the year, so that all seasons are there. Where
        hours are missing, the next day that has all."""
        first = datetime.datetime(YEAR, 1, 1)
        days = 365 - (WARM_UP_HOURS + HOURS) // 24
        drawn = int((seed - 1 + random.Random(seed).random()) / seeds * days)
        for later in range(days + 1):
            start = first + datetime.timedelta(days=(drawn + later) % (days + 1))
            hours = (start + datetime.timedelta(hours=h) for h in range(WARM_UP_HOURS + HOURS))
            if all(f"{hour:%Y-%m-%dT%H:00:00Z}" in self.average for hour in hours):
                return f"{start:%Y-%m-%dT%H:00:00Z}"
        raise ValueError("no week of the year has all its hours")


def pool(name: str, zone: str, machine: str, nodes: int, price: float) -> dict:
    region = REGIONS[zone]
    return {"name": name, "nodes": nodes, "provider": region.provider, "region": region.name, "grid_zone": zone, "instance_type": machine,
            "cpu": 16, "memory": "64Gi", "eur_per_hour": round(price, 4)}


def price_of(prices: str, zone: str, grids: Grids) -> float:
    """EUR/h of the older machine."""
    if prices == "equal":
        return MIDDLE_PRICE
    if prices == "list":
        return REGIONS[zone].list_price
    order = grids.by_cleanness()
    dear = 1 - 2 * order.index(zone) / (len(order) - 1)  # 1 for the cleanest, −1 for the dirtiest
    return MIDDLE_PRICE * (1 + SPREAD * (dear if prices == "clean is dear" else -dear))


def shares(nodes: int, parts: int) -> list[int]:
    return [nodes * (i + 1) // parts - nodes * i // parts for i in range(parts)]


def everywhere(nodes: int, prices: str, grids: Grids) -> list[dict]:
    """All regions, half of each the older machine, half the newer."""
    sizes = iter(shares(nodes, 2 * len(REGIONS)))
    pools = []
    for zone, region in REGIONS.items():
        price = price_of(prices, zone, grids)
        newer = NEWER_COSTS if prices == "list" else 1
        pools.append(pool(f"{zone.lower()}-older", zone, OLDER[region.provider], next(sizes), price))
        pools.append(pool(f"{zone.lower()}-newer", zone, NEWER[region.provider], next(sizes), price * newer))
    return pools


def alike(nodes: dict[str, int]) -> list[dict]:
    """The older machine at one price, so many in each grid."""
    return [pool(zone.lower(), zone, OLDER[REGIONS[zone].provider], count, MIDDLE_PRICE) for zone, count in nodes.items()]


@dataclasses.dataclass(frozen=True)
class Cell:
    """One cluster and workload, played for each seed under several policies; the first is what the others are held against."""
    name: str
    pools: list[dict]
    mix: str
    policies: list[dict]
    fill: float = FILL
    wait_below: float = 0  # gCO2e/kWh; half of the jobs wait for it
    foresight: str = "yesterday"
    bound_to: str = ""     # all services stay in this country

    def scenario(self, seed: int, seeds: int, grids: Grids) -> dict:
        services, inference, jobs = MIXES[self.mix]
        work = {"fill": self.fill, "services": services, "inference": inference, "jobs": jobs, "smallest_vcpus": 1.5, "largest_vcpus": 6,
                "job_median_hours": 4}
        if self.wait_below:
            work |= {"wait_below_gco2e_per_kwh": self.wait_below, "waiting_share": 0.5, "max_delay_hours": MAX_DELAY_HOURS}
        if self.bound_to:
            work |= {"bound_share": 1, "countries": self.bound_to}
        return {"name": self.name, "start": grids.start(seed, seeds), "hours": WARM_UP_HOURS + HOURS, "warm_up_hours": WARM_UP_HOURS, "seed": seed,
                "foresight": self.foresight, "pools": self.pools, "intensity": {"file": "grid.csv"}, "marginal_intensity": {"file": "margin.csv"},
                "workload": {"generate": work}, "policies": self.policies}


# Waits for the cleanest hour that is foreseen: no grid is as clean as this.
CLEANEST_HOUR = 1
# What the two cleanest grids are below more often than not.
CLEAN = 60
FILLS = [0.2, 0.95]


def cells(nodes: int, grids: Grids) -> dict[str, Cell]:
    made: list[Cell] = []
    for mix in MIXES:
        for prices in PRICES:
            # At equal prices the levers are told apart, so waiting is played there too.
            equal = prices == "equal"
            made.append(Cell(f"{mix}/{prices}", everywhere(nodes, prices, grids), mix, [ALONE, COST, BALANCED, CARBON] + ([WAITING] if equal else []),
                             wait_below=CLEAN if equal else 0))
        if mix not in LEVER_MIXES:
            continue
        made.append(Cell(f"{mix}/region", alike(dict(zip(REGIONS, shares(nodes, len(REGIONS))))), mix, [ALONE, CARBON]))
        generations = [pool(machine.split(".")[0], "DE", machine, count, MIDDLE_PRICE)
                       for machine, count in zip(GENERATIONS, shares(nodes, len(GENERATIONS)))]
        made.append(Cell(f"{mix}/hardware", generations, mix, [ALONE, CARBON]))
        made.append(Cell(f"{mix}/hour", alike({"DE": nodes}), mix, [ALONE, CARBON, WAITING], wait_below=CLEANEST_HOUR))
    made.append(Cell("hour, foreseen", alike({"DE": nodes}), "batch", [ALONE, WAITING], wait_below=CLEANEST_HOUR, foresight="perfect"))
    made.append(Cell("hour, flattest", alike({grids.flattest(): nodes}), "batch", [ALONE, WAITING], wait_below=CLEANEST_HOUR))
    for fill in FILLS:
        made.append(Cell(f"fill {fill}", everywhere(nodes, "list", grids), "services", [ALONE, BALANCED, CARBON], fill=fill))
    home = nodes * 6 // 10
    elsewhere = dict(zip((zone for zone in REGIONS if zone != "DE"), shares(nodes - home, len(REGIONS) - 1)))
    made.append(Cell("bound", alike({"DE": home} | elsewhere), "services", [ALONE, CARBON], bound_to="DE"))
    made.append(Cell("stale", alike(dict(zip(grids.most_crossing(), shares(nodes, 2)))), "batch", [ALONE, CARBON, STALE]))
    made.append(Cell("full, waiting", everywhere(nodes, "equal", grids), "services", [ALONE, CARBON, WAITING], fill=0.8, wait_below=CLEAN))
    return {cell.name: cell for cell in made}
