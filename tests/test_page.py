"""The dashboard in a real Chromium, on the demo's world: what it shows is what the API says, on every page, for everybody."""
import contextlib
import http.client
import http.server
import json
import re
import subprocess
import threading
import urllib.error
import urllib.request

import pytest
from selenium.webdriver.common.keys import Keys

from tests.browser import DESKTOP, PHONE, Browser
from tests.harness import ROOT, Process, Sobre, eventually, fetch

PAGES = ["now", "regions", "decisions", "workloads", "models", "policy", "moves", "signals", "reports", "budgets", "backtests"]


class Demo:
    """`sobre demo` once all its pods are placed: nothing moves then but what running pods took."""

    def __init__(self, folder, program: str, pods: int = 40) -> None:
        self.process = Process(folder / "demo.log", program, "demo", "--port", "0", "--pods", pods, "--interval", "20ms")
        self.url = eventually(lambda: re.search(r"http://127\.0\.0\.1:\d+/", self.process.log.read_text()), "the demo's address")[0]
        eventually(lambda: "All pods are placed" in self.process.log.read_text(), "all pods placed", 120)

    def get(self, path: str):
        return json.loads(fetch(f"{self.url}api/v1/{path}", timeout=30))


@pytest.fixture(scope="module")
def demo(tmp_path_factory, sobre_bin):
    demo = Demo(tmp_path_factory.mktemp("demo"), sobre_bin)
    yield demo
    demo.process.stop()


@pytest.fixture(scope="module")
def shared_browser():
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture
def browser(shared_browser):
    """As new: light, wide, nothing shown or said yet."""
    shared_browser.open("about:blank")
    shared_browser.collect()
    shared_browser.requests.clear()
    shared_browser.problems.clear()
    shared_browser.theme("light")
    shared_browser.size(*DESKTOP)
    return shared_browser


def settle(browser: Browser) -> None:
    """Until the page has shown what it asked for."""
    browser.wait("main h1")
    eventually(lambda: not browser.all("main [aria-busy='true']") and browser.run(
        "const n = performance.getEntriesByType('resource').length; const same = n === window.seenResources;"
        "window.seenResources = n; return same"), "the page is at rest", pause=0.3)


def go(browser: Browser, demo: Demo, route: str) -> None:
    browser.open(f"{demo.url}#/{route}")
    settle(browser)


def figures(browser: Browser, css: str) -> list[float | None]:
    raw = browser.run("return [...document.querySelectorAll(arguments[0])].map(e => e.dataset.value)", css)
    return [None if value in (None, "", "null") else float(value) for value in raw]


def clean(browser: Browser, demo: Demo) -> None:
    browser.collect()
    assert browser.problems == []
    assert [url for url in browser.requests if not url.startswith(demo.url) and not url.startswith("data:")] == []


def test_the_checker_finds_what_is_broken(browser, demo):
    go(browser, demo, "policy")
    browser.run("const b = document.createElement('button'); document.querySelector('main').append(b);"
                "const p = document.createElement('p'); p.textContent = 'pale'; p.style.setProperty('color', '#ccc'); document.querySelector('main').append(p)")
    found = " ".join(browser.violations())
    assert "button-name" in found and "color-contrast" in found


@pytest.mark.parametrize("route", PAGES + ["decisions/{uid}", "workloads/shop/checkout", "models/llama-3.1-8b"])
def test_every_page_is_quiet_and_accessible_in_both_themes_and_at_both_widths(browser, demo, route):
    route = route.format(uid=demo.get("decisions?limit=1")[0]["uid"])
    for theme in ("light", "dark"):
        for size in (DESKTOP, PHONE):
            browser.theme(theme)
            browser.size(*size)
            go(browser, demo, route)
            assert browser.violations() == [], (route, theme, size)
            assert browser.run("return document.documentElement.scrollWidth <= innerWidth"), f"{route} is wider than {size[0]}"
    clean(browser, demo)


