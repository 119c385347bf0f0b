"""Debian's Chromium, driven by its driver: pages as people see them."""
import json
import pathlib
import tempfile

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from tests.harness import ROOT, eventually

AXE = ROOT / "web/node_modules/axe-core/axe.min.js"
DESKTOP, PHONE = (1280, 800), (360, 740)


class Browser:
    """One window; it reaches this machine alone."""

    def __init__(self, language: str = "en-GB") -> None:
        self.profile = tempfile.TemporaryDirectory(prefix="sobre-browser-")
        options = Options()
        options.binary_location = "/usr/bin/chromium"
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                         "--disable-background-networking", "--disable-component-update", "--no-first-run",
                         "--disable-sync", "--disable-default-apps", "--js-flags=--expose-gc",
                         "--enable-precise-memory-info", f"--lang={language}",
                         "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                         f"--user-data-dir={self.profile.name}"):
            options.add_argument(argument)
        options.add_experimental_option("prefs", {"intl.accept_languages": language})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        self.driver.set_script_timeout(60)
        self.driver.set_page_load_timeout(60)
        self.requests: list[str] = []
        self.problems: list[str] = []
        self.size(*DESKTOP)

    def close(self) -> None:
        self.driver.quit()
        self.profile.cleanup()

    def size(self, width: int, height: int) -> None:
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})

    def theme(self, name: str) -> None:
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": name}]})

    def open(self, url: str) -> None:
        self.driver.get(url)

    def run(self, script: str, *arguments):
        return self.driver.execute_script(script, *arguments)

    def all(self, css: str) -> list:
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def wait(self, css: str, seconds: float = 60.0):
        return eventually(lambda: self.all(css), f"{css} on {self.driver.current_url}", seconds)[0]

    def value(self, test_id: str) -> float | None:
        """The exact figure behind what is shown; None where it is unknown."""
        raw = self.wait(f'[data-testid="{test_id}"][data-value]').get_attribute("data-value")
        return None if raw in ("", "null") else float(raw)

    def screenshot(self, path: pathlib.Path) -> None:
        self.driver.save_screenshot(str(path))

    def collect(self) -> None:
        """Takes over what the browser logged since the last time."""
        for entry in self.driver.get_log("browser"):
            if entry["level"] in ("SEVERE", "WARNING"):
                self.problems.append(entry["message"])
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            # What the browser's own empty page loads is none of ours.
            if message["method"] == "Network.requestWillBeSent" and message["params"]["documentURL"].startswith("http"):
                self.requests.append(message["params"]["request"]["url"])

    def violations(self) -> list[str]:
        """What axe-core finds on the page as it stands."""
        if not self.run("return typeof axe === 'object'"):
            # By the protocol, which the page's own policy does not bind.
            self.driver.execute_cdp_cmd("Runtime.evaluate", {"expression": AXE.read_text()})
        result = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "axe.run(document, {resultTypes: ['violations']}).then(done, e => done({violations: [{id: String(e)}]}))")
        return [f'{v["id"]}: {v.get("help", "")}: ' + "; ".join(n["html"][:160] + " " + n.get("failureSummary", "")[:300] for n in v.get("nodes", [])[:3])
                for v in result["violations"]]
