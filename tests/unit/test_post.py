"""The rules of a post: given these events, this decision, expect these events or a refusal."""

import copy
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import pytest

from commands_app import post as decide
from commands_app.post import MAX_TEXT, Post, evolve, valid_text
from contracts.posts import (
    CommentAdded,
    CommentRemoved,
    CommentUpdated,
    MessageUpdated,
    PostCreated,
    PostLiked,
    PostRemoved,
    PostUnliked,
    fingerprint,
)
from messaging.exceptions import DomainError

ID, COMMENT = uuid4(), uuid4()
CREATED = PostCreated(post_id=ID, author="alice", message="Hi")
LIKED = PostLiked(post_id=ID, username="bob")
COMMENTED = CommentAdded(post_id=ID, comment_id=COMMENT, author="bob", text="Yes")
UNCOMMENTED = CommentRemoved(post_id=ID, comment_id=COMMENT)
REMOVED = PostRemoved(post_id=ID)


def given(*events: Any) -> Post | None:
    post = None
    for event in events:
        post = evolve(post, event)
    return post


def refusal(work: Callable[[], Any]) -> str:
    with pytest.raises(DomainError) as refused:
        work()
    return refused.value.code


def liked_by(count: int) -> list[Any]:
    return [CREATED, *(PostLiked(post_id=ID, username=f"person{n}") for n in range(count))]


def commented_on(count: int) -> list[Any]:
    ids = [UUID(int=n) for n in range(count)]
    return [
        CREATED,
        *(CommentAdded(post_id=ID, comment_id=one, author="bob", text="Yes") for one in ids),
    ]


def test_a_post_has_at_most_so_many_likes() -> None:
    full = liked_by(10_000)
    like = decide.like_post(given(*full[:-1]), "person9999")
    assert like == [PostLiked(post_id=ID, username="person9999")]
    assert refusal(lambda: decide.like_post(given(*full), "bob")) == "too_many_likes"
    assert decide.like_post(given(*full), "person0") == [], "who likes it already changes nothing"
    gone = PostUnliked(post_id=ID, username="person0")
    assert decide.like_post(given(*full, gone), "bob") == [LIKED]


def test_a_post_takes_at_most_so_many_comments() -> None:
    full = commented_on(10_000)
    [added] = decide.add_comment(given(*full[:-1]), COMMENT, "bob", "Yes")
    assert added == COMMENTED
    comment = lambda *events: decide.add_comment(given(*events), COMMENT, "bob", "Yes")  # noqa: E731
    assert refusal(lambda: comment(*full)) == "too_many_comments"
    gone = CommentRemoved(post_id=ID, comment_id=UUID(int=0))
    assert refusal(lambda: comment(*full, gone)) == "too_many_comments", "its id is kept"


def test_what_was_stored_beyond_the_limits_still_counts() -> None:
    post = given(*liked_by(10_002), *commented_on(10_002)[1:])
    assert post is not None
    assert (len(post.likers), len(post.comments)) == (10_002, 10_002)
    assert decide.unlike_post(post, "person10001") != []
    assert decide.remove_comment(post, UUID(int=10_001), "bob") != []
    assert decide.edit_message(post, "alice", "Ho") != []


def test_a_new_post_is_created() -> None:
    assert decide.new_post(None, ID, "alice", "Hi") == [CREATED]


def test_an_id_is_used_for_one_post() -> None:
    assert refusal(lambda: decide.new_post(given(CREATED), ID, "alice", "Hi")) == "post_exists"


def test_an_edit_by_the_author_changes_the_message() -> None:
    assert decide.edit_message(given(CREATED), "alice", "Ho") == [
        MessageUpdated(post_id=ID, message="Ho")
    ]


def test_an_edit_to_the_same_text_changes_nothing() -> None:
    assert decide.edit_message(given(CREATED), "alice", "Hi") == []


LONGER = MessageUpdated(post_id=ID, message="Hi, all")
REWORDED = CommentUpdated(post_id=ID, comment_id=COMMENT, text="Yes!")


def test_an_edit_of_a_text_that_was_changed_meanwhile_is_refused() -> None:
    post, knows = given(CREATED, LONGER), fingerprint("Hi")
    assert refusal(lambda: decide.edit_message(post, "alice", "Ho", knows)) == "text_changed"
    post, knows = given(CREATED, COMMENTED, REWORDED), fingerprint("Yes")
    edit = decide.edit_comment
    assert refusal(lambda: edit(post, COMMENT, "bob", "No", knows)) == "text_changed"


