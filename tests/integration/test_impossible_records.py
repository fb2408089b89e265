"""Records that no handler can have led to are refused, signed or not; nothing waits for them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import connections
from kafka import KafkaProducer

from commands_app.commands import EditMessage, LikePost, NewPost
from contracts.posts import CommentAdded, MessageUpdated, PostCreated, PostLiked
from messaging import mediator
from messaging.bus import current_bus
from messaging.bus.base import Message, partition_of
from messaging.dialect.values import database_now
from messaging.eventstore.models import Event
from messaging.exceptions import Invalid, NotSignedIn
from messaging.message import Context, utc_now
from messaging.projections.consuming.automatic_retry import AutomaticRetry
from messaging.projections.models import Checkpoint, DeadLetter
from messaging.recovery.log_repository import LogRepository
from messaging.relay import log_identity
from messaging.testing import registered
from queries_app.models import Post
from queries_app.projections import posts
from queries_app.projections.likes import likes
from tests.support.clock import clock_off_by
from tests.support.consuming import consume_all
from tests.support.fold import assert_read_models_equal_the_fold
from tests.support.losing import wipe_store
from tests.support.modes import Mode
from tests.support.processes import here
from tests.support.records import publish, record_of
from tests.support.relaying import publish_all

ALICE = Context(actor="alice")
DAY = 24 * 3_600
Forgery = Callable[[UUID], Message]


def edit(
    post_id: UUID, version: int = 2, *, about: UUID | None = None, **changes: object
) -> Message:
    event = MessageUpdated(post_id=about or post_id, message="forged")
    return record_of(post_id, version, event, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanOpened:
    amount: int


@pytest.fixture(autouse=True)
def loan_events() -> Iterator[None]:
    with registered("loans.loan_opened.v1", LoanOpened, stream="loan"):
        yield


IMPOSSIBLE: dict[str, tuple[str, Forgery]] = {
    "another stream": ("its payload is about", lambda p: edit(p, about=uuid4())),
    "another stream type": (
        "type 'loan', its envelope says 'post'",
        lambda p: record_of(p, 2, LoanOpened(amount=1)),
    ),
    "a slash": ("actor, 'a/b'", lambda p: edit(p, actor="a/b")),
    "no name": ("actor, ''", lambda p: edit(p, actor="")),
    "a space": ("actor, 'alice '", lambda p: edit(p, actor="alice ")),
    "a line": ("actor, 'alice\\n'", lambda p: edit(p, actor="alice\n")),
    "right to left": ("actor, '\\u202eecila'", lambda p: edit(p, actor="\u202eecila")),
    "a long name": ("actor, 'xxx", lambda p: edit(p, actor="x" * 151)),
    "a comment's author": (
        "name in author, 'a/b'",
        lambda p: record_of(
            p, 2, CommentAdded(post_id=p, comment_id=uuid4(), author="a/b", text="forged")
        ),
    ),
    "who likes": (
        "name in username, '../x'",
        lambda p: record_of(p, 2, PostLiked(post_id=p, username="../x")),
    ),
}  # fmt: skip


@pytest.mark.parametrize("which", IMPOSSIBLE)
def test_what_cannot_be_is_parked_without_a_stream(sqlite: Mode, which: str) -> None:
    says, forgery = IMPOSSIBLE[which]
    post_id = mediator.send(NewPost(message="genuine"), ALICE).stream_id
    publish_all()
    publish(forgery(post_id))
    mediator.send(EditMessage(post_id=post_id, message="the genuine second"), ALICE)
    publish_all()
    for projection in (posts, likes):
        assert consume_all(projection) == {}
        dead_letter = DeadLetter.objects.get(projection=projection.name)
        assert (dead_letter.code, dead_letter.stream_id) == ("impossible", None)
        assert says in dead_letter.reason
        assert f"version 2 of stream {post_id}" in dead_letter.reason
        assert dead_letter.value is not None, "the record stays to be looked at"
    assert Post.objects.get().message == "the genuine second"
    assert assert_read_models_equal_the_fold() == 1


def test_none_of_them_stops_a_relay_or_is_restored(database: Mode) -> None:
    post_id = mediator.send(NewPost(message="genuine"), ALICE).stream_id
    publish_all()
    publish(*[forgery(post_id) for _, forgery in IMPOSSIBLE.values()])
    in_a_year = utc_now() + timedelta(days=365)
    publish(edit(post_id, recorded_at=in_a_year))
    repository = LogRepository(current_bus(), "post", lambda state, event: [*(state or []), event])
    assert (
        repository.load(post_id)
        == [PostCreated(post_id=post_id, author="alice", message="genuine")]
        or len(repository.load(post_id) or []) == 2
    )
    assert here("verify", "--patience", "0").stdout.count("cannot be: ") == len(IMPOSSIBLE) + 1
    wipe_store()
    refused = here("restore-events")
    assert refused.returncode == 1
    assert "--ignore-unreadable" in refused.stderr
    assert here("restore-events", "--ignore-unreadable").returncode == 0
    assert [one.version for one in Event.objects.all()] == [1]


def test_an_impossible_record_does_not_keep_a_relay_from_starting(database: Mode) -> None:
    post_id = mediator.send(NewPost(message="genuine"), ALICE).stream_id
    publish_all()
    publish(*[forgery(post_id) for _, forgery in IMPOSSIBLE.values()])
    log_identity.require_same_history(current_bus())


def test_a_record_in_the_partition_of_other_streams_is_not_believed(postgresql: Mode) -> None:
    """It could overtake the genuine one of the same version, and both would be applied."""
    post_id = mediator.send(NewPost(message="genuine"), ALICE).stream_id
    publish_all()
    genuine = current_bus().end_offsets()
    wrong = (partition_of(str(post_id), 12) + 1) % 12
    message = edit(post_id)
    producer = KafkaProducer(bootstrap_servers=postgresql.env["KAFKA_BOOTSTRAP_SERVERS"])
    topic = postgresql.env["KAFKA_TOPIC"]
    producer.send(topic, message.value, message.key.encode(), partition=wrong).get(30)
    producer.close()
    assert consume_all() == {}
    assert Post.objects.get().version == 1
    dead_letter = DeadLetter.objects.get()
    assert (dead_letter.partition, dead_letter.offset) == (wrong, genuine[wrong])
    assert f"Stream {post_id} belongs to another partition. It names ver" in dead_letter.reason


def test_what_is_far_in_the_future_waits_for_its_time_and_nothing_waits_for_it(
    database: Mode,
) -> None:
    post_id = uuid4()
    created = PostCreated(post_id=post_id, author="alice", message="1")
    late = edit(post_id, recorded_at=utc_now() + timedelta(days=2))
    publish(record_of(post_id, 1, created), late)
    consume_all()
    dead_letter = DeadLetter.objects.get()
    assert (dead_letter.code, dead_letter.stream_id) == ("from the future", None)
    AutomaticRetry(posts).run_if_due(1, range(12))
    assert Post.objects.get(stream_id=post_id).version == 1

    DeadLetter.objects.update(due_at=utc_now())
    AutomaticRetry(posts).run_if_due(1, range(12))
    assert DeadLetter.objects.get().due_at == dead_letter.due_at, (
        "looked at again, and still too early"
    )
    with clock_off_by(DAY + 60):
        DeadLetter.objects.update(due_at=utc_now() - timedelta(days=2))
        AutomaticRetry(posts).run_if_due(1, range(12))
    assert not DeadLetter.objects.exists()
    assert Post.objects.get(stream_id=post_id).version == 2


def test_of_two_from_the_future_the_later_waits_for_the_earlier(database: Mode) -> None:
    post_id = uuid4()
    created = PostCreated(post_id=post_id, author="alice", message="1")
    ahead = {"recorded_at": utc_now() + timedelta(days=2)}
    later, earlier = (
        record_of(post_id, v, MessageUpdated(post_id=post_id, message=f"v{v}"), **ahead)
        for v in (3, 2)
    )
    publish(record_of(post_id, 1, created), later, earlier)
    consume_all()
    with clock_off_by(2 * DAY):
        for offset in (1, 2):  # the later one is due first
            due = DeadLetter.objects.filter(offset=offset)
            due.update(due_at=utc_now() - timedelta(days=4))
            AutomaticRetry(posts).run_if_due(1, range(12))
            if offset == 1:
                dead_letter = due.get()
                assert (dead_letter.code, dead_letter.stream_id, dead_letter.version) == (
                    "gap",
                    post_id,
                    3,
                )
    assert not DeadLetter.objects.exists()
    assert Post.objects.get(stream_id=post_id).message == "v3"


def test_a_little_ahead_is_believed(sqlite: Mode) -> None:
    post_id = uuid4()
    created = PostCreated(post_id=post_id, author="alice", message="1")
    publish(record_of(post_id, 1, created, recorded_at=utc_now() + timedelta(hours=23)))
    consume_all()
    assert Post.objects.get().version == 1


@pytest.mark.parametrize("off", [-30 * DAY, 30 * DAY])
def test_a_consumer_whose_clock_is_wrong_still_believes_genuine_records(
    database: Mode, off: int
) -> None:
    mediator.send(NewPost(message="genuine"), ALICE)
    publish_all()
    with clock_off_by(off):
        consume_all()
    assert not DeadLetter.objects.exists()
    assert Post.objects.get().version == 1


def test_a_writer_whose_clock_is_wrong_stores_nothing_that_is_not_believed(database: Mode) -> None:
    with clock_off_by(30 * DAY):
        post_id = mediator.send(NewPost(message="1"), ALICE).stream_id
        mediator.send(LikePost(post_id=post_id), ALICE)
    mediator.send(EditMessage(post_id=post_id, message="2"), ALICE)
    first, second, third = Event.objects.order_by("version").values_list("recorded_at", flat=True)
    now = database_now(connections["default"])
    assert now < first <= second <= third < now + timedelta(hours=1, minutes=1)
    publish_all()
    consume_all()
    assert Post.objects.get().version == 3


def test_nobody_without_a_name_stores_an_event(sqlite: Mode) -> None:
    with pytest.raises(NotSignedIn):
        mediator.send(NewPost(message="Hi"), Context(actor=""))
    assert not Event.objects.exists()


@pytest.mark.parametrize("actor", ["a/b", "x" * 151, "a b"])
def test_nobody_stores_an_event_of_such_an_actor(sqlite: Mode, actor: str) -> None:
    with pytest.raises(Invalid) as refused:
        mediator.send(NewPost(message="Hi"), Context(actor=actor))
    assert refused.value.code == "invalid_actor"
    assert not Event.objects.exists()


def test_no_partition_is_halted_by_any_of_them(sqlite: Mode) -> None:
    post_id = mediator.send(NewPost(message="genuine"), ALICE).stream_id
    publish_all()
    publish(*[forgery(post_id) for _, forgery in IMPOSSIBLE.values()] * 10)
    assert consume_all() == {}
    assert not Checkpoint.objects.exclude(halted="").exists()
    assert DeadLetter.objects.count() == 10 * len(IMPOSSIBLE)
