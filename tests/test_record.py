"""`sobre score --record` and `sobre verify`: a decision that anybody can make again, and no digit of it can be changed unnoticed."""
import base64
import json
import random
import re
import subprocess

import pytest

from tests.test_faults import NODES, POD

SIGNALS = [{"signal": "node_price_per_hour", "labels": {"node": "fr"}, "value": 0.4123, "source": "list"},
           {"signal": "node_price_per_hour", "labels": {"node": "de"}, "value": 0.3987, "source": "list"},
           {"signal": "workload_requests_per_second", "labels": {"namespace": "shop", "workload": "p"}, "value": 3.3, "source": "mesh"}]


@pytest.fixture
def record(tmp_path, sobre_bin) -> str:
    for name, content in [("nodes", NODES), ("pod", POD), ("signals", SIGNALS)]:
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    run = subprocess.run([sobre_bin, "score", "--record", "--nodes", tmp_path / "nodes.json", "--pod", tmp_path / "pod.json",
                          "--signals", tmp_path / "signals.json"], capture_output=True, text=True, check=True)
    assert run.stdout.count("\n") == 1
    return run.stdout


def verify(tmp_path, sobre_bin, text: str) -> subprocess.CompletedProcess:
    (tmp_path / "records").write_text(text)
    return subprocess.run([sobre_bin, "verify", "--in", tmp_path / "records"], capture_output=True, text=True)


def test_records_are_made_again(tmp_path, sobre_bin, record):
    run = verify(tmp_path, sobre_bin, record * 3)
    assert (run.returncode, run.stdout) == (0, "3 records made again: all agree\n"), run.stderr


def test_a_changed_score_is_named_with_its_line(tmp_path, sobre_bin, record):
    changed = json.loads(record)
    scores = bytearray(base64.b64decode(changed["scores"]))
    scores[0] ^= 1
    changed["scores"] = base64.b64encode(scores).decode()
    run = verify(tmp_path, sobre_bin, record + json.dumps(changed) + "\n")
    assert run.returncode == 1
    assert "records:2: node de: score: " in run.stderr, run.stderr


def test_a_changed_digit_of_any_number_that_counts_is_found(tmp_path, sobre_bin, record):
    dice = random.Random(4)
    counted = [m for key in ("idleWattsPerVcpu", "slopeWattsPerVcpu", "pue", "value", "gco2ePerHour", "eurPerHour", "unitsPerHour",
                             "lowGrams", "midGrams", "eur")
               for m in re.finditer(rf'"{key}":(\d+\.\d+)', record)]
    for place in dice.sample(counted, min(12, len(counted))):
        at = place.end() - (3 if record[place.end() - 3].isdigit() else 1)
        digit = str((int(record[at]) + 1) % 10)
        run = verify(tmp_path, sobre_bin, record[:at] + digit + record[at + 1:])
        # What no rule reads (the factor by contract, the price without discounts) may change and nothing differs.
        unread = record[:place.start()].endswith(('"listPrice":{', '"marketIntensity":{'))
        assert run.returncode == (0 if unread else 1), record[place.start() - 80:place.end()]


def test_what_is_no_record_is_said_to_be_none(tmp_path, sobre_bin):
    run = verify(tmp_path, sobre_bin, "{}x\n")
    assert run.returncode == 2 and "records:1: not a record" in run.stderr
