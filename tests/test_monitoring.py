"""Metrics, dashboards, alerts and recording rules: by their conventions, documented, and up to date."""
import importlib.util
import json
import pathlib
import re
import subprocess
import time

import pytest
import yaml

from tests import promql
from tests.harness import ROOT, Process, Sobre, eventually, fetch, free_ports
from tests.test_service import JSON, NODES, args

ALERTS = promql.RULES / "alerts.yaml"
RULE_FILES = sorted(promql.RULES.glob("*.yaml"))
# Of Grafana's unit ids, those that fit here; a suffix of one's own is one too.
UNITS = {"none", "short", "s", "bytes", "percentunit", "currencyEUR", "massg", "watt", "joule", "ops", "reqps", "dateTimeAsIso"}


def promtool(*arguments, stdin: str = "") -> subprocess.CompletedProcess:
    return subprocess.run(["promtool", *map(str, arguments)], input=stdin, capture_output=True, text=True)


def problems(text: str) -> str:
    done = promtool("check", "metrics", stdin=text)
    return (done.stdout + done.stderr).strip() or (f"status {done.returncode}" if done.returncode else "")


def certificate(folder: pathlib.Path, name: str, days: int) -> dict[str, str]:
    key, pem = folder / f"{name}.key", folder / f"{name}.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", key, "-out", pem, "-subj", f"/CN={name}", "-days", str(days)],
                   check=True, capture_output=True)
    return {"certificate_file": str(pem), "key_file": str(key)}


@pytest.fixture(scope="module")
def metrics(tmp_path_factory, sobre_bin) -> str:
    """Of a run with records, usage, budgets and a Prometheus that is away, reached with certificates."""
    tmp_path = tmp_path_factory.mktemp("sobre")
    (tmp_path / "nodes.json").write_text(json.dumps(NODES))
    tls = certificate(tmp_path, "client", 30) | {"ca_file": certificate(tmp_path, "ca", 365)["certificate_file"]}
    sobre = Sobre(tmp_path, {"records": {"directory": str(tmp_path / "records")}, "accounting": {"every": "1s", "flush": "1s"},
                             "budgets": [{"namespace": "shop", "eur_per_month": 5, "kg_co2e_per_month": 1}],
                             "clusters": {"enabled": True, "managed": [{"name": "paris", "provider": "scaleway", "region": "fr-par"}]},
                             "prometheus": {"url": f"https://127.0.0.1:{free_ports(1)[0]}", "timeout": "200ms", "refresh": "500ms", "tls": tls}},
                  "--nodes", tmp_path / "nodes.json")
    try:
        fetch(sobre.url + "/v1/prioritize", "POST", args("fr", "de"), JSON)
        fetch(sobre.url + "/v1/filter", "POST", args("fr", "de"), JSON)

        def complete():
            text = fetch(sobre.status_url + "/metrics").decode()
            return text if 'sobre_records_written_total{kind="decision"} 1' in text and "sobre_accounting_holder 1" in text and "sobre_moves{" in text and "sobre_cluster_score{" in text else None
        yield eventually(complete, "the decision is on record and usage is accounted for")
    finally:
        sobre.stop()


def value(text: str, series: str) -> float:
    return next(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(series + " "))


def test_metrics_keep_the_conventions(metrics):
    assert problems(metrics) == ""


def test_promtool_finds_what_breaks_them():
    assert "no help text" in problems("# TYPE sobre_x counter\nsobre_x 1\n")


def test_the_demos_metrics_keep_the_conventions(tmp_path, sobre_bin):
    (port,) = free_ports(1)
    demo = Process(tmp_path / "demo.log", sobre_bin, "demo", "--pods", "3", "--interval", "1ms", "--port", port)
    try:
        text = eventually(lambda: (t := fetch(f"http://127.0.0.1:{port}/metrics").decode()) and "sobre_candidates_total 0" not in t and t, "the demo decided")
        assert problems(text) == ""
    finally:
        demo.stop()


def test_every_metric_is_documented_and_every_documented_one_exists(metrics):
    promql.assert_documented(metrics)


def test_a_metric_without_a_row_or_a_row_without_a_metric_is_found(metrics):
    with pytest.raises(AssertionError, match="without a row"):
        promql.assert_documented(metrics + "# HELP sobre_new_total x\n# TYPE sobre_new_total counter\n")
    with pytest.raises(AssertionError, match="without a metric"):
        promql.assert_documented(metrics.replace("# TYPE sobre_nodes gauge\n", ""))
    with pytest.raises(AssertionError, match="sobre_nodes"):
        promql.assert_documented(metrics + 'sobre_nodes{pod="x"} 1\n')


