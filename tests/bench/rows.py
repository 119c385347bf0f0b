"""What a part of the bench hands back: a figure beside its target."""
import typing


class Row(typing.NamedTuple):
    work: str
    figure: str  # as measured: a ratio wherever there is a floor
    target: str  # empty: a report, nothing is wanted
    met: bool | None  # None: no target, or it could not be judged


def print_rows(rows: list[Row]) -> None:
    """An aligned table; a row whose target was not reached says MISSED."""
    words = {True: "met", False: "MISSED", None: "-"}
    table = [("work", "figure", "target", ""), *((row.work, row.figure, row.target or "-", words[row.met]) for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(4)]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip(), flush=True)
