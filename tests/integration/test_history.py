"""The history of a post: a projection of its own, beside that of the posts."""

import re
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import User
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
from contracts.posts import CommentUpdated, PostCreated, PostLiked
from messaging import mediator
from messaging.exceptions import NotFound
from messaging.message import Context
from messaging.projections.models import Checkpoint, DeadLetter
from messaging.projections.serving.paging import Page
from queries_app.models import HistoryEntry
from queries_app.projections.history import history
from queries_app.queries import FindPostById
from queries_app.queries.history import FindPostHistory, HistoryEntryView
from tests.support.api import Api
from tests.support.consuming import consume_all
from tests.support.fold import assert_histories_equal_the_fold
from tests.support.modes import Mode
from tests.support.rebuilding import rebuild
from tests.support.records import publish, record_of
from tests.support.relaying import publish_all


def send(command: Any, actor: str = "alice") -> Any:
    return mediator.send(command, Context(actor=actor)).ids


def arrive() -> None:
    publish_all()
    consume_all(history)


@pytest.fixture
def eventful(database: Mode) -> tuple[UUID, UUID]:
    """A post to which everything happened but its end, and a comment, which is gone."""
    post_id = send(NewPost(message="first"))["post_id"]
    send(EditMessage(post_id=post_id, message="second"))
    send(LikePost(post_id=post_id), "bob")
    send(UnlikePost(post_id=post_id), "bob")
    comment_id = send(AddComment(post_id=post_id, text="one"), "carol")["comment_id"]
    send(EditComment(post_id=post_id, comment_id=comment_id, text="two"), "carol")
    send(RemoveComment(post_id=post_id, comment_id=comment_id), "carol")
    stays = send(AddComment(post_id=post_id, text="three"))["comment_id"]
    send(EditComment(post_id=post_id, comment_id=stays, text="four"))
    arrive()
    return post_id, comment_id


WHO_DID_WHAT = [
    (1, "alice", "post_created"),
    (2, "alice", "message_updated"),
    (3, "bob", "post_liked"),
    (4, "bob", "post_unliked"),
    (5, "carol", "comment_added"),
    (6, "carol", "comment_updated"),
    (7, "carol", "comment_removed"),
    (8, "alice", "comment_added"),
    (9, "alice", "comment_updated"),
]
ALICES = {1: (None, "first"), 2: ("first", "second"), 8: (None, "three"), 9: ("three", "four")}
CAROLS = {5: (None, "one"), 6: ("one", "two"), 7: ("two", None)}


def texts(page: Page[HistoryEntryView]) -> dict[int, tuple[str | None, str | None]]:
    return {e.version: (e.old_text, e.new_text) for e in page.results if e.old_text or e.new_text}


def test_the_history_tells_who_did_what_with_old_and_new_text(eventful: tuple[UUID, UUID]) -> None:
    """Of what was edited; not of what was removed."""
    post_id, comment_id = eventful
    page = mediator.ask(FindPostHistory(post_id=post_id))
    assert [(e.version, e.actor, e.what) for e in page.results] == WHO_DID_WHAT
    assert texts(page) == ALICES
    assert [e.version for e in page.results if e.comment_id == comment_id] == [5, 6, 7]
    assert [e.version for e in page.results if e.removed] == [5, 6, 7]
    assert assert_histories_equal_the_fold() == 9


def test_a_history_comes_in_pages_both_ways(eventful: tuple[UUID, UUID]) -> None:
    post_id, _ = eventful
    first = mediator.ask(FindPostHistory(post_id=post_id, page_size=3))
    second = mediator.ask(FindPostHistory(post_id=post_id, page_size=3, cursor=first.next))
    third = mediator.ask(FindPostHistory(post_id=post_id, page_size=3, cursor=second.next))
    pages = [[e.version for e in page.results] for page in (first, second, third)]
    assert pages == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert third.next is None
    back = mediator.ask(FindPostHistory(post_id=post_id, page_size=3, cursor=third.previous))
    assert [e.version for e in back.results] == [4, 5, 6]


def test_of_a_removed_post_who_and_when_stay(eventful: tuple[UUID, UUID]) -> None:
    post_id, _ = eventful
    before = mediator.ask(FindPostHistory(post_id=post_id)).results
    send(DeletePost(post_id=post_id))
    arrive()
    page = mediator.ask(FindPostHistory(post_id=post_id))
    assert [(e.version, e.actor, e.what) for e in page.results] == [
        *WHO_DID_WHAT, (10, "alice", "post_removed"),
    ]  # fmt: skip
    assert [e.at for e in page.results[:9]] == [e.at for e in before]
    assert texts(page) == {}
    assert [e.version for e in page.results if e.removed] == [1, 2, 5, 6, 7, 8, 9]
    assert assert_histories_equal_the_fold() == 10


