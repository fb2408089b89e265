"""What clients were told, as JSON lines: one object each, with its kind."""

import json
from dataclasses import asdict, is_dataclass
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import UUID

from tests.faults.history.facts import (
    Answer,
    Command,
    Ended,
    Facts,
    Foreign,
    Forged,
    Page,
    Probe,
    Read,
    Repeat,
)

Line = Command | Read | Repeat | Answer | Ended | Page | Probe | Foreign | Forged
KINDS: dict[str, type[Any]] = {cls.__name__.lower(): cls for cls in Line.__args__}


class Recorder:
    """Writes each line out at once, so that a killed run leaves what it saw."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", buffering=1)
        self._lock = Lock()
        self.counts: dict[str, int] = dict.fromkeys(KINDS, 0)

    def write(self, line: Line) -> None:
        kind = type(line).__name__.lower()
        values = asdict(line) if is_dataclass(line) else line._asdict()
        text = json.dumps({"kind": kind, **values}, default=str)
        with self._lock:
            self.counts[kind] += 1
            self._file.write(text + "\n")

    def note(self, text: str) -> None:
        """For whoever reads the record: an act began, a process was started."""
        with self._lock:
            self._file.write(json.dumps({"kind": "note", "text": text}) + "\n")

    def close(self) -> None:
        self._file.close()


IDS = ("post", "command_id", "event_id")


def load(path: Path) -> Facts:
    found = Facts()
    places: dict[str, list[Any]] = {
        "command": found.commands,
        "read": found.reads,
        "repeat": found.repeats,
        "answer": found.answers,
        "ended": found.ended,
        "page": found.pages,
        "probe": found.probes,
        "foreign": found.foreign,
        "forged": found.forged,
    }
    for line in path.read_text().splitlines():
        values = json.loads(line)
        kind = values.pop("kind")
        if kind == "note":
            continue
        if kind != "page":
            values |= {name: UUID(values[name]) for name in IDS if name in values}
        places[kind].append(KINDS[kind](**values))
    return found
