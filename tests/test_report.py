"""`sobre report`: the same rows in every format, whose sums agree; FOCUS by the specification's rules; HTML that asks nobody."""
import ast
import csv
import html.parser
import io
import json
import pathlib
import re
import sqlite3
import subprocess

import pytest

from tests import focus

ROOT = pathlib.Path(__file__).resolve().parent.parent
FROM, TO = "2026-05-01", "2026-05-04T00:00:00Z"
HOUR = 3_600_000
START = 1_777_593_600_000  # 2026-05-01
FORMATS = ["text", "json", "csv", "focus", "html"]


def schema() -> list[str]:
    """The statements of audit/schema.cc: literals that Python reads as C++ does."""
    source = (ROOT / "audit/schema.cc").read_text()
    steps = source[source.index("kSteps = {") + len("kSteps = {"):source.index("};")]
    return list(ast.literal_eval("[" + re.sub(r"^\s*//.*$", "", steps, flags=re.M) + "]"))


def row(**changes) -> dict:
    usage = {"begin_ms": START, "length_ms": HOUR, "namespace": "shop", "pod": "web-0", "pod_uid": "u0", "workload": "web", "team": "",
             "model": "", "is_run": 0, "node": "fr-1", "provider": "ovhcloud", "region": "GRA9", "country": "FR",
             "hardware_class": "ice-lake", "pod_hours": 1, "vcpu_hours": 2, "memory_gb_hours": 4, "gpu_hours": 0, "energy_kwh": 0.02,
             "operational_low_g": 0.8, "operational_g": 1, "operational_high_g": 1.4, "market_g": 0.3, "embodied_low_g": 0.2,
             "embodied_g": 0.45, "embodied_high_g": 1, "eur": 0.1, "list_eur": 0.125, "requests": 900, "tokens": 0,
             "energy_known_hours": 1, "grams_known_hours": 1, "eur_known_hours": 1, "measured_kwh": 0.01, "live_g": 0.5,
             "mean_candidate_g": 3, "mean_candidate_eur": 0.09, "compared_g": 1.45, "compared_eur": 0.1}
    unknown = changes.keys() - usage.keys()
    assert not unknown
    return usage | changes


def world() -> list[dict]:
    rows = []
    for hour in range(60):
        begin = START + hour * HOUR
        busy = 1 + 0.5 * (8 <= hour % 24 < 20)
        for pod in range(3):
            rows.append(row(begin_ms=begin, pod=f"web-{pod}", pod_uid=f"w{pod}", team="front", energy_kwh=0.02 * busy,
                            operational_g=1.1 * busy, requests=900 * busy, node=f"fr-{pod % 2 + 1}"))
        rows.append(row(begin_ms=begin, pod="db-0", pod_uid="d0", workload="db", requests=0, eur=0.3, list_eur=0.3))
        rows.append(row(begin_ms=begin, namespace="ai", pod="llm-0", pod_uid="l0", workload="llm", model="llama-8b", team="research",
                        node="pl-1", provider="gcp", region="europe-central2", country="PL", hardware_class="H100", gpu_hours=1,
                        energy_kwh=0.7 * busy, operational_low_g=350, operational_g=410 * busy, operational_high_g=700, market_g=90,
                        embodied_g=22, eur=3.1, list_eur=3.4, requests=4000 * busy, tokens=1_600_000 * busy, live_g=410,
                        mean_candidate_g=180, compared_g=430))
        if hour % 5 == 0:
            rows.append(row(begin_ms=begin, namespace="ai", pod="train-0", pod_uid="t0", workload="train", is_run=1, model="llama-8b",
                            node="se-1", provider="aws", region="eu-north-1", country="SE", hardware_class="H100", gpu_hours=1,
                            energy_kwh=0.9, operational_g=21, embodied_g=22, eur=4, list_eur=4, requests=0))
        # A pod of which little is known, and whose names need quotes.
        rows.append(row(begin_ms=begin, namespace="lab", pod="odd", pod_uid="o0", workload='a "quoted", <b>name</b>', node="own-1",
                        provider="", region="", country="", hardware_class="", energy_known_hours=0, grams_known_hours=0,
                        eur_known_hours=0, energy_kwh=0, operational_low_g=0, operational_g=0, operational_high_g=0, market_g=0,
                        embodied_low_g=0, embodied_g=0, embodied_high_g=0, eur=0, list_eur=0, requests=0, measured_kwh=0, live_g=0,
                        mean_candidate_g=0, mean_candidate_eur=0, compared_g=0, compared_eur=0))
    # Without a workload; held by the day; before and after the time that is asked for.
    rows.append(row(namespace="kube-system", workload="", pod="kube-proxy", pod_uid="k0", requests=0))
    rows.append(row(length_ms=24 * HOUR, pod="", pod_uid="", workload="old", pod_hours=24, eur=1e-7, list_eur=2e-7))
    rows.append(row(begin_ms=START - HOUR, eur=1000))
    rows.append(row(begin_ms=START + 72 * HOUR, eur=1000))
    return rows


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("store") / "sobre.db"
    with sqlite3.connect(path) as database:
        for statement in schema():
            database.execute(statement)
        for usage in world():
            database.execute(f"INSERT INTO usage({', '.join(usage)}) VALUES({', '.join('?' * len(usage))})", list(usage.values()))
    database.close()
    return path


