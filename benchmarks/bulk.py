"""Bulk import: a file of commands, sent by one process and by several, and while relay and consumer
work; and a history.

BENCH_COMMANDS names a file of Postlog's commands (.gz), to be sent in place of made-up ones.
"""

import gzip
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from benchmarks.measure import Result, medians
from benchmarks.setup import ROOT

COMMANDS = 6_000
STREAMS, EACH = 4_000, 15
JOBS = 4
ROUNDS = 3
WARM_UP_S = 3
AT_WORK = 1_000  # commands a second that were asked for, with all processes on two cores
FILE = os.environ.get("BENCH_COMMANDS")
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
    with consumer():
        (working,) = medians(ROUNDS, lambda: sent(JOBS))
    yield Result(
        name=f"sendcommands, {JOBS} processes, relay and consumer at work",
        workload=f"the same, with PostgreSQL and Kafka on this machine ({os.cpu_count()} cores)",
        ours=working,
        limit=AT_WORK,
        against="the figure asked for",
        unit="commands/s",
        target=1.0,
    )
    imported, bare = medians(ROUNDS, import_history, bare_copy)
    yield Result(
        name="importevents",
        workload=f"{STREAMS:,} streams of {EACH} events, with their outbox rows",
        ours=imported,
        limit=bare,
        against="bare COPY of the same rows, with the same indexes",
        unit="events/s",
        target=0.2,
    )


@contextmanager
def consumer() -> Iterator[None]:
    """A consumer, which is the relay as well, level with what was sent before."""
    command = [sys.executable, "manage.py", "runconsumer"]
    subprocess.run([*command, "--once"], cwd=ROOT, check=True, capture_output=True)
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        time.sleep(WARM_UP_S)
        yield
    finally:
        process.terminate()
        process.wait()


def import_history() -> float:
    """Events a second, of the whole transaction."""
    from messaging.importing.importer import import_events

    lines = list(_history())
    begun = time.perf_counter()
    done = import_events(lines, lambda _: None)
    found = done.events / (time.perf_counter() - begun)
    assert done.events == STREAMS * EACH
    return found


def bare_copy() -> float:
    """The rows of the last import, into a table like that of the events."""
    from django.db import connections

    from messaging.dialect.psycopg import copy_text

    connection = connections["default"]
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bare_events")
        cursor.execute("CREATE TABLE bare_events (LIKE messaging_event INCLUDING ALL)")
        cursor.execute(
            "SELECT * FROM messaging_event ORDER BY position DESC LIMIT %s",
            [STREAMS * EACH],
        )
        rows = cursor.fetchall()
    text = "".join("\t".join(map(_copied, row)) + "\n" for row in reversed(rows))
    begun = time.perf_counter()
    copy_text(connection, "COPY bare_events FROM STDIN", text)
    return len(rows) / (time.perf_counter() - begun)


def _copied(value: Any) -> str:
    return "\\N" if value is None else str(value).replace("\\", "\\\\")


def _history() -> Iterator[bytes]:
    for _ in range(STREAMS):
        post = {"stream": str(uuid4()), "actor": "author"}
        data: dict[str, Any] = {"author": "author", "message": "Hi " * 20}
        for version in range(1, EACH + 1):
            at = f"2019-04-07T15:{version:02}:00+00:00"
            kind = "post_created" if version == 1 else "comment_added"
            line = {**post, "version": version, "type": f"posts.{kind}.v1", "at": at, "data": data}
            yield json.dumps(line).encode()
            data = {"comment_id": str(uuid4()), "author": "author", "text": "No " * 20}


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