def test_headers_forbid_what_is_not_ours(demo):
    for path in ["", "assets/app.js", "assets/app.css", "api/v1/overview", "nothing"]:
        connection = http.client.HTTPConnection(demo.url[7:-1])
        connection.request("GET", "/" + path)
        reply = connection.getresponse()
        policy = reply.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "script-src 'self'" in policy, path
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        connection.close()
    with urllib.request.urlopen(demo.url + "assets/app.js", timeout=30) as reply:
        tag = reply.headers["ETag"]
    with pytest.raises(urllib.error.HTTPError) as same:
        fetch(demo.url + "assets/app.js", headers={"If-None-Match": tag})
    assert same.value.code == 304


def test_now_shows_what_the_overview_says(browser, demo):
    go(browser, demo, "now")
    running = demo.get("overview")["running"]
    shown = {key: browser.value(f"tile-{key}-value") for key in ("eur", "gco2e", "request", "measured")}
    assert shown == {"eur": running["eurPerHour"], "gco2e": running["gco2ePerHour"], "request": running["gco2ePerRequest"],
                     "measured": running["measuredShare"]}
    decisions = demo.get("decisions")
    rows = browser.run("return [...document.querySelectorAll('[data-testid=placement]')].map(r => [r.dataset.uid,"
                       "...['eur', 'gco2e'].map(k => r.querySelector(`[data-testid=${k}]`).dataset.value)])")
    assert len(rows) == len(decisions) > 40, "each pod, and those that were filtered first twice"
    assert [[uid, float(eur), float(grams)] for uid, eur, grams in rows] \
        == [[d["uid"], d["placementEurPerUnit"], d["placementGco2ePerUnit"]] for d in decisions]


def test_a_rows_percentages_are_of_one_ledger_which_it_names(browser, demo):
    """The reason's percentage and the figure beside it, and one denominator for euros and grams."""
    go(browser, demo, "now")
    browser.wait("[data-testid=placement]")
    rows = browser.run("return [...document.querySelectorAll('[data-testid=placement]')].map(r => [r.querySelector('.placement-why').textContent,"
                       "r.querySelector('[data-testid=change]').dataset.value, r.querySelector('[data-testid=ledger]').textContent,"
                       "r.querySelector('.placement-figures').innerText])")
    compared = 0
    for reason, change, ledger, text in rows:
        assert ledger == "placement ledger" and text.count("per ") == 1, text
        said = re.search(r"([0-9.]+) % (fewer|more) grams than the mean of .* \((.*)\)$", reason)
        if not said:
            continue
        compared += 1
        assert said[3] == ledger
        assert float(change) * 100 == pytest.approx(float(said[1]) * (-1 if said[2] == "fewer" else 1), rel=0.06), reason
    assert compared > 20


def test_regions_and_nodes_show_what_the_api_says(browser, demo):
    go(browser, demo, "regions")
    regions = sorted(demo.get("regions"), key=lambda r: r["gco2ePerKwh"])
    assert figures(browser, "[data-testid=region] [data-testid=intensity]") == [r["gco2ePerKwh"] for r in regions]
    ranking = demo.get("ranking?cpu=2&memory-gib=4")["nodes"]
    expected = {node: (eur, grams) for node, eur, grams in zip(ranking["node"], ranking["eurPerHour"], ranking["gco2ePerHour"])}
    rows = browser.run("return [...document.querySelectorAll('[data-testid=nodes-row], [data-testid=row]')].map(r => [r.cells[0].innerText,"
                       "...['eur', 'gco2e'].map(k => r.querySelector(`[data-column=${k}]`).dataset.value)])")
    assert len(rows) >= 8
    for name, eur, grams in rows:
        assert (float(eur), float(grams)) == expected[name.split()[0]], name


