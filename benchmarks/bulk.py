"""Bulk import: a file of commands, sent by one process and by several."""

import gzip
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measure import Result, medians
from benchmarks.setup import ROOT

COMMANDS = 6_000
JOBS = 4
ROUNDS = 3
FILE = os.environ.get("BENCH_COMMANDS")  # of Postlog's commands, .gz; else one is made up
RATE = re.compile(r"\(([\d,]+)/s\)")

_rounds = itertools.count()


def results() -> Iterator[Result]:
    one, several = medians(ROUNDS, lambda: sent(1), lambda: sent(JOBS))
    kind = "real" if FILE else "made up"
    yield Result(
        name=f"sendcommands, {JOBS} processes",
        workload=f"{COMMANDS:,} commands of {kind} discussions, starting the processes included",
        ours=several,
        limit=one,
        against="one process",
        unit="commands/s",
        target=1.5,
    )


def sent(jobs: int) -> float:
    """Commands a second, each time of posts of their own."""
    prefix = f"r{next(_rounds)}-"
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        for line in itertools.islice(_lines(), COMMANDS):
            renamed = {key: prefix + line[key] for key in ("post", "comment") if key in line}
            file.write(json.dumps(line | renamed) + "\n")
        file.flush()
        done = subprocess.run(
            [sys.executable, "manage.py", "sendcommands", "--jobs", str(jobs), file.name],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
    found = RATE.search(done.stdout)
    assert found is not None, done.stdout
    return float(found[1].replace(",", ""))


def _lines() -> Iterator[dict[str, Any]]:
    if FILE is not None:
        with gzip.open(Path(FILE), "rt") as file:
            yield from map(json.loads, file)
        return
    for n in itertools.count():
        post = f"p{n}"
        yield {"command": "NewPost", "actor": f"u{n % 400}", "post": post, "message": "Hi " * 80}
        for m in range(n % 20):
            yield {
                "command": "AddComment",
                "actor": f"u{(n + m) % 400}",
                "post": f"p{n - n % 5}" if m % 3 else post,
                "comment": f"c{n}-{m}",
                "text": "No " * 80,
            }
