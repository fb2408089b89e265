"""What the databases and the log hold, read with SQL and with kafka-python alone."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg2
from kafka import KafkaConsumer, TopicPartition

from tests.faults.history.facts import Event, Level, Published, Row, Tables

READ_S = 60


class Database:
    """A database URL: `sqlite:///path` or `postgresql://...`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite:///")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        if self.is_sqlite:
            path = self.url.removeprefix("sqlite:///")
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20)) as lite:
                return lite.execute(sql).fetchall()
        with closing(psycopg2.connect(self.url, connect_timeout=10)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall()


def _id(value: Any) -> UUID | None:
    return None if value is None else UUID(str(value))


def _time(value: Any) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    return datetime.fromisoformat(value).replace(tzinfo=UTC)


def _as_is(value: Any) -> Any:
    return value


Convert = Callable[[Any], Any]
ROOT: dict[str, Convert] = {"version": int, "event_id": _id, "visible": bool}
# table -> (projection, the rest of its key, its other columns)
TABLES: dict[str, tuple[str, dict[str, Convert], dict[str, Convert]]] = {
    "posts": ("posts", {}, {**ROOT, "author": str, "message": str, "posted_at": _time,
                            "edited_at": _time, "likes": int, "comments_count": int,
                            "has_likes": bool, "has_comments": bool}),
    "comments": ("posts", {"comment_id": _id}, {"author": str, "text": str,
                                                "commented_at": _time, "edited_at": _time}),
    "histories": ("history", {}, {**ROOT, "message": str}),
    "entries": ("history", {"position": int}, {"what": str, "actor": str, "at": _time,
                                               "comment_id": _id, "old_text": _as_is,
                                               "new_text": _as_is}),
    "texts": ("history", {"comment_id": _id}, {"text": str}),
    "likes": ("likes", {}, {**ROOT, "count": int}),
    "like": ("likes", {"username": str}, {}),
}  # fmt: skip
SQL_NAMES = {
    "posts": "queries_app_post",
    "comments": "queries_app_comment",
    "histories": "queries_app_history",
    "entries": "queries_app_historyentry",
    "texts": "queries_app_commenttext",
    "likes": "queries_app_likes",
    "like": "queries_app_like",
}
PROJECTIONS = ("posts", "history", "likes", "people", "search")


def events(write: Database) -> list[Event]:
    rows = write.rows(
        "SELECT position, stream_id, version, event_id, type, data, recorded_at, actor, command_id "
        "FROM messaging_event ORDER BY position"
    )
    return [
        Event(p, UUID(str(s)), v, UUID(str(e)), t, json.loads(d), _time(at), a, UUID(str(c)))  # type: ignore[arg-type]
        for p, s, v, e, t, d, at, a, c in rows
    ]


def streams(write: Database) -> dict[UUID, int]:
    rows = write.rows("SELECT stream_id, version FROM messaging_stream")
    return {UUID(str(stream)): version for stream, version in rows}


def tables(read: Database) -> Tables:
    """The rows of the live generations."""
    found = Tables()
    for name, (projection, key, columns) in TABLES.items():
        converts = [*key.values(), *columns.values()]
        wanted = ", ".join(f'"{column}"' for column in ["stream_id", *key, *columns])
        rows: dict[Any, Row] = getattr(found, name)
        for stream, *values in read.rows(
            f"SELECT {wanted} FROM {SQL_NAMES[name]} WHERE generation = (SELECT live_generation "
            f"FROM messaging_projectionstate WHERE name = '{projection}')"
        ):
            converted = [convert(value) for convert, value in zip(converts, values, strict=True)]
            place = (UUID(str(stream)), *converted[: len(key)])
            rows[place if key else place[0]] = dict(
                zip(columns, converted[len(key) :], strict=True)
            )
    return found


def level(write: Database, read: Database, log: Iterable[Published]) -> Level:
    found = Level(outbox=write.rows("SELECT count(*) FROM messaging_outbox")[0][0])
    live = dict(read.rows("SELECT name, live_generation FROM messaging_projectionstate"))
    checkpoints = {
        (projection, partition): (offset, halted)
        for projection, generation, partition, offset, halted in read.rows(
            'SELECT projection, generation, "partition", "offset", halted FROM messaging_checkpoint'
        )
        if live.get(projection) == generation
    }
    records = list(log)
    for projection in PROJECTIONS:
        offsets = {p: at for (name, p), (at, _) in checkpoints.items() if name == projection}
        found.lag[projection] = sum(one.offset >= offsets.get(one.partition, 0) for one in records)
    found.halted = [
        f"{at[0]}[{at[1]}]: {halted}" for at, (_, halted) in checkpoints.items() if halted
    ]
    found.dead_letters = [
        f"{projection} {stream} v{version} {code}: {reason[:300]}"
        for projection, generation, stream, version, code, reason in read.rows(
            "SELECT projection, generation, stream_id, version, code, reason "
            "FROM messaging_deadletter ORDER BY id"
        )
        if live.get(projection) == generation
    ]
    return found


def embedded_log(write: Database, topic: str) -> list[Published]:
    rows = write.rows(
        f'SELECT "partition", "offset", key, value FROM messaging_embeddedrecord '
        f"WHERE topic = '{topic}' "
        'ORDER BY "partition", "offset"'
    )
    return [_published(p, o, bytes(key or b""), bytes(value)) for p, o, key, value in rows]


def kafka_log(servers: str, topic: str) -> list[Published]:
    """All records of a topic. Raises `TimeoutError` when the broker does not give them."""
    consumer = KafkaConsumer(
        bootstrap_servers=servers, enable_auto_commit=False, isolation_level="read_committed"
    )
    try:
        partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
        consumer.assign(partitions)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(partitions)
        found, deadline = [], time.monotonic() + READ_S
        while any(consumer.position(at) < ends[at] for at in partitions):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{topic} could not be read to its end: {ends}")
            for records in consumer.poll(timeout_ms=500, max_records=5_000).values():
                found += [_published(r.partition, r.offset, r.key, r.value) for r in records]
        return sorted(found, key=lambda one: (one.partition, one.offset))
    finally:
        consumer.close()


def _published(partition: int, offset: int, key: bytes, value: bytes) -> Published:
    """A CloudEvents document of the log."""
    found = json.loads(value)
    return Published(
        partition,
        offset,
        key.decode(),
        UUID(found["subject"]),
        found["streamversion"],
        UUID(found["id"]),
        found["type"],
        found["data"],
    )
