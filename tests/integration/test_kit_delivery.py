"""`deliver_all` takes events from the outbox to the rows, or says why they did not arrive."""

from uuid import UUID, uuid4

import pytest

from commands_app.commands import LikePost, NewPost
from messaging import mediator
from messaging.bus.models import EmbeddedRecord
from messaging.eventstore.models import Outbox
from messaging.message import Context
from messaging.projections.serving.live import live_root
from messaging.testing import MemoryBus, deliver_all
from queries_app.models import Post
from queries_app.projections import likes, posts
from tests.support.modes import Mode

ALICE = Context(actor="alice")


def liked_post() -> UUID:
    post_id = mediator.send(NewPost(message="Hi"), ALICE).stream_id
    mediator.send(LikePost(post_id=post_id), ALICE)
    return post_id


def test_all_projections_have_what_waited_in_the_outbox(mode: Mode) -> None:
    post_id = liked_post()
    deliver_all()
    assert not Outbox.objects.exists()
    assert (live_root(posts, post_id).likes, live_root(likes, post_id).count) == (1, 1)
    mediator.send(LikePost(post_id=post_id), Context(actor="bob"))
    deliver_all()
    deliver_all()
    assert (live_root(posts, post_id).likes, live_root(likes, post_id).count) == (2, 2)


def test_so_it_is_with_the_bus_in_memory(database: Mode, memory_bus: MemoryBus) -> None:
    post_id = liked_post()
    deliver_all()
    assert (live_root(posts, post_id).likes, live_root(likes, post_id).count) == (1, 1)
    assert sum(memory_bus.end_offsets().values()) == 2
    assert not EmbeddedRecord.objects.exists(), "nothing went into the log of the settings"


def test_a_partition_that_is_halted_fails_the_delivery_with_the_reason(sqlite: Mode) -> None:
    post_id = liked_post()
    deliver_all()
    Post.objects.update(version=3, event_id=uuid4())  # as by a history that is lost
    mediator.send(LikePost(post_id=post_id), Context(actor="bob"))
    with pytest.raises(AssertionError, match=r"posts, partition \d+: Fork: version 3 of stream"):
        deliver_all()