def test_nodes_are_searched_sorted_and_tried_with_another_pod(browser, demo):
    go(browser, demo, "regions")
    search = browser.wait("[data-testid=node-search]")
    search.send_keys("eu-north")
    eventually(lambda: browser.run("return [...document.querySelectorAll('[data-testid=row]')].every(r => r.innerText.includes('eu-north')) "
                                   "&& document.querySelectorAll('[data-testid=row]').length === 4"), "four nodes of eu-north-1")
    field = browser.wait("[data-testid=shape-cpu]")
    field.clear()
    field.send_keys("16")
    expected = dict(zip(*(demo.get("ranking?cpu=16&memory-gib=4")["nodes"][k] for k in ("node", "eurPerHour"))))
    eventually(lambda: figures(browser, "[data-testid=row] [data-column=eur]") == [expected[f"eu-north-1-{i}"] for i in range(1, 5)],
               "prices of the larger pod")


def test_a_decision_shows_its_candidates_and_the_slider_asks_again_exactly(browser, demo):
    decision = next(d for d in demo.get("decisions") if d["workload"] == "image-resize")
    told = demo.get(f"decisions/{decision['uid']}")["decision"]
    go(browser, demo, f"decisions/{decision['uid']}")
    candidates = told["candidates"]
    assert figures(browser, "[data-testid=candidate] [data-testid=score], [data-testid=candidates-row] [data-testid=score]") \
        == [c["score"] for c in candidates]
    for price in (0, 40, 1999):
        field = browser.wait("[data-testid=price-field]")
        field.clear()
        field.send_keys(str(price))
        expected = demo.get(f"what-if/{decision['uid']}?objective=priced&carbon-price={price}")
        # In one step: an answer draws the elements anew.
        best = "return document.querySelector('[data-testid=what-if-best]')?.textContent ?? ''"
        eventually(lambda: all(node in browser.run(best) for node in expected["best"][:3])
                   and figures(browser, "[data-testid=what-if-score]") == [c["score"] for c in expected["candidates"]][:50],
                   f"the answer for {price} EUR/t")
    clean(browser, demo)


def test_a_refusal_is_told_with_its_reason(browser, demo):
    decision = next(d for d in demo.get("decisions") if d["refused"] > 0)
    refused = demo.get(f"decisions/{decision['uid']}")["refused"]
    assert len(refused) == decision["refused"]
    go(browser, demo, f"decisions/{decision['uid']}")
    rows = [row.text for row in browser.all("[data-testid=refused-row], [data-testid=refused] tbody tr")]
    assert len(rows) == len(refused)
    for node, row in zip(refused, rows):
        assert node["node"] in row and node["reason"] in row


def test_workloads_show_what_the_api_says_and_have_their_label(browser, demo):
    before = {w["workload"]: w for w in demo.get("workloads?days=7")["workloads"]}
    go(browser, demo, "workloads")
    rows = browser.run("return [...document.querySelectorAll('[data-testid=row]')].map(r => [r.cells[0].innerText.split('\\n')[0],"
                       "r.querySelector('[data-column=gco2e] [data-testid=gco2e]').dataset.value])")
    after = {w["workload"]: w for w in demo.get("workloads?days=7")["workloads"]}
    assert len(rows) == len(before) == 13
    for name, grams in rows:
        assert before[name]["gco2e"] <= float(grams) <= after[name]["gco2e"], name
    go(browser, demo, "workloads/ai/chat")
    label = browser.wait("[data-testid=label]")
    eventually(lambda: browser.run("return arguments[0].naturalWidth", label) == 320, "the label is drawn")
    assert f'energy class {before["chat"]["energyClass"]}' in fetch(demo.url + "api/v1/labels/ai/chat.svg?days=7").decode()
    assert "api/v1/labels/ai/chat.svg" in browser.wait("[data-testid=snippet]").get_attribute("textContent")


def test_reports_budgets_signals_and_policy_show_what_the_api_says(browser, demo):
    go(browser, demo, "budgets")
    budgets = demo.get("budgets")["budgets"]
    assert figures(browser, "[data-testid=limit]") == [b["limit"] for b in budgets]
    go(browser, demo, "signals")
    assert len(browser.all("[data-testid=finding]")) == len(demo.get("signals")["findings"])
    go(browser, demo, "policy")
    for entry in demo.get("policy")["cluster"]:
        assert entry["key"] in browser.wait("main").text
    before = demo.get("reports?by=namespace")["total"]["gco2e"]["total_location_based"]["mid"]
    go(browser, demo, "reports")
    shown = max(eventually(lambda: figures(browser, "main [data-testid=gco2e]"), "figures are shown"))
    assert before <= shown <= demo.get("reports?by=namespace")["total"]["gco2e"]["total_location_based"]["mid"]


