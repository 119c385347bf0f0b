#!/usr/bin/env python3
"""Writes demo_nodes.json: 24 nodes in six regions of four operators, as kubectl prints nodes."""
import json
import sys

REGIONS = [
    ("scaleway", "fr-par", "scaleway://instance/fr-par-1/", "PRO2-M", 16, 64),
    ("scaleway", "pl-waw", "scaleway://instance/pl-waw-1/", "PRO2-M", 16, 64),
    ("ovhcloud", "GRA9", "openstack:///", "b3-64", 16, 64),
    ("aws", "eu-central-1", "aws:///eu-central-1a/", "m6i.4xlarge", 16, 64),
    ("aws", "eu-north-1", "aws:///eu-north-1a/", "m6i.4xlarge", 16, 64),
    ("gcp", "europe-west1", "gce://demo/europe-west1-b/", "n2-standard-16", 16, 64),
]
items = []
for provider, region, provider_id, instance, cpu, memory in REGIONS:
    for number in range(1, 5):
        name = f"{region.lower()}-{number}"
        labels = {"kubernetes.io/hostname": name, "topology.kubernetes.io/region": region,
                  "node.kubernetes.io/instance-type": instance}
        if provider == "ovhcloud":
            labels["sobre.dev/provider"] = provider
        items.append({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels},
                      "spec": {"providerID": provider_id + name},
                      "status": {"allocatable": {"cpu": str(cpu), "memory": f"{memory}Gi", "pods": "110"}}})
json.dump({"apiVersion": "v1", "kind": "List", "items": items}, sys.stdout, indent=1)
print()
