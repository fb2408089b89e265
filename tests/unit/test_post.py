"""The rules of a post: given these events, this decision, expect these events or a refusal."""

import copy
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import pytest

from commands_app import post as decide
from commands_app.post import MAX_TEXT, Post, valid_text
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
from messaging.testing import given

ID, COMMENT = uuid4(), uuid4()
CREATED = PostCreated(post_id=ID, author="alice", message="Hi")
LIKED = PostLiked(post_id=ID, username="bob")
COMMENTED = CommentAdded(post_id=ID, comment_id=COMMENT, author="bob", text="Yes")
UNCOMMENTED = CommentRemoved(post_id=ID, comment_id=COMMENT)
REMOVED = PostRemoved(post_id=ID)


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
    last = PostLiked(post_id=ID, username="person9999")
    given(*full[:-1]).when(decide.like_post, "person9999").then(last)
    given(*full).when(decide.like_post, "bob").refused("too_many_likes")
    given(*full).when(decide.like_post, "person0").then()  # who likes it already
    gone = PostUnliked(post_id=ID, username="person0")
    given(*full, gone).when(decide.like_post, "bob").then(LIKED)


def test_a_post_takes_at_most_so_many_comments() -> None:
    full = commented_on(10_000)
    given(*full[:-1]).when(decide.add_comment, COMMENT, "bob", "Yes").then(COMMENTED)
    full_up = given(*full).when(decide.add_comment, COMMENT, "bob", "Yes")
    full_up.refused("too_many_comments")
    gone = CommentRemoved(post_id=ID, comment_id=UUID(int=0))  # its id is kept
    still = given(*full, gone).when(decide.add_comment, COMMENT, "bob", "Yes")
    still.refused("too_many_comments")


def test_what_was_stored_beyond_the_limits_still_counts() -> None:
    post = given(*liked_by(10_002), *commented_on(10_002)[1:]).state
    assert (len(post.likers), len(post.comments)) == (10_002, 10_002)
    assert decide.unlike_post(post, "person10001") != []
    assert decide.remove_comment(post, UUID(int=10_001), "bob") != []
    assert decide.edit_message(post, "alice", "Ho") != []


def test_a_new_post_is_created() -> None:
    given().when(decide.new_post, ID, "alice", "Hi").then(CREATED)


def test_an_id_is_used_for_one_post() -> None:
    given(CREATED).when(decide.new_post, ID, "alice", "Hi").refused("post_exists")


def test_an_edit_by_the_author_changes_the_message() -> None:
    edited = MessageUpdated(post_id=ID, message="Ho")
    given(CREATED).when(decide.edit_message, "alice", "Ho").then(edited)


def test_an_edit_to_the_same_text_changes_nothing() -> None:
    given(CREATED).when(decide.edit_message, "alice", "Hi").then()


LONGER = MessageUpdated(post_id=ID, message="Hi, all")
REWORDED = CommentUpdated(post_id=ID, comment_id=COMMENT, text="Yes!")


def test_an_edit_of_a_text_that_was_changed_meanwhile_is_refused() -> None:
    edited = given(CREATED, LONGER).when(decide.edit_message, "alice", "Ho", fingerprint("Hi"))
    edited.refused("text_changed")
    comment = given(CREATED, COMMENTED, REWORDED)
    edited = comment.when(decide.edit_comment, COMMENT, "bob", "No", fingerprint("Yes"))
    edited.refused("text_changed")


def test_likes_and_comments_by_others_are_no_change_of_the_text() -> None:
    post = given(CREATED, COMMENTED, LIKED)
    edited = post.when(decide.edit_message, "alice", "Ho", fingerprint("Hi"))
    edited.then(MessageUpdated(post_id=ID, message="Ho"))
    edited = post.when(decide.edit_comment, COMMENT, "bob", "No", fingerprint("Yes"))
    edited.then(CommentUpdated(post_id=ID, comment_id=COMMENT, text="No"))


def test_a_form_sent_twice_is_no_conflict_with_itself() -> None:
    knows = fingerprint("Hi")
    given(CREATED, LONGER).when(decide.edit_message, "alice", "Hi, all", knows).then()


def test_only_the_author_edits() -> None:
    given(CREATED).when(decide.edit_message, "bob", "Ho").refused("not_author")


def test_a_like_is_counted_for_the_person() -> None:
    given(CREATED).when(decide.like_post, "bob").then(LIKED)


def test_the_author_may_like_and_comment_too() -> None:
    given(CREATED).when(decide.like_post, "alice").then(PostLiked(post_id=ID, username="alice"))
    added = CommentAdded(post_id=ID, comment_id=COMMENT, author="alice", text="Me too")
    given(CREATED).when(decide.add_comment, COMMENT, "alice", "Me too").then(added)


def test_a_second_like_by_the_same_person_changes_nothing() -> None:
    given(CREATED, LIKED).when(decide.like_post, "bob").then()


def test_a_like_can_be_taken_back() -> None:
    unliked = PostUnliked(post_id=ID, username="bob")
    given(CREATED, LIKED).when(decide.unlike_post, "bob").then(unliked)


def test_taking_back_a_like_that_is_not_there_changes_nothing() -> None:
    given(CREATED).when(decide.unlike_post, "bob").then()


def test_a_person_can_like_again_after_taking_it_back() -> None:
    unliked = PostUnliked(post_id=ID, username="bob")
    given(CREATED, LIKED, unliked).when(decide.like_post, "bob").then(LIKED)


