"""An empty or lagging store is completed from the log; what differs is refused and named."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4, uuid5

import pytest
from django.contrib.auth import get_user_model
from uuid_utils.compat import uuid7

import commands_app.handlers
from commands_app.commands import AddComment, EditMessage, LikePost, NewPost
from contracts.posts import PostCreated, PostLiked
from messaging import codec, mediator
from messaging.bus import current_bus
from messaging.bus.base import Message, partition_of
from messaging.eventstore.models import (
    Acknowledged,
    Event,
    LogIdentity,
    Receipt,
    Stream,
)
from messaging.exceptions import LostTail
from messaging.message import Context
from messaging.recovery import restore
from messaging.relay import log_identity, outbox
from messaging.testing import registered
from messaging.testing.waiting import wait_until
from queries_app.projections import posts
from tests.support.consuming import consume_all
from tests.support.fold import assert_read_models_equal_the_fold
from tests.support.losing import (
    a_post_in_each_partition,
    copy_of_write_database,
    lose_tail,
    put_back,
    wipe_store,
    without_triggers,
)
from tests.support.modes import Mode
from tests.support.processes import Worker, here
from tests.support.rebuilding import some_posts
from tests.support.records import publish, record_of
from tests.support.relaying import publish_all
from tests.support.stock import Reserve, handle, reserve, stock

ALICE = Context(actor="alice")
COLUMNS = (
    "stream_id", "version", "event_id", "stream_type", "type", "data", "recorded_at", "actor",
    "command_id", "correlation_id", "causation_id", "traceparent",
)  # fmt: skip
LINES = "".join(
    f'{{"command": "{command}", "actor": "{actor}", "post": "a post", {rest}}}\n'
    for command, actor, rest in (
        ("NewPost", "dora", '"message": "from a file"'),
        ("LikePost", "emil", '"at": 1'),
        ("AddComment", "dora", '"comment": "c1", "text": "said"'),
        ("EditComment", "dora", '"comment": "c1", "text": "unsaid"'),
    )
)


def dump() -> dict[str, Any]:
    """The store as it is, but for positions and the times of receipts."""
    return {
        "events": list(Event.objects.order_by("stream_id", "version").values_list(*COLUMNS)),
        "streams": list(Stream.objects.order_by("pk").values_list()),
        "receipts": sorted(Receipt.objects.values_list("actor", "command_id", "outcome")),
        "people": sorted(get_user_model().objects.values_list("username", flat=True)),
    }


def work(mode: Mode, folder: Path) -> Path:
    """Posts, lines of a file, people; all of it published."""
    file = folder / "lines.jsonl"
    file.write_text(LINES)
    for name in ("alice", "bob"):
        get_user_model().objects.create_user(name, password="known only here")
    some_posts()
    assert here("sendcommands", str(file)).returncode == 0
    with Worker(mode.env, "runrelay") as relay:
        wait_until(lambda: outbox.waiting() == 0, "it is published")
        assert relay.stop() == 0
    return file


def test_an_empty_store_is_made_whole_and_commands_go_on(mode: Mode, tmp_path: Path) -> None:
    file = work(mode, tmp_path)
    consume_all(posts)
    before = dump()
    wipe_store()
    tried = here("restore-events", "--dry-run")
    assert "events of 7 streams would be restored" in tried.stdout, tried.stderr
    assert not Event.objects.exists()
    assert not LogIdentity.objects.exists(), "a dry run writes nothing"
    done = here("restore-events")
    assert done.returncode == 0, done.stderr
    assert dump() == before
    assert not any(user.has_usable_password() for user in get_user_model().objects.all())
    assert outbox.waiting() == 0
    again = here("restore-events")
    assert "0 events of 0 streams were restored" in again.stdout

    assert here("sendcommands", str(file)).returncode == 0
    assert dump() == before, "the same file again changes nothing"
    post_id = Stream.objects.get(version=4).pk
    mediator.send(LikePost(post_id=post_id), ALICE)
    with Worker(mode.env, "runrelay") as relay:
        wait_until(lambda: outbox.waiting() == 0, "the relay accepts the history")
        assert relay.stop() == 0
    consume_all(posts)
    assert assert_read_models_equal_the_fold() == 7


def test_an_earlier_copy_is_completed(postgresql: Mode, tmp_path: Path) -> None:
    work(postgresql, tmp_path)
    copy = copy_of_write_database(postgresql, tmp_path)
    some_posts()
    post_id = Stream.objects.get(version=4).pk
    for number in range(150):  # with a snapshot that the copy does not have
        mediator.send(EditMessage(post_id=post_id, message=f"{number}"), Context(actor="dora"))
    mediator.send(AddComment(post_id=post_id, text="by somebody new"), Context(actor="zoe"))
    with Worker(postgresql.env, "runrelay") as relay:
        wait_until(lambda: outbox.waiting() == 0, "it is published")
        assert relay.stop() == 0
    before = dump()
    put_back(postgresql, copy)
    assert len(dump()["events"]) < len(before["events"])
    done = here("restore-events")
    assert done.returncode == 0, done.stderr
    before["people"] = sorted({*before["people"], "zoe"})
    assert dump() == before
    mediator.send(LikePost(post_id=post_id), ALICE)
    with Worker(postgresql.env, "runrelay") as relay:
        wait_until(lambda: outbox.waiting() == 0, "the relay accepts the history")
        assert relay.stop() == 0
    consume_all(posts)
    assert_read_models_equal_the_fold()


def acknowledged() -> dict[int, tuple[int, UUID]]:
    return {row.partition: (row.offset, row.event_id) for row in Acknowledged.objects.all()}


def test_a_relay_that_starts_then_need_not_compare_all_once_more(mode: Mode) -> None:
    post_id = mediator.send(NewPost(message="a"), ALICE).stream_id
    publish_all()
    earlier = Acknowledged.objects.get()
    mediator.send(EditMessage(post_id=post_id, message="b"), ALICE)
    mediator.send(NewPost(message="c"), ALICE)
    publish_all()
    last = acknowledged()
    publish(Message(str(post_id), b"rubbish"))
    Acknowledged.objects.all().delete()
    Acknowledged.objects.bulk_create([earlier])  # as the copy has it that was put back
    before = acknowledged()
    assert here("restore-events", "--dry-run", "--ignore-unreadable").returncode == 0
    assert acknowledged() == before
    assert here("restore-events", "--ignore-unreadable").returncode == 0
    assert acknowledged() == last
    log_identity.require_same_history(current_bus())


def test_it_does_not_hide_that_the_log_has_lost_its_tail(database: Mode) -> None:
    a_post_in_each_partition(2)
    publish_all()
    before = acknowledged()
    lose_tail(dict.fromkeys(range(12), 1))
    a_post_in_each_partition(3)
    publish(*[one.message for one in outbox.oldest(100)])
    assert here("restore-events").returncode == 0
    assert acknowledged() == before
    with pytest.raises(LostTail):
        log_identity.require_same_history(current_bus())


def refused(mode: Mode, *options: str) -> str:
    before = dump()
    done = here("restore-events", *options)
    assert done.returncode == 1
    assert dump() == before, "nothing was restored"
    return done.stderr


def liked(stream_id: UUID, version: int) -> Message:
    return record_of(stream_id, version, PostLiked(post_id=stream_id, username=f"u{version}"))


def test_two_different_records_of_one_version_are_refused_and_named(database: Mode) -> None:
    post_id = uuid4()
    publish(
        record_of(post_id, 1, PostCreated(post_id=post_id, author="alice", message="a")),
        liked(post_id, 2),
        liked(post_id, 2),
    )
    message = refused(database)
    assert f"stream {post_id}: the log has two records of version 2" in message
    assert "at partition" in message


def test_a_store_that_has_another_event_is_refused_and_named(database: Mode) -> None:
    post_id = mediator.send(NewPost(message="mine"), ALICE).stream_id
    theirs = PostCreated(post_id=post_id, author="alice", message="theirs")
    publish(record_of(post_id, 1, theirs), liked(post_id, 2))
    message = refused(database)
    assert f"stream {post_id}: version 1 is event {Event.objects.get().event_id}" in message
    assert "send those commands again" in message


def test_an_event_that_was_changed_afterwards_is_refused_and_named(database: Mode) -> None:
    post_id = mediator.send(NewPost(message="as written"), ALICE).stream_id
    publish_all()
    forged = PostCreated(post_id=post_id, author="alice", message="forged")
    publish(record_of(post_id, 1, forged, event_id=Event.objects.get().event_id))
    assert f"stream {post_id}: the log has two records of version 1" in refused(database)


def test_what_reads_otherwise_in_the_store_is_refused_and_named(database: Mode) -> None:
    post_id = mediator.send(NewPost(message="as written"), ALICE).stream_id
    forged = PostCreated(post_id=post_id, author="alice", message="forged")
    publish(record_of(post_id, 1, forged, event_id=Event.objects.get().event_id))
    assert "reads otherwise in the store" in refused(database)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPlaced:
    pass


def test_a_record_of_another_stream_type_is_refused_and_named(database: Mode) -> None:
    """Appended, it would break the stream for ever."""
    post_id = mediator.send(NewPost(message="mine"), ALICE).stream_id
    with registered("orders.order_placed.v1", OrderPlaced, stream="order"):
        other = record_of(post_id, 2, OrderPlaced(), stream_type="order")
    publish(other)
    envelope, _ = codec.decode_envelope(other.value)
    says = f"stream {post_id}: it is of type 'post', and version 2, event {envelope.event_id}"
    assert says in refused(database)
    publish_all()
    wipe_store()
    assert says in refused(database), "the first record tells the type then"
    partition = str(partition_of(str(post_id), 12))
    assert here("reject-record", partition, "0", str(envelope.event_id)).returncode == 0
    assert here("restore-events").returncode == 0
    assert list(Event.objects.values_list("stream_type", "version")) == [("post", 1)]


def test_receipts_come_back_whatever_version_the_senders_id_has(database: Mode) -> None:
    post_id = uuid4()
    chosen = [uuid5(post_id, "v5"), uuid4(), uuid7()]
    mediator.send(NewPost(post_id=post_id, message="a"), ALICE)
    for number, command_id in enumerate(chosen):
        context = Context(actor="alice", command_id=command_id)
        mediator.send(EditMessage(post_id=post_id, message=f"text {number}"), context)
    publish_all()
    before = dump()
    assert len(before["receipts"]) == len(chosen), "none for the id that nobody chose"
    wipe_store()
    assert here("restore-events").returncode == 0
    assert dump()["receipts"] == before["receipts"]


def test_a_version_that_nobody_has_is_refused_and_named(database: Mode) -> None:
    post_id = uuid4()
    publish(record_of(post_id, 1, PostCreated(post_id=post_id, author="alice", message="a")))
    publish(liked(post_id, 3))
    assert f"stream {post_id}: version 2 is neither in the store nor in the log" in refused(
        database
    )


@pytest.mark.parametrize("lost", [(4, 5), (2,), (1, 2, 3, 4, 5)])
def test_rows_that_the_store_has_lost_below_its_version_are_refused_and_named(
    database: Mode, lost: tuple[int, ...]
) -> None:
    post_id = mediator.send(NewPost(message="1"), ALICE).stream_id
    for number in range(2, 6):
        mediator.send(EditMessage(post_id=post_id, message=f"{number}"), ALICE)
    publish_all()
    earlier = acknowledged()
    versions = ", ".join(map(str, lost))
    without_triggers(f"DELETE FROM messaging_event WHERE version IN ({versions})")
    message = refused(database)
    found = re.findall(r"it is at version 5 in the store, and version (\d)", message)
    assert found == [str(version) for version in lost]
    assert acknowledged() == earlier, "a relay that starts still sees it"


def test_a_version_that_the_store_alone_had_and_lost_is_refused_and_named(database: Mode) -> None:
    post_id = mediator.send(NewPost(message="1"), ALICE).stream_id
    publish_all()
    mediator.send(EditMessage(post_id=post_id, message="2"), ALICE)
    without_triggers("DELETE FROM messaging_event WHERE version = 2")
    message = f"stream {post_id}: version 2 is neither in the store nor in the log"
    assert message in refused(database)


def test_the_receipt_of_a_command_over_several_streams_comes_back_with_all_of_them(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of its streams is restored first: this command names the post."""
    monkeypatch.setitem(restore._result_builders, "stock_item", lambda _: None)
    monkeypatch.setattr(restore, "EVENTS_AT_ONCE", 1)
    post_id = mediator.send(NewPost(message="a"), ALICE).stream_id
    handle(
        monkeypatch,
        lambda _, uow: [
            *(reserve(uow, UUID(int=number), 2) for number in (1, 2**128 - 1)),
            commands_app.handlers.like_post(LikePost(post_id=post_id), uow),
        ],
    )
    command, sender = Reserve(post_id=post_id), Context(actor="bob", command_id=uuid4())
    with stock():
        first = mediator.send(command, sender)
        publish_all()
        before = list(Event.objects.order_by("stream_id", "version").values_list(*COLUMNS))
        wipe_store()
        assert here("restore-events").returncode == 0
        assert mediator.send(command, sender) == first
    assert len(first.positions) == 3
    after = Event.objects.order_by("stream_id", "version").values_list(*COLUMNS)
    assert list(after) == before, "it was not carried out again"


