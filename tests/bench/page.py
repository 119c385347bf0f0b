"""./run bench page: the dashboard beside 5,000 nodes and 100 decisions a second."""
import os
import pathlib
import statistics
import time

from tests.bench.load import Questions, ask, memory_mib
from tests.bench.rows import Row
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


def page(folder: pathlib.Path, programs: pathlib.Path) -> list[Row]:
    """Long tasks and memory of a page that stays open for SOBRE_PAGE_MINUTES (10); then latency with the page shut and open in turns."""
    minutes = float(os.environ.get("SOBRE_PAGE_MINUTES", "10"))
    questions = Questions(folder, 5000)
    sobre = Sobre(folder, {"records": {"directory": str(folder / "page-records")}}, *questions.arguments)
    browser = Browser()

    def decide() -> tuple[float, float]:
        return ask(programs, sobre.extender_port, questions.names, RATE * SLICE_SECONDS, 1_000_000 // RATE)[:2]

    try:
        browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH_LONG_TASKS})
        # One page that is never left.
        print(f"\n5,000 nodes, {RATE} decisions a second\n{'minute':>6} {'page':<14} {'p50 µs':>8} {'p99 µs':>8} {'longest task':>13} {'heap MiB':>9} {'Sobre MiB':>10}")
        shut, opened, kept, worst = [], [], [], []
        start = time.monotonic()

        def tell(route: str, p50: float, p99: float, tasks: list[int], heap: float) -> None:
            print(f"{(time.monotonic() - start) / 60:>6.1f} {route:<14} {p50:>8.0f} {p99:>8.0f} {max(tasks, default=0):>10} ms {heap:>9.1f} "
                  f"{memory_mib(sobre.process, 'VmRSS'):>10.0f}", flush=True)

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
        browser.collect()
        for problem in browser.problems:
            print("the browser complains:", problem)
        p99 = median(opened, 1) / median(shut, 1)
        longest = max(worst, default=0)
        return [Row("prioritize with the page open, p50", f"{median(opened, 0) / median(shut, 0):.2f} × shut", "", None),
                Row("prioritize with the page open, p99", f"{p99:.2f} × shut", "", None),
                Row("the page's longest task", f"{longest} ms", "", None),
                Row(f"heap of a page kept open for {minutes:g} min", f"{kept[0]:.1f} MiB at first, {kept[-1]:.1f} at last, {max(kept):.1f} at most", "", None)]
    finally:
        browser.close()
        eventually(lambda: sobre.stop() is not None, "Sobre stops")
