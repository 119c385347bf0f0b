#!/usr/bin/env python3
"""Writes grid.csv from the codecarbon package, and countries.csv beside it: python3 update_grid.py

Downloads nothing itself: run it where `pip install --no-deps codecarbon pycountry` was done.
"""
import csv
import json
import pathlib
from importlib import metadata

import pycountry


def main() -> None:
    package = metadata.distribution("codecarbon")  # not imported: its own dependencies are not needed
    data = package.locate_file("codecarbon/data/private_infra/global_energy_mix.json")
    rows = json.loads(pathlib.Path(str(data)).read_text(encoding="utf-8"))
    found = []
    for iso3, row in rows.items():
        country = pycountry.countries.get(alpha_3=iso3)
        if country is None or not row.get("carbon_intensity"):
            continue
        found.append((country.alpha_2, iso3, row["country_name"], row["carbon_intensity"], row["year"]))
    source = f"codecarbon {package.version} (Our World in Data)"
    write("grid.csv", ["zone", "name", "gco2e_per_kwh", "year", "method", "source", "licence"],
          [[zone, name, intensity, year, "average location-based", source, "MIT"] for zone, _, name, intensity, year in sorted(found)])
    write("countries.csv", ["code", "zone", "source", "year", "method", "licence"],
          # All of them: a limit may name a country of which no grid is known.
          sorted([country.alpha_3, country.alpha_2, "ISO 3166-1", 2020, "three-letter code", "published list"]
                 for country in pycountry.countries))


def write(name: str, header: list, rows: list) -> None:
    with pathlib.Path(__file__).with_name(name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


if __name__ == "__main__":
    main()