def test_what_is_no_event_is_passed_over_only_on_demand(database: Mode) -> None:
    post_id = uuid4()
    publish(Message("k", b"no json"))
    publish(record_of(post_id, 1, PostCreated(post_id=post_id, author="alice", message="a")))
    assert "--ignore-unreadable" in refused(database)
    done = here("restore-events", "--ignore-unreadable")
    assert done.returncode == 0, done.stderr
    assert Stream.objects.get().pk == post_id


def test_it_refuses_beside_a_relay(sqlite: Mode) -> None:
    mediator.send(NewPost(message="a"), ALICE)
    with Worker(sqlite.env, "runrelay") as relay:
        wait_until(lambda: outbox.waiting() == 0, "the relay is at work")
        assert "A relay is active" in refused(sqlite)
        assert relay.stop() == 0


def test_payloads_come_back_byte_by_byte(database: Mode) -> None:
    post_id = uuid4()
    event = PostCreated(post_id=post_id, author="alice", message="a")
    record = record_of(post_id, 1, event)
    written = b'{"message": "\\u00fc",  "author":"alice", "post_id": "%s"}' % str(post_id).encode()
    odd = record.value.replace(codec.encode_event(event)[1].encode(), written)
    assert odd != record.value
    publish(Message(record.key, odd))
    assert here("restore-events").returncode == 0
    assert Event.objects.get().data.encode() == written


