"""Twenty nodes in four regions, with prices and intensities that an exporter tells: what e2e and ./run cluster share."""

REGIONS = {"fr-par": ("scaleway", "scaleway://instance/fr-par-1/"), "pl-waw": ("scaleway", "scaleway://instance/pl-waw-1/"),
           "eu-central-1": ("aws", "aws:///eu-central-1a/"), "eu-north-1": ("aws", "aws:///eu-north-1a/")}
# Euros an hour for 16 vCPU and 64 GiB, all within 10 % of the cheapest; average gCO2e/kWh.
PRICES = {"fr-par": 0.78, "pl-waw": 0.75, "eu-central-1": 0.80, "eu-north-1": 0.82}
INTENSITY = {"fr-par": 56.0, "pl-waw": 662.0, "eu-central-1": 381.0, "eu-north-1": 41.0}
SIGNALS = [
    {"signal": "node_price_per_hour", "query": "node_total_hourly_cost", "max_age": "1m"},
    {"signal": "grid_gco2e_per_kwh", "query": "grid_intensity_carbon_average", "max_age": "1m"},
]
NODES = [(f"{region}-{i}", region) for region in REGIONS for i in range(5)]


def add_nodes(plane) -> None:
    for name, region in NODES:
        plane.add_node(name, REGIONS[region][1], region)


def exporter_text(prices: dict, intensity: dict) -> str:
    lines = [f'node_total_hourly_cost{{node="{name}"}} {prices[region]}' for name, region in NODES]
    lines += [f'grid_intensity_carbon_average{{provider="{REGIONS[r][0]}",region="{r}"}} {intensity[r]}' for r in REGIONS]
    return "\n".join(lines) + "\n"


def signals_json(prices: dict, intensity: dict) -> list:
    """The same for `sobre score`."""
    signals = [{"signal": "node_price_per_hour", "labels": {"node": name}, "value": prices[region]} for name, region in NODES]
    return signals + [{"signal": "grid_gco2e_per_kwh", "labels": {"provider": REGIONS[r][0], "region": r}, "value": intensity[r]}
                      for r in REGIONS]


def sobre_config(plane, prometheus) -> dict:
    return {"kubernetes": {"kubeconfig": str(plane.kubeconfig)},
            "prometheus": {"url": prometheus.url, "refresh": "500ms", "timeout": "2s", "signals": SIGNALS}}