def test_likes_and_comments_by_others_are_no_change_of_the_text() -> None:
    post = given(CREATED, COMMENTED, LIKED)
    assert len(decide.edit_message(post, "alice", "Ho", fingerprint("Hi"))) == 1
    assert len(decide.edit_comment(post, COMMENT, "bob", "No", fingerprint("Yes"))) == 1


def test_a_form_sent_twice_is_no_conflict_with_itself() -> None:
    assert decide.edit_message(given(CREATED, LONGER), "alice", "Hi, all", fingerprint("Hi")) == []


def test_only_the_author_edits() -> None:
    assert refusal(lambda: decide.edit_message(given(CREATED), "bob", "Ho")) == "not_author"


def test_a_like_is_counted_for_the_person() -> None:
    assert decide.like_post(given(CREATED), "bob") == [LIKED]


def test_the_author_may_like_and_comment_too() -> None:
    assert decide.like_post(given(CREATED), "alice") == [PostLiked(post_id=ID, username="alice")]
    added = CommentAdded(post_id=ID, comment_id=COMMENT, author="alice", text="Me too")
    assert decide.add_comment(given(CREATED), COMMENT, "alice", "Me too") == [added]


def test_a_second_like_by_the_same_person_changes_nothing() -> None:
    assert decide.like_post(given(CREATED, LIKED), "bob") == []


def test_a_like_can_be_taken_back() -> None:
    assert decide.unlike_post(given(CREATED, LIKED), "bob") == [
        PostUnliked(post_id=ID, username="bob")
    ]


def test_taking_back_a_like_that_is_not_there_changes_nothing() -> None:
    assert decide.unlike_post(given(CREATED), "bob") == []


def test_a_person_can_like_again_after_taking_it_back() -> None:
    unliked = PostUnliked(post_id=ID, username="bob")
    assert decide.like_post(given(CREATED, LIKED, unliked), "bob") == [LIKED]


def test_anybody_comments() -> None:
    assert decide.add_comment(given(CREATED), COMMENT, "bob", "Yes") == [COMMENTED]


def test_the_id_of_a_comment_is_used_once_even_after_it_was_removed() -> None:
    for post in (given(CREATED, COMMENTED), given(CREATED, COMMENTED, UNCOMMENTED)):
        code = refusal(lambda p=post: decide.add_comment(p, COMMENT, "bob", "Yes"))  # type: ignore[misc]
        assert code == "comment_exists"


def test_a_comment_is_edited_by_its_author() -> None:
    assert decide.edit_comment(given(CREATED, COMMENTED), COMMENT, "bob", "No") == [
        CommentUpdated(post_id=ID, comment_id=COMMENT, text="No")
    ]


def test_an_edit_of_a_comment_to_the_same_text_changes_nothing() -> None:
    assert decide.edit_comment(given(CREATED, COMMENTED), COMMENT, "bob", "Yes") == []


def test_only_a_comments_author_edits_or_removes_it() -> None:
    post = given(CREATED, COMMENTED)
    assert (
        refusal(lambda: decide.edit_comment(post, COMMENT, "alice", "No")) == "not_comment_author"
    )
    assert refusal(lambda: decide.remove_comment(post, COMMENT, "alice")) == "not_comment_author"


def test_a_removed_comment_is_not_found() -> None:
    post = given(CREATED, COMMENTED, UNCOMMENTED)
    assert refusal(lambda: decide.edit_comment(post, COMMENT, "bob", "No")) == "comment_not_found"
    assert refusal(lambda: decide.remove_comment(post, COMMENT, "bob")) == "comment_not_found"


def test_a_comment_of_another_post_is_not_found() -> None:
    assert refusal(lambda: decide.edit_comment(given(CREATED), COMMENT, "bob", "No")) == (
        "comment_not_found"
    )


def test_a_comment_is_removed_by_its_author() -> None:
    assert decide.remove_comment(given(CREATED, COMMENTED), COMMENT, "bob") == [UNCOMMENTED]


def test_only_the_author_deletes() -> None:
    assert decide.delete_post(given(CREATED), "alice") == [REMOVED]
    assert refusal(lambda: decide.delete_post(given(CREATED), "bob")) == "not_author"


EVERY_DECISION: list[Callable[[Post | None], Any]] = [
    lambda post: decide.edit_message(post, "alice", "Ho"),
    lambda post: decide.like_post(post, "bob"),
    lambda post: decide.unlike_post(post, "bob"),
    lambda post: decide.add_comment(post, COMMENT, "bob", "Yes"),
    lambda post: decide.edit_comment(post, COMMENT, "bob", "No"),
    lambda post: decide.remove_comment(post, COMMENT, "bob"),
    lambda post: decide.delete_post(post, "alice"),
]


