"""The history of a post: a projection of its own, beside that of the posts."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from commands_app.commands import (
    AddComment,
    DeletePost,
    EditComment,
    EditMessage,
    LikePost,
    NewPost,
    RemoveComment,
    UnlikePost,
)
from messaging import mediator
from messaging.contracts.posts import CommentUpdated, PostCreated, PostLiked
from messaging.exceptions import NotFound
from messaging.message import Context
from messaging.projections.models import Checkpoint, DeadLetter
from queries_app.history import history
from queries_app.queries import FindPostById, FindPostHistory
from tests.support.consuming import consume_all
from tests.support.fold import assert_histories_equal_the_fold
from tests.support.modes import Mode
from tests.support.records import publish, record_of
from tests.support.relaying import publish_all


def send(command: Any, actor: str = "alice") -> Any:
    return mediator.send(command, Context(actor=actor)).ids


def arrive() -> None:
    publish_all()
    consume_all(history)


@pytest.fixture
def eventful(database: Mode) -> tuple[UUID, UUID]:
    """A post to which everything happened but its end, and its comment, which is gone."""
    post_id = send(NewPost(message="first"))["post_id"]
    send(EditMessage(post_id=post_id, message="second"))
    send(LikePost(post_id=post_id), "bob")
    send(UnlikePost(post_id=post_id), "bob")
    comment_id = send(AddComment(post_id=post_id, text="one"), "carol")["comment_id"]
    send(EditComment(post_id=post_id, comment_id=comment_id, text="two"), "carol")
    send(RemoveComment(post_id=post_id, comment_id=comment_id), "carol")
    arrive()
    return post_id, comment_id


def test_the_history_tells_who_did_what_with_old_and_new_text(eventful: tuple[UUID, UUID]) -> None:
    post_id, comment_id = eventful
    page = mediator.ask(FindPostHistory(post_id=post_id))
    assert [(e.version, e.actor, e.what, e.old_text, e.new_text) for e in page.results] == [
        (1, "alice", "post_created", None, "first"),
        (2, "alice", "message_updated", "first", "second"),
        (3, "bob", "post_liked", None, None),
        (4, "bob", "post_unliked", None, None),
        (5, "carol", "comment_added", None, "one"),
        (6, "carol", "comment_updated", "one", "two"),
        (7, "carol", "comment_removed", "two", None),
    ]
    assert [e.comment_id for e in page.results] == [None] * 4 + [comment_id] * 3
    assert assert_histories_equal_the_fold() == 7


def test_a_history_comes_in_pages_both_ways(eventful: tuple[UUID, UUID]) -> None:
    post_id, _ = eventful
    first = mediator.ask(FindPostHistory(post_id=post_id, page_size=3))
    second = mediator.ask(FindPostHistory(post_id=post_id, page_size=3, cursor=first.next))
    third = mediator.ask(FindPostHistory(post_id=post_id, page_size=3, cursor=second.next))
    pages = [[e.version for e in page.results] for page in (first, second, third)]
    assert pages == [[1, 2, 3], [4, 5, 6], [7]]
    assert third.next is None
    back = mediator.ask(FindPostHistory(post_id=post_id, page_size=3, cursor=third.previous))
    assert [e.version for e in back.results] == [4, 5, 6]


def test_a_deleted_post_leaves_no_text_behind(eventful: tuple[UUID, UUID]) -> None:
    post_id, _ = eventful
    send(DeletePost(post_id=post_id))
    arrive()
    with pytest.raises(NotFound):
        mediator.ask(FindPostHistory(post_id=post_id))
    assert assert_histories_equal_the_fold() == 0


def test_a_post_that_never_was_has_no_history(database: Mode) -> None:
    with pytest.raises(NotFound):
        mediator.ask(FindPostHistory(post_id=uuid4()))


def test_one_projection_lags_and_fails_without_the_other(database: Mode) -> None:
    post_id = uuid4()
    publish(record_of(post_id, 1, PostCreated(post_id=post_id, author="a", message="first")))
    consume_all()
    assert mediator.ask(FindPostById(post_id=post_id)).version == 1
    with pytest.raises(NotFound):  # it lags
        mediator.ask(FindPostHistory(post_id=post_id))

    applier = history.appliers.pop(PostLiked)
    history.on(PostLiked)(lambda *_: 1 / 0)
    try:
        publish(record_of(post_id, 2, PostLiked(post_id=post_id, username="b")))
        consume_all()
        consume_all(history)
    finally:
        history.appliers[PostLiked] = applier
    assert mediator.ask(FindPostById(post_id=post_id)).version == 2
    assert DeadLetter.objects.get().projection == "history"
    assert len(mediator.ask(FindPostHistory(post_id=post_id)).results) == 1
    assert set(Checkpoint.objects.values_list("projection", flat=True)) == {"posts", "history"}


def test_an_edit_of_a_comment_that_never_was_is_parked_in_both(database: Mode) -> None:
    post_id = uuid4()
    edit = CommentUpdated(post_id=post_id, comment_id=uuid4(), text="?")
    created = PostCreated(post_id=post_id, author="a", message="first")
    publish(record_of(post_id, 1, created), record_of(post_id, 2, edit))
    consume_all()
    consume_all(history)
    assert set(DeadLetter.objects.values_list("projection", flat=True)) == {"posts", "history"}
