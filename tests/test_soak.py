"""The soak's verdict: what is flat, and what is not."""
import dataclasses

import pytest

from tests.soak.verdict import Minute, judge

FLAT = [Minute(number=i + 1, calls=600, failed=0, p50_ms=1.0, p99_ms=4.0 + i % 3, resident_mib=100 + i % 2, descriptors=40, threads=140, fault="")
        for i in range(30)]


def bad(minutes: list[Minute]) -> list[str]:
    return [sentence.split(":")[0] for sentence, good in judge(minutes) if not good]


def changed(field: str, value) -> list[Minute]:
    return [dataclasses.replace(minute, **{field: value(i)}) for i, minute in enumerate(FLAT)]


def test_what_is_flat_is_flat_and_a_row_has_what_its_header_names():
    assert bad(FLAT) == []
    from tests.soak.verdict import HEADER
    assert FLAT[0].row().count("|") == HEADER.splitlines()[0].count("|") == HEADER.splitlines()[1].count("|")


def test_warming_up_is_not_judged():
    assert bad(changed("resident_mib", lambda i: 50 + 5 * min(i, 10))) == []


@pytest.mark.parametrize("field, value", [
    ("resident_mib", lambda i: 100 + 1.5 * i),           # 1.5 MiB a minute
    ("descriptors", lambda i: 40 + i // 10),             # one in ten minutes
    ("threads", lambda i: 140 + (i >= 25) * (i % 2) + (i >= 20)),
    ("p99_ms", lambda i: 4 + 0.1 * i * i),
])
def test_what_grows_is_found(field, value):
    assert bad(changed(field, value)) == [field]


def test_a_single_failed_call_is_found():
    assert bad(changed("failed", lambda i: int(i == 3))) == ["calls"]


def test_too_few_minutes_are_not_judged():
    assert bad(FLAT[:2]) == ["2 minutes are too few to judge"]
