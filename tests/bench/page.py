"""./run bench page: the dashboard beside 5,000 nodes and 100 decisions a second."""
import json
import os
import pathlib
import statistics
import subprocess
import time

from tests.browser import Browser
from tests.harness import Sobre, eventually

RATE = 100
SLICE_SECONDS = 20
TURNS = 5
WATCH_LONG_TASKS = """
window.longTasks = [];
new PerformanceObserver(list => { for (const e of list.getEntries()) window.longTasks.push(Math.round(e.duration)); })
  .observe({type: 'longtask', buffered: true});
"""


def heap_mib(browser: Browser) -> float:
    browser.driver.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
    return browser.driver.execute_cdp_cmd("Runtime.getHeapUsage", {})["usedSize"] / 2**20


def long_tasks(browser: Browser) -> list[int]:
    return browser.run("return window.longTasks.splice(0)")


def page(folder: pathlib.Path, programs: pathlib.Path, nodes: list, pod: dict, resident_mib) -> None:
    """Long tasks and memory of a page that stays open for SOBRE_PAGE_MINUTES (10); then latency with the page shut and open in turns."""
    minutes = float(os.environ.get("SOBRE_PAGE_MINUTES", "10"))
    signals = [{"signal": "node_price_per_hour", "labels": {"node": n["metadata"]["name"]}, "value": 0.5 + i % 7 / 10} for i, n in enumerate(nodes)]
    (folder / "nodes.json").write_text(json.dumps({"items": nodes}))
    (folder / "signals.json").write_text(json.dumps(signals))
    body = folder / "names.json"
    body.write_text(json.dumps({"Pod": pod, "Nodes": None, "NodeNames": [n["metadata"]["name"] for n in nodes]}))
    sobre = Sobre(folder, {"records": {"directory": str(folder / "page-records")}}, "--nodes", folder / "nodes.json", "--signals", folder / "signals.json")
    browser = Browser()

    def decide() -> tuple[float, float]:
        run = subprocess.run([programs / "bench_latency", str(sobre.extender_port), "/v1/prioritize", body, str(RATE * SLICE_SECONDS), str(1_000_000 // RATE)],
                             stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
        return tuple(map(float, run.stdout.split()))

    try:
        browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH_LONG_TASKS})
        # One page that is never left.
        print(f"\n{len(nodes)} nodes, {RATE} decisions a second\n{'minute':>6} {'page':<14} {'p50 µs':>8} {'p99 µs':>8} {'longest task':>13} {'heap MiB':>9} {'Sobre MiB':>10}")
        shut, opened, kept, worst = [], [], [], []
        start = time.monotonic()

        def tell(route: str, p50: float, p99: float, tasks: list[int], heap: float) -> None:
            print(f"{(time.monotonic() - start) / 60:>6.1f} {route:<14} {p50:>8.0f} {p99:>8.0f} {max(tasks, default=0):>10} ms {heap:>9.1f} "
                  f"{resident_mib(sobre.process, 'VmRSS'):>10.0f}", flush=True)

        browser.open(f"{sobre.status_url}/#/now")
        browser.wait("main h1")
        while time.monotonic() - start < 60 * minutes:
            p50, p99 = decide()
            tasks, heap = long_tasks(browser), heap_mib(browser)
            worst += tasks
            kept.append(heap)
            tell("#/now, kept", p50, p99, tasks, heap)
        for _ in range(TURNS):
            for route in ("shut", "#/now", "#/regions"):
                browser.open("about:blank" if route == "shut" else f"{sobre.status_url}/{route}")
                if route != "shut":
                    browser.wait("main h1")
                p50, p99 = decide()
                (shut if route == "shut" else opened).append((p50, p99))
                tasks = [] if route == "shut" else long_tasks(browser)
                worst += tasks
                tell(route, p50, p99, tasks, heap_mib(browser))
        median = lambda figures, i: statistics.median(f[i] for f in figures)  # noqa: E731
        print(f"latency with the page open against shut: p50 {median(opened, 0) / median(shut, 0):.2f}x, p99 {median(opened, 1) / median(shut, 1):.2f}x; "
              f"longest task {max(worst, default=0)} ms; one page kept for {minutes:g} min: heap {kept[0]:.1f} MiB at first, {kept[-1]:.1f} at last, "
              f"at most {max(kept):.1f}")
        browser.collect()
        for problem in browser.problems:
            print("the browser complains:", problem)
    finally:
        browser.close()
        eventually(lambda: sobre.stop() is not None, "Sobre stops")