def test_what_the_process_is_and_until_when_its_certificates_hold(metrics):
    now = time.time()
    for use, days in [("client", 30), ("ca", 365)]:
        until = value(metrics, f'sobre_certificate_expiry_timestamp_seconds{{use="prometheus_{use}",server="1"}}')
        assert until - now == pytest.approx(days * 86400, abs=3600)
    assert value(metrics, "process_start_time_seconds") == pytest.approx(now, abs=600)
    assert 1e6 < value(metrics, "process_resident_memory_bytes") < value(metrics, "process_virtual_memory_bytes")
    assert 5 < value(metrics, "process_open_fds") < value(metrics, "process_max_fds")
    assert value(metrics, "process_cpu_seconds_total") >= 0


def test_dashboards_are_what_their_script_writes():
    path = promql.DASHBOARDS / "generate.py"
    spec = importlib.util.spec_from_file_location("generate_dashboards", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.files() == {p.name: p.read_text() for p in promql.DASHBOARDS.glob("*.json")}, f"run {path.relative_to(ROOT)}"


@pytest.fixture(params=sorted(promql.dashboards()))
def dashboard(request) -> dict:
    return promql.dashboards()[request.param]


def test_a_dashboard_has_its_variables_and_links(dashboard):
    assert dashboard["schemaVersion"] >= 39 and dashboard["id"] is None and dashboard["uid"].startswith("sobre-") and dashboard["description"]
    variables = {v["name"]: v for v in dashboard["templating"]["list"]}
    assert list(variables)[:3] == ["datasource", "cluster", "namespace"]
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    for name, variable in list(variables.items())[1:]:
        assert variable["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert variable["includeAll"] and variable["allValue"] == ".*" and variable["label"]
        metric, label = re.fullmatch(r"label_values\((\w+)(?:\{.*\})?, (\w+)\)", variable["query"]["query"]).groups()
        assert label == name and metric in promql.documented()
    assert [(link["type"], link["tags"], link["includeVars"], link["keepTime"]) for link in dashboard["links"]] == [("dashboards", ["sobre"], True, True)]
    assert "sobre" in dashboard["tags"]


def test_dashboards_are_told_apart():
    for key in ["uid", "title"]:
        assert len({d[key] for d in promql.dashboards().values()}) == len(promql.dashboards()) == 3


def test_every_panel_says_what_it_shows(dashboard):
    assert len({p["id"] for p in dashboard["panels"]}) == len(dashboard["panels"])
    assert dashboard["panels"][0]["type"] == "row"
    titles = [p["title"] for p in promql.panels(dashboard)]
    assert len(set(titles)) == len(titles)
    for panel in promql.panels(dashboard):
        title = panel["title"]
        assert title and len(panel["description"]) > 10, title
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"] in UNITS or defaults["unit"].startswith("suffix:"), title
        assert panel["type"] in {"stat", "timeseries", "table", "heatmap", "bargauge"}, title
        assert panel["targets"] and panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, title
        bounds = [step["value"] for step in defaults["thresholds"]["steps"]]
        assert bounds[0] is None and bounds[1:] == sorted(bounds[1:]), title
        assert len({t["refId"] for t in panel["targets"]}) == len(panel["targets"]), title
        for target in panel["targets"]:
            assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, title


def test_panels_do_not_overlap(dashboard):
    taken = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("name, panel, target", [pytest.param(*q, id=f"{q[0]}: {q[1]['title']} {q[2]['refId']}") for q in promql.queries()])
def test_a_query_keeps_the_rules(name, panel, target):
    expression = target["expr"]
    ranges = re.findall(r"\b(?:rate|increase|irate|delta)\(", expression)
    assert expression.count("[$__rate_interval]") == len(ranges) == expression.count("["), expression
    used = set(re.findall(r"\b(?:sobre|process)_\w+", expression))
    known = promql.documented()
    for metric in used:
        bare = next((metric.removesuffix(s) for s in ("_bucket", "_sum", "_count") if metric.removesuffix(s) in known), metric)
        assert bare in known, metric
    assert used
    # Each selector lets a cluster be chosen.
    assert all('cluster=~"$cluster"' in labels for labels in re.findall(r"\{(.*?)\}", expression)) and "{" in expression, expression


def test_every_metric_is_on_a_dashboard():
    shown = " ".join(target["expr"] for _, _, target in promql.queries())
    missing = [name for name in promql.documented() if not re.search(rf"\b{name}(?:_bucket)?\b", shown)]
    assert missing == []


def test_every_query_is_promql(tmp_path):
    rules = [{"record": f"query:{i}", "expr": promql.substitute(target["expr"])} for i, (_, _, target) in enumerate(promql.queries())]
    (tmp_path / "queries.yaml").write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    done = promtool("check", "rules", tmp_path / "queries.yaml")
    assert done.returncode == 0 and f"{len(rules)} rules found" in done.stdout, done.stdout + done.stderr
    (tmp_path / "queries.yaml").write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules + [{"record": "a:b", "expr": "sum(rate(x)"}]}]}))
    assert promtool("check", "rules", tmp_path / "queries.yaml").returncode != 0