def test_moves_show_what_is_advised_and_what_came_of_it(browser, demo):
    def told(*states) -> list[dict]:
        return [a for a in demo.get("recommendations")["recommendations"] if a["state"] in states]

    # What holds no longer after the last pod expires within seconds.
    eventually(lambda: {a["workload"] for a in told("open", "accepted", "dismissed")} >= {"ranker", "archive", "console"} and len(told("expired")) > 1, "advice is settled")
    go(browser, demo, "moves")
    active = told("open", "accepted", "dismissed", "done")
    assert [card.get_attribute("data-state") for card in browser.all("[data-testid=advice]")] == [a["state"] for a in active]
    assert {a["kind"] for a in active} == {"move", "rightsizing"} and {a["state"] for a in active} >= {"open", "accepted", "dismissed"}
    assert figures(browser, "[data-testid=saved-g]") == [a["saved"]["gco2ePerHour"] * a["pods"] for a in active]
    assert figures(browser, "[data-testid=cost-eur]") == [a["cost"]["eur"] for a in active if a["kind"] == "move"]
    closed = told("measured", "expired")
    measured = [a["measured"]["saved"]["gco2ePerHour"] if a["measured"] else None for a in closed]
    assert figures(browser, "[data-testid=measured-g]") == measured and any(measured)
    assert figures(browser, "[data-testid=promised-g]") == [a["saved"]["gco2ePerHour"] for a in closed]
    clean(browser, demo)


def test_it_speaks_french(demo):
    browser = Browser("fr-FR")
    try:
        go(browser, demo, "now")
        assert browser.run("return document.documentElement.lang") == "fr"
        assert "," in browser.wait("[data-testid=tile-eur-value]").text and "€" in browser.wait("[data-testid=tile-eur-value]").text
        assert "." not in browser.wait("[data-testid=tile-eur-value]").text
        browser.wait("[data-testid=language]").click()
        eventually(lambda: browser.run("return document.documentElement.lang") == "en", "English by the switch")
        clean(browser, demo)
    finally:
        browser.close()


def test_it_works_by_keyboard(browser, demo):
    go(browser, demo, "now")

    def tab_to(what: str) -> str:
        for _ in range(12):
            browser.driver.switch_to.active_element.send_keys(Keys.TAB)
            focused = browser.run("const e = document.activeElement; return e.className + ' ' + e.dataset.testid + ' ' + (e.getAttribute('href') || '')")
            if what in focused:
                return focused
        raise AssertionError(f"{what} is not reached by Tab")

    assert "skip" in tab_to("skip"), "past the navigation at once"
    tab_to("nav-budgets")
    style = browser.run("const s = getComputedStyle(document.activeElement); return s.outlineStyle + s.boxShadow")
    assert style != "nonenone", "focus is to be seen"
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    eventually(lambda: browser.run("return location.hash") == "#/budgets", "a page by Enter")