READERS = {
    # who: (staff, may view removed texts, what of a removed comment, of a removed post)
    "nobody": (False, False, {}, {}),
    "carol": (False, True, CAROLS, CAROLS),
    "alice": (False, True, {}, ALICES),
    "mallory": (False, True, {}, {}),
    "clerk": (True, False, {}, {}),
    "editor": (True, True, CAROLS, {**ALICES, **CAROLS}),
}


@pytest.mark.parametrize("kind", ["token", "session"])
def test_removed_texts_are_for_their_author_and_staff_with_the_permission(
    eventful: tuple[UUID, UUID], kind: str
) -> None:
    post_id, _ = eventful
    may = Permission.objects.get(codename="view_removed_text")
    for name, (staff, permitted, _, _) in READERS.items():
        user = User.objects.create(username=name, is_staff=staff)
        user.user_permissions.set([may] if permitted else [])

    def shown(name: str) -> dict[int, tuple[str | None, str | None]]:
        api = Api(name if kind == "token" else None)
        if kind == "session":
            api.client.force_login(User.objects.get(username=name))
        found = api.ask("find-post-history", post_id=post_id).json()["results"]
        return {
            e["version"]: (e["old_text"], e["new_text"])
            for e in found
            if e["old_text"] or e["new_text"]
        }

    for name, (_, _, of_a_comment, _) in READERS.items():
        assert shown(name) == {**ALICES, **of_a_comment}, name
    send(DeletePost(post_id=post_id))
    arrive()
    for name, (_, _, _, of_a_post) in READERS.items():
        assert shown(name) == of_a_post, name
    User.objects.get(username="carol").user_permissions.clear()
    assert shown("carol") == {}, "an author without the permission"


def test_no_cache_gives_one_readers_history_to_another(eventful: tuple[UUID, UUID]) -> None:
    post_id, _ = eventful
    User.objects.create(username="editor", is_staff=True, is_superuser=True)
    editors = Api("editor").ask("find-post-history", post_id=post_id)
    anybodys = Api().ask("find-post-history", post_id=post_id)
    for answer in (editors, anybodys):
        assert answer["Cache-Control"] == "private"
        assert {"Authorization", "Cookie"} <= {v.strip() for v in answer["Vary"].split(",")}
    assert editors["ETag"] != anybodys["ETag"]
    again = {"If-None-Match": editors["ETag"]}
    assert Api().ask("find-post-history", post_id=post_id, headers=again).status_code == 200
    assert Api("editor").ask("find-post-history", post_id=post_id, headers=again).status_code == 304
    public = Api().ask("find-post-by-id", post_id=post_id)
    assert "Authorization" not in public["Vary"], "the same to all"


def written(page: str) -> set[str]:
    """The texts on a page of a history."""
    found = re.findall(r'class="text"><p>([^<]*)<|<(?:del|ins)>([^<]*)<', page)
    return {text for pair in found for text in pair if text}


def test_pages_show_what_was_edited_and_not_what_was_removed(
    eventful: tuple[UUID, UUID],
) -> None:
    post_id, _ = eventful
    User.objects.create(username="editor", is_staff=True, is_superuser=True)

    def page(name: str | None, address: str = "history/") -> str:
        client = Client()
        if name:
            client.force_login(User.objects.get_or_create(username=name)[0])
        answer = client.get(f"/posts/{post_id}/{address}")
        assert answer.status_code == 200
        if address == "history/":
            assert "private" in answer["Cache-Control"]
            assert "Cookie" in answer["Vary"]
        return answer.content.decode()

    for name in (None, "carol"):
        text = page(name)
        assert "one" not in written(text)
        assert {"first", "second", "three", "four"} <= written(text)
        assert text.count("The text was deleted.") == 2
        assert "deleted a comment" in text
    assert {"one", "two"} <= written(page("editor"))
    consume_all()
    form = page("alice", "edit/")
    assert f'stays in the <a href="/posts/{post_id}/history/">history</a>, where all' in form
    assert "gone for readers" in page("alice", "delete/")
    send(DeletePost(post_id=post_id))
    arrive()
    text = page(None)
    assert written(text) == set()
    assert "deleted the post" in text
    assert {"first", "one"} <= written(page("editor"))


def test_a_history_from_before_is_brought_back_by_a_rebuild(sqlite: Mode) -> None:
    """The code before this one deleted the entries of a removed post."""
    post_id = send(NewPost(message="x"))["post_id"]
    send(DeletePost(post_id=post_id))
    arrive()
    HistoryEntry.objects.all().delete()
    with pytest.raises(NotFound):
        mediator.ask(FindPostHistory(post_id=post_id))
    rebuild(history, "store")
    assert len(mediator.ask(FindPostHistory(post_id=post_id)).results) == 2


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
