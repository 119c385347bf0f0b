#!/usr/bin/env python3
"""Writes the Grafana dashboards beside it: `generate.py` after a change here. tests/test_monitoring.py says if they differ."""
import json
import pathlib

FOLDER = pathlib.Path(__file__).resolve().parent
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
C = 'cluster=~"$cluster"'
N = 'cluster=~"$cluster", namespace=~"$namespace"'
W = N + ', workload=~"$workload"'
M = 'cluster=~"$cluster", model=~"$model"'
# What accounting adds up moves once a minute: a shorter step would show its ticks instead of rates.
USAGE_STEP = "5m"
GREEN, YELLOW, ORANGE, RED = "green", "yellow", "orange", "red"
INTENSITY = "suffix: gCO2e/kWh"


def rate(metric: str, labels: str, by: str = "") -> str:
    return f"sum{f' by ({by}) ' if by else ' '}(rate({metric}{{{labels}}}[$__rate_interval]))"


def per(one: tuple, other: tuple, by: str) -> str:
    """The ratio of two rates; nothing where there is nothing to divide by."""
    return f"{rate(*one, by)} / ({rate(*other, by)} > 0)"


def steps(*bounds) -> dict:
    """Colours from a value on: steps(GREEN, (0.8, ORANGE), (1, RED))."""
    return {"mode": "absolute", "steps": [{"color": bounds[0], "value": None}] + [{"color": c, "value": v} for v, c in bounds[1:]]}


def grades() -> list:
    """Letters, so that a class does not depend on its colour."""
    colors = ["dark-green", "green", "semi-dark-yellow", "yellow", "orange", "red", "dark-red"]
    return [{"type": "value", "options": {str(i + 1): {"text": "ABCDEFG"[i], "color": color, "index": i} for i, color in enumerate(colors)}}]


def panel(kind: str, title: str, description: str, unit: str, *queries, width: int = 12, height: int = 8, **more) -> dict:
    """A query is an expression, or (expression, legend). `more`: decimals, thresholds, min, max, mappings, step, stacked, options, overrides,
    transformations."""
    instant = kind == "table"
    targets = []
    for i, query in enumerate(queries):
        expr, legend = query if isinstance(query, tuple) else (query, "")
        targets.append({"refId": chr(ord("A") + i), "datasource": DATASOURCE, "editorMode": "code", "expr": expr, "legendFormat": legend or "__auto",
                        "instant": instant, "range": not instant,
                        "format": "table" if instant else "heatmap" if kind == "heatmap" else "time_series"})
    defaults = {"unit": unit, "thresholds": more.get("thresholds", steps(GREEN)), "mappings": more.get("mappings", []),
                "color": {"mode": "palette-classic" if kind == "timeseries" else "thresholds"}}
    defaults |= {key: more[key] for key in ("decimals", "min", "max") if key in more}
    if kind == "timeseries":
        stacked = more.get("stacked", False)
        defaults["custom"] = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 30 if stacked else 5, "showPoints": "never", "spanNulls": True,
                              "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
                              "thresholdsStyle": {"mode": "line" if "thresholds" in more else "off"}}
    result = {"type": kind, "title": title, "description": description, "datasource": DATASOURCE, "targets": targets,
              "fieldConfig": {"defaults": defaults, "overrides": more.get("overrides", [])}, "options": options_of(kind) | more.get("options", {}),
              "size": (width, height)}
    if "step" in more:
        result["interval"] = more["step"]
    if "transformations" in more:
        result["transformations"] = more["transformations"]
    return result


def options_of(kind: str) -> dict:
    last = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    return {
        "stat": {"reduceOptions": last, "colorMode": "value", "graphMode": "area", "justifyMode": "auto", "orientation": "auto", "textMode": "auto"},
        "timeseries": {"legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["mean", "lastNotNull"]},
                       "tooltip": {"mode": "multi", "sort": "desc"}},
        "bargauge": {"reduceOptions": last, "displayMode": "basic", "orientation": "horizontal", "showUnfilled": True, "valueMode": "color"},
        "table": {"showHeader": True, "cellHeight": "sm", "footer": {"show": False, "reducer": ["sum"], "countRows": False, "fields": ""}},
        "heatmap": {"calculate": False, "cellGap": 1, "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5, "fill": "dark-orange"},
                    "yAxis": {"unit": "s", "axisPlacement": "left"}, "legend": {"show": True}, "tooltip": {"mode": "single", "yHistogram": False},
                    "rowsFrame": {"layout": "auto"}, "filterValues": {"le": 1e-9}, "cellValues": {}},
    }[kind]


