"""docs/effect.md: what stands between its markers is written from the results, sentences that tell of figures too. All else is the author's."""
import csv
import dataclasses
import pathlib

from tests.study import chart, grid, world
from tests.study.stats import Estimate, estimate

EFFECT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "effect.md"
CHART = pathlib.Path("images") / "effect.svg"

# What a policy is held against the first by: a name, and the figure of a policy's result.
GRAMS = ("gCO2e", lambda policy: policy["total"]["gco2e_per_vcpu_hour"])
EUROS = ("EUR", lambda policy: policy["total"]["eur_per_vcpu_hour"])
REQUEST_GRAMS = ("gCO2e", lambda policy: policy["total"]["gco2e_per_1k_requests"])
REQUEST_EUROS = ("EUR", lambda policy: policy["total"]["eur_per_1k_requests"])
ADDED = ("gCO2e", lambda policy: policy["total"]["added_gco2e"] / policy["total"]["vcpu_hours"])
MARGIN = ("gCO2e", lambda policy: policy["total"]["marginal_gco2e"] / policy["total"]["vcpu_hours"])
ENERGY = ("kWh", lambda policy: policy["total"]["energy_kwh"] / policy["total"]["vcpu_hours"])


@dataclasses.dataclass
class Study:
    cells: dict[str, world.Cell]
    results: dict[str, list[dict]]  # by cell, then by seed
    grids: world.Grids
    loaded: dict[str, grid.Grid]
    seeds: int
    nodes: int

    def policy(self, cell: str, name: str) -> list[dict]:
        """By seed."""
        return [next(p for p in result["policies"] if p["policy"] == name) for result in self.results[cell]]

    def mean(self, cell: str, name: str, value) -> float:
        return estimate([value(policy) for policy in self.policy(cell, name)]).mean

    def change(self, cell: str, name: str, measure) -> Estimate:
        """Per cent against kube-scheduler alone, by pairs of the same seed."""
        pairs = zip(self.policy(cell, name), self.policy(cell, world.ALONE["name"]))
        return estimate([100 * (measure[1](policy) / measure[1](alone) - 1) for policy, alone in pairs])

    def warnings(self, cell: str, name: str, of: str = "") -> str:
        """In how many seeds the backtest warned of the policy (with words of `of`), and what it said first."""
        said = [[w for w in result["warnings"] if w.startswith(name + ": ") and of in w] for result in self.results[cell]]
        seeds = [i for i, warnings in enumerate(said) if warnings]
        if not seeds:
            return "The backtest warns in no week."
        return f"The backtest warns in {len(seeds)} of {self.seeds} weeks, first in week {seeds[0] + 1}: “{said[seeds[0]][0]}”."


