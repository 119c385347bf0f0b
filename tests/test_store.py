"""The databases' tests on a real PostgreSQL server, and what happens when that is stopped, killed, frozen or refuses us."""
import os
import re
import signal
import subprocess
import time

import pytest

from tests import programs
from tests.harness import Postgres, eventually


@pytest.mark.parametrize("name, least", [("store-test", 20), ("audit-test", 4)])
def test_what_holds_for_a_file_holds_for_a_server(postgres, name, least):
    run = subprocess.run([programs.named(name), "--gtest_filter=*/Postgres"], capture_output=True, text=True, timeout=300,
                         stdin=subprocess.DEVNULL, env=os.environ | {"SOBRE_TEST_POSTGRES": postgres.url()})
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-3000:]
    assert int(re.search(r"\[  PASSED  \] (\d+) test", run.stdout)[1]) >= least
    assert postgres.query("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'sobre_test%'") == "0"


class Client:
    """One connection of ours in a process; do() runs a statement on it and gives its outcome as "code message"."""

    def __init__(self, url: str, password: str = "") -> None:
        self.child = subprocess.Popen([programs.named("store-test"), "--gtest_filter=*.AnswersLines/Postgres"], text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      env=os.environ | {"SOBRE_TEST_POSTGRES": url, "SOBRE_TEST_PASSWORD": password})

    def do(self, line: str) -> str:
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()
        for answer in self.child.stdout:
            if answer.startswith("> "):
                return answer[2:].strip()
        raise AssertionError("no answer: the client ended")

    def close(self) -> None:
        self.child.stdin.close()
        self.child.stdout.read()
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()


@pytest.fixture
def client(postgres):
    clients = []

    def make(*arguments) -> Client:
        clients.append(Client(*(arguments or (postgres.url(),))))
        return clients[-1]
    yield make
    for one in clients:
        one.close()


@pytest.fixture
def table(postgres) -> str:
    postgres.query("DROP TABLE IF EXISTS kept; CREATE TABLE kept(n BIGINT PRIMARY KEY)")
    return "kept"


def back(client: Client) -> None:
    eventually(lambda: client.do("SELECT 1") == "ok", "connected again")


@pytest.mark.parametrize("how", [lambda p: p.stop("fast"), lambda p: p.stop("immediate"), lambda p: p.kill()],
                         ids=["stopped", "stopped at once", "killed"])
def test_a_server_that_went_and_came_back_is_used_again(postgres, client, table, how):
    one = client()
    assert one.do(f"INSERT INTO {table} VALUES(1)") == "ok"
    how(postgres)
    for _ in range(3):
        answer = one.do(f"INSERT INTO {table} VALUES(2)")
        assert answer.startswith(f"unavailable {postgres.url()}: "), answer
    postgres.start()
    back(one)
    assert one.do(f"INSERT INTO {table} VALUES(2)") == "ok"
    assert postgres.query(f"SELECT count(*) FROM {table}") == "2"


def test_a_restart_meanwhile_is_not_noticed(postgres, client):
    one = client()
    assert one.do("SELECT 1") == "ok"
    postgres.stop()
    postgres.start()
    time.sleep(1.1)  # connections are a second apart
    assert one.do("SELECT 1") == "ok"


def test_nothing_of_a_transaction_is_kept_whose_server_went(postgres, client, table):
    one = client()
    assert one.do("BEGIN") == "ok"
    assert one.do(f"INSERT INTO {table} VALUES(1)") == "ok"
    postgres.kill()
    postgres.start()
    # What follows must not be done on a new connection, on its own.
    for _ in range(2):
        assert one.do(f"INSERT INTO {table} VALUES(2)").startswith("unavailable ")
    assert one.do("COMMIT").startswith("unavailable ")
    back(one)
    assert postgres.query(f"SELECT count(*) FROM {table}") == "0"
    assert one.do("BEGIN") == "ok" and one.do(f"INSERT INTO {table} VALUES(3)") == "ok" and one.do("COMMIT") == "ok"
    assert postgres.query(f"SELECT n FROM {table}") == "3"


def test_a_connection_that_is_ended_is_made_again(postgres, client):
    one = client()
    assert one.do("SELECT 1") == "ok"
    postgres.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sobre'")
    back(one)


def test_nobody_waits_for_ever_for_a_frozen_server(postgres, client):
    connected, new = client(), client()
    assert connected.do("SELECT 1") == "ok"
    postgres.pause()
    try:
        assert connected.do("SELECT 1") == f"unavailable {postgres.url()}: the server did not answer in time"
        assert "no connection within 5 s" in new.do("SELECT 1")
    finally:
        postgres.resume()
    back(connected)
    back(new)


def test_a_frozen_server_ends_a_transaction(postgres, client, table):
    one = client()
    assert one.do("BEGIN") == "ok"
    assert one.do(f"INSERT INTO {table} VALUES(1)") == "ok"
    postgres.pause()
    try:
        assert one.do("COMMIT").startswith("unavailable ")
    finally:
        postgres.resume()
    back(one)
    # Nobody can know which; but whole, and without a lock that stays.
    assert one.do(f"DELETE FROM {table}") == "ok"


def test_who_is_refused_is_told_so(tmp_path, client):
    server = Postgres(tmp_path, password="right")
    try:
        for password in ("wrong", ""):
            answer = client(server.url(), password).do("SELECT 1")
            assert answer.startswith(f"denied {server.url()}: ") and "check the user, its password and its rights" in answer, answer
            assert "password" in answer and "wrong" not in answer
        assert client(server.url(), "right").do("SELECT 1") == "ok"
        server.query("CREATE ROLE reader LOGIN PASSWORD 'read'; CREATE TABLE kept(n BIGINT)")
        assert client(server.url("reader"), "read").do("SELECT n FROM kept").startswith("denied ")
        answer = client(server.url().removesuffix("postgres") + "none", "right").do("SELECT 1")
        assert answer.startswith("invalid ") and 'database "none" does not exist' in answer
    finally:
        server.close()