def test_rules_are_valid_and_known_metrics_are_used():
    assert [p.name for p in RULE_FILES] == ["alerts.yaml", "recording.yaml"]
    done = promtool("check", "rules", *RULE_FILES)
    assert done.returncode == 0, done.stdout + done.stderr
    rules = [rule for path in RULE_FILES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]
    recorded = {rule["record"] for rule in rules if "record" in rule}
    for rule in rules:
        for metric in set(re.findall(r"(?<![\w:])(?:\w+:)?(?:sobre|process)_[\w:]+", rule["expr"])):
            assert metric in recorded or metric.removesuffix("_bucket") in promql.documented(), (rule, metric)


def test_rules_do_what_they_should():
    done = promtool("test", "rules", *sorted((ROOT / "tests" / "rules").glob("*.yaml")))
    assert done.returncode == 0, done.stdout + done.stderr


def alerts() -> list[dict]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def runbook() -> dict[str, str]:
    """The sections of docs/runbook.md by their titles."""
    parts = re.split(r"^## (.+)$", (ROOT / "docs" / "runbook.md").read_text(), flags=re.M)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert len(sections) == len(parts) // 2, "two sections have one title"
    return sections


def test_every_alert_leads_to_its_section_and_every_section_has_an_alert():
    names = [alert["alert"] for alert in alerts()]
    assert len(set(names)) == len(names)
    for alert in alerts():
        assert alert["labels"]["severity"] in {"info", "warning", "critical"}
        assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
        # Where a heading's anchor is its title in small letters.
        assert alert["annotations"]["runbook_url"] == "docs/runbook.md#" + alert["alert"].lower()
    sections = [title for title in runbook() if title.startswith("Sobre")]
    assert sections == names, "a section for each alert, in their order"
    assert [title for title in runbook() if title not in names] == ["How to look"]


@pytest.mark.parametrize("name", [alert["alert"] for alert in alerts()])
def test_a_section_says_what_it_means_what_is_felt_how_to_look_and_what_to_do(name):
    text = runbook()[name]
    labels = re.findall(r"^\*\*(.+?)\.\*\* ", text, re.M)
    assert labels == ["Means", "Felt", "Look", "Do"], labels


def test_what_the_runbook_names_exists(sobre_bin):
    text = (ROOT / "docs" / "runbook.md").read_text()
    for metric in set(re.findall(r"\b(?:sobre|process)_\w+", text)):
        bare = metric.removesuffix("_bucket")
        assert bare in promql.documented() or any(known.startswith(bare) for known in promql.documented() if metric.endswith("_")), metric
    commands = set(re.findall(r"\bsobre ([a-z-]+) --config", text))
    assert commands >= {"doctor", "report"}
    for command in commands:
        described = subprocess.run([sobre_bin, command, "--help"], capture_output=True, text=True)
        assert described.returncode == 0 and "--config" in described.stdout, command
    for option in set(re.findall(r"\bsobre ([a-z-]+) --config \S+ (--[a-z-]+)", text)):
        assert option[1] in subprocess.run([sobre_bin, option[0], "--help"], capture_output=True, text=True).stdout, option
    for link in re.findall(r"\]\(([a-z-]+\.md)", text):
        assert (ROOT / "docs" / link).exists(), link


def test_the_table_of_alerts_is_complete():
    text = (ROOT / "docs" / "metrics.md").read_text().partition("## Alerts")[2]
    names = {alert["alert"]: alert for alert in alerts()}
    for name, anchor in re.findall(r"\[(\w+)\]\(runbook.md#(\w+)\)", text):
        assert name in names and anchor == name.lower(), f"{name} is documented and does not exist"
    for name, alert in names.items():
        (row,) = [line for line in text.splitlines() if f"[{name}](runbook.md" in line]
        assert alert["labels"]["severity"] in row.split("|")[2], name


def test_every_alert_is_seen_to_fire_and_to_be_silent():
    tests = yaml.safe_load((ROOT / "tests" / "rules" / "alerts_test.yaml").read_text())["tests"]
    checks = [check for test in tests for check in test.get("alert_rule_test", [])]
    for alert in alerts():
        own = [check for check in checks if check["alertname"] == alert["alert"]]
        assert any(check.get("exp_alerts") for check in own), f"{alert['alert']} is not seen to fire"
        assert any(not check.get("exp_alerts") for check in own), f"{alert['alert']} is not seen to be silent"


def test_every_recording_rule_has_a_known_value():
    text = (ROOT / "tests" / "rules" / "recording_test.yaml").read_text()
    for group in yaml.safe_load((promql.RULES / "recording.yaml").read_text())["groups"]:
        for rule in group["rules"]:
            assert rule["record"] in text
