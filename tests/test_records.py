"""Records under failures: the service answers whatever its database does, and what is kept verifies."""
import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import re
import signal
import sqlite3
import struct
import subprocess
import threading
import time
import zlib

import pytest

from tests import programs
from tests.harness import Sobre, eventually, fetch

NODES = {"items": [{"metadata": {"name": f"n{i}", "labels": {"topology.kubernetes.io/region": region}},
                    "spec": {"providerID": f"aws:///{region}a/n{i}"}, "status": {"allocatable": {"cpu": "16", "memory": "64Gi"}}}
                   for i, region in enumerate(["eu-west-3", "eu-central-1", "eu-north-1"] * 20)]}
NAMES = [n["metadata"]["name"] for n in NODES["items"]]


def body(pod: str) -> bytes:
    return json.dumps({"Pod": {"metadata": {"name": pod, "namespace": "shop", "uid": f"uid-{pod}"},
                               "spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "1"}}}]}},
                       "Nodes": None, "NodeNames": NAMES}).encode()


class Client:
    """Asks as kube-scheduler does, on one kept connection."""

    def __init__(self, sobre: Sobre) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", sobre.extender_port, timeout=30)

    def decide(self, pod: str) -> None:
        self.connection.request("POST", "/v1/prioritize", body(pod), {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        scores = json.loads(answer.read())
        assert answer.status == 200 and len(scores) == len(NAMES)


@pytest.fixture
def start(tmp_path, sobre_bin):
    """start(name, **records): a service on a world that stands still."""
    (tmp_path / "nodes.json").write_text(json.dumps(NODES))
    services = []

    def begin(name: str = "sobre", **records) -> Sobre:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        records = {"directory": str(folder / "records"), "name": name} | records
        service = Sobre(folder, {"records": records, "accounting": {"enabled": False}}, "--nodes", tmp_path / "nodes.json")
        services.append(service)
        return service
    yield begin
    for service in services:
        service.stop(signal.SIGKILL)


def verify(sobre: Sobre, code: int = 0) -> str:
    done = subprocess.run([programs.sobre(), "verify", "--config", sobre.config], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def counts(text: str) -> list[int]:
    return [int(n) for n in re.findall(r"(\d+) decisions and", text)]


def metric(sobre: Sobre, name: str) -> float:
    text = fetch(sobre.status_url + "/metrics").decode()
    return next(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))


def written(sobre: Sobre) -> float:
    return metric(sobre, 'sobre_records_written_total{kind="decision"}')


def wait_taken(sobre: Sobre, decided: int) -> None:
    """Until all but a few are written or wait for it: a busy machine empties it more slowly."""
    eventually(lambda: written(sobre) + metric(sobre, "sobre_records_backlog") > decided - 50, "records are taken", pause=0.01)


def test_killed_fifty_times_in_the_middle_of_writing(start):
    """What was acknowledged a second before the kill is there; all that is there verifies."""
    sobre = start()
    answered = promised = 0
    for round in range(50):
        client = Client(sobre)
        until, before = time.monotonic() + 0.08 + 0.01 * (round % 10), answered
        # So long, and until it writes at all: on a busy machine that takes longer.
        while time.monotonic() < until or not written(sobre):
            client.decide(f"p{answered}")
            answered += 1
            assert answered < before + 20000, "nothing is written"
        known = int(written(sobre))
        sobre.stop(signal.SIGKILL)
        total = counts(verify(sobre))
        assert len(total) == 1, "one chain, whatever happens"
        assert total[0] >= promised + known, "what the metric said to be written is lost"
        assert total[0] <= answered
        promised = total[0]
        sobre.start()
    lost = answered - promised
    print(f"{answered} answered, {promised} on record, {lost} lost in 50 kills")
    assert promised >= 50, "of each round something"


@pytest.fixture
def disk(tmp_path, mounts):
    """disk(options): a small disk of its own; disk.remount(options) changes it."""
    place = tmp_path / "disk"
    mounted = []

    def mount(options: str) -> pathlib.Path:
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)
        mounted.append(place)
        return place

    def remount(options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", place], check=True)
    mount.remount = remount
    yield mount
    for done in mounted:
        subprocess.run(["umount", "-l", done], check=True)


def test_a_full_disk_and_back(disk, start):
    sobre = start(directory=str(disk("size=600k") / "records"))
    client = Client(sobre)
    number = 0
    while metric(sobre, "sobre_records_failing") == 0:
        for _ in range(100):
            client.decide(f"p{number}")
            number += 1
        assert number < 50000, "the disk never was full"
        wait_taken(sobre, number)
    for _ in range(200):
        client.decide(f"p{number}")
        number += 1
    assert metric(sobre, "sobre_records_backlog") > 0
    disk.remount("size=64m")
    eventually(lambda: metric(sobre, "sobre_records_failing") == 0 and metric(sobre, "sobre_records_backlog") == 0, "written again")
    assert metric(sobre, "sobre_records_dropped_total") == 0
    sobre.stop()
    assert counts(verify(sobre)) == [number]


def test_a_read_only_disk_and_back(disk, start):
    sobre = start(directory=str(disk("size=64m,ro") / "records"))
    client = Client(sobre)
    for i in range(50):
        client.decide(f"p{i}")
    eventually(lambda: metric(sobre, "sobre_records_failing") == 1, "failing is said")
    assert "records cannot be written" in sobre.process.tail()
    disk.remount("rw")
    eventually(lambda: written(sobre) == 50, "all written")
    sobre.stop()
    assert counts(verify(sobre)) == [50]


def test_files_that_may_not_grow_are_as_a_full_disk(start):
    sobre = start()
    client = Client(sobre)
    client.decide("before")
    eventually(lambda: written(sobre) == 1, "written")

    def limit(value: str) -> None:
        subprocess.run(["prlimit", f"--pid={sobre.process.child.pid}", f"--fsize={value}"], check=True)
    limit("4096:")
    for i in range(20):
        client.decide(f"during-{i}")
    eventually(lambda: metric(sobre, "sobre_records_failing") == 1, "failing is said")
    limit("unlimited:")
    eventually(lambda: written(sobre) == 21, "all written")
    sobre.stop()
    assert counts(verify(sobre)) == [21]


def test_a_damaged_file_is_put_aside_and_a_new_one_begun(start):
    sobre = start()
    Client(sobre).decide("p1")
    eventually(lambda: written(sobre) == 1, "written")
    sobre.stop()
    file = pathlib.Path(sobre.folder / "records" / "records.db")
    file.write_bytes(b"not a database, whatever its name says" * 100)
    sobre.start()
    Client(sobre).decide("p2")
    eventually(lambda: written(sobre) == 1, "written to a new file")
    assert [f for f in file.parent.iterdir() if "damaged" in f.name]
    assert "damaged" in sobre.process.tail()
    sobre.stop()
    assert counts(verify(sobre)) == [1]


def test_a_pod_with_a_name_that_no_database_keeps_blocks_nobody(start):
    sobre = start()
    client = Client(sobre)
    client.decide("before")
    client.decide("odd\x00name \U0001f600 '; DROP TABLE entries; --" + "x" * 190)
    client.decide("after")
    eventually(lambda: written(sobre) == 3, "all written")
    sobre.stop()
    assert counts(verify(sobre)) == [3]


def test_a_file_that_is_taken_away_is_noticed(start):
    sobre = start()
    client = Client(sobre)
    client.decide("before")
    eventually(lambda: written(sobre) == 1, "written")
    for file in (sobre.folder / "records").glob("records.db*"):
        file.unlink()
    eventually(lambda: "was removed or replaced" in sobre.process.log.read_text(), "said")
    eventually(lambda: metric(sobre, "sobre_records_failing") == 0, "begun anew")
    client.decide("after")
    eventually(lambda: written(sobre) == 2, "written again")
    sobre.stop()
    assert counts(verify(sobre)) == [1]


def test_a_wal_that_is_taken_away_takes_nothing_with_it(start):
    sobre = start()
    client = Client(sobre)
    for i in range(200):
        client.decide(f"before-{i}")
    eventually(lambda: written(sobre) == 200, "written")
    os.unlink(sobre.folder / "records" / "records.db-wal")
    # Nothing more is asked: it is noticed all the same.
    eventually(lambda: (sobre.folder / "records" / "records.db-wal").exists(), "another is begun")
    for i in range(20):
        client.decide(f"after-{i}")
    eventually(lambda: written(sobre) == 220, "written again")
    sobre.stop(signal.SIGKILL)
    assert counts(verify(sobre)) == [220], "one chain, with all that was written before"


def prune(records: pathlib.Path, keep_from: int) -> str:
    """What somebody does who can write the file, but not sign: takes the chain's beginning away, and appends an entry which says that
    retention did, with the right hash. Gives back the chain."""
    with contextlib.closing(sqlite3.connect(records)) as database, database:
        chain, = database.execute("SELECT chain FROM chains").fetchone()
        seq, head, now = database.execute("SELECT seq, hash, time_ms FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
        anchor, = database.execute("SELECT hash FROM entries WHERE seq = ?", (keep_from - 1,)).fetchone()
        payload = zlib.compress(b"\x08" + bytes([keep_from]) + b"\x10\x01")  # RecordedPruning{first_seq, time_ms: 1}
        framed = b"".join(struct.pack("<Q", len(part)) + part for part in (head, chain.encode())) + struct.pack("<Q", seq + 1)
        framed += struct.pack("<Q", len(b"pruning")) + b"pruning" + struct.pack("<Q", now)
        framed += b"".join(struct.pack("<Q", len(part)) + part for part in (b"", b"", b"", payload))
        database.execute("INSERT INTO entries(chain, seq, kind, time_ms, pod_uid, namespace, pod, payload, hash) VALUES(?, ?, 'pruning', ?, '', '', '', ?, ?)",
                         (chain, seq + 1, now, payload, hashlib.sha256(framed).digest()))
        database.execute("UPDATE chains SET first_seq = ?, anchor = ?", (keep_from, anchor))
        database.execute("DELETE FROM entries WHERE seq < ?", (keep_from,))
    return chain


def test_a_forged_pruning_is_unproven_and_nothing_is_signed_over_it(start, tmp_path):
    key = tmp_path / "key.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True, capture_output=True)
    public = subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout[-32:].hex()
    sobre = start(signing_key_file=str(key), seal_every="1s", keep="400d")
    client = Client(sobre)
    for i in range(40):
        client.decide(f"p{i}")
    eventually(lambda: written(sobre) == 40, "written")
    assert sobre.stop() == 0
    told = re.search(r"head (\S+)", verify(sobre))[1]

    def check(code: int) -> str:
        done = subprocess.run([programs.sobre(), "verify", "--config", sobre.config, "--public-key", public, "--head", told],
                              capture_output=True, text=True)
        assert done.returncode == code, done
        return done.stdout + done.stderr
    check(0)
    chain = prune(sobre.folder / "records" / "records.db", 20)
    unproven = check(1)
    assert f"{chain}:43: says that what came before entry 20 was pruned, and no seal covers it" in unproven, unproven
    sobre.start()
    eventually(lambda: metric(sobre, "sobre_records_distrusted") == 1, "it is noticed")
    assert f"[+]records ok: 0 wait to be written; not gone on with: chain {chain}" in fetch(sobre.status_url + "/readyz?verbose").decode()
    Client(sobre).decide("after")
    eventually(lambda: written(sobre) == 1, "recorded, in a chain of its own")
    assert sobre.stop() == 0
    assert check(1) == unproven, "no seal of the service covers it now"


def test_the_doctor_says_what_cannot_work(start, tmp_path):
    config = tmp_path / "bad.yaml"
    config.write_text(json.dumps({"records": {"directory": str(tmp_path / "nodes.json" / "nope"), "signing_key_file": str(tmp_path / "no.pem"),
                                              "postgres": "postgresql://nobody@127.0.0.1:1/none"}}))
    done = subprocess.run([programs.sobre(), "doctor", "--config", config, "--nodes", tmp_path / "nodes.json", "--wait", "1s"],
                          capture_output=True, text=True)
    assert done.returncode == 1
    for words in ["nodes.json/nope is not there and cannot be made", "seals cannot be signed", "the shared database cannot be used"]:
        assert words in done.stdout, done.stdout


def test_two_services_never_share_a_directory(start, tmp_path):
    first = start("a", directory=str(tmp_path / "records"))
    second = start("b", directory=str(tmp_path / "records"))
    Client(first).decide("p1")
    Client(second).decide("p2")
    eventually(lambda: metric(second, "sobre_records_failing") == 1, "the second says so")
    assert "another Sobre records there" in second.process.tail()
    eventually(lambda: written(first) == 1, "the first writes")
    first.stop()
    eventually(lambda: written(second) == 1, "the second takes over")


def shared(postgres) -> dict:
    return {"postgres": postgres.url()}


def in_postgres(postgres, what: str = "COUNT(*)", where: str = "kind = 'decision'") -> str:
    return postgres.query(f"SELECT {what} FROM entries WHERE {where}")


@pytest.fixture
def empty_postgres(postgres):
    postgres.query("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return postgres


def test_postgres_stopped_and_back(start, empty_postgres):
    postgres = empty_postgres
    sobre = start(**shared(postgres))
    client = Client(sobre)
    for i in range(20):
        client.decide(f"before-{i}")
    eventually(lambda: in_postgres(postgres) == "20", "arrived")
    postgres.stop("immediate")
    for i in range(30):
        client.decide(f"during-{i}")
    eventually(lambda: written(sobre) == 50, "on the own disk")
    eventually(lambda: metric(sobre, "sobre_records_shipping_failing") == 1, "said", 120)
    # A crash meanwhile loses nothing that is on the own disk.
    sobre.stop(signal.SIGKILL)
    sobre.start()
    client = Client(sobre)
    for i in range(10):
        client.decide(f"later-{i}")
    postgres.start()
    eventually(lambda: in_postgres(postgres) == "60", "all arrived", 120)
    sobre.stop()
    assert counts(verify(sobre)) == [60]


def test_postgres_that_hangs_delays_no_answer(start, empty_postgres):
    postgres = empty_postgres
    sobre = start(**shared(postgres))
    client = Client(sobre)
    client.decide("first")
    eventually(lambda: in_postgres(postgres) == "1", "arrived")
    postgres.pause()
    try:
        for i in range(300):
            client.decide(f"p{i}")
            if i % 100 == 99:
                wait_taken(sobre, i + 1)
        eventually(lambda: written(sobre) == 301, "on the own disk")
    finally:
        postgres.resume()
    eventually(lambda: in_postgres(postgres) == "301", "all arrived", 120)


def test_two_replicas_under_load_leave_no_duplicate_and_no_gap(start, empty_postgres):
    postgres = empty_postgres
    replicas = [start(name, **shared(postgres)) for name in ["sobre-0", "sobre-1"]]
    errors, sent = [], {}

    def load(replica: Sobre, r: int, t: int) -> None:
        try:
            client = Client(replica)
            for i in range(400):
                client.decide(f"{r}-{t}-{i}")
                sent[r, t] = i + 1
                time.sleep(0.002)  # far more than a kube-scheduler asks
                if i % 40 == 39:
                    wait_taken(replica, sum(n for (of, _), n in list(sent.items()) if of == r))
        except Exception as error:  # noqa: BLE001 - told below
            errors.append(error)
    threads = [threading.Thread(target=load, args=(replica, r, t)) for r, replica in enumerate(replicas) for t in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert [metric(replica, "sobre_records_dropped_total") for replica in replicas] == [0, 0]
    eventually(lambda: in_postgres(postgres) == "1600", "all arrived", 120)
    assert in_postgres(postgres, "COUNT(DISTINCT pod_uid)") == "1600"
    assert in_postgres(postgres, "COUNT(DISTINCT chain)") == "2"
    assert in_postgres(postgres, "MAX(seq) = COUNT(*)", "chain LIKE 'sobre-0-%'") == "t"
    for replica in replicas:
        replica.stop()
    assert sum(counts(verify(replicas[0]))) == 1600
    last = in_postgres(postgres, "MAX(pod)")
    explained = subprocess.run([programs.sobre(), "explain", f"shop/{last}", "--config", replicas[0].config],
                               capture_output=True, text=True, check=True).stdout
    assert "Checked: made again" in explained
