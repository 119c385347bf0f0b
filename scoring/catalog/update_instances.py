#!/usr/bin/env python3
"""Rewrites instances.csv's rows that come from Cloud Carbon Footprint.

usage: update_instances.py CHECKOUT   (a work tree of cloud-carbon-footprint/cloud-carbon-coefficients)

A family of instances gets a row where the source knows one processor for it, and that processor is in cpu.csv. Rows with
another source are kept as they stand, before these: they are more special or newer.
"""
import collections
import csv
import pathlib
import re
import sys

SOURCE = "Cloud Carbon Footprint coefficients"
HERE = pathlib.Path(__file__).parent
AWS_CPUS = {
    "Xeon E5-2666 v3": "haswell", "Xeon E5-2676 v3": "haswell", "Xeon E7-8880 v3": "haswell", "Xeon E5-2686 v4": "broadwell",
    "Xeon Platinum 8124M": "skylake", "Xeon Platinum 8151": "skylake", "Xeon Platinum 8175M": "skylake",
    "Xeon Platinum 8176M": "skylake", "Xeon Platinum 8252C": "cascade-lake", "Xeon Platinum 8259CL": "cascade-lake",
    "Xeon Platinum 8275CL": "cascade-lake", "Xeon Platinum 8375C": "ice-lake", "EPYC 7571": "epyc-1", "EPYC 7R32": "epyc-2",
}
ARCHITECTURES = {"Skylake": "skylake", "Cascade Lake": "cascade-lake", "EPYC 1st Gen": "epyc-1", "EPYC 2nd Gen": "epyc-2",
                 "EPYC 3rd Gen": "epyc-3", "Broadwell": "broadwell", "Haswell": "haswell"}


def rows_of(checkout: pathlib.Path, name: str) -> list[dict]:
    with (checkout / "data" / name).open(newline="") as file:
        return list(csv.DictReader(file))


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    checkout = pathlib.Path(sys.argv[1])
    profiles, hosts = collections.defaultdict(set), collections.defaultdict(set)

    def add(provider: str, pattern: str, profile: str | None, host_vcpus: str) -> None:
        profiles[provider, pattern].add(profile)
        hosts[provider, pattern].add(int(host_vcpus) if host_vcpus.isdigit() else 0)

    for row in rows_of(checkout, "aws-instances.csv"):
        family = row["Instance type"].split(".")[0]
        add("aws", f"{family}.*", AWS_CPUS.get(row["Platform CPU Name"]), row["Platform Total Number of vCPU"])
    for row in rows_of(checkout, "gcp-instances.csv"):
        family = row["Machine type"].split("-")[0]
        add("gcp", f"{family}-*", ARCHITECTURES.get(row["Microarchitecture"]), row["Platform vCPUs (highest vCPU possible)"])
    for row in rows_of(checkout, "azure-instances.csv"):
        size = re.fullmatch(r"([A-Z]+)\d+(-\d+)?([a-z]*) (v\d)", row["Virtual Machine"])
        if size:
            add("azure", f"Standard_{size[1]}*{size[3]}_{size[4]}", ARCHITECTURES.get(row["Microarchitecture"]),
                row["Platform vCPUs (highest vCPU possible)"])

    path = HERE / "instances.csv"
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        header, kept = reader.fieldnames, [row for row in reader if row["source"] != SOURCE]
    known = {(row["provider"], row["instance_type"]) for row in kept}
    made = []
    for (provider, pattern), names in sorted(profiles.items()):
        if len(names) == 1 and None not in names and max(hosts[provider, pattern]) and (provider, pattern) not in known:
            made.append({"provider": provider, "instance_type": pattern, "profile": names.pop(),
                         "host_vcpus": max(hosts[provider, pattern]), "source": SOURCE, "year": 2023,
                         "method": "processor and size of the host", "licence": "Apache-2.0"})
    special = [row for row in kept if row["instance_type"] != "*"]
    defaults = [row for row in kept if row["instance_type"] == "*"]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, header, lineterminator="\n")
        writer.writeheader()
        writer.writerows(special + made + defaults)


if __name__ == "__main__":
    main()