def run(sobre_bin, store, *options) -> subprocess.CompletedProcess:
    return subprocess.run([sobre_bin, "report", "--db", store, "--from", FROM, "--to", TO, *options], capture_output=True)


@pytest.fixture(scope="module")
def report(sobre_bin, store):
    def made(format: str, by: str = "namespace,workload") -> str:
        result = run(sobre_bin, store, "--format", format, "--by", by)
        assert result.returncode == 0, result.stderr.decode()
        return result.stdout.decode()

    return made


def table(text: str) -> list[dict]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def total(rows: list[dict], column: str) -> float:
    return sum(float(line[column] or 0) for line in rows)


def in_time() -> list[dict]:
    return [usage for usage in world() if START <= usage["begin_ms"] < START + 72 * HOUR]


def test_sums_are_those_of_the_rows_in_every_format(report):
    found = json.loads(report("json"))
    lines = table(report("csv"))
    charges = table(report("focus"))
    for column, of_json, of_csv, of_focus in [
            ("eur", found["total"]["eur"], "eur", "EffectiveCost"),
            ("list_eur", found["total"]["list_eur"], "list_eur", "ListCost"),
            ("energy_kwh", found["total"]["energy_kwh"], "energy_kwh", "x_EnergyKwh"),
            ("operational_g", found["total"]["gco2e"]["operational_location_based"]["mid"], "operational_location_gco2e",
             "x_GCo2eLocation"),
            ("market_g", found["total"]["gco2e"]["operational_market_based"], "operational_market_gco2e", "x_GCo2eMarket"),
            ("embodied_high_g", found["total"]["gco2e"]["embodied"]["high"], "embodied_high_gco2e", "x_GCo2eEmbodiedHigh"),
            ("requests", found["total"]["requests"], "requests", "x_Requests"),
            ("pod_hours", found["total"]["pod_hours"], "pod_hours", "ConsumedQuantity")]:
        expected = sum(usage[column] for usage in in_time())
        assert of_json == pytest.approx(expected, rel=1e-12), column
        assert total(lines, of_csv) == pytest.approx(expected, rel=1e-12), column
        assert total(charges, of_focus) == pytest.approx(expected, rel=1e-12), column
    assert f"{found['total']['eur']:.1f}"[:3] in report("text")


@pytest.mark.parametrize("by", ["namespace", "workload", "model", "region", "node", "team", "pod", "class", "country", "provider", "day",
                                "hour", "kind", "team,day,kind"])
def test_groups_sum_up_to_the_total_by_every_key(report, by):
    expected = sum(usage["eur"] for usage in in_time())
    assert total(table(report("csv", by)), "eur") == pytest.approx(expected, rel=1e-12)
    groups = json.loads(report("json", by))["groups"]
    assert len(groups) > 1 and all(list(group["names"]) == by.split(",") for group in groups)
    grams = [(group["gco2e"]["total_location_based"] or {"mid": 0})["mid"] for group in groups]
    assert grams == sorted(grams, reverse=True)


