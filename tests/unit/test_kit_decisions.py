"""What `given(...).when(...).then(...)` holds, and what it says when it does not."""

import subprocess
import sys
from typing import Any
from uuid import uuid4

import pytest

from commands_app import post as decide
from contracts.posts import CommentAdded, MessageUpdated, PostCreated, PostLiked
from messaging.exceptions import DomainError, WrongPayload
from messaging.testing import given, registered
from tests.support.loans import LoanOpened, open_loan
from tests.support.processes import ROOT

ID = uuid4()
CREATED = PostCreated(post_id=ID, author="alice", message="Hi")
LIKED = PostLiked(post_id=ID, username="bob")


def said(work: Any) -> str:
    with pytest.raises(AssertionError) as failed:
        work()
    return str(failed.value)


def test_other_events_than_expected_fail_and_both_are_shown() -> None:
    liked = given(CREATED).when(decide.like_post, "carol")
    assert said(lambda: liked.then(LIKED)) == (
        "like_post decided otherwise.\n"
        f"  given\n    {CREATED!r}\n"
        f"  expected\n    {LIKED!r}\n"
        f"  actual\n    {PostLiked(post_id=ID, username='carol')!r}"
    )


@pytest.mark.parametrize("expected", [(), (LIKED, LIKED)])
def test_more_or_fewer_events_than_expected_fail(expected: tuple[PostLiked, ...]) -> None:
    text = said(lambda: given(CREATED).when(decide.like_post, "bob").then(*expected))
    assert text.count("expected\n    nothing") == (not expected)


def test_another_order_of_events_fails() -> None:
    other = PostLiked(post_id=ID, username="carol")
    both = given(CREATED).when(lambda _: [LIKED, other])
    both.then(LIKED, other)
    assert said(lambda: both.then(other, LIKED))


def test_a_refusal_where_events_are_expected_fails_and_says_why() -> None:
    text = said(lambda: given().when(decide.like_post, "bob").then(LIKED))
    assert text.endswith("actual\n    refused: post_not_found (There is no such post.)")
    assert "given\n    nothing\n" in text


def test_a_refusal_is_not_the_same_as_a_decision_that_changes_nothing() -> None:
    assert "refused" in said(lambda: given().when(decide.like_post, "bob").then())


def test_so_do_events_where_a_refusal_is_expected() -> None:
    text = said(lambda: given(CREATED).when(decide.like_post, "bob").refused("post_removed"))
    assert text.endswith(f"expected\n    refused: post_removed\n  actual\n    {LIKED!r}")


def test_another_refusal_than_expected_fails() -> None:
    text = said(lambda: given().when(decide.like_post, "bob").refused("post_removed"))
    assert "refused: post_not_found" in text


def test_a_refusal_is_returned_for_what_else_it_says() -> None:
    refusal = given(CREATED).when(decide.delete_post, "bob").refused("not_author")
    assert (refusal.status, refusal.detail) == (403, "Only the author of a post may do this.")


def test_each_decision_begins_with_a_state_of_its_own() -> None:
    post = given(CREATED)
    assert post.state is not post.state
    post.when(decide.like_post, "bob").then(LIKED)
    post.when(decide.like_post, "bob").then(LIKED)


def test_of_many_given_events_the_last_are_shown() -> None:
    likes = [PostLiked(post_id=ID, username=f"p{n}") for n in range(30)]
    text = said(lambda: given(CREATED, *likes).when(decide.like_post, "bob").then())
    assert "(11 before)" in text
    assert text.count("PostLiked") == 21


# --- bad use ---------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["created", None, PostCreated, object()])
def test_what_is_no_event_is_refused(wrong: Any) -> None:
    for use in (
        lambda: given(wrong),
        lambda: given(CREATED).when(lambda _: [wrong]),
        lambda: given(CREATED).when(decide.like_post, "bob").then(wrong),
    ):
        with pytest.raises(TypeError, match="takes events"):
            use()


def test_an_event_of_another_stream_type_is_refused() -> None:
    with registered("kit.loan_opened.v1", LoanOpened, stream="loan"):
        for use in (
            lambda: given(CREATED, LoanOpened(amount=1)),
            lambda: given(CREATED).when(lambda _: [LoanOpened(amount=1)]),
        ):
            with pytest.raises(TypeError, match=r"LoanOpened.* another stream type.*PostLiked"):
                use()


def test_an_event_that_no_store_would_take_is_refused() -> None:
    wrong: Any = MessageUpdated(post_id="1", message="Ho")  # type: ignore[arg-type]
    with pytest.raises(WrongPayload, match="post_id"):
        given(wrong)
    with pytest.raises(WrongPayload, match="post_id"):
        given(CREATED).when(lambda _: [wrong])


@pytest.mark.parametrize("returned", [None, LIKED, iter([LIKED]), {LIKED}])
def test_a_decision_that_returns_no_list_is_refused(returned: Any) -> None:
    def decision(post: Any) -> Any:
        return returned

    with pytest.raises(TypeError, match=r"decision returned .*: a decision returns a list"):
        given(CREATED).when(decision)


def test_an_error_of_the_code_is_no_refusal() -> None:
    def broken(post: Any) -> Any:
        raise KeyError("broken")

    with pytest.raises(KeyError):
        given(CREATED).when(broken)


def test_events_that_no_repository_takes_need_an_evolve() -> None:
    with registered("kit.loan_opened.v1", LoanOpened, stream="loan"):
        opened = LoanOpened(amount=3)
        with pytest.raises(TypeError, match=r"LoanOpened.*evolve=evolve"):
            given(opened)
        twice = given(opened, opened, evolve=lambda total, event: (total or 0) + event.amount)
        assert twice.state == 6
        twice.when(open_loan, 5).then(LoanOpened(amount=5))


PURE = """
from dataclasses import dataclass
from messaging.message import event
from messaging.testing import given

@event("loans.opened.v1", stream="loan")
@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    amount: int

def evolve(total, event):
    return (total or 0) + event.amount

def lend(total, amount):
    return [Opened(amount=amount)] if total < 10 else []

given(Opened(amount=9), evolve=evolve).when(lend, 3).then(Opened(amount=3))
given(Opened(amount=10), evolve=evolve).when(lend, 3).then()
"""


def test_a_decision_can_be_tested_without_django_being_set_up() -> None:
    subprocess.run([sys.executable, "-c", PURE], cwd=ROOT, env={}, check=True)


def test_a_refusal_is_a_domain_error_and_nothing_else() -> None:
    def refuse(post: Any) -> list[CommentAdded]:
        raise DomainError("no", "No.")

    given().when(refuse).refused("no")