def test_the_log_alone_tells_a_posts_state_and_history(any_bus: Mode) -> None:
    from commands_app.post import Post, evolve
    from messaging.exceptions import HistoryMismatch
    from messaging.recovery.log_repository import LogRepository
    from tests.support.snapshots import folded

    some_posts()
    publish_all()
    publish_all()
    log: LogRepository[Post] = LogRepository(current_bus(), "post", evolve)
    for post_id in Stream.objects.values_list("pk", flat=True):
        assert log.load(post_id) == folded(post_id)
        stored = Event.objects.filter(stream_id=post_id).order_by("version")
        assert [one.envelope.event_id for one in log.history(post_id)] == list(
            stored.values_list("event_id", flat=True)
        )
    assert log.load(uuid4()) is None
    publish(liked(post_id, 99))
    with pytest.raises(HistoryMismatch, match=f"republish {post_id}"):
        log.load(post_id)
    publish(liked(post_id, 2))
    with pytest.raises(HistoryMismatch, match="two events of version 2"):
        log.history(post_id)


READ_THE_LOG = """
import sys, uuid, django
django.setup()
from commands_app.post import evolve
from messaging.bus import current_bus
from messaging.recovery.log_repository import LogRepository
print(LogRepository(current_bus(), "post", evolve).load(uuid.UUID(sys.argv[1])).message)
"""


def test_reading_the_log_needs_no_database(postgresql: Mode) -> None:
    post_id = mediator.send(NewPost(message="from Kafka alone"), ALICE).stream_id
    publish_all()
    nobody = "postgresql://nobody@127.0.0.1:1"
    env = {"WRITE_DATABASE_URL": f"{nobody}/write", "READ_DATABASE_URL": f"{nobody}/read"}
    env = {**postgresql.env, **env, "DJANGO_SETTINGS_MODULE": "config.settings"}
    program = [sys.executable, "-c", READ_THE_LOG]
    with Worker(env, str(post_id), program=program) as reader:
        assert reader.wait() == 0, reader.output()
        assert "from Kafka alone" in reader.output()