def test_anybody_comments() -> None:
    given(CREATED).when(decide.add_comment, COMMENT, "bob", "Yes").then(COMMENTED)


def test_the_id_of_a_comment_is_used_once_even_after_it_was_removed() -> None:
    for post in (given(CREATED, COMMENTED), given(CREATED, COMMENTED, UNCOMMENTED)):
        post.when(decide.add_comment, COMMENT, "bob", "Yes").refused("comment_exists")


def test_a_comment_is_edited_by_its_author() -> None:
    edited = CommentUpdated(post_id=ID, comment_id=COMMENT, text="No")
    given(CREATED, COMMENTED).when(decide.edit_comment, COMMENT, "bob", "No").then(edited)


def test_an_edit_of_a_comment_to_the_same_text_changes_nothing() -> None:
    given(CREATED, COMMENTED).when(decide.edit_comment, COMMENT, "bob", "Yes").then()


def test_only_a_comments_author_edits_or_removes_it() -> None:
    post = given(CREATED, COMMENTED)
    post.when(decide.edit_comment, COMMENT, "alice", "No").refused("not_comment_author")
    post.when(decide.remove_comment, COMMENT, "alice").refused("not_comment_author")


def test_a_removed_comment_is_not_found() -> None:
    post = given(CREATED, COMMENTED, UNCOMMENTED)
    post.when(decide.edit_comment, COMMENT, "bob", "No").refused("comment_not_found")
    post.when(decide.remove_comment, COMMENT, "bob").refused("comment_not_found")


def test_a_comment_of_another_post_is_not_found() -> None:
    edited = given(CREATED).when(decide.edit_comment, COMMENT, "bob", "No")
    edited.refused("comment_not_found")


def test_a_comment_is_removed_by_its_author() -> None:
    given(CREATED, COMMENTED).when(decide.remove_comment, COMMENT, "bob").then(UNCOMMENTED)


def test_only_the_author_deletes() -> None:
    given(CREATED).when(decide.delete_post, "alice").then(REMOVED)
    given(CREATED).when(decide.delete_post, "bob").refused("not_author")


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
    given().when(decision).refused("post_not_found")


@pytest.mark.parametrize(
    "decision", [*EVERY_DECISION, lambda post: decide.new_post(post, ID, "alice", "Hi")]
)
def test_a_removed_post_refuses_everything(decision: Callable[[Post | None], Any]) -> None:
    given(CREATED, LIKED, COMMENTED, REMOVED).when(decision).refused("post_removed")


@pytest.mark.parametrize("decision", EVERY_DECISION)
def test_a_decision_changes_nothing_by_itself(decision: Callable[[Post | None], Any]) -> None:
    post = given(CREATED, LIKED, COMMENTED).state
    before = copy.deepcopy(post)
    with suppress(DomainError):
        decision(post)
    assert post == before


NOT_MINE = "not_comment_author"
ADD_AGAIN = (decide.add_comment, COMMENT, "bob", "Yes")


@pytest.mark.parametrize(
    ("status", "decided", "code"),
    [
        (404, given().when(decide.like_post, "bob"), "post_not_found"),
        (404, given(CREATED).when(decide.remove_comment, COMMENT, "bob"), "comment_not_found"),
        (403, given(CREATED).when(decide.delete_post, "bob"), "not_author"),
        (403, given(CREATED, COMMENTED).when(decide.remove_comment, COMMENT, "alice"), NOT_MINE),
        (409, given(CREATED, REMOVED).when(decide.like_post, "bob"), "post_removed"),
        (409, given(CREATED).when(decide.new_post, ID, "alice", "Hi"), "post_exists"),
        (409, given(CREATED, COMMENTED).when(*ADD_AGAIN), "comment_exists"),
    ],
)
def test_a_refusal_has_the_status_of_its_kind(status: int, decided: Any, code: str) -> None:
    refusal = decided.refused(code)
    assert refusal.status == status
    assert refusal.detail


WITH_TEXT: list[Callable[[str], Any]] = [
    lambda text: given().when(decide.new_post, ID, "alice", text),
    lambda text: given(CREATED).when(decide.edit_message, "alice", text),
    lambda text: given(CREATED).when(decide.add_comment, COMMENT, "bob", text),
    lambda text: given(CREATED, COMMENTED).when(decide.edit_comment, COMMENT, "bob", text),
]
STORED_TEXT = [
    PostCreated(post_id=ID, author="alice", message=" a\nb\n"),
    MessageUpdated(post_id=ID, message=" a\nb\n"),
    CommentAdded(post_id=ID, comment_id=COMMENT, author="bob", text=" a\nb\n"),
    CommentUpdated(post_id=ID, comment_id=COMMENT, text=" a\nb\n"),
]


@pytest.mark.parametrize(("decided", "stored"), list(zip(WITH_TEXT, STORED_TEXT, strict=True)))
def test_every_text_goes_through_the_rules_of_texts(
    decided: Callable[[str], Any], stored: object
) -> None:
    decided(" a\r\nb\r").then(stored)
    decided("x" * (MAX_TEXT + 1)).refused("max_length")


def test_other_line_ends_are_no_other_text() -> None:
    created = PostCreated(post_id=ID, author="alice", message="a\nb")
    given(created).when(decide.edit_message, "alice", "a\r\nb").then()


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
