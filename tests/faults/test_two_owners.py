"""A partition with two owners, and projections that reach beyond their stream."""

from uuid import uuid4

import pytest
from django.db import transaction

from commands_app.commands import AddComment, LikePost, NewPost
from contracts.posts import CommentAdded
from messaging import codec, mediator
from messaging.bus import current_bus
from messaging.bus.base import LogRecord
from messaging.exceptions import FencedOff
from messaging.message import Context
from messaging.projections.consuming import checkpoints
from messaging.projections.rows import ForeignRow, RowBatch, Rows, UndeclaredRow
from queries_app.models import Comment, Post
from queries_app.projections import posts
from tests.support.consuming import take
from tests.support.fold import assert_read_models_equal_the_fold
from tests.support.modes import Mode
from tests.support.relaying import publish_all

ALICE = Context(actor="alice")


def records() -> dict[int, list[LogRecord]]:
    bus = current_bus()
    found = {
        partition: [record for part in bus.read(partition, 0, end) for record in part]
        for partition, end in bus.end_offsets().items()
    }
    return {partition: part for partition, part in found.items() if part}


def polled() -> dict[int, list[LogRecord]]:
    """The same, for which a consumer has made its checkpoints."""
    checkpoints.begin("posts", current_bus().identity())
    return records()


def some_likes() -> None:
    post_id = uuid4()
    mediator.send(NewPost(post_id=post_id, message="Hi"), ALICE)
    for number in range(5):
        mediator.send(LikePost(post_id=post_id), Context(actor=f"person{number}"))
        mediator.send(AddComment(post_id=post_id, text="Hi"), Context(actor=f"person{number}"))
    publish_all()


def test_a_zombies_batch_rolls_back_and_counts_stay_exact(database: Mode) -> None:
    some_likes()
    batch = polled()
    take(batch)
    before = list(Post.objects.values()), list(Comment.objects.values())
    with pytest.raises(FencedOff):
        take(batch)
    assert (list(Post.objects.values()), list(Comment.objects.values())) == before
    assert assert_read_models_equal_the_fold() == 1


def test_a_batch_that_is_delivered_again_changes_nothing(database: Mode) -> None:
    some_likes()
    take(polled())
    for partition in records():
        checkpoints.halt("posts", 1, partition, 0, "")  # as if the checkpoint had been lost
    take(records())
    assert assert_read_models_equal_the_fold() == 1


def test_a_consumer_of_a_generation_that_is_gone_changes_nothing(database: Mode) -> None:
    some_likes()
    with pytest.raises(FencedOff):
        take(polled(), generation=7)
    assert Post.objects.count() == 0


def recorded() -> codec.RecordedEvent:
    envelope, data = codec.decode_envelope(next(iter(records().values()))[2].value or b"")
    event = codec.decode_event(envelope.type, data)
    assert isinstance(event, CommentAdded)
    return codec.RecordedEvent(envelope, event)


@pytest.fixture
def rows(database: Mode) -> Rows:
    some_likes()
    found = recorded()
    with transaction.atomic(using="read"):
        batch = RowBatch(posts, 1)
        batch.load([found])
    return Rows(batch, found, posts.appliers[CommentAdded])


def test_adding_a_row_to_another_stream_is_refused(rows: Rows) -> None:
    with pytest.raises(ForeignRow):
        rows.add(Comment(stream_id=uuid4(), comment_id=uuid4()))


def test_deleting_a_row_of_another_stream_is_refused(rows: Rows) -> None:
    with pytest.raises(ForeignRow):
        rows.delete(Comment(stream_id=uuid4(), comment_id=uuid4()))


def test_a_row_that_was_not_declared_cannot_be_read(rows: Rows) -> None:
    with pytest.raises(UndeclaredRow):
        rows.get(Comment, uuid4())


def test_moving_the_root_to_another_stream_is_refused(rows: Rows) -> None:
    batch, envelope = rows._batch, rows.envelope
    batch.apply(recorded())
    root = batch.root(envelope.stream_id)
    assert root is not None
    root.stream_id = uuid4()
    with pytest.raises(ForeignRow), transaction.atomic(using="read"):
        batch.write()