def fixed(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return ("−" if text.startswith("-") and float(text) != 0 else "") + text.lstrip("-")


def signed(value: float, digits: int = 1) -> str:
    text = fixed(value, digits)
    return text if text.startswith("−") or float(text) == 0 else "+" + text


def percent(change: Estimate) -> str:
    return f"{signed(change.mean)} ± {fixed(change.half_width, 1)} %"


def table(heads: list[str], rows: list[list[str]], words: int) -> str:
    """The first `words` columns are words, the others figures."""
    lines = [heads, ["---"] * words + ["--:"] * (len(heads) - words)] + rows
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main_cells(study: Study) -> list[tuple[str, str, str]]:
    return [(mix, prices, f"{mix}/{prices}") for mix in world.MIXES for prices in world.PRICES]


POLICIES = ["cost", "balanced", "carbon"]


def changes(study: Study, grams, euros, digits: tuple[int, int], unit: str) -> str:
    heads = ["mix", "prices", f"alone: gCO2e per {unit}", "alone: EUR"] + [f"{policy}: {what}" for policy in POLICIES for what in ("gCO2e", "EUR")]
    rows = []
    for mix, prices, cell in main_cells(study):
        row = [mix, prices] + [fixed(study.mean(cell, world.ALONE["name"], measure[1]), n) for measure, n in zip((grams, euros), digits)]
        rows.append(row + [percent(study.change(cell, policy, measure)) for policy in POLICIES for measure in (grams, euros)])
    return table(heads, rows, 2)


def extremes(study: Study, policy: str, measure) -> tuple[list[tuple[Estimate, str]], list[tuple[Estimate, str]], str]:
    """Cells where it rises and where it falls for certain, the largest first; and where it is in all of them."""
    all_cells = [(study.change(cell, policy, measure), f"{mix}, {prices}") for mix, prices, cell in main_cells(study)]
    rises = sorted((c for c in all_cells if c[0].sign() > 0), key=lambda c: -c[0].mean)
    falls = sorted((c for c in all_cells if c[0].sign() < 0), key=lambda c: c[0].mean)
    means = [c[0].mean for c in all_cells]
    return rises, falls, f"{signed(min(means))} to {signed(max(means))} %"


def summary(study: Study) -> str:
    count = len(main_cells(study))
    lines = ["**Where it harms**", ""]
    for policy in POLICIES:
        for measure, what in ((GRAMS, "attributed grams"), (EUROS, "euros")):
            rises, _, over = extremes(study, policy, measure)
            said = f"rises in none of {count} cases" if not rises else (
                f"rises in {len(rises)} of {count} cases, most by {percent(rises[0][0])} ({rises[0][1]})")
            lines.append(f"- `{policy}`: {what} per vCPU-hour {said.replace('rises', 'rise')}; all cases {over}.")
    lines += ["", "**Where there is little to choose**", ""]
    lines += [f"- {text}: {percent(study.change(cell, policy, GRAMS))} grams" + (f", {percent(study.change(cell, policy, EUROS))} euros." if euros else ".")
              for text, cell, policy, euros in (
                  ("One region, machines alike, `carbon`", "batch/hour", "carbon", False),
                  (f"Waiting alone in Germany, half of the jobs of the batch mix, up to {world.MAX_DELAY_HOURS} hours", "batch/hour", "carbon, waiting", False),
                  ("Services that must all stay in Germany, `carbon`", "bound", "carbon", False),
                  ("`balanced` with the cluster asked for 95 % of its vCPUs", "fill 0.95", "balanced", True))]
    lines += ["", "**Where it does most**", ""]
    for policy, measure, what in (("carbon", GRAMS, "grams"), ("balanced", GRAMS, "grams"), ("cost", EUROS, "euros")):
        _, falls, _ = extremes(study, policy, measure)
        lines.append(f"- `{policy}`: {what} fall in {len(falls)} of {count} cases"
                     + (f", most by {percent(falls[0][0])} ({falls[0][1]})." if falls else "."))
    average, margin = (study.change("services/equal", "carbon", measure) for measure in (ADDED, MARGIN))
    lines += ["", "**What the grid would make of it**", "",
              f"- The load that `carbon` places changes grams by {percent(average)} at average intensity, and by {percent(margin)} if fossil plants make what is "
              "added (services, equal prices)."]
    return "\n".join(lines)


def made(study: Study) -> str:
    scenarios = sum(len(results) for results in study.results.values())
    plays = sum(len(result["policies"]) for results in study.results.values() for result in results)
    placed = sum(policy["placed"] for results in study.results.values() for result in results for policy in result["policies"])
    weeks = ", ".join(result["start"][5:10] for result in next(iter(study.results.values())))
    return (f"{study.nodes:,} nodes, {study.seeds} seeds, {scenarios:,} scenarios, {plays:,} plays, {placed:,} pods placed after warm-up. The weeks of "
            f"{world.YEAR} begin, a warm-up day first, on {weeks} (month and day).")


def grids_table(study: Study) -> str:
    rows = []
    for zone in study.grids.by_cleanness():
        values = [hour[zone] for hour in study.grids.average.values()]
        margin = [hour[zone] for hour in study.grids.margin.values()]
        region, loaded = world.REGIONS[zone], study.loaded[zone]
        rows.append([zone, f"{region.provider} {region.name}", fixed(sum(values) / len(values), 0), fixed(min(values), 0), fixed(max(values), 0),
                     fixed(100 * study.grids.swing(zone), 0) + " %", fixed(sum(margin) / len(margin), 0), str(loaded.step_minutes), str(loaded.rows_dropped),
                     str(loaded.hours_filled), str(loaded.hours_missing)])
    return table(["grid", "region", "mean", "least", "most", "within a day", "operating margin, mean", "step, min", "rows left out", "hours filled in",
                  "hours missing"], rows, 2)


def factors_table(study: Study) -> str:
    with grid.FACTORS.open(newline="") as lines:
        rows = [[row["fuel"], row["gco2e_per_kwh"], row["margin"], row["source"], row["year"], row["note"]] for row in csv.DictReader(lines)]
    return table(["fuel", "gCO2e/kWh", "in the operating margin", "source", "year", "what it is"], rows, 6)


def prices_table(study: Study) -> str:
    rows = [[zone] + [fixed(world.price_of(prices, zone, study.grids), 3) for prices in world.PRICES] for zone in study.grids.by_cleanness()]
    return table(["grid"] + world.PRICES, rows, 1)


LEVERS = [("region", "region", "carbon"), ("hardware", "hardware", "carbon"), ("hour", "hour", "carbon, waiting"),
          ("region and hardware", "equal", "carbon"), ("region, hardware and hour", "equal", "carbon, waiting")]


def waited(study: Study, cell: str, policy: str) -> str:
    gated = sum(p["gated"] for p in study.policy(cell, policy))
    hours = sum(p["gated_hours"] for p in study.policy(cell, policy))
    return fixed(hours / gated, 1) if gated else "–"


def levers_table(study: Study) -> str:
    rows = []
    for mix in world.LEVER_MIXES:
        for lever, cell, policy in LEVERS:
            name = f"{mix}/{cell}"
            rows.append([mix, lever] + [percent(study.change(name, policy, m)) for m in (GRAMS, REQUEST_GRAMS, EUROS, ENERGY)]
                        + [waited(study, name, policy)])
    return table(["mix", "lever", "gCO2e per vCPU-hour", "gCO2e per request", "EUR per vCPU-hour", "kWh per vCPU-hour", "hours waited"], rows, 2)


def levers_read(study: Study) -> str:
    lines = []
    for mix in world.LEVER_MIXES:
        means = {lever: study.change(f"{mix}/{cell}", policy, GRAMS) for lever, cell, policy in LEVERS[:3]}
        order = sorted(means, key=lambda lever: means[lever].mean)
        both, every = (study.change(f"{mix}/equal", policy, GRAMS) for policy in ("carbon", "carbon, waiting"))
        gain = estimate([100 * (w["total"]["gco2e_per_vcpu_hour"] / c["total"]["gco2e_per_vcpu_hour"] - 1)
                         for w, c in zip(study.policy(f"{mix}/equal", "carbon, waiting"), study.policy(f"{mix}/equal", "carbon"))])
        verdict = {1: "makes it worse", 0: "changes nothing that can be told from chance", -1: "adds to that"}[gain.sign()]
        lines.append(f"- {mix}: alone, " + ", then ".join(f"{lever} ({percent(means[lever])})" for lever in order)
                     + f". Region and hardware together {percent(both)}; waiting on top of both {verdict} ({percent(gain)} against not waiting).")
    return "\n".join(lines)


def margin_table(study: Study) -> str:
    cases = [("services", prices, f"services/{prices}", policy, policy) for prices in ("equal", "list") for policy in POLICIES]
    cases += [("batch", lever, f"batch/{cell}", policy, policy) for lever, cell, policy in LEVERS]
    rows = [[mix, what, policy] + [percent(study.change(cell, name, measure)) for measure in (GRAMS, ADDED, MARGIN)] for mix, what, cell, name, policy in cases]
    return table(["mix", "prices or lever", "policy", "attributed", "added by load, average", "added by load, operating margin"], rows, 3)


def margin_read(study: Study) -> str:
    cases = [(f"{mix}, {prices}", study.change(cell, policy, ADDED), study.change(cell, policy, MARGIN), policy)
             for mix, prices, cell in main_cells(study) for policy in POLICIES]
    opposite = [(text, policy, average, margin) for text, average, margin, policy in cases if average.sign() * margin.sign() < 0]
    smaller = sum(abs(margin.mean) < abs(average.mean) for _, average, margin, _ in cases)
    said = f"Of {len(cases)} cases and policies, the change by operating margin is the smaller one in {smaller}"
    if not opposite:
        return said + ", and none goes the other way."
    text, policy, average, margin = max(opposite, key=lambda case: abs(case[3].mean - case[2].mean))
    return said + (f", and {len(opposite)} {'goes' if len(opposite) == 1 else 'go'} the other way, most of all `{policy}` in {text}: {percent(average)} by "
                   f"the average, {percent(margin)} by the margin.")


def per_cent_of_pods(study: Study, cell: str, policy: str, key: str) -> str:
    pods = sum(p["pods"] for p in study.policy(cell, policy))
    return fixed(100 * sum(p[key] for p in study.policy(cell, policy)) / pods, 2) + " %"


LITTLE = 5  # per cent


def little_cases(study: Study) -> list[tuple[str, str, str, str]]:
    """What is told of it, its mix, its cell and the policy."""
    flattest = study.grids.flattest()
    cases = [("one region (DE), machines alike", "batch", "batch/hour", "carbon"),
             ("waiting alone, DE", "batch", "batch/hour", "carbon, waiting"),
             ("waiting alone, DE, the hours ahead foreseen", "batch", "hour, foreseen", "carbon, waiting"),
             (f"waiting alone, the flattest grid ({flattest})", "batch", "hour, flattest", "carbon, waiting"),
             ("all services must stay in DE", "services", "bound", "carbon")]
    fills = [(fill, "services/list" if fill == world.FILL else f"fill {fill}") for fill in sorted([world.FILL, *world.FILLS])]
    cases += [(f"asked for {100 * fill:.0f} % of the vCPUs", "services", cell, policy) for fill, cell in fills for policy in ("balanced", "carbon")]
    return cases


def little_read(study: Study) -> str:
    changes = [(text, policy, study.change(cell, policy, GRAMS)) for text, _, cell, policy in little_cases(study)]
    little = [f"{text} (`{policy}`)" for text, policy, change in changes if -LITTLE < change.low and change.high < LITTLE]
    least, most = (study.change(f"fill {fill}", "carbon", GRAMS) for fill in (min(world.FILLS), max(world.FILLS)))
    return (f"Within {LITTLE} % of nothing: " + ("; ".join(little) if little else "none of these") + f". From {100 * min(world.FILLS):.0f} to {100 * max(world.FILLS):.0f} % asked for, "
            f"`carbon` goes from {percent(least)} to {percent(most)}.")


def little_table(study: Study) -> str:
    rows = []
    for text, mix, cell, policy in little_cases(study):
        reserved = fixed(100 * study.mean(cell, policy, lambda p: p["cpu_reserved"]), 0) + " %"
        queued = [per_cent_of_pods(study, cell, name, "queued") for name in (policy, world.ALONE["name"])]
        rows.append([text, mix, policy, percent(study.change(cell, policy, GRAMS)), percent(study.change(cell, policy, EUROS)), reserved, *queued])
    return table(["case", "mix", "policy", "gCO2e per vCPU-hour", "EUR per vCPU-hour", "vCPUs reserved", "pods that queued", "the same, alone"], rows, 3)


def worse_or_not(change: Estimate, what: str) -> str:
    return {1: f"makes {what} worse", 0: f"changes {what} by nothing that can be told from chance", -1: f"still lowers {what}"}[change.sign()]


def failure_stale(study: Study) -> str:
    a, b = study.grids.most_crossing()
    fresh, old = (study.change("stale", name, GRAMS) for name in ("carbon", world.STALE["name"]))
    return (f"Between {a} and {b}, the two grids of which the cleaner one changes most often within twelve hours, `carbon` changes grams by {percent(fresh)} with "
            f"values of the hour. With values of twelve hours before it {worse_or_not(old, 'them')}: {percent(old)} (batch mix, machines alike). "
            + study.warnings("stale", world.STALE["name"], of="makes it worse"))


def failure_flat(study: Study) -> str:
    zone = study.grids.flattest()
    change = study.change("hour, flattest", "carbon, waiting", GRAMS)
    return (f"{zone} moves by {fixed(100 * study.grids.swing(zone), 0)} % within a day, less than the others. Waiting for its cleanest hour holds a pod that waits for "
            f"{waited(study, 'hour, flattest', 'carbon, waiting')} hours on average, and {worse_or_not(change, 'grams')}: {percent(change)}. "
            + study.warnings("hour, flattest", "carbon, waiting", of="waiting can gain hardly anything"))


def pair(study: Study, cell: str, policy: str) -> str:
    return f"grams {percent(study.change(cell, policy, GRAMS))}, euros {percent(study.change(cell, policy, EUROS))}"


def failure_cost(study: Study) -> str:
    cells = [(mix, f"{mix}/clean is dear") for mix in world.MIXES]
    told = [f"`{policy}`: " + "; ".join(f"{mix} {pair(study, cell, policy)}" for mix, cell in cells) + ". " + study.warnings(cells[0][1], policy)
            for policy in ("cost", "balanced")]
    return " ".join(told)


def failure_dear(study: Study) -> str:
    cells = [(mix, f"{mix}/clean is dear") for mix in world.MIXES]
    text = "; ".join(f"{mix}: {pair(study, cell, 'carbon')}, which is {price_of_a_tonne(study, cell)}" for mix, cell in cells)
    return text + ". " + study.warnings(cells[0][1], "carbon")


def price_of_a_tonne(study: Study, cell: str) -> str:
    alone, carbon = world.ALONE["name"], "carbon"
    euros = study.mean(cell, carbon, EUROS[1]) - study.mean(cell, alone, EUROS[1])
    grams = study.mean(cell, alone, GRAMS[1]) - study.mean(cell, carbon, GRAMS[1])
    if grams <= 0 or euros <= 0:
        return "no price of a tonne, as one of them does not rise while the other falls"
    return f"{fixed(euros / grams * 1e6, 0)} EUR for each attributed tonne less"


def failure_full(study: Study) -> str:
    cell, name = "full, waiting", "carbon, waiting"
    shares = {p: (per_cent_of_pods(study, cell, p, "queued"), per_cent_of_pods(study, cell, p, "without_place")) for p in (world.ALONE["name"], "carbon", name)}
    told = "; ".join(f"{policy}: {queued} queued, {none} without a place at the end" for policy, (queued, none) in shares.items())
    return (f"Grams {percent(study.change(cell, name, GRAMS))} with waiting, {percent(study.change(cell, 'carbon', GRAMS))} without (services mix, asked for 80 %). {told}. "
            + study.warnings(cell, name, of="no place"))


BLOCKS = {
    "summary": summary, "made": made, "grids": grids_table, "factors": factors_table, "prices": prices_table,
    "vcpu": lambda study: changes(study, GRAMS, EUROS, (2, 4), "vCPU-hour"),
    "requests": lambda study: changes(study, REQUEST_GRAMS, REQUEST_EUROS, (4, 6), "1,000 requests"),
    "levers": levers_table, "levers read": levers_read, "margin": margin_table, "margin read": margin_read, "little": little_table, "little read": little_read,
    "stale": failure_stale, "flat": failure_flat, "cost": failure_cost, "dear": failure_dear, "full": failure_full}


def rendered(text: str, study: Study) -> str:
    """The document with each block written anew."""
    for name, make in BLOCKS.items():
        begin, end = f"<!-- study: {name} -->\n", f"<!-- end: {name} -->"
        head, rest = text.split(begin)
        text = head + begin + make(study) + "\n" + end + rest.split(end)[1]
    return text


def write(path: pathlib.Path, study: Study) -> None:
    made_anew = rendered(EFFECT.read_text(), study)
    path.write_text(made_anew)
    (path.parent / CHART).parent.mkdir(exist_ok=True)
    points = {policy: [(study.change(cell, policy, EUROS), study.change(cell, policy, GRAMS)) for _, _, cell in main_cells(study)] for policy in POLICIES}
    (path.parent / CHART).write_text(chart.scatter(points, "EUR per vCPU-hour, change in %", "attributed gCO2e per vCPU-hour, change in %"))