def test_runs_are_in_no_figure_per_request(report):
    lines = {line["workload"]: line for line in table(report("csv"))}
    assert lines["train"]["per_request_gco2e"] == "" and float(lines["train"]["runs_eur"]) == pytest.approx(12 * 4)
    assert lines["db"]["per_request_gco2e"] == ""
    serving = [usage for usage in in_time() if usage["workload"] in ("web", "llm", "old")]
    grams = sum(usage["operational_g"] + usage["embodied_g"] for usage in serving) / sum(usage["requests"] for usage in serving)
    assert json.loads(report("json"))["total"]["per_request"]["gco2e"] == pytest.approx(grams, rel=1e-12)
    assert lines["llm"]["energy_class"] == "C" and lines["llm"]["carbon_class"] == "D"  # 0.44 Wh per 1,000 tokens, 0.107 g a request


def test_what_is_unknown_is_no_zero(report):
    odd = next(line for line in table(report("csv")) if line["namespace"] == "lab")
    assert (odd["total_gco2e"], odd["eur"], odd["energy_kwh"], odd["eur_known_share_of_pod_hours"]) == ("", "", "", "0")
    assert odd["workload"] == 'a "quoted", <b>name</b>'
    text = " ".join(report("text").split())
    assert re.search(r"Known of all pod-hours: energy of 79\.1 %, emissions of 79\.1 %, costs of 79\.1 %", text)


def test_text_is_aligned_and_has_a_total(report):
    lines = report("text").splitlines()
    rules = [index for index, line in enumerate(lines) if line.startswith("---")]
    head, rows = lines[rules[0] - 1], lines[rules[0] + 1:rules[1]]
    assert head.startswith("namespace") and rows[0].startswith("ai") and lines[rules[1] + 1].startswith("total")
    end = head.index("pod-hours") + len("pod-hours")
    assert all(line[end - 1].isdigit() and line[end] == " " for line in rows)


# FOCUS ------------------------------------------------------------------------------------------------------------------------------


def test_focus_keeps_the_specifications_rules(report):
    text = report("focus")
    assert focus.problems(text) == []
    assert text.count("\r\n") == len(table(text)) + 1, "RFC 4180: lines end in CRLF"


def test_focus_is_by_workload_and_node_whatever_the_groups(report):
    charges = table(report("focus", "namespace"))
    keys = [(c["ChargePeriodStart"], c["ChargePeriodEnd"], c["SubAccountId"], c["ResourceName"], c["x_Node"], c["x_Kind"]) for c in charges]
    assert len(keys) == len(set(keys))
    llm = next(c for c in charges if c["ResourceName"] == "llm")
    assert (llm["ServiceCategory"], llm["ProviderName"], llm["RegionId"]) == ("AI and Machine Learning", "gcp", "europe-central2")
    assert json.loads(llm["Tags"]) == {"team": "research", "sobre.dev/model": "llama-8b", "sobre.dev/hardware-class": "H100",
                                       "sobre.dev/kind": "service"}
    assert float(llm["x_GridIntensity"]) == pytest.approx(410 / 0.7)
    old = next(c for c in charges if c["ResourceName"] == "old")
    assert (old["ChargePeriodStart"], old["ChargePeriodEnd"]) == ("2026-05-01T00:00:00Z", "2026-05-02T00:00:00Z")
    assert old["EffectiveCost"] == "0.0000001", "no exponent, nothing lost"
    proxy = next(c for c in charges if c["SubAccountId"] == "kube-system")
    assert (proxy["ResourceId"], proxy["ResourceName"], proxy["ResourceType"]) == ("", "", "")


