"""The records' backup: taken from a running service by the documented commands, restored elsewhere, and gone on with."""
import re
import subprocess
import threading

import pytest

from tests import programs
from tests.harness import ROOT, Postgres, eventually
from tests.test_records import Client, counts, in_postgres, shared, start, verify, written  # noqa: F401 - a fixture

def head(text: str) -> str:
    return re.search(r"head (\S+:\d+:[0-9a-f]{64})", text)[1]


def backup(*arguments, **more) -> subprocess.CompletedProcess:
    return subprocess.run([programs.sobre(), "backup", *map(str, arguments)], capture_output=True, **more)


@pytest.mark.parametrize("how", ["file", "standard output", "sqlite3"])
def test_a_running_replicas_records_are_restored_elsewhere_and_gone_on_with(start, tmp_path, how):  # noqa: F811
    sobre = start("first")
    client = Client(sobre)
    stop, asked = threading.Event(), []

    def keep_asking() -> None:
        while not stop.is_set():
            client.decide(f"p{len(asked)}")
            asked.append(1)
    asking = threading.Thread(target=keep_asking)
    asking.start()
    copy = tmp_path / "copy.db"
    try:
        eventually(lambda: written(sobre) > 100, "decisions are written")
        if how == "file":
            done = backup("--config", sobre.config, "--out", copy, check=True)
        elif how == "standard output":
            done = backup("--config", sobre.config, check=True)
            copy.write_bytes(done.stdout)
        else:
            import sqlite3
            with sqlite3.connect(sobre.folder / "records" / "records.db") as live, sqlite3.connect(copy) as to:
                live.backup(to)
            done = subprocess.run([programs.sobre(), "verify", "--db", copy], capture_output=True, check=True)
        told = head((done.stdout if how == "sqlite3" else done.stderr).decode())
    finally:
        stop.set()
        asking.join()
    assert len(asked) > 100
    assert not list((sobre.folder / "records").glob("*.part")), "nothing is left beside the records"

    # As docs/operations.md says: the copy alone, as records.db in an empty folder, on another machine.
    folder = tmp_path / "second" / "records"
    folder.mkdir(parents=True)
    (folder / "records.db").write_bytes(copy.read_bytes())
    (before,) = counts(subprocess.run([programs.sobre(), "verify", "--db", copy], capture_output=True, text=True, check=True).stdout)
    assert 100 < before <= len(asked)
    restored = start("second")
    assert told.split(':')[0] in verify(restored)
    other = Client(restored)
    for i in range(20):
        other.decide(f"after-{i}")
    eventually(lambda: written(restored) == 20, "the chain goes on")
    restored.stop()
    # One chain, all of it, from before the backup to the last decision.
    assert counts(verify(restored)) == [before + 20]
    checked = subprocess.run([programs.sobre(), "verify", "--config", restored.config, "--head", told], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    # The first replica went on too: whoever kept its newest head sees that the restored chain lacks entries.
    sobre.stop()
    newest = head(verify(sobre))
    checked = subprocess.run([programs.sobre(), "verify", "--config", restored.config, "--head", newest], capture_output=True, text=True)
    assert checked.returncode == 1, checked.stdout


def test_a_backup_is_never_half_and_never_over_something(start, tmp_path):  # noqa: F811
    sobre = start()
    Client(sobre).decide("p")
    eventually(lambda: written(sobre) == 1, "written")
    there = tmp_path / "there.db"
    there.write_text("mine")
    done = backup("--config", sobre.config, "--out", there, text=True)
    assert done.returncode == 2 and "is there already" in done.stderr and there.read_text() == "mine"
    done = backup("--config", sobre.config, "--out", tmp_path / "no" / "such" / "folder.db", text=True)
    assert done.returncode == 1 and done.stderr, done
    with open("/dev/full", "wb") as full:
        done = subprocess.run([programs.sobre(), "backup", "--config", sobre.config], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "standard output" in done.stderr
    assert not list(tmp_path.rglob("*.part"))
    out = tmp_path / "good.db"
    backup("--config", sobre.config, "--out", out, check=True)
    assert out.stat().st_mode & 0o077 == 0, "what pods cost is not everybody's business"


def test_a_damaged_file_makes_no_backup(start, tmp_path):  # noqa: F811
    sobre = start()
    client = Client(sobre)
    for i in range(50):
        client.decide(f"p{i}")
    eventually(lambda: written(sobre) == 50, "written")
    sobre.stop()
    import sqlite3
    with sqlite3.connect(sobre.folder / "records" / "records.db") as database:
        database.execute("UPDATE entries SET payload = zeroblob(10) WHERE seq = 20")
    done = backup("--config", sobre.config, "--out", tmp_path / "copy.db", text=True)
    assert done.returncode == 1 and ":20" in done.stderr, done.stderr
    assert not (tmp_path / "copy.db").exists()


def test_postgres_is_dumped_and_restored_and_entries_since_then_come_again(start, tmp_path):  # noqa: F811
    """pg_dump while replicas write; after the restore each replica sends what came since, from its own disk."""
    homes = [tmp_path / "one", tmp_path / "two"]
    servers = []
    try:
        for home in homes:
            home.mkdir()
            servers.append(Postgres(home))
        first, second = servers
        sobre = start("first", **shared(first))
        client = Client(sobre)
        for i in range(30):
            client.decide(f"before-{i}")
        eventually(lambda: in_postgres(first) == "30", "arrived")
        dump = tmp_path / "sobre.dump"
        subprocess.run([Postgres.BINARIES / "pg_dump", "--format=custom", f"--file={dump}", first.url()], check=True, capture_output=True)
        for i in range(20):
            client.decide(f"after-{i}")
        eventually(lambda: in_postgres(first) == "50", "arrived")
        first.stop()
        subprocess.run([Postgres.BINARIES / "pg_restore", "--no-owner", f"--dbname={second.url()}", dump], check=True, capture_output=True)
        restored = subprocess.run([programs.sobre(), "verify", "--db", second.url()], capture_output=True, text=True, check=True)
        assert counts(restored.stdout) == [30]
        sobre.stop()
        sobre.config.write_text(sobre.config.read_text().replace(str(first.port), str(second.port)))
        sobre.start()
        Client(sobre).decide("new")
        eventually(lambda: in_postgres(second) == "51", "the own disk still had what came since", 120)
        sobre.stop()
        assert counts(verify(sobre)) == [51]
    finally:
        for server in servers:
            server.close()


def test_the_documented_commands_are_these():
    text = (ROOT / "docs" / "operations.md").read_text()
    for command in ["/usr/bin/sobre backup --config", "sobre verify --db", "pg_dump --format=custom", "pg_restore --no-owner", ".backup"]:
        assert command in text, command