@pytest.mark.parametrize("decision", EVERY_DECISION)
def test_a_post_that_never_was_is_not_found(decision: Callable[[Post | None], Any]) -> None:
    assert refusal(lambda: decision(None)) == "post_not_found"


@pytest.mark.parametrize(
    "decision", [*EVERY_DECISION, lambda post: decide.new_post(post, ID, "alice", "Hi")]
)
def test_a_removed_post_refuses_everything(decision: Callable[[Post | None], Any]) -> None:
    assert refusal(lambda: decision(given(CREATED, LIKED, COMMENTED, REMOVED))) == "post_removed"


@pytest.mark.parametrize("decision", EVERY_DECISION)
def test_a_decision_changes_nothing_by_itself(decision: Callable[[Post | None], Any]) -> None:
    post = given(CREATED, LIKED, COMMENTED)
    before = copy.deepcopy(post)
    with suppress(DomainError):
        decision(post)
    assert post == before


@pytest.mark.parametrize(
    ("status", "work"),
    [
        (404, lambda: decide.like_post(None, "bob")),
        (404, lambda: decide.remove_comment(given(CREATED), COMMENT, "bob")),
        (403, lambda: decide.delete_post(given(CREATED), "bob")),
        (403, lambda: decide.remove_comment(given(CREATED, COMMENTED), COMMENT, "alice")),
        (409, lambda: decide.like_post(given(CREATED, REMOVED), "bob")),
        (409, lambda: decide.new_post(given(CREATED), ID, "alice", "Hi")),
        (409, lambda: decide.add_comment(given(CREATED, COMMENTED), COMMENT, "bob", "Yes")),
    ],
)
def test_a_refusal_has_the_status_of_its_kind(status: int, work: Callable[[], Any]) -> None:
    with pytest.raises(DomainError) as refused:
        work()
    assert refused.value.status == status
    assert refused.value.detail


WITH_TEXT: list[Callable[[str], list[Any]]] = [
    lambda text: decide.new_post(None, ID, "alice", text),
    lambda text: decide.edit_message(given(CREATED), "alice", text),
    lambda text: decide.add_comment(given(CREATED), COMMENT, "bob", text),
    lambda text: decide.edit_comment(given(CREATED, COMMENTED), COMMENT, "bob", text),
]


@pytest.mark.parametrize("decision", WITH_TEXT)
def test_every_text_goes_through_the_rules_of_texts(decision: Callable[[str], list[Any]]) -> None:
    event = decision(" a\r\nb\r")[0]
    stored = event.text if hasattr(event, "text") else event.message
    assert stored == " a\nb\n"
    assert refusal(lambda: decision("x" * (MAX_TEXT + 1))) == "max_length"


def test_other_line_ends_are_no_other_text() -> None:
    created = PostCreated(post_id=ID, author="alice", message="a\nb")
    assert decide.edit_message(given(created), "alice", "a\r\nb") == []


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("a\r\nb\rc\nd", "a\nb\nc\nd"),
        ("  not trimmed \n", "  not trimmed \n"),
        ("x" * MAX_TEXT, "x" * MAX_TEXT),
        ("\r\n" * 5_000 + "x" * 5_000, "\n" * 5_000 + "x" * 5_000),
        ("👍🏽", "👍🏽"),
        ("👍" * MAX_TEXT, "👍" * MAX_TEXT),
        (".", "."),
        ("\ue000", "\ue000"),
        ("e\u0301 is not \u00e9", "e\u0301 is not \u00e9"),
        ("\ufffd", "\ufffd"),
        ("\u200b.", "\u200b."),
    ],
)
def test_text_is_stored_as_sent_with_plain_line_ends(sent: str, stored: str) -> None:
    assert valid_text(sent, "message") == stored


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "blank"),
        (" \t\n\r", "blank"),
        ("\u00a0\u2003\u200b\u200e\ufeff", "blank"),
        ("\x07\x1b", "blank"),
        ("\u2028\u2029", "blank"),
        ("\u3000\u00ad\u2060\U000e0020", "blank"),
        ("\0", "null_characters_not_allowed"),
        ("\udfff\ud800", "surrogate_characters_not_allowed"),
        ("👍" * (MAX_TEXT + 1), "max_length"),
        (" " * (MAX_TEXT + 1), "max_length"),
        ("x" * (MAX_TEXT + 1), "max_length"),
        ("a\0b", "null_characters_not_allowed"),
        ("a\ud800b", "surrogate_characters_not_allowed"),
    ],
)
def test_text_that_breaks_a_rule_is_refused_and_the_field_is_named(text: str, code: str) -> None:
    with pytest.raises(DomainError) as refused:
        valid_text(text, "message")
    assert (refused.value.code, refused.value.attr, refused.value.status) == (code, "message", 400)
