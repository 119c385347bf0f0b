"""What was seen in a run, as JSON lines: the one thing that the checker reads."""
import json
import pathlib
import threading
import time


class History:
    """Every line has `at` (seconds since 1970) and `kind`; any thread adds."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.path = folder / "history.jsonl"
        self._lock = threading.Lock()
        self._file = self.path.open("a", buffering=1)

    def add(self, kind: str, at: float | None = None, **fields) -> None:
        line = json.dumps({"at": round(time.time() if at is None else at, 4), "kind": kind} | fields)
        with self._lock:
            if not self._file.closed:
                self._file.write(line + "\n")

    def close(self) -> None:
        with self._lock:
            self._file.close()


def load(folder: pathlib.Path) -> list[dict]:
    """The lines in the order of their times."""
    with (folder / "history.jsonl").open() as lines:
        return sorted((json.loads(line) for line in lines), key=lambda line: line["at"])
