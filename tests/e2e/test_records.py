"""Decisions on record, with a real API server and kube-scheduler: each placement once, with what became of it."""
import csv
import json
import pathlib
import random
import shutil
import sqlite3
import subprocess
import time

import pytest
import yaml

from tests import focus, programs, world
from tests.harness import Sobre, eventually, fetch
from tests.world import INTENSITY, PRICES, REGIONS


def run(*arguments, code: int = 0) -> subprocess.CompletedProcess:
    done = subprocess.run([programs.sobre(), *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done


def metric(sobre: Sobre, name: str) -> float:
    text = fetch(sobre.status_url + "/metrics").decode()
    return next(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))


def wait_for_signals(sobre: Sobre) -> None:
    def heard() -> bool:
        nodes = sobre.nodes()
        return all(nodes[f"{r}-0"]["liveGco2ePerKwh"] == INTENSITY[r] and nodes[f"{r}-0"]["eurPerHour"] == PRICES[r] for r in REGIONS)
    eventually(heard, "signals are there")


class Cluster:
    def __init__(self, plane, sobre, records) -> None:
        self.plane, self.sobre, self.records, self.batch = plane, sobre, records, 0

    def place(self, count: int, **pod) -> dict[str, str]:
        self.batch += 1
        names = [f"pod-{self.batch}-{i}" for i in range(count)]
        for name in names:
            self.plane.add_pod(name, cpu="50m", memory="64Mi", **pod)
        return self.plane.wait_placed(names, 240)

    def rows(self, sql: str):
        with sqlite3.connect(f"file:{self.records}/records.db?mode=ro", uri=True) as connection:
            return connection.execute(sql).fetchall()

    def copy_records(self, to: pathlib.Path) -> pathlib.Path:
        """The whole file, after all was written: the last minute's usage too."""
        assert self.sobre.stop() == 0
        with sqlite3.connect(self.records / "records.db") as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(self.records / "records.db", to)
        self.sobre.start()
        return to

    def settle(self, sql: str, expected) -> None:
        eventually(lambda: self.rows(sql) == expected, f"{sql}: {expected}")


@pytest.fixture(scope="module")
def cluster(control_plane, exporter, prometheus, tmp_path_factory, sobre_bin):
    world.add_nodes(control_plane)
    exporter.text = world.exporter_text(PRICES, INTENSITY)
    folder = tmp_path_factory.mktemp("sobre")
    key = folder / "key.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True, capture_output=True)
    config = world.sobre_config(control_plane, prometheus) | {
        "records": {"directory": str(folder / "records"), "name": "sobre-0", "signing_key_file": str(key),
                    "head_config_map": "default/sobre-heads"},
        "accounting": {"every": "1s", "flush": "2s"}, "limits": {"trust_node_labels": True}}
    sobre = Sobre(folder, config)
    wait_for_signals(sobre)
    control_plane.start_scheduler(sobre.url)
    yield Cluster(control_plane, sobre, folder / "records")
    sobre.stop()


def test_two_hundred_pods_have_one_record_and_one_outcome_each(cluster):
    placed = cluster.place(200)
    cluster.settle("SELECT COUNT(*) FROM entries WHERE kind = 'outcome' AND pod LIKE 'pod-1-%'", [(200,)])
    for kind in ["decision", "outcome"]:
        per_pod = cluster.rows(f"SELECT pod, COUNT(*) FROM entries WHERE kind = '{kind}' GROUP BY pod")
        assert dict(per_pod) == {name: 1 for name in placed}
    text = run("verify", "--config", cluster.sobre.config).stdout
    assert "200 decisions and 200 outcomes, all made again and the same to the bit" in text
    for name in ["pod-1-0", "pod-1-199"]:
        told = json.loads(run("explain", f"default/{name}", "--config", cluster.sobre.config, "--format", "json").stdout)
        assert told["outcome"]["node"] == placed[name]
        assert told["check"] == "same to the bit"
        assert told["decision"]["best"] and told["best"] in told["decision"]["best"]
        same = json.loads(fetch(cluster.sobre.status_url + "/api/v1/decisions/" + told["id"]))
        assert same == told
    assert metric(cluster.sobre, "sobre_outcomes_total") >= 200
    assert metric(cluster.sobre, "sobre_records_dropped_total") == 0


def test_explain_is_a_table_for_people(cluster):
    text = run("explain", "default/pod-1-7", "--config", cluster.sobre.config).stdout
    for words in ["attempt 1 of 1", "Outcome: bound to", "against the mean of the candidates", "score  node", "g/kWh",
                  "What would have to change", "would win if", "What was known of", "old"]:
        assert words in text, text
    missing = run("explain", "default/nobody", "--config", cluster.sobre.config, code=2)
    assert "no decision about pod default/nobody is kept" in missing.stderr


def explained(cluster, pod: str) -> dict:
    cluster.settle(f"SELECT COUNT(*) FROM entries WHERE kind = 'outcome' AND pod = '{pod}'", [(1,)])
    return json.loads(run("explain", pod, "--config", cluster.sobre.config, "--format", "json").stdout)


def test_in_shadow_mode_the_scheduler_goes_its_own_way(cluster):
    placed = cluster.place(20, annotations={"sobre.dev/mode": "shadow"})
    told = {name: explained(cluster, name) for name in placed}
    elsewhere = [name for name, t in told.items() if t["outcome"]["node"] not in t["decision"]["best"]]
    assert elsewhere, "spread by the default scores"
    for name in elsewhere:
        assert "shadow mode" in told[name]["outcome"]["why"]
        assert told[name]["outcome"]["report"]["gco2ePerHour"] > 0
    text = run("explain", elsewhere[0], "--config", cluster.sobre.config).stdout
    assert "Without Sobre's scores kube-scheduler took it there; on the best:" in text, text


def test_the_scheduler_may_prefer_another_node_and_we_say_by_how_much(cluster):
    config = yaml.safe_load(cluster.sobre.config.read_text())
    weak = config | {"records": config["records"] | {"extender_weight": 1}}
    cluster.sobre.stop()
    cluster.sobre.config.write_text(yaml.safe_dump(weak))
    cluster.sobre.start()
    cluster.plane.start_scheduler(cluster.sobre.url, weight=1)
    wait_for_signals(cluster.sobre)
    prefer = {"weight": 100, "preference": {"matchExpressions": [
        {"key": "topology.kubernetes.io/region", "operator": "In", "values": ["pl-waw"]}]}}
    (name, node), = cluster.place(1, affinity={"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [prefer]}}).items()
    told = explained(cluster, name)
    cluster.sobre.stop()
    cluster.sobre.config.write_text(yaml.safe_dump(config))
    cluster.sobre.start()
    cluster.plane.start_scheduler(cluster.sobre.url)
    wait_for_signals(cluster.sobre)
    assert node.startswith("pl-waw") and not told["best"].startswith("pl-waw")
    margin = next(c["score"] for c in told["decision"]["candidates"] if c["node"] == told["best"]) - \
        next(c["score"] for c in told["decision"]["candidates"] if c["node"] == node)
    assert f"kube-scheduler took {node}: its other scores in kube-scheduler are at least {margin * 10} points above" \
        in told["outcome"]["text"]


def test_filter_and_prioritize_are_one_attempt(cluster):
    placed = cluster.place(1, annotations={"sobre.dev/allowed-regions": "scaleway/fr-par"}, limits=True)
    (name, node), = placed.items()
    assert node.startswith("fr-par")
    cluster.settle(f"SELECT COUNT(*) FROM entries WHERE kind = 'outcome' AND pod = '{name}'", [(1,)])
    told = json.loads(run("explain", name, "--config", cluster.sobre.config, "--format", "json").stdout)
    assert [call["verb"] for call in told["calls"]] == ["filter", "prioritize"]
    assert told["calls"][0]["refused"] > 0
    assert told["attempts"] == 1


def test_a_pod_that_leaves_unplaced_has_an_outcome_too(cluster):
    cluster.plane.add_pod("never", annotations={"sobre.dev/allowed-regions": "gcp/europe-west1"}, limits=True)
    cluster.settle("SELECT COUNT(*) > 0 FROM entries WHERE kind = 'decision' AND pod = 'never'", [(1,)])
    cluster.plane.call("DELETE", "/api/v1/namespaces/default/pods/never", {"gracePeriodSeconds": 0})
    cluster.settle("SELECT COUNT(*) FROM entries WHERE kind = 'outcome' AND pod = 'never'", [(1,)])
    text = run("explain", "never", "--config", cluster.sobre.config).stdout
    assert "never bound: it left before it was bound" in text and "no node keeps the limits" in text


def test_a_restart_goes_on_with_the_chain_and_with_what_was_open(cluster):
    cluster.plane.add_pod("slow", annotations={"sobre.dev/allowed-regions": "gcp/europe-west1"}, limits=True)
    cluster.settle("SELECT COUNT(*) > 0 FROM entries WHERE kind = 'decision' AND pod = 'slow'", [(1,)])
    assert cluster.sobre.stop() == 0
    # It leaves while nobody looks.
    cluster.plane.call("DELETE", "/api/v1/namespaces/default/pods/slow", {"gracePeriodSeconds": 0})
    cluster.sobre.start()
    cluster.settle("SELECT COUNT(*) FROM entries WHERE kind = 'outcome' AND pod = 'slow'", [(1,)])
    cluster.place(3)
    text = run("verify", "--config", cluster.sobre.config).stdout
    assert "the same to the bit" in text
    assert len(text.strip().splitlines()) == 2, "one chain"


def test_heads_are_published_and_signed(cluster):
    cluster.place(1)
    assert cluster.sobre.stop() == 0  # seals
    chain, published = next(iter(cluster.plane.call("GET", "/api/v1/namespaces/default/configmaps/sobre-heads")["data"].items()))
    der = subprocess.run(["openssl", "pkey", "-in", cluster.sobre.folder / "key.pem", "-pubout", "-outform", "DER"], check=True,
                         capture_output=True).stdout
    arguments = ["verify", "--config", cluster.sobre.config, "--public-key", der[-32:].hex()]
    run(*arguments, "--head", f"{chain}:{published}")
    seq, digest, *beginning = published.split(":")
    assert beginning == ["from", "1"], "the chain was kept from its first entry on"
    wrong = run(*arguments, "--head", f"{chain}:{seq}:{'00' * 32}", code=1)
    assert f"{chain}:{seq}: the head that was kept has another hash" in wrong.stderr
    cut = run(*arguments, "--head", f"{chain}:{int(seq) + 5}:{digest}", code=1)
    assert "its tail was cut" in cut.stderr
    cluster.sobre.start()


def test_a_flipped_byte_anywhere_is_found(cluster, tmp_path):
    """1,000 places of the file: either the chain names an entry or a content, or no recorded byte was touched."""
    original = cluster.copy_records(tmp_path / "records.db")

    def dump(path):
        with sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True) as connection:
            return [connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in ("entries", "contents", "chains")]

    def recorded(everything):
        entries, contents, chains = everything
        return [entries, [c[:2] for c in contents], [c[:3] for c in chains]]

    before = recorded(dump(original))
    data = bytearray(original.read_bytes())
    dice = random.Random(1)
    named = untouched = 0
    copy = tmp_path / "flipped.db"
    for _ in range(1000):
        place = dice.randrange(len(data))
        data[place] ^= 1 << dice.randrange(8)
        copy.write_bytes(data)
        done = subprocess.run([programs.sobre(), "verify", "--db", copy, "--chain-only"], capture_output=True, text=True)
        if done.returncode == 0:
            assert recorded(dump(copy)) == before, f"byte {place} of the record changed and nobody noticed"
            untouched += 1
        else:
            assert done.returncode in (1, 2) and done.stderr.strip(), (place, done)
            named += 1
        data = bytearray(original.read_bytes())
    print(f"{named} named, {untouched} outside what is recorded")
    assert named > 300


def test_a_flipped_byte_of_the_record_itself_names_its_entry(cluster, tmp_path):
    copy = cluster.copy_records(tmp_path / "records.db")
    dice = random.Random(2)
    with sqlite3.connect(copy) as connection:
        entries = connection.execute("SELECT chain, seq, payload, hash FROM entries").fetchall()
        for _ in range(1000):
            chain, seq, payload, digest = dice.choice(entries)
            column = dice.choice(["payload", "payload", "payload", "hash"])
            changed = bytearray(payload if column == "payload" else digest)
            changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
            connection.execute(f"UPDATE entries SET {column} = ? WHERE seq = ?", (bytes(changed), seq))
            connection.commit()
            done = subprocess.run([programs.sobre(), "verify", "--db", copy, "--chain-only"], capture_output=True, text=True)
            assert done.returncode == 1 and f"{chain}:{seq}: " in done.stderr, (column, seq, done)
            connection.execute("UPDATE entries SET payload = ?, hash = ? WHERE seq = ?", (payload, digest, seq))
            connection.commit()
    run("verify", "--db", copy)


def test_report_adds_up_and_agrees_with_a_hand_calculation(cluster, tmp_path):
    database = cluster.copy_records(tmp_path / "records.db")

    def figures(by: str, which: str = "groups"):
        told = json.loads(run("report", "--db", database, "--by", by, "--format", "json").stdout)
        return told[which]
    total = figures("namespace", "total")
    assert total["eur"] > 0 and total["energy_kwh"] > 0

    def near(a: float, b: float) -> None:
        assert a == pytest.approx(b, rel=1e-9)
    for by in ["namespace", "pod", "node", "region", "workload", "hour"]:
        groups = figures(by)
        near(sum(g["eur"] for g in groups), total["eur"])
        near(sum(g["energy_kwh"] for g in groups), total["energy_kwh"])
        near(sum(g["gco2e"]["total_location_based"]["mid"] for g in groups), total["gco2e"]["total_location_based"]["mid"])
    charges = run("report", "--db", database, "--format", "focus").stdout
    assert focus.problems(charges) == []
    near(sum(float(row["EffectiveCost"]) for row in csv.DictReader(charges.splitlines())), total["eur"])
    # By hand: 50m of 16 vCPU and 64 MiB of 64 GiB, half busy, in Sweden: 0.82 EUR/h, 41 g/kWh; watts, PUE and the split of the
    # price between CPU and memory as the decision's record says.
    record = json.loads(run("explain", "pod-1-0", "--db", database, "--format", "record").stdout)
    known = record["known"]
    node = next(n for n in known["nodes"] if n["name"].startswith("eu-north-1"))
    machine, place = known["machines"][node.get("machine", 0)], known["places"][node.get("place", 0)]
    eur_per_hour = 0.82 * (node["cpuPriceShare"] * 0.05 / 16 + node["memoryPriceShare"] * 64 / (64 * 1024))
    memory_watts = 64 * 2**20 / 1e9 * 0.392
    watts = (0.05 * machine["idleWattsPerVcpu"] + 0.025 * machine["slopeWattsPerVcpu"] + memory_watts) * place["pue"]
    row, = (g for g in figures("pod") if g["names"]["pod"] == "pod-1-0")
    assert row["eur"] == pytest.approx(eur_per_hour * row["pod_hours"], rel=1e-6)
    assert row["energy_kwh"] == pytest.approx(watts / 1000 * row["pod_hours"], rel=0.02)
    assert row["gco2e"]["operational_location_based"]["mid"] == pytest.approx(row["energy_kwh"] * 41, rel=1e-6)


def test_shadow_mode_tells_what_enforcing_would_have_changed(cluster):
    """Against the placements of kube-scheduler itself: the cleanest region is Sweden; a limit to Poland refuses all others."""
    def told(names: list[str]) -> dict:
        outcomes = f"SELECT COUNT(*) FROM entries WHERE kind = 'outcome' AND pod IN ({','.join(repr(n) for n in names)})"
        cluster.settle(outcomes, [(len(names),)])
        result = json.loads(run("backtest", "--from-audit", "--db", cluster.records / "records.db", "--from", begin, "--by", "policy", "--format", "json").stdout)
        assert result["shadow"] == sum(result[k] for k in ("retried", "open", "unseen", "left", "not_asked", "other_rules")) + result["total"]["decisions"]
        return result
    time.sleep(1)  # what was decided within this second is before it
    begin = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    free = cluster.place(24, annotations={"sobre.dev/mode": "shadow", "sobre.dev/objective": "carbon"})
    result = told(list(free))
    away = [node.rsplit("-", 1)[0] for node in free.values() if not node.startswith("eu-north-1")]
    assert away, "kube-scheduler spreads pods when Sobre scores all alike"
    group, = result["groups"]
    assert group["names"] == {"policy": "carbon"}
    assert group["decisions"] == 24 and group["elsewhere"] == len(away) and group["refused"] == 0
    assert {flow["to"] for flow in result["flows"]} == {"aws/eu-north-1"}
    assert {flow["from"].split("/")[1]: flow["pods"] for flow in result["flows"]} == {region: away.count(region) for region in set(away)}
    grams = group["gco2e_per_hour"]
    assert grams["pods"] == 24 and grams["enforced"] < grams["taken"] / 2
    bound = cluster.place(12, annotations={"sobre.dev/mode": "shadow", "sobre.dev/objective": "carbon", "sobre.dev/allowed-countries": "PL"})
    outside = sum(not node.startswith("pl-waw") for node in bound.values())
    assert outside, "shadow mode refuses nothing"
    group = next(g for g in told(list(bound))["groups"] if g["names"] == {"policy": "carbon, limits"})
    assert (group["decisions"], group["refused"], group["elsewhere"], group["without_place"]) == (12, outside, outside, 0)
    assert group["gco2e_per_hour"]["enforced"] > group["gco2e_per_hour"]["taken"], "the limit costs grams"
    text = run("backtest", "--from-audit", "--config", cluster.sobre.config).stdout
    assert "would have been sent elsewhere" in text and "aws/eu-north-1" in text
    page = run("backtest", "--from-audit", "--config", cluster.sobre.config, "--format", "html").stdout
    assert "<script" not in page and page.count("<table") == page.count("</table>") == 2
