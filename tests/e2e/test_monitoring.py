"""Every query of every dashboard panel has data, from a Prometheus that scraped Sobre beside a real control plane."""
import datetime
import math
import subprocess
import time
import types

import pytest

from tests import promql, world
from tests.e2e.test_clusters import CRD, GROUP
from tests.harness import Prometheus, Sobre, eventually, fetch
from tests.world import INTENSITY, PRICES, REGIONS

COMMITMENTS = """provider,region,instance_type,pool,name,committed,unit,source,year,method,licence
aws,*,*,*,savings plan,12,node,contract,2026,configured,own
"""


def annotations(number: int) -> dict[str, str]:
    return {"sobre.dev/requests-per-second": "20", "sobre.dev/tokens-per-second": "400", "sobre.dev/model": f"llama-{number % 2}",
            "sobre.dev/objective": ["balanced", "carbon", "cost", "priced"][number % 4]}


class Run:
    def __init__(self, plane, sobre, prometheus) -> None:
        self.plane, self.sobre, self.prometheus, self.begin, self.pods = plane, sobre, prometheus, time.time(), 0

    def place(self, count: int) -> None:
        """Pods, every second one with a limit, of which kube-scheduler asks the filter too."""
        names = []
        for _ in range(count):
            self.pods += 1
            names.append(f"pod-{self.pods}")
            limit = {"sobre.dev/denied-operators": "scaleway"} if self.pods % 2 else {}
            self.plane.add_pod(names[-1], annotations(self.pods) | limit, cpu="50m", memory="64Mi", namespace="shop", limits=bool(limit))
        self.plane.wait_placed(names, namespace="shop")
        started = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        for name in names:
            self.plane.call("PATCH", f"/api/v1/namespaces/shop/pods/{name}/status", {"status": {"phase": "Running", "startTime": started}},
                            content_type="application/merge-patch+json")

    def values(self, target: dict) -> list[float]:
        """What a panel would draw."""
        expression = promql.substitute(target["expr"])
        if target["instant"]:
            found = [series["value"] for series in self.prometheus.ask("query", query=expression)["result"]]
        else:
            found = [value for series in self.prometheus.ask("query_range", query=expression, start=self.begin, end=time.time(), step="2s")["result"]
                     for value in series["values"]]
        return [float(value) for _, value in found]

    def empty(self) -> list[str]:
        return [f"{name}: {panel['title']}: {target['expr']}" for name, panel, target in promql.queries()
                if all(math.isnan(value) for value in self.values(target))]


@pytest.fixture(scope="module")
def run(control_plane, exporter, prometheus, postgres, tmp_path_factory, sobre_bin):
    world.add_nodes(control_plane)
    control_plane.add_namespace("shop")
    exporter.text = world.exporter_text(PRICES, INTENSITY)
    # It is the hub of one cluster as well.
    control_plane.add_namespace("paris")
    control_plane.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", CRD)
    eventually(lambda: control_plane.call("GET", f"/apis/{GROUP}/v1alpha1/addonplacementscores"), "the API server serves the resource")
    folder = tmp_path_factory.mktemp("sobre")
    (folder / "rows").mkdir()
    (folder / "rows" / "commitments.csv").write_text(COMMITMENTS)
    config = world.sobre_config(control_plane, prometheus) | {
        "records": {"directory": str(folder / "records"), "postgres": postgres.url()}, "accounting": {"every": "1s", "flush": "1s"},
        "budgets": [{"namespace": "shop", "eur_per_month": 500, "kg_co2e_per_month": 20}],
        "clusters": {"enabled": True, "every": "1s", "valid_for": "1m", "managed": [{"name": "paris", "provider": "scaleway", "region": "fr-par"}]},
        "catalog": {"directory": "rows"}, "limits": {"trust_node_labels": True}}
    sobre = Sobre(folder, config)
    own = Prometheus(tmp_path_factory.mktemp("monitoring"), types.SimpleNamespace(address=f"127.0.0.1:{sobre.status_port}"),
                     rules=sorted(promql.RULES.glob("*.yaml")))
    eventually(lambda: all(sobre.nodes()[f"{r}-0"]["liveGco2ePerKwh"] == INTENSITY[r] for r in REGIONS), "signals are there")
    control_plane.start_scheduler(sobre.url)
    yield Run(control_plane, sobre, own)
    own.stop()
    sobre.stop()


def metric(sobre: Sobre, series: str) -> float:
    text = fetch(sobre.status_url + "/metrics").decode()
    return next((float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(series)), 0)


def test_every_query_of_every_panel_has_data(run, postgres):
    run.place(4)
    eventually(lambda: metric(run.sobre, "sobre_workload_tokens_total{") > 0 and metric(run.sobre, "sobre_records_shipped_total") > 0, "usage is there", 120)
    # Budgets are judged at the start, and forecast from an hour on: what is there is made two hours older.
    assert run.sobre.stop() == 0
    postgres.query("UPDATE usage SET begin_ms = begin_ms - 7200000")
    run.sobre.start()

    def complete() -> bool:
        run.place(4)
        return run.empty() == []
    try:
        eventually(complete, "every query has data", 240, 2)
    except AssertionError:
        pytest.fail("no data in\n  " + "\n  ".join(run.empty()), pytrace=False)


def test_all_metrics_of_the_run_are_documented_and_keep_the_conventions(run):
    text = fetch(run.sobre.status_url + "/metrics").decode()
    promql.assert_documented(text)
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_rules_are_evaluated_and_no_alert_fires(run):
    rules = [rule for group in run.prometheus.ask("rules")["groups"] for rule in group["rules"]]
    assert len(rules) > 30 and [rule for rule in rules if rule["health"] == "err"] == []
    assert [a["labels"]["alertname"] for a in run.prometheus.ask("alerts")["alerts"] if a["state"] == "firing"] == []
    for recorded in ["cluster:sobre_requests:rate5m", "cluster:sobre_decisions_live:ratio_rate15m", "workload:sobre_gco2e_per_request:ratio_rate1h"]:
        eventually(lambda r=recorded: run.prometheus.ask("query", query=r)["result"], f"{recorded} has a value", 180, 1)


def test_what_is_drawn_is_what_was_done(run):
    """The API server's pods, and the euros of the placed pods by hand."""
    placed = run.plane.placements("shop")
    eventually(lambda: metric(run.sobre, "sobre_running_pods") == len(placed), "all pods are accounted for")
    # 50m and 64 MiB of 16 vCPU and 64 GiB each: between what the processor's and what the memory's share alone would cost.
    per_hour = metric(run.sobre, "sobre_running_eur_per_second") * 3600
    prices = [PRICES[node.rsplit("-", 1)[0]] for node in placed.values()]
    assert sum(prices) * 0.0625 / 64 < per_hour < sum(prices) * 0.05 / 16
    assert 0 < metric(run.sobre, 'sobre_bindings_total{scheduler="sobre"}') <= len(placed)