@pytest.mark.parametrize("column, value, said", [
    ("BilledCost", "", "BilledCost is null"),
    ("BilledCost", "1,5", "is no number"),
    ("ChargeCategory", "Use", "is none of"),
    ("ChargePeriodEnd", "2026-05-01 01:00:00", "is no time in UTC"),
    ("ChargePeriodEnd", "2026-05-01T00:00:00Z", "period is empty"),
    ("BillingPeriodEnd", "2026-05-31T00:00:00Z", "is no calendar month"),
    ("ConsumedUnit", "", "ConsumedUnit is null where"),
    ("ListCost", "7", "ListUnitPrice times PricingQuantity"),
    ("ServiceSubcategory", "Bots", "is none of"),
    ("SkuId", "", "SkuId is null of usage"),
    ("Tags", '{"a": [1]}', "is no flat object"),
    ("BillingCurrency", "€", "is no currency"),
    ("PricingUnit", "pod hours", "is no unit"),
    ("RegionName", "", "RegionName is null where"),
])
def test_the_rules_find_what_breaks_them(report, column, value, said):
    charges = [charge for charge in table(report("focus")) if charge["ServiceCategory"] == "Compute" and charge["RegionId"]][:1]
    charges[0][column] = value
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, charges[0])
    writer.writeheader()
    writer.writerows(charges)
    assert any(said in problem for problem in focus.problems(out.getvalue())), focus.problems(out.getvalue())


# HTML -------------------------------------------------------------------------------------------------------------------------------


class Page(html.parser.HTMLParser):
    """All elements, and whether each is closed where it should be."""
    VOID = {"meta", "br", "hr", "img", "input", "link"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.elements, self.words = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> within {self.open}"
        self.open.pop()

    def handle_data(self, data):
        self.words.append(data)


def test_html_needs_nothing_else(report):
    text = report("html")
    page = Page(text)
    assert page.open == []
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form", "a", "image", "use"}
    assert not re.search(r"https?:|//[a-z]|@import|url\(|javascript:", text)
    assert not any(name.startswith("on") or name in ("src", "href") for _, attributes in page.elements for name in attributes)
    assert any("default-src 'none'" in attributes.get("content", "") for _, attributes in page.elements)


def test_html_has_its_charts_and_an_accessible_table(report):
    page = Page(report("html"))
    charts = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert len(charts) == 4 and all(chart["role"] == "img" and chart["aria-label"] for chart in charts)
    tags = [tag for tag, _ in page.elements]
    assert tags.count("caption") == 2 and tags.count("h1") == 1
    assert all("scope" in attributes for tag, attributes in page.elements if tag == "th" and attributes)
    words = " ".join(page.words)
    assert 'a "quoted", <b>name</b>' in words and "b" not in tags
    assert "location-based" in words and "market-based" in words and "carbon class" in words


def test_bars_are_of_their_values_size(report):
    text = report("html")
    chart = text[text.index('aria-label="Operational emissions'):]
    chart = chart[:chart.index("</svg>")]
    location = [float(width) for width in re.findall(r'class="operational" x="[^"]+" y="[^"]+" width="([^"]+)"', chart)]
    market = [float(width) for width in re.findall(r'class="market" x="[^"]+" y="[^"]+" width="([^"]+)"', chart)]
    groups = [g["gco2e"] for g in json.loads(report("json"))["groups"] if g["gco2e"]["total_location_based"]][:8]
    values = [g["operational_location_based"]["mid"] for g in groups]
    assert [width / location[0] for width in location] == pytest.approx([value / values[0] for value in values], abs=1e-3)
    assert market[0] / location[0] == pytest.approx(groups[0]["operational_market_based"] / values[0], abs=1e-3)


# The command ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options, said", [
    (["--by", "namespace,wokload"], "--by: 'wokload' is nothing to group by; did you mean 'workload'?"),
    (["--by", "pod,pod"], "'pod' stands twice"),
    (["--format", "jsn"], "'jsn' is no format; did you mean 'json'?"),
    (["--from", "May"], "--from: 'May' is no time; write 2026-05-16"),
    (["--from", "2026-05-16"], "is not before the end of --to, 2026-05-04T00:00:00Z"),
    (["--form", "x"], "unknown argument '--form'"),
])
def test_wrong_usage_is_named(sobre_bin, store, options, said):
    result = run(sobre_bin, store, *options)
    assert result.returncode == 2 and result.stdout == b""
    assert said in result.stderr.decode()


