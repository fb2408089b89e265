"""A rebuild of a million events, by `manage.py rebuild` in a process of its own.

Rates are of its CPU time, because on a shared machine the clock shows who else works.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.fill import fill_outbox_again
from benchmarks.measure import Result

EVENTS = int(os.environ.get("BENCH_EVENTS", "1000000"))
STREAMS = EVENTS // 10
ROUNDS = 3
ROOT = Path(__file__).resolve().parents[1]
# Of ten events of a stream: the post, four likes, three comments, two edits.
FILL = """
INSERT INTO messaging_event (stream_id, stream_type, version, event_id, type,
  data, recorded_at, actor, command_id, correlation_id, causation_id, traceparent)
SELECT s, 'post', v, gen_random_uuid(), 'posts.' || kind || '.v1',
  CASE kind
    WHEN 'post_created' THEN json_build_object('post_id', s, 'author', 'author', 'message', text)
    WHEN 'post_liked' THEN json_build_object('post_id', s, 'username', 'person' || v)
    WHEN 'comment_added' THEN json_build_object('post_id', s, 'comment_id', gen_random_uuid(),
      'author', 'person' || v, 'text', text)
    ELSE json_build_object('post_id', s, 'message', text || v)
  END::text, now(), 'author', gen_random_uuid(), gen_random_uuid(), NULL, ''
FROM (SELECT gen_random_uuid() AS s FROM generate_series(1, %s) OFFSET 0) AS streams,
  (SELECT v, (ARRAY['post_created', 'post_liked', 'comment_added', 'post_liked', 'message_updated',
    'comment_added', 'post_liked', 'comment_added', 'message_updated', 'post_liked'])[v] AS kind,
    repeat('Some text, as people write it. ', 3) AS text
   FROM generate_series(1, %s) AS v) AS versions
"""
STREAM_ROWS = """
INSERT INTO messaging_stream (stream_id, stream_type, version)
SELECT stream_id, 'post', max(version) FROM messaging_event GROUP BY stream_id
ON CONFLICT DO NOTHING
"""


def results() -> Iterator[Result]:
    fill(STREAMS, EVENTS // STREAMS)
    publish_everything()
    found: dict[str, list[tuple[float, float, float]]] = {"store": [], "log": []}
    scans = []
    for _ in range(ROUNDS):
        for source, rounds in found.items():
            rounds.append(rebuilt(source))
        scans.append(EVENTS / scanned())
    rates: dict[str, float] = {}
    for source, seconds in (("store", 60), ("log", 150)):
        took, cpu, megabytes = map(statistics.median, zip(*found[source], strict=True))
        rates[source] = EVENTS / cpu
        for name, ours, limit, unit in (
            (f"rebuild --from {source}", took, seconds * EVENTS / 1_000_000, "s"),
            (f"rebuild --from {source}, memory", megabytes, 200, "MB"),
        ):
            yield measured(name, ours, limit, "the figure asked for", unit, 1.0, more=False)
    unit = "events/s of CPU"
    yield measured(
        "rebuild --from log", rates["log"], rates["store"], "rebuild --from store", unit, 0.50
    )
    yield measured(
        "rebuild --from store", rates["store"], statistics.median(scans),
        "a bare scan by the same cursor", unit, 0.25,
    )  # fmt: skip


def measured(
    name: str, ours: float, limit: float, against: str, unit: str, target: float, more: bool = True
) -> Result:
    return Result(
        name=name,
        workload=f"posts, {EVENTS:,} events of {STREAMS:,} streams",
        ours=ours,
        limit=limit,
        against=against,
        unit=unit,
        target=target,
        higher_is_better=more,
    )


def scanned() -> float:
    """Seconds of CPU to fetch all events as a rebuild from the store does, and nothing else."""
    from django.db import connections

    from messaging.dialect import dialect_of
    from messaging.eventstore.scan import BEGINNING, READ, SCAN

    connection = connections["default"].copy()
    try:
        begun = time.process_time()
        sql = SCAN.format("%s")
        values = ["post", *BEGINNING]
        with dialect_of(connection).snapshot(connection, sql, values) as cursor:
            while cursor.fetchmany(READ):
                pass
        return time.process_time() - begun
    finally:
        connection.close()


def fill(streams: int, each: int) -> None:
    """By the database itself: a million commands would take half an hour."""
    from django.db import connections

    with connections["default"].cursor() as cursor:
        cursor.execute(FILL, [streams, each])
        cursor.execute(STREAM_ROWS)
        cursor.execute("ANALYZE messaging_event")


def publish_everything(after: int = 0) -> None:
    from threading import Event as Flag
    from threading import Thread

    from messaging.bus import current_bus
    from messaging.relay import outbox
    from messaging.relay.relay import Relay

    fill_outbox_again(after)
    stop = Flag()
    relay = Thread(target=Relay(current_bus()).run, args=(stop,))
    relay.start()
    while (waiting := outbox.waiting()) and relay.is_alive():
        time.sleep(0.5)
    if waiting:
        raise RuntimeError(f"The relay has ended, and {waiting:,} events wait.")
    stop.set()
    relay.join()


def rebuilt(source: str) -> tuple[float, float, float]:
    """Seconds, and those of CPU, start of Python included, and megabytes at the highest."""
    begun = time.perf_counter()
    command = [sys.executable, "manage.py", "rebuild", "posts", "--from", source]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"manage.py rebuild: exit code {process.returncode}")
    took = time.perf_counter() - begun
    return took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
