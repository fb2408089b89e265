"""Records of the corpus of bad input: what each says, and what became of it in a log."""

import json
from collections.abc import Collection
from itertools import count, repeat
from typing import NamedTuple
from uuid import UUID, uuid5

from contracts.posts import (
    CommentAdded,
    MessageUpdated,
    PostCreated,
    PostLiked,
)
from messaging.bus import current_bus
from messaging.bus.base import Message, Place, partition_of
from messaging.projections.models import DeadLetter
from queries_app.models import Post
from tests.support.corpus import IDS, Case, as_bytes, written_out
from tests.support.records import record_of

NAMESPACE = UUID("6a7d2f0e-91c4-4d0a-8d61-0a7c5f3e9b12")  # of the streams of the cases
COMMENT = UUID(IDS["COMMENT"])
PARTITIONS = 12

Fields = list[tuple[str, str]]  # names and JSON texts; a name may come twice

DATA: dict[str, Fields] = {
    "posts.post_created.v1": [("post_id", '"$STREAM"'), ("author", '"alice"'), ("message", '"A"')],
    "posts.message_updated.v1": [("post_id", '"$STREAM"'), ("message", '"B"')],
    "posts.post_liked.v1": [("post_id", '"$STREAM"'), ("username", '"carol"')],
    "posts.post_unliked.v1": [("post_id", '"$STREAM"'), ("username", '"bob"')],
    "posts.comment_added.v1": [
        ("post_id", '"$STREAM"'), ("comment_id", '"$REMARK"'), ("author", '"bob"'), ("text", '"C"'),
    ],
    "posts.comment_updated.v1": [
        ("post_id", '"$STREAM"'), ("comment_id", '"$COMMENT"'), ("text", '"D"'),
    ],
    "posts.comment_removed.v1": [("post_id", '"$STREAM"'), ("comment_id", '"$COMMENT"')],
    "posts.post_removed.v1": [("post_id", '"$STREAM"')],
}  # fmt: skip


class Sent(NamedTuple):
    """A record of the corpus, before it is in a log."""

    case: Case
    stream_id: UUID
    event_id: UUID
    before: list[Message]  # the sound events that come before it in its stream
    message: Message


def sent(case: Case, number: int = 0) -> Sent:
    """`number`: in which of its possible streams."""
    stream_id, before = uuid5(NAMESPACE, f"{case}, {number}"), list[Message]()
    if case.target != "posts.post_created.v1":
        before = earlier(case.target, stream_id)
    event_id = uuid5(stream_id, "the record of the case")
    names = {"STREAM": str(stream_id), "EVENT": str(event_id), "VERSION": str(len(before) + 1)}
    key, value = key_and_value(case, names)
    return Sent(case, stream_id, event_id, before, Message(key, value))


def earlier(wire_name: str, stream_id: UUID) -> list[Message]:
    """A post, and of what the event is about: the like that is taken back, the comment."""
    events: list[object] = [PostCreated(post_id=stream_id, author="alice", message="First")]
    if wire_name == "posts.post_unliked.v1":
        events.append(PostLiked(post_id=stream_id, username="bob"))
    if wire_name in ("posts.comment_updated.v1", "posts.comment_removed.v1"):
        events.append(
            CommentAdded(post_id=stream_id, comment_id=COMMENT, author="alice", text="Hm")
        )
    return [record_of(stream_id, version, event) for version, event in enumerate(events, 1)]


def key_and_value(case: Case, names: dict[str, str]) -> tuple[str, bytes]:
    """The sound record of the heading's type, with the changes that the case has written."""
    key, envelope, data = "$STREAM", envelope_of(case.target), list(DATA[case.target])
    raw = None
    for change in case.written.split(" ;; "):
        first, _, rest = change.partition(" ")
        if first == "raw":
            raw = rest
        elif first == "key":
            key = rest
        elif change.strip():
            changed(data if "data." in first else envelope, first.replace("data.", ""), rest)
    record = document(envelope, data)
    text = record if raw is None else raw.replace("$RECORD", record)
    return written_out(key, names), as_bytes(written_out(text, names))


def changed(fields: Fields, name: str, value: str) -> None:
    """`name: value` puts another value, `-name` takes it away, `+name: value` adds it."""
    if name.startswith("+") or name == "data:":
        fields.append((name.strip("+:"), value))
        return
    [at] = [n for n, (known, _) in enumerate(fields) if known == name.lstrip("-").rstrip(":")]
    if name.startswith("-"):
        del fields[at]
    else:
        fields[at] = (fields[at][0], value)


def envelope_of(wire_name: str) -> Fields:
    return [
        ("specversion", '"1.0"'), ("id", '"$EVENT"'), ("source", '"/post"'),
        ("type", f'"{wire_name}"'), ("subject", '"$STREAM"'),
        ("time", '"2026-01-02T03:04:05.678901Z"'), ("datacontenttype", '"application/json"'),
        ("streamtype", '"post"'), ("streamversion", "$VERSION"), ("actor", '"alice"'),
        ("commandid", '"$ABSENT"'), ("correlationid", '"$ABSENT"'), ("causationid", "null"),
        ("traceparent", '""'),
    ]  # fmt: skip


def document(envelope: Fields, data: Fields) -> str:
    known = [(name, value) for name, value in envelope if name != "data"]
    own = [value for name, value in envelope if name == "data"]
    return as_object([*known, *(("data", value) for value in own or [as_object(data)])])


def as_object(fields: Fields) -> str:
    return "{" + ", ".join(f"{json.dumps(name)}: {value}" for name, value in fields) + "}"


def in_another_partition(case: Case, taken: Collection[int]) -> Sent:
    found = map(sent, repeat(case), count())
    return next(s for s in found if partition_of(s.message.key, PARTITIONS) not in taken)


def expected_of(case: Case, vendor: str) -> str:
    """`applied or poison`: SQLite stores NUL in a text, PostgreSQL does not."""
    on_sqlite, _, on_postgresql = case.expected.partition(" or ")
    return on_postgresql if on_postgresql and vendor == "postgresql" else on_sqlite


def became(one: Sent, place: Place, projection: str = "posts") -> str:
    """The code of its dead letter, or whether its stream is at this event now."""
    dead_letter = DeadLetter.objects.filter(
        projection=projection, partition=place.partition, offset=place.offset
    ).first()
    if dead_letter is not None:
        return dead_letter.code
    at = Post.objects.filter(stream_id=one.stream_id, event_id=one.event_id)
    return "applied" if at.exists() else "passed over"


def publish(messages: list[Message]) -> list[Place]:
    bus = current_bus()
    bus.ensure_topic()
    publisher = bus.publisher()
    try:
        return publisher.send(messages)()
    finally:
        publisher.close()


class Beside:
    """A sound stream in each partition, with an event behind each record of the corpus."""

    def __init__(self) -> None:
        self._streams: dict[int, UUID] = {}
        number = 0
        while len(self._streams) < PARTITIONS:
            stream_id = uuid5(NAMESPACE, f"a sound stream, {number}")
            self._streams.setdefault(partition_of(str(stream_id), PARTITIONS), stream_id)
            number += 1
        self.versions = dict.fromkeys(self._streams.values(), 0)

    def next(self, partition: int) -> Message:
        stream_id = self._streams[partition]
        self.versions[stream_id] += 1
        version = self.versions[stream_id]
        if version == 1:
            return record_of(
                stream_id, 1, PostCreated(post_id=stream_id, author="bob", message="-")
            )
        event = MessageUpdated(post_id=stream_id, message=f"Version {version}")
        return record_of(stream_id, version, event)
