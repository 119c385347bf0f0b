"""Pods, nodes, namespaces and signals that come, change and go, from one seed."""
import datetime
import random
import threading
import time

from tests import world
from tests.chaos.setting import NODES, Setting

GATE = {"name": "sobre.dev/carbon"}
# What a pod may say, by kind of pod: how often, its namespace, annotations. The admission policies alone mark those to which limits apply.
# Of whose name NOWHERE is a part, there is no node for it.
KINDS = [
    (40, "plain", "shop", {}),
    (4, "shadow", "shop", {"sobre.dev/mode": "shadow"}),
    (4, "odd", "shop", {"sobre.dev/cost-tolerance": "‮ten\n\u0007 per cent"}),
    (8, "country", "shop", {"sobre.dev/allowed-countries": "FR"}),
    (6, "region", "shop", {"sobre.dev/allowed-regions": "aws/eu-north-1,scaleway/pl-waw"}),
    (4, "operator", "shop", {"sobre.dev/denied-operators": "scaleway"}),
    (8, "held", "french", {}),
    (6, "moody", "moody", {}),
    (2, "nowhere-loosened", "french", {"sobre.dev/allowed-countries": "US"}),
    (2, "nowhere-country", "shop", {"sobre.dev/allowed-countries": "IS"}),
    (2, "nowhere-penniless", "shop", {"sobre.dev/unit": "pod-hour", "sobre.dev/max-eur-per-unit": "0.0000001"}),
    (1, "nowhere-number", "shop", {"sobre.dev/max-eur-per-unit": "NaN"}),
    (2, "nowhere-misspelt", "shop", {"sobre.dev/allowed-country": "FR"}),
    (1, "nowhere-unknown", "shop", {"sobre.dev/countries": "FR", "sobre.dev/allowed-regions": "scaleway/fr-par"}),
    (1, "nowhere-case", "shop", {"Sobre.dev/allowed-countries": "FR"}),
    (2, "nowhere-operator", "shop", {"sobre.dev/denied-operators": "Gooogle"}),
    (1, "nowhere-operators", "shop", {"sobre.dev/denied-operators": "aws;azure"}),
    (2, "nowhere-garbled", "garbled", {}),
    (8, "gated", "shop", {"sobre.dev/defer-below-gco2e-per-kwh": "30"}),
    (4, "gated-country", "shop", {"sobre.dev/defer-below-gco2e-per-kwh": "30", "sobre.dev/allowed-countries": "FR"}),
    # Of high priority, and as large as a node: others are evicted for them. By their fault alone.
    (0, "urgent", "shop", {"sobre.dev/allowed-countries": "FR"}),
    (0, "urgent-nowhere", "shop", {"sobre.dev/allowed-countries": "IS"}),
]
URGENT = {"cpu": "16", "priorityClassName": "urgent"}
NOWHERE = "nowhere"
MOST_PODS = 150  # bound ones are deleted beyond that, the oldest first


class Workload:
    """Adds pods until stop(); what the API server refuses meanwhile is done without."""

    def __init__(self, setting: Setting, seed: int) -> None:
        self.setting, self.dice, self.stopped = setting, random.Random(f"workload-{seed}"), threading.Event()
        self.number = self.refused = 0
        self.made: list[tuple[str, str]] = []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        changes = [(self.change_signals, 10), (self.change_nodes, 4), (self.change_mood, 2), (self.delete_some, 4)]
        pause = 1 / self.setting.options.pods_per_second
        while not self.stopped.wait(self.dice.uniform(0.5, 1.5) * pause):
            try:
                self.add_pod()
                if self.dice.random() < 0.15:
                    self.dice.choices(*zip(*changes))[0]()
                self.trim()
            except OSError:
                self.refused += 1

    def add_pod(self, kind: str = "") -> tuple[str, str]:
        """Namespace and name."""
        _, name, namespace, annotations = next(k for k in KINDS if k[1] == kind) if kind else \
            self.dice.choices(KINDS, [k[0] for k in KINDS])[0]
        self.number += 1
        # Nothing runs that would end a pod: it is gone as soon as it is evicted. The namespaces opted in: with and without the scheduler's name
        # it goes to the same.
        spec = {"cpu": "50m", "terminationGracePeriodSeconds": 0, "schedulerName": self.dice.choice(("sobre", "default-scheduler"))}
        spec |= URGENT if name.startswith("urgent") else {}
        name, annotations = f"{name}-{self.number}", dict(annotations)
        if "sobre.dev/defer-below-gco2e-per-kwh" in annotations:
            spec["schedulingGates"] = [GATE]
            seconds = self.dice.randint(5, 40)
            if self.dice.random() < 0.5:
                annotations["sobre.dev/max-delay"] = f"{seconds}s"
            else:
                until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
                annotations["sobre.dev/deadline"] = until.strftime("%Y-%m-%dT%H:%M:%SZ")
        self.setting.plane.add_pod(name, annotations, memory="64Mi", namespace=namespace, **spec)
        self.made.append((namespace, name))
        return namespace, name

    def change_signals(self) -> None:
        region = self.dice.choice(sorted(world.REGIONS))
        if self.dice.random() < 0.5:
            self.setting.prices[region] = round(world.PRICES[region] * self.dice.uniform(0.7, 1.4), 4)
        else:
            # Now and then below what gated pods wait for.
            self.setting.intensity[region] = round(self.dice.choice([self.dice.uniform(15, 29), self.dice.uniform(35, 700)]), 1)
        self.setting.tell_signals()

    def change_nodes(self) -> None:
        """One goes and comes back, now and then elsewhere under the same name."""
        name = f"node-{self.dice.randrange(NODES)}"
        region = self.setting.node_regions.get(name)
        if region is None:
            return
        self.setting.remove_node(name)
        if self.dice.random() < 0.5:
            region = self.dice.choice(sorted(world.REGIONS))
        self.setting.add_node(name, region)

    def change_mood(self) -> None:
        countries = self.dice.choice(["FR", "DE", "FR,DE", "SE", "PL"])
        self.setting.plane.call("PATCH", "/api/v1/namespaces/moody", {"metadata": {"annotations": {"sobre.dev/allowed-countries": countries}}},
                                content_type="application/merge-patch+json")

    def delete_some(self) -> None:
        if self.made:
            self.delete(self.made.pop(self.dice.randrange(len(self.made))))

    def trim(self) -> None:
        while len(self.made) > MOST_PODS:
            self.delete(self.made.pop(0))

    def delete(self, pod: tuple[str, str]) -> None:
        namespace, name = pod
        try:
            self.setting.plane.call("DELETE", f"/api/v1/namespaces/{namespace}/pods/{name}", {"gracePeriodSeconds": 0})
        except OSError as error:
            if " 404 " not in str(error):
                raise

    def restore(self) -> None:
        """All nodes are there, and signals are as in the beginning: everything that can be placed will be."""
        for number in range(NODES):
            name = f"node-{number}"
            if name not in self.setting.node_regions:
                self.setting.add_node(name, sorted(world.REGIONS)[number % len(world.REGIONS)])
        for number, region in enumerate(sorted(world.REGIONS)):
            self.setting.add_node(f"spare-{number}-{int(time.time())}", region)
        self.setting.prices, self.setting.intensity = dict(world.PRICES), dict(world.INTENSITY)
        self.setting.tell_signals()

    def stop(self) -> None:
        self.stopped.set()
        self.thread.join()
