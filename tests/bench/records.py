"""What recording adds to a decision over 5,000 names, and what a decision takes on the disk."""
import pathlib
import sqlite3

from tests.bench.load import Questions, Turns, memory_mib, metrics_of, with_records
from tests.bench.rows import Row
from tests.harness import Sobre

SIZE = 5000


def records(folder: pathlib.Path, programs: pathlib.Path) -> list[Row]:
    questions = Questions(folder, SIZE)
    off = Sobre(folder, {}, *questions.arguments)
    on = with_records(folder / "on", *questions.arguments)
    rows = []
    try:
        turns = {}
        for pace, pause in (("300 a second", 3333), ("as fast as can", 0)):
            turns[pace] = Turns(programs, questions.names, {"off": off.extender_port, "on": on.extender_port})
            turns[pace].take(5, 2000, pause_us=pause)
            for figure, name in (("p50_us", "p50"), ("p99_us", "p99")):
                rows.append(Row(f"recording, {pace}, {name}", f"{turns[pace].ratio('on', 'off', figure):.2f} × without", "", None))
        dropped = metrics_of(on)["sobre_records_dropped_total"]
        rows.append(Row("recording, not recorded", f"{dropped:.0f}", "0", dropped == 0))
        memory = memory_mib(on.process, "VmRSS")
    finally:
        on.stop()
        off.stop()
    with sqlite3.connect(folder / "on" / "records" / "records.db") as connection:
        count, entries = connection.execute("SELECT COUNT(*), SUM(LENGTH(payload) + LENGTH(hash)) FROM entries WHERE kind = 'decision'").fetchone()
        contents, = connection.execute("SELECT SUM(LENGTH(bytes)) FROM contents").fetchone()
    rows.append(Row(f"a decision on record ({count:,} of them)", f"{entries / count:.0f} bytes, and {contents / 1024:.0f} KiB once for all nodes", "", None))
    rows.append(Row("memory, with records", f"{memory:.0f} MiB", "", None))
    return rows
