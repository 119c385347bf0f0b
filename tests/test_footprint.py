"""`sobre footprint`: published examples through the program, and errors that name the path."""
import json
import os
import subprocess

import pytest

from tests import programs

HOUR = {"embodied": [{"total_gco2e": 1000000, "lifetime_hours": 35040, "used_hours": 1, "share": 1.0}]}


def teads(seconds: float, load: float) -> dict:
    return {"power": [{"component": "cpu", "model": "teads", "tdp_watts": 100, "utilization": load, "vcpus_allocated": 2,
                       "vcpus_total": 8}], "duration_seconds": seconds}


def sci(seconds: float, load: float) -> dict:
    return teads(seconds, load) | {"energy_kwh": [1e-6], "grid_gco2e_per_kwh": 800,
                                   "embodied": [{"total_gco2e": 1000000, "lifetime_hours": 35040, "used_hours": seconds / 3600}]}


def run(document, **environment) -> subprocess.CompletedProcess:
    text = document if isinstance(document, str) else json.dumps(document)
    return subprocess.run([programs.sobre(), "footprint", "--in", "-"], input=text, capture_output=True, text=True,
                          env=os.environ | environment)


@pytest.mark.parametrize("document, expected", [
    (HOUR, {"embodied_gco2e": 28.538812785388128, "total_gco2e": 28.538812785388128, "energy_kwh": 0, "operational_gco2e": 0}),
    (sci(1, 0.5), {"energy_kwh": 6.208333333333333e-6, "operational_gco2e": 0.004966666666666666,
                   "embodied_gco2e": 0.007927447995941146, "total_gco2e": 0.012894114662607812}),
    (sci(30, 0.15), {"operational_gco2e": 0.06309166666666667, "embodied_gco2e": 0.2378234398782344,
                     "total_gco2e": 0.30091510654490106}),
    (teads(360, 0.01), {"energy_kwh": 0.00035, "operational_gco2e": None}),
    (teads(360, 1), {"energy_kwh": 0.00255}),
    ({"embodied": [{"total_gco2e": 5.02, "lifetime_hours": 1, "used_hours": 1}], "units": 100}, {"per_unit_gco2e": 0.0502}),
    ({"power": [{"component": "cpu", "model": "linear", "min_watts": 0.71, "max_watts": 3.46, "utilization": 0.01, "vcpu_hours": 1}],
      "pue": 1.135, "replication": 2, "grid_gco2e_per_kwh": 415.755},
     {"energy_kwh": 0.0016741249999999998, "operational_gco2e": 0.6960258393749999}),
    ({"energy_kwh": [0.24], "grid_gco2e_per_kwh": 98}, {"total_gco2e": 23.52}),
    ({"energy_kwh": [0.0096], "grid_gco2e_per_kwh": 951, "embodied": [{"total_gco2e": 5.112, "lifetime_hours": 1, "used_hours": 1}]},
     {"total_gco2e": 14.2416}),
    ({"power": [{"component": "memory", "gb_hours": 1000}, {"component": "storage", "kind": "ssd", "tb_hours": 1},
                {"component": "storage", "kind": "hdd", "tb_hours": 2}, {"component": "network", "gb": 3}]},
     {"energy_kwh": 0.392 + 0.0012 + 0.0013 + 0.003}),
    ({"energy_kwh": [2], "units": 4, "price": [{"eur": 1}, {"eur_per_hour": 3, "hours": 2, "share": 0.5}, {"eur_per_kwh": 0.25}]},
     {"euros": 4.5, "per_unit_euros": 1.125}),
    ({}, {"energy_kwh": 0, "total_gco2e": 0, "per_unit_gco2e": None, "euros": None}),
], ids=["1", "2", "2, half a minute", "3, 1 %", "3, 100 %", "4", "5", "6", "9", "other parts", "prices", "nothing"])
def test_examples(document, expected):
    result = run(document)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    for key, value in expected.items():
        assert found[key] == (value if value is None else pytest.approx(value, rel=1e-12, abs=0)), key


def test_numbers_have_17_digits_in_any_locale():
    for locale in ("C", "de_DE.UTF-8"):
        result = run({"energy_kwh": [0.1], "units": 3, "grid_gco2e_per_kwh": 1}, LC_ALL=locale, LANG=locale)
        assert '"energy_kwh": 0.10000000000000001,' in result.stdout


@pytest.mark.parametrize("document, said", [
    ("{", "not valid JSON"),
    ("[]", "the document: expected an object"),
    ({"pues": 1}, "pues: unknown key; did you mean 'pue'?"),
    ({"power": [{"tdp_wats": 1}]}, "power[0].tdp_wats: unknown key; did you mean 'tdp_watts'?"),
    ({"power": [{"component": "cpu", "utilization": 2, "tdp_watts": 1}]}, "power[0].utilization: 2 is above 1"),
    ({"energy_kwh": [1, "2"]}, "energy_kwh[1]: expected a number"),
    ({"energy_kwh": [True]}, "energy_kwh[0]: expected a number"),
    ({"energy_kwh": 1}, "energy_kwh: expected a list"),
    ({"pue": -1}, "pue: -1 is negative"),
    ({"pue": 0.5}, "pue: 0.5 is below 1"),
    ({"units": 0}, "units: must be above 0"),
    ('{"pue": 1e999}', "not valid JSON"),
    ('{"pue": NaN}', "not valid JSON"),
    ('{"pue": 1, "pue": 2}', "pue: stands twice"),
    ({"power": [{"component": "cpu", "tdp_watts": 100, "utilization": 1}]}, "power[0]: needs vcpu_hours, or duration_seconds"),
    ({"energy_kwh": [1e300, 1e300], "grid_gco2e_per_kwh": 1e300}, "too large"),
    ({"energy_kwh": [1e300], "grid_gco2e_per_kwh": 1, "units": 1e-300}, "too large"),
    ({"energy_kwh": [1], "embodied": [{"total_gco2e": 1e300, "used_hours": 1e300}]}, "too large"),
], ids=lambda value: None if isinstance(value, dict) else value)
def test_mistakes_are_named_by_their_path(document, said):
    result = run(document)
    assert result.returncode == 2 and result.stdout == ""
    assert said in result.stderr


def test_a_missing_file_is_an_error():
    result = subprocess.run([programs.sobre(), "footprint", "--in", "/nowhere.json"], capture_output=True, text=True)
    assert result.returncode == 2 and "/nowhere.json" in result.stderr
