"""Dashboards' queries, as Grafana would send them."""
import json
import pathlib

from tests.harness import ROOT

DASHBOARDS = ROOT / "helm" / "sobre" / "dashboards"
RULES = ROOT / "helm" / "sobre" / "rules"
VARIABLES = {"$__rate_interval": "15s", "$cluster": ".*", "$namespace": ".*", "$workload": ".*", "$model": ".*"}


def dashboards() -> dict[str, dict]:
    return {path.name: json.loads(path.read_text()) for path in sorted(DASHBOARDS.glob("*.json"))}


def panels(dashboard: dict) -> list[dict]:
    """Without rows."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def substitute(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression


def queries() -> list[tuple[str, dict, dict]]:
    """Every query: the dashboard's file, the panel and the target."""
    return [(name, panel, target) for name, dashboard in dashboards().items() for panel in panels(dashboard) for target in panel["targets"]]


def documented(path: pathlib.Path = ROOT / "docs" / "metrics.md") -> dict[str, tuple[str, set[str]]]:
    """By metric: its type and its labels."""
    found = {}
    for line in path.read_text().splitlines():
        if line.startswith("| `"):
            name, kind, labels = [cell.strip() for cell in line.strip("|").split("|")][:3]
            bare = "".join(labels.split("(")[0] if i == 0 else part.split(")")[-1] for i, part in enumerate(labels.split("(")))
            assert name.strip("`") not in found, f"{name} stands there twice"
            found[name.strip("`")] = (kind, {word.strip("`") for word in bare.replace(",", " ").split() if word.startswith("`")})
    return found


def exposed(text: str) -> tuple[dict[str, str], dict[str, set[str]]]:
    """What a page of metrics has: the type of each family, and the labels of those that have samples."""
    types = dict(line.split()[2:4] for line in text.splitlines() if line.startswith("# TYPE "))
    labels: dict[str, set[str]] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            series = line.rsplit(" ", 1)[0]
            name, _, inside = series.partition("{")
            for suffix in ("_bucket", "_sum", "_count"):
                if types.get(name.removesuffix(suffix)) == "histogram":
                    name = name.removesuffix(suffix)
            names = {part.split("=")[0] for part in inside.rstrip("}").split('",') if "=" in part}
            labels.setdefault(name, set()).update(names - {"le"})
    return types, labels


def assert_documented(text: str) -> None:
    types, labels = exposed(text)
    table = documented()
    assert set(types) - set(table) == set(), "metrics without a row in docs/metrics.md"
    assert set(table) - set(types) == set(), "rows of docs/metrics.md without a metric"
    for name, (kind, columns) in table.items():
        assert types[name] == kind, name
        assert labels.get(name, columns) == columns, name