def test_a_missing_store_is_an_error_and_stays_missing(sobre_bin, tmp_path):
    result = run(sobre_bin, tmp_path / "nowhere.db")
    assert result.returncode == 1 and "nowhere.db" in result.stderr.decode()
    assert list(tmp_path.iterdir()) == []


def test_a_store_without_tables_is_an_error(sobre_bin, tmp_path):
    sqlite3.connect(tmp_path / "empty.db").execute("CREATE TABLE x(y)").connection.close()
    result = run(sobre_bin, tmp_path / "empty.db")
    assert result.returncode == 1 and "empty.db" in result.stderr.decode() and "usage" in result.stderr.decode()


def test_a_server_answers_as_a_file_does(sobre_bin, store, postgres):
    values = [", ".join(f"'{v}'" if isinstance(v, str) else repr(v) for v in usage.values()) for usage in world()]
    for statement in schema():
        postgres.query(statement)
    postgres.query(f"INSERT INTO usage({', '.join(row())}) VALUES({'), ('.join(values)})")
    for format in ("csv", "focus"):
        of_file, of_server = (run(sobre_bin, place, "--format", format) for place in (store, postgres.url()))
        assert of_server.returncode == 0, of_server.stderr.decode()
        assert of_server.stdout == of_file.stdout


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_gets_what_standard_output_gets(sobre_bin, store, tmp_path, format):
    made = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")  # two runs, two moments
    shown = run(sobre_bin, store, "--format", format)
    written = run(sobre_bin, store, "--format", format, "--out", tmp_path / "out")
    assert written.returncode == 0 and written.stdout == b""
    assert made.sub(b"", (tmp_path / "out").read_bytes()) == made.sub(b"", shown.stdout)
    assert run(sobre_bin, store, "--out", tmp_path / "no" / "folder").returncode == 1


def test_both_days_are_part_of_it_and_what_there_is_of_data_is_said(sobre_bin, store):
    def report(first: str, last: str, form: str) -> str:
        return subprocess.run([sobre_bin, "report", "--db", store, "--from", first, "--to", last, "--format", form], capture_output=True,
                              check=True, text=True).stdout
    days, times = (json.loads(report("2026-05-01", last, "json")) for last in ("2026-05-03", "2026-05-04T00:00:00Z"))
    assert days["to"] == times["to"] == "2026-05-04T00:00:00Z" and days["total"] == times["total"] and days["total"]["eur"] > 0
    covered = days["covered"]
    begins = [moment["begin"] for moment in days["timeline"]["moments"]]
    assert covered["from"][:10] == begins[0][:10] and covered["hours"] > 0
    for form in ("text", "csv", "html"):
        told = report("2026-05-01", "2026-05-03", form)
        assert covered["from"] in told and covered["to"] in told, f"{form} says what data cover"
    # A time without records is no zero.
    empty = json.loads(report("2026-03-01", "2026-03-31", "json"))
    assert empty["covered"] is None and empty["groups"] == []
    assert [empty["total"][key] for key in ("energy_kwh", "eur", "list_eur")] == [None, None, None]
    assert set(empty["total"]["gco2e"].values()) == {None}
    assert "No data: no usage is on record" in report("2026-03-01", "2026-03-31", "text")
    page = report("2026-03-01", "2026-03-31", "html")
    assert "no data" in page and "<dd>0 <span>" not in page


def test_without_times_it_is_this_month(sobre_bin, store):
    result = subprocess.run([sobre_bin, "report", "--db", store, "--format", "json"], capture_output=True, check=True)
    found = json.loads(result.stdout)
    assert found["from"].endswith("-01T00:00:00Z") and found["from"][:7] == found["to"][:7]
    assert found["by"] == ["namespace", "workload"]


def test_the_account_is_named(sobre_bin, store):
    result = run(sobre_bin, store, "--format", "focus", "--account", "prod, Paris")
    charges = table(result.stdout.decode())
    assert charges and all(charge["BillingAccountId"] == "prod, Paris" for charge in charges)