def columns(names: dict, hidden: tuple = ("Time",)) -> list:
    """Several instant queries as one table, with these headings."""
    return [{"id": "merge", "options": {}},
            {"id": "organize", "options": {"excludeByName": {name: True for name in hidden}, "renameByName": names, "indexByName": {}}}]


def units(by_heading: dict) -> list:
    return [{"matcher": {"id": "byName", "options": name}, "properties": [{"id": "unit", "value": unit}]} for name, unit in by_heading.items()]


def row(title: str, *panels) -> tuple:
    return title, panels


def variable(name: str, label: str, query: str) -> dict:
    return {"name": name, "label": label, "type": "query", "datasource": DATASOURCE, "definition": query, "query": {"query": query, "refId": name},
            "includeAll": True, "allValue": ".*", "multi": True, "refresh": 2, "sort": 1, "regex": "", "hide": 0, "skipUrlSync": False, "options": [],
            "current": {"selected": True, "text": ["All"], "value": ["$__all"]}}


DATASOURCE_VARIABLE = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "regex": "", "refresh": 1, "hide": 0,
                       "includeAll": False, "multi": False, "skipUrlSync": False, "options": [], "current": {}}
# A single Prometheus has no cluster label: then there is nothing to choose, and All matches what lacks it.
CLUSTER = variable("cluster", "Cluster", "label_values(sobre_build_info, cluster)")
NAMESPACE = variable("namespace", "Namespace", f"label_values(sobre_attributed_eur_total{{{C}}}, namespace)")
WORKLOAD = variable("workload", "Workload", f"label_values(sobre_workload_eur_total{{{N}}}, workload)")
MODEL = variable("model", "Model", f"label_values(sobre_model_eur_total{{{C}}}, model)")


