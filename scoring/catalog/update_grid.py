#!/usr/bin/env python3
"""Writes grid.csv from the codecarbon package: python3 update_grid.py > grid.csv

Downloads nothing itself: run it where `pip install --no-deps codecarbon pycountry` was done.
"""
import csv
import json
import pathlib
import sys
from importlib import metadata

import pycountry


def main() -> None:
    package = metadata.distribution("codecarbon")  # not imported: its own dependencies are not needed
    data = package.locate_file("codecarbon/data/private_infra/global_energy_mix.json")
    rows = json.loads(pathlib.Path(str(data)).read_text(encoding="utf-8"))
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["zone", "name", "gco2e_per_kwh", "year", "method", "source", "licence"])
    found = []
    for iso3, row in rows.items():
        country = pycountry.countries.get(alpha_3=iso3)
        if country is None or not row.get("carbon_intensity"):
            continue
        found.append((country.alpha_2, row["country_name"], row["carbon_intensity"], row["year"]))
    for zone, name, intensity, year in sorted(found):
        out.writerow([zone, name, intensity, year,
                      "average location-based", f"codecarbon {package.version} (Our World in Data)", "MIT"])


if __name__ == "__main__":
    main()