@contextlib.contextmanager
def proxy(target: str, prefix: str):
    """Serves `target` under a path, as an ingress would."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith(prefix):
                self.send_error(404)
                return
            connection = http.client.HTTPConnection(target, timeout=30)
            connection.request("GET", self.path[len(prefix) - 1:], headers={"Accept": self.headers.get("Accept", "*/*")})
            reply = connection.getresponse()
            self.send_response(reply.status)
            for name, value in reply.getheaders():
                if name.lower() not in ("connection", "transfer-encoding", "keep-alive"):
                    self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):
                while block := reply.read1(65536):
                    self.wfile.write(block)
                    self.wfile.flush()
            connection.close()

        def log_message(self, *arguments) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{prefix}"
    finally:
        server.shutdown()
        server.server_close()


def test_it_works_behind_a_path(browser, demo):
    with proxy(demo.url[7:-1], "/tools/sobre/") as url:
        browser.open(url + "#/now")
        settle(browser)
        assert browser.value("tile-eur-value") == demo.get("overview")["running"]["eurPerHour"]
        browser.collect()
        assert browser.problems == []
        assert [u for u in browser.requests if not u.startswith(url)] == []
        browser.open("about:blank")


def test_a_service_that_goes_and_comes_is_told_calmly(tmp_path, sobre_bin):
    demo = Demo(tmp_path, sobre_bin, 5)
    browser = Browser()
    try:
        go(browser, demo, "now")
        assert browser.value("tile-eur-value") > 0
        demo.process.stop()
        eventually(lambda: "live" not in browser.wait("[data-testid=feed-state]").text.lower(), "the page says that nobody answers")
        assert browser.all("main h1"), "what was shown stays"
    finally:
        browser.close()
        demo.process.stop()


@pytest.fixture(scope="module")
def backtests(tmp_path_factory, sobre_bin):
    """Sobre with a result of a small backtest, one whose texts mean harm, and a file that is none."""
    folder = tmp_path_factory.mktemp("backtests")
    results = folder / "results"
    results.mkdir()
    text = (ROOT / "examples" / "backtest" / "week.yaml").read_text()
    (folder / "small.yaml").write_text(text.replace("nodes: 250", "nodes: 10").replace("hours: 192", "hours: 72"))
    played = subprocess.run([sobre_bin, "backtest", "--in", folder / "small.yaml", "--format", "json", "--quiet"], capture_output=True, text=True, check=True)
    (results / "week.json").write_text(played.stdout)
    hostile = json.loads(played.stdout)
    hostile["scenario"] = hostile["policies"][1]["policy"] = "<img src=x onerror=window.taken=1>\u202e"
    (results / "zz.json").write_text(json.dumps(hostile))
    (results / "broken.json").write_text("{")
    (folder / "nodes.json").write_text('{"items": []}')
    sobre = Sobre(folder, {"backtests": {"directory": "results"}}, "--nodes", folder / "nodes.json")
    yield sobre, json.loads(played.stdout)
    sobre.stop()


def test_a_backtest_is_shown_as_it_was_printed(browser, backtests):
    sobre, result = backtests
    for theme in ("light", "dark"):
        for size in (DESKTOP, PHONE):
            browser.theme(theme)
            browser.size(*size)
            browser.open(f"{sobre.status_url}/#/backtests/week")
            browser.wait("[data-testid=backtest-places]")
            settle(browser)
            assert browser.violations() == [], (theme, size)
            assert browser.run("return document.documentElement.scrollWidth <= innerWidth"), size
    for test_id, key in (("gco2e", "gco2e_per_vcpu_hour"), ("eur", "eur_per_vcpu_hour")):
        assert figures(browser, f"[data-testid=backtest-policies] [data-testid={test_id}]") == [p["total"][key] for p in result["policies"]]
    rows = browser.run("return [...document.querySelectorAll('[data-testid=backtest-policies-row]')].map(r => r.cells[0].textContent)")
    assert rows == [p["policy"] for p in result["policies"]]
    assert len(browser.all("main canvas")) == 3, "the front, and grams and euros by the hour"
    assert len(browser.all("[data-testid=backtest-warnings] li")) == len(result["warnings"])
    browser.collect()
    assert browser.problems == []


def test_a_result_that_means_harm_is_text_and_one_that_is_none_says_so(browser, backtests):
    sobre, _ = backtests
    browser.open(f"{sobre.status_url}/#/backtests/zz")
    browser.wait("[data-testid=backtest-places]")
    assert "<img src=x" in browser.wait("main").text and not browser.all("main img") and browser.run("return window.taken") is None
    browser.open(f"{sobre.status_url}/#/backtests/broken")
    eventually(lambda: "broken: is not JSON" in browser.wait("main").text, "what is wrong is said")