def dashboard(uid: str, title: str, description: str, variables: list, rows: list) -> dict:
    panels, y = [], 0
    for name, contents in rows:
        panels.append({"id": len(panels) + 1, "type": "row", "title": name, "collapsed": False, "panels": [], "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}})
        y, x, tallest = y + 1, 0, 0
        for content in contents:
            width, height = content.pop("size")
            if x + width > 24:
                x, y, tallest = 0, y + tallest, 0
            panels.append({"id": len(panels) + 1} | content | {"gridPos": {"x": x, "y": y, "w": width, "h": height}})
            x, tallest = x + width, max(tallest, height)
        y += tallest
    link = {"title": "Sobre", "type": "dashboards", "tags": ["sobre"], "asDropdown": False, "icon": "external link", "includeVars": True, "keepTime": True,
            "targetBlank": False, "tooltip": "", "url": ""}
    return {"uid": uid, "title": title, "description": description, "tags": ["sobre"], "schemaVersion": 39, "version": 1, "id": None, "editable": True,
            "graphTooltip": 1, "refresh": "1m", "timezone": "browser", "time": {"from": "now-24h", "to": "now"}, "weekStart": "", "fiscalYearStartMonth": 0,
            "liveNow": False, "links": [link], "annotations": {"list": []}, "templating": {"list": [DATASOURCE_VARIABLE] + variables}, "timepicker": {},
            "panels": panels}


def change(what: str) -> str:
    return per((f"sobre_placement_{what}_total", N + ', of="node"'), (f"sobre_placement_{what}_total", N + ', of="mean_candidate"'), "") + " - 1"


def once(metric: str, by: str = "", labels: str = C) -> str:
    """A figure of the cluster that every replica tells: once, and added up over clusters."""
    inner = f"max by (cluster{', ' + by if by else ''}) ({metric}{{{labels}}})"
    return f"sum by ({by}) ({inner})" if by else f"sum({inner})"


def overview() -> dict:
    grams = "sobre_attributed_gco2e_total"
    located = N + ', scope=~"operational|embodied"'
    better = steps(GREEN, (0, ORANGE), (0.1, RED))
    budget = {"min": 0, "thresholds": steps(GREEN, (0.8, ORANGE), (1, RED)), "width": 12, "height": 7}
    return dashboard("sobre-overview", "Sobre / Overview", "Euros and grams of what runs, against what the mean of the candidates would have taken.", [CLUSTER, NAMESPACE], [
        row("Now",
            panel("stat", "Emissions per hour", "gCO2e that all running pods answer for in an hour, at this moment's rates: electricity by location, and hardware.", "massg",
                  once("sobre_running_gco2e_per_second") + " * 3600", width=4, height=5),
            panel("stat", "Cost per hour", "Euros that all running pods cost in an hour, at this moment's rates.", "currencyEUR",
                  once("sobre_running_eur_per_second") + " * 3600", width=4, height=5),
            panel("stat", "Power", "What all running pods draw, with the data centre's overhead.", "watt", once("sobre_running_power_watts"), width=4, height=5),
            panel("stat", "Change in attributed emissions", "gCO2e of placed pods against the mean of the feasible candidates; below zero is less. Realistic shifting is of the "
                  "order of 5 %.", "percentunit", change("gco2e"), width=4, height=5, decimals=1, thresholds=better, step=USAGE_STEP),
            panel("stat", "Change in cost", "Euros of placed pods against the mean of the feasible candidates; below zero is less.", "percentunit", change("eur"),
                  width=4, height=5, decimals=1, thresholds=better, step=USAGE_STEP),
            panel("stat", "Nodes with live grid intensity", "Share of the nodes whose grid intensity is told by a signal, not by the catalogue.", "percentunit",
                  once("sobre_node_figures", labels=C + ', figure="intensity", source="live"') + " / (" + once("sobre_nodes") + " > 0)", width=4, height=5,
                  decimals=0, min=0, max=1, thresholds=steps(RED, (0.5, ORANGE), (0.9, GREEN)))),
        row("Usage",
            panel("timeseries", "Emissions per hour by namespace", "gCO2e an hour, operational by location and embodied. Namespaces beyond the first 50 are in \"other\".", "massg",
                  (rate(grams, located, "namespace") + " * 3600", "{{namespace}}"), stacked=True, min=0, step=USAGE_STEP),
            panel("timeseries", "Cost per hour by namespace", "Euros an hour of the shares of nodes that pods take.", "currencyEUR",
                  (rate("sobre_attributed_eur_total", N, "namespace") + " * 3600", "{{namespace}}"), stacked=True, min=0, step=USAGE_STEP),
            panel("timeseries", "Emissions per hour by scope", "Operational by location and embodied add up; market is the operational part by contract, beside it, never added.", "massg",
                  (rate(grams, N, "scope") + " * 3600", "{{scope}}"), min=0, step=USAGE_STEP),
            panel("timeseries", "Power by namespace", "Energy of pods over time, with the data centre's overhead.", "watt",
                  (rate("sobre_attributed_energy_joules_total", N, "namespace"), "{{namespace}}"), stacked=True, min=0, step=USAGE_STEP),
            panel("timeseries", "Placed pods: emissions per hour, and of the mean candidate", "Only of pods whose decision is on record: on their node, and on the mean of the feasible candidates.",
                  "massg", (rate("sobre_placement_gco2e_total", N, "of") + " * 3600", "{{of}}"), min=0, step=USAGE_STEP),
            panel("timeseries", "Grid intensity by region", "Location-based, of the regions with the most nodes; live where a signal tells it, else the catalogue's.", INTENSITY,
                  (f"max by (provider, region, source) (sobre_region_gco2e_per_kwh{{{C}}})", "{{provider}} {{region}} ({{source}})"), min=0)),
        row("Budgets",
            panel("bargauge", "Used of the month's budget", "Share of each budget that is used in this calendar month (UTC).", "percentunit",
                  (f"max by (budget, kind) (sobre_budget_used_ratio{{{C}}})", "{{budget}} ({{kind}})"), **budget),
            panel("bargauge", "Forecast for the month's end", "What will be used of each budget if the rest of the month is as the last seven days.", "percentunit",
                  (f"max by (budget, kind) (sobre_budget_forecast_ratio{{{C}}})", "{{budget}} ({{kind}})"), **budget),
            *[panel("timeseries", f"Budgets in {words}", f"Used of each month's budget so far, its limit, and the forecast for the month's end, in {words}.", unit,
                    (f"max by (budget) (sobre_budget_used_{kind}{{{C}}})", "{{budget}}: used"), (f"max by (budget) (sobre_budget_limit_{kind}{{{C}}})", "{{budget}}: limit"),
                    (f"max by (budget) (sobre_budget_forecast_{kind}{{{C}}})", "{{budget}}: forecast"), min=0)
              for kind, words, unit in [("gco2e", "gCO2e", "massg"), ("eur", "euros", "currencyEUR")]],
            panel("bargauge", "Commitments in use", "Share of what was committed to (reserved nodes, savings plans) that nodes use.", "percentunit",
                  (f"max by (commitment) (sobre_commitment_used_ratio{{{C}}})", "{{commitment}}"), min=0, max=1, width=12, height=7,
                  thresholds=steps(RED, (0.7, ORANGE), (0.9, GREEN))),
            panel("timeseries", "Commitments", "What was committed to, in nodes or vCPUs.", "short",
                  (f"max by (commitment, unit) (sobre_commitment_capacity{{{C}}})", "{{commitment}} ({{unit}})"), min=0, width=12, height=7)),
        row("Moves",
            panel("timeseries", "Advice by state", "Moves and smaller requests of the last 30 days: open, accepted, dismissed, done, measured, expired.", "short",
                  (once("sobre_moves", "kind, state"), "{{kind}} {{state}}"), min=0),
            *[panel("timeseries", f"{words} an hour that moves save", "Advised: open or accepted. Followed: what advice promised that was followed. Measured: what came of it.", unit,
                    (once(f"sobre_moves_saved_{kind}_per_hour", "of"), "{{of}}"), width=6)
              for kind, words, unit in [("gco2e", "gCO2e", "massg"), ("eur", "Euros", "currencyEUR")]],
            panel("timeseries", "Evictions for moves", "Pods that were to be evicted, by outcome: evicted, refused by a disruption budget, gone, failed.", "short",
                  (f"sum by (outcome) (increase(sobre_move_evictions_total{{{C}}}[$__rate_interval]))", "{{outcome}}"), min=0),
            panel("timeseries", "Where evicted pods came to run", "There: as advised. Elsewhere: who placed them does not follow Sobre's scores. Missing: none came in time.", "short",
                  (f"sum by (where) (increase(sobre_move_replacements_total{{{C}}}[$__rate_interval]))", "{{where}}"), min=0)),
        row("Clusters",
            panel("timeseries", "Scores of clusters", "What Placement is told of each managed cluster for the reference workload, by objective: -100 to 100.", "short",
                  (f"max by (managed_cluster, objective) (sobre_cluster_score{{{C}}})", "{{managed_cluster}} ({{objective}})"), min=-100, max=100),
            panel("timeseries", "Scores' validity", "How long the hub may still follow what was written last; below 0: it no longer may.", "s",
                  (f"max by (managed_cluster) (sobre_cluster_valid_until_timestamp_seconds{{{C}}} > 0) - time()", "{{managed_cluster}}"), width=6),
            panel("timeseries", "Writes to the hub", "Of clusters' scores, by outcome: written, removed, failed.", "short",
                  (f"sum by (outcome) (increase(sobre_cluster_writes_total{{{C}}}[$__rate_interval]))", "{{outcome}}"), min=0, width=6)),
        row("Decisions",
            panel("timeseries", "Decisions", "Decisions per second by the objective that they were ranked by; none: nothing was known of any candidate.", "ops",
                  (rate("sobre_decisions_total", C, "ranked_by"), "{{ranked_by}}"), stacked=True, min=0),
            panel("timeseries", "Decisions by grid intensity", "Decisions per second on live intensity, on the catalogue's, or on none.", "ops",
                  (rate("sobre_decisions_total", C, "intensity"), "{{intensity}}"), stacked=True, min=0),
            panel("timeseries", "Pods on the best node", "Of the decisions of which the outcome is known: share whose pod got the best node, or one as good.", "percentunit",
                  (per(("sobre_followed_outcomes_total", C), ("sobre_outcomes_total", C), "cluster"), "{{cluster}}"), min=0, max=1),
            panel("timeseries", "Pods", "Unfinished pods that are watched, pods that wait for a cleaner hour, and pods that are accounted for.", "short",
                  (once("sobre_watched_pods"), "watched"), (once("sobre_gated_pods"), "waiting for a cleaner hour"), (once("sobre_running_pods"), "accounted for"), min=0)),
    ])


def workloads() -> dict:
    pair = "namespace, workload"
    label = "{{namespace}}/{{workload}}"
    requests, tokens = "sobre_workload_requests_total", "sobre_workload_tokens_total"

    def top(metric: str, factor: str = "") -> str:
        return f"topk(50, {rate(metric, W, pair)}{factor})"
    headings = {"Value #A": "gCO2e/h", "Value #B": "EUR/h", "Value #C": "Power", "Value #D": "Requests/s", "Value #E": "Tokens/s"}
    scale = {"mappings": grades(), "min": 1, "max": 7, "decimals": 0, "width": 12, "height": 9, "options": {"displayMode": "basic", "valueMode": "text"}}
    return dashboard("sobre-workloads", "Sobre / Workloads and models", "What each workload and each model takes, per hour, per request and per 1,000 tokens.",
                     [CLUSTER, NAMESPACE, WORKLOAD, MODEL], [
        row("Workloads",
            panel("table", "Workloads", "Rates of the last minutes. The first 100 workloads have series of their own; all others are in \"other\", without a namespace.", "short",
                  top("sobre_workload_gco2e_total", " * 3600"), top("sobre_workload_eur_total", " * 3600"), top("sobre_workload_energy_joules_total"), top(requests), top(tokens),
                  width=24, height=10, step=USAGE_STEP, transformations=columns(headings),
                  overrides=units({"gCO2e/h": "massg", "EUR/h": "currencyEUR", "Power": "watt", "Requests/s": "reqps"})),
            panel("bargauge", "Energy class", "1 (A) to 7 (G) by energy per 1,000 tokens or per request in the last hours: the workload and its hardware, wherever it runs.", "none",
                  (f"max by ({pair}) (sobre_workload_energy_class{{{W}}})", label), **scale),
            panel("bargauge", "Carbon class", "1 (A) to 7 (G) by gCO2e per request in the last hours: the workload where it runs.", "none",
                  (f"max by ({pair}) (sobre_workload_carbon_class{{{W}}})", label), **scale)),
        row("Per request",
            panel("timeseries", "gCO2e per request", "Operational by location and embodied, over the requests that were measured or stated.", "massg",
                  (per(("sobre_workload_gco2e_total", W), (requests, W), pair), label), step=USAGE_STEP),
            panel("timeseries", "Euros per request", "Cost over the requests that were measured or stated.", "currencyEUR",
                  (per(("sobre_workload_eur_total", W), (requests, W), pair), label), step=USAGE_STEP),
            panel("timeseries", "Energy per request", "Energy with the data centre's overhead, over the requests that were measured or stated.", "joule",
                  (per(("sobre_workload_energy_joules_total", W), (requests, W), pair), label), step=USAGE_STEP),
            panel("timeseries", "Requests", "Requests per second of a workload's pods together, as measured or stated.", "reqps",
                  (rate(requests, W, pair), label), min=0, step=USAGE_STEP)),
        row("Per hour",
            panel("timeseries", "Emissions per hour", "gCO2e an hour of each workload, operational by location and embodied.", "massg",
                  (rate("sobre_workload_gco2e_total", W, pair) + " * 3600", label), stacked=True, min=0, step=USAGE_STEP),
            panel("timeseries", "Cost per hour", "Euros an hour of each workload.", "currencyEUR",
                  (rate("sobre_workload_eur_total", W, pair) + " * 3600", label), stacked=True, min=0, step=USAGE_STEP)),
        row("Models",
            *[panel("timeseries", f"{words} per 1,000 tokens", f"{more} of all pods that serve the model, over 1,000 output tokens.", unit,
                    (f"1000 * {per((f'sobre_model_{what}_total', M), ('sobre_model_tokens_total', M), 'model')}", "{{model}}"), width=8, step=USAGE_STEP)
              for what, words, more, unit in [("gco2e", "gCO2e", "Operational by location and embodied emissions", "massg"), ("eur", "Euros", "Cost", "currencyEUR"),
                                              ("energy_joules", "Energy", "Energy with the data centre's overhead", "joule")]],
            panel("timeseries", "Tokens by model", "Output tokens per second of all pods that serve the model, as measured or stated.", "suffix: tokens/s",
                  (rate("sobre_model_tokens_total", M, "model"), "{{model}}"), width=8, min=0, step=USAGE_STEP),
            panel("timeseries", "Requests by model", "Requests per second of all pods that serve the model, as measured or stated.", "reqps",
                  (rate("sobre_model_requests_total", M, "model"), "{{model}}"), width=8, min=0, step=USAGE_STEP),
            panel("timeseries", "Emissions per hour by model", "gCO2e an hour of all pods that serve the model.", "massg",
                  (rate("sobre_model_gco2e_total", M, "model") + " * 3600", "{{model}}"), width=8, stacked=True, min=0, step=USAGE_STEP)),
    ])


def service() -> dict:
    stat = {"width": 4, "height": 5}
    ok_is_zero = {"thresholds": steps(GREEN, (1, RED)), "decimals": 0}
    buckets = "sobre_request_duration_seconds_bucket"

    def quantile(q: float) -> str:
        return f"histogram_quantile({q}, {rate(buckets, C, 'verb, le')})"

    def ours(expr: str) -> str:
        return f"{expr} and on (instance, job) sobre_build_info{{{C}}}"

    def lost(metric: str) -> str:
        return f"sum(increase({metric}{{{C}}}[$__rate_interval]))"
    query = "{{server}}: {{source}} {{signal}}"
    return dashboard("sobre-service", "Sobre / Signals and service", "Is Sobre asked, does it answer in time, and what does it know?", [CLUSTER, NAMESPACE], [
        row("Service",
            panel("stat", "Replicas that are ready", "A replica is ready once it has read the cluster; the others let pods with limits wait.", "short", f"sum(sobre_ready{{{C}}})",
                  **stat, decimals=0, thresholds=steps(RED, (1, GREEN))),
            panel("stat", "Age of the snapshot", "Of the replica with the oldest one. Without changes a new one is made every 5 seconds.", "s", f"max(sobre_snapshot_age_seconds{{{C}}})",
                  **stat, thresholds=steps(GREEN, (30, ORANGE), (120, RED))),
            panel("stat", "Refused calls", "Share of kube-scheduler's calls that could not be answered: not ready, or not understood.", "percentunit",
                  "(" + rate("sobre_requests_total", C + ', outcome="refused"') + " or vector(0)) / (" + rate("sobre_requests_total", C) + " > 0) or vector(0)", **stat, decimals=1,
                  thresholds=steps(GREEN, (0.01, ORANGE), (0.05, RED))),
            panel("stat", "99th percentile", "Of the time from the whole request to the whole answer; kube-scheduler waits 2 s in the profile that comes with Sobre.", "s",
                  f"histogram_quantile(0.99, {rate(buckets, C, 'le')})", **stat, thresholds=steps(GREEN, (0.25, ORANGE), (1, RED))),
            panel("stat", "Nodes", "Nodes in the snapshot.", "short", once("sobre_nodes"), **stat, decimals=0),
            panel("stat", "Next certificate to end", "Time until the first of the certificates ends that Sobre shows or trusts; 10 years where there is none.", "s",
                  f"min(sobre_certificate_expiry_timestamp_seconds{{{C}}} - time()) or vector(315360000)", **stat,
                  thresholds=steps(RED, (172800, ORANGE), (1209600, GREEN))),
            panel("timeseries", "Calls of kube-scheduler", "Calls per second by verb and outcome.", "reqps",
                  (rate("sobre_requests_total", C, "verb, outcome"), "{{verb}} {{outcome}}"), min=0),
            panel("timeseries", "Latency", "Median and 99th percentile by verb; nothing while nobody asks.", "s",
                  (quantile(0.5), "{{verb}} 50 %"), (quantile(0.99), "{{verb}} 99 %"), min=0),
            panel("heatmap", "Distribution of latency", "How many calls took how long, all verbs together.", "short",
                  (f"sum by (le) (increase({buckets}{{{C}}}[$__rate_interval]))", "{{le}}")),
            panel("timeseries", "Placed pods and calls", "Pods that got a node, by the scheduler that they name, and calls of kube-scheduler: pods without calls mean that nobody asks Sobre.", "ops",
                  (f"sum by (scheduler) (max by (cluster, scheduler) (rate(sobre_bindings_total{{{C}}}[$__rate_interval])))", "bound: {{scheduler}}"),
                  (rate("sobre_requests_total", C), "calls"), min=0),
            panel("timeseries", "Connections", "Open ones of each port, and how many may be; beyond it clients are answered 503.", "short",
                  (f"max by (server) (sobre_connections{{{C}}})", "{{server}}"), (f"max by (server) (sobre_connections_limit{{{C}}})", "{{server}}: limit"), min=0),
            panel("timeseries", "Connections turned away and requests refused", "Per second: connections as there were too many, requests that a port refused itself, by HTTP status. On the port extender they may have been kube-scheduler's.", "ops",
                  (rate("sobre_connections_turned_away_total", C, "server"), "{{server}}: turned away"),
                  (rate("sobre_http_refused_total", C, "server, status"), "{{server}}: {{status}}"), min=0),
            panel("timeseries", "Candidates per decision", "How many nodes kube-scheduler asked about on average.", "short",
                  (f"{rate('sobre_candidates_total', C)} / ({rate('sobre_decisions_total', C)} > 0)", "candidates"), min=0, width=8),
            panel("timeseries", "Nodes refused by limits", "Per second; a sudden rise means that a limit has become hard to keep.", "ops",
                  (rate("sobre_refused_nodes_total", C), "refused nodes"), min=0, width=8),
            panel("timeseries", "Annotations that cannot be followed", "Per second; the pods' events say what is wrong with them.", "ops",
                  (rate("sobre_annotation_problems_total", C), "annotations"),
                  (rate("sobre_unasked_limits_total", C), "limits that kube-scheduler does not ask about"), min=0, width=8)),
        row("Signals",
            panel("bargauge", "Prometheus servers", "1 if every replica could ask the server the last time.", "short",
                  (f"min by (cluster, server) (sobre_prometheus_up{{{C}}})", "{{server}}"), width=6, min=0, max=1, decimals=0, thresholds=steps(RED, (1, GREEN)),
                  mappings=[{"type": "value", "options": {"0": {"text": "down", "color": RED, "index": 0}, "1": {"text": "up", "color": GREEN, "index": 1}}}]),
            *[panel("bargauge", f"Nodes by source of {words}", f"Where the {words} comes from that decisions use.", "short",
                    (once("sobre_node_figures", "source", C + f', figure="{figure}"'), "{{source}}"), width=6, min=0, decimals=0)
              for figure, words in [("intensity", "grid intensity"), ("price", "price"), ("power", "power")]],
            panel("table", "Queries", "Age of the last answer and duration of each query; an age of +Inf: it was never answered.", "s",
                  f"topk(100, max by (server, source, signal) (sobre_signal_query_age_seconds{{{C}}}))",
                  f"topk(100, max by (server, source, signal) (sobre_signal_query_duration_seconds{{{C}}}))", width=12, height=9,
                  transformations=columns({"Value #A": "Age", "Value #B": "Duration", "server": "Server", "source": "Source", "signal": "Signal"}), thresholds=steps(GREEN, (600, RED))),
            panel("table", "Values by signal", "What became of the values in the snapshot: used, or set aside because they are stale, implausible, unmatched, or told twice.", "short",
                  f"max by (signal, fate) (sobre_signal_values{{{C}}}) > 0", width=12, height=9,
                  transformations=[{"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": {"signal": "Signal", "fate": "What became of them", "Value": "Values"}, "indexByName": {}}}]),
            panel("timeseries", "Values by what became of them", "All signals together.", "short", (once("sobre_signal_values", "fate"), "{{fate}}"), stacked=True, min=0),
            panel("timeseries", "Age of answers", "Time since each query was answered, of the oldest replica; queries that were never answered are left out.", "s",
                  (f"max by (server, source, signal) (sobre_signal_query_age_seconds{{{C}}} < Inf)", query), min=0, thresholds=steps(GREEN, (600, RED))),
            panel("timeseries", "Duration of queries", "How long each query took the last time.", "s",
                  (f"max by (server, source, signal) (sobre_signal_query_duration_seconds{{{C}}})", query), min=0),
            panel("timeseries", "Failed queries", "Failed attempts per second.", "ops", (rate("sobre_signal_query_failures_total", C, "server, source, signal"), query), min=0),
            panel("timeseries", "Clocks", "How far each server's clock is ahead of the replica's; ages are wrong by as much.", "s",
                  (f"max by (server) (sobre_prometheus_clock_ahead_seconds{{{C}}})", "{{server}}"), width=8),
            panel("timeseries", "Disagreements", "Values about which two sources differ by more than 30 %.", "short",
                  (once("sobre_signal_disagreements", "signal"), "{{signal}}"), min=0, width=8),
            panel("timeseries", "Calibration", "Kinds of machines with a line through measured power, and the largest error of a line; 0 without any.", "short",
                  (f"count(count by (machine, boundary) (sobre_calibration_error_ratio{{{C}}})) or vector(0)", "lines"),
                  (f"max(sobre_calibration_error_ratio{{{C}}}) or vector(0)", "largest error"), min=0, width=8,
                  overrides=[{"matcher": {"id": "byName", "options": "largest error"}, "properties": [{"id": "unit", "value": "percentunit"}, {"id": "custom.axisPlacement", "value": "right"}]}])),
        row("Records",
            panel("stat", "Replicas that cannot write", "Replicas whose database of decisions takes nothing; entries wait in memory.", "short", f"sum(sobre_records_failing{{{C}}})", **stat, **ok_is_zero),
            panel("stat", "Replicas that keep records", "Replicas with records.directory.", "short", f"sum(sobre_records_enabled{{{C}}})", **stat, decimals=0),
            panel("stat", "Dropped entries", "Decisions and outcomes that could not be kept, in the last interval.", "short", lost("sobre_records_dropped_total"), **stat, **ok_is_zero),
            panel("stat", "Entries that wait", "To be written.", "short", f"sum(sobre_records_backlog{{{C}}})", **stat, decimals=0, thresholds=steps(GREEN, (1000, ORANGE), (10000, RED))),
            panel("stat", "Replicas that cannot ship", "Replicas whose shared database takes nothing; 0 where none is configured.", "short",
                  f"sum(sobre_records_shipping_failing{{{C}}}) or vector(0)", **stat, **ok_is_zero),
            panel("stat", "Open decisions", "Decisions whose pod has no node yet.", "short", f"sum(sobre_open_decisions{{{C}}})", **stat, decimals=0),
            panel("stat", "Records changed by others", "Replicas that found their records not as they had left them, and began a new chain.", "short",
                  f"sum(sobre_records_distrusted{{{C}}})", **stat, **ok_is_zero),
            panel("stat", "Replicas that lead", "The one that holds the Lease: it opens gates, moves pods, and counts usage.", "short",
                  f"sum(sobre_lease_holder{{{C}}})", **stat, decimals=0),
            panel("stat", "Replicas without a sure Lease", "Replicas that cannot read or write the Lease, and so do not lead.", "short",
                  f"sum(sobre_lease_failing{{{C}}})", **stat, **ok_is_zero),
            panel("timeseries", "Entries written", "Per second, by kind.", "ops", (rate("sobre_records_written_total", C, "kind"), "{{kind}}"), min=0, width=8),
            panel("timeseries", "Entries shipped", "Per second, to the shared database; 0 where none is configured.", "ops",
                  (rate("sobre_records_shipped_total", C) + " or vector(0)", "shipped"), min=0, width=8),
            panel("timeseries", "Entries of each chain", "Whoever keeps this and the hash's beginning can tell later that the chain still has them.", "short",
                  (f"max by (chain) (sobre_records_head_entries{{{C}}})", "{{chain}}"), min=0, width=8),
            panel("timeseries", "Time since records were written and shared", "Of the replica that waits longest; without a shared database the second is 0.", "s",
                  (f"max(sobre_records_last_write_age_seconds{{{C}}} < Inf)", "written"), (f"max(sobre_records_shared_age_seconds{{{C}}} < Inf) or vector(0)", "shared"), min=0),
            panel("table", "Heads", "The first 48 bits of the last hash of each chain, as a number.", "none", f"max by (chain) (sobre_records_head_hash{{{C}}})",
                  transformations=[{"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": {"chain": "Chain", "Value": "Head"}, "indexByName": {}}}])),
        row("Accounting",
            panel("stat", "Behind", "Time since usage was last written down.", "s", f"time() - max(sobre_accounted_through_timestamp_seconds{{{C}}})", **stat,
                  thresholds=steps(GREEN, (300, ORANGE), (900, RED))),
            panel("stat", "Replicas that account", "One of each cluster does; for minutes none where it changes.", "short", f"sum(sobre_accounting_holder{{{C}}})", **stat, decimals=0),
            panel("stat", "Database failing", "Replicas whose database of usage does not work.", "short", f"sum(sobre_accounting_failing{{{C}}})", **stat, **ok_is_zero),
            panel("stat", "Left out", "Time that was too long to be bridged, in the last interval.", "s", lost("sobre_accounting_gap_seconds_total"), **stat, thresholds=steps(GREEN, (1, RED))),
            panel("stat", "Dropped usage", "Pieces of usage for which there was no room, in the last interval.", "short", lost("sobre_accounting_dropped_rows_total"), **stat, **ok_is_zero)),
        row("Process",
            panel("timeseries", "Processor", "Processors in use by each replica.", "short",
                  (ours(f"rate(process_cpu_seconds_total{{{C}}}[$__rate_interval])"), "{{instance}}"), min=0, width=8),
            panel("timeseries", "Memory", "Resident memory, and address space.", "bytes", (ours(f"process_resident_memory_bytes{{{C}}}"), "{{instance}}: resident"),
                  (ours(f"process_virtual_memory_bytes{{{C}}}"), "{{instance}}: address space"), min=0, width=8),
            panel("timeseries", "Open file descriptors", "Share of those that may be open.", "percentunit",
                  (ours(f"process_open_fds{{{C}}} / process_max_fds{{{C}}}"), "{{instance}}"), min=0, width=8),
            panel("table", "Versions", "What runs, and since when.", "dateTimeAsIso",
                  f"1000 * process_start_time_seconds{{{C}}} * on (instance, job) group_left (version, algorithm, catalogue) sobre_build_info{{{C}}}", height=6,
                  transformations=[{"id": "organize", "options": {"excludeByName": {"Time": True, "job": True, "__name__": True},
                                                                  "renameByName": {"Value": "Since", "instance": "Replica", "version": "Version", "algorithm": "Algorithm", "catalogue": "Catalogue"},
                                                                  "indexByName": {}}}]),
            panel("table", "Certificates", "When the certificates end that Sobre shows (client) or trusts (ca).", "dateTimeAsIso",
                  f"1000 * min by (cluster, use, server) (sobre_certificate_expiry_timestamp_seconds{{{C}}})", height=6,
                  transformations=[{"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": {"Value": "Ends", "use": "Use", "server": "Server"}, "indexByName": {}}}]),
            panel("timeseries", "Certificate files read again", "Of the extender port, in the last interval; failed: they could not be used, and those before still are. 0 without TLS.", "short",
                  (f"sum by (outcome) (increase(sobre_tls_reloads_total{{{C}}}[$__rate_interval])) or vector(0)", "{{outcome}}"), min=0, height=6),
            panel("timeseries", "TLS connections refused", "Of the extender port, in the last interval, by why; 0 without TLS.", "short",
                  (f"sum by (reason) (increase(sobre_tls_refused_total{{{C}}}[$__rate_interval])) or vector(0)", "{{reason}}"), min=0, height=6)),
    ])


def files() -> dict[str, str]:
    """Every file's name with its text."""
    return {f"{board['uid'].removeprefix('sobre-')}.json": json.dumps(board, indent=1, ensure_ascii=False) + "\n" for board in (overview(), workloads(), service())}


if __name__ == "__main__":
    for name, text in files().items():
        (FOLDER / name).write_text(text)
