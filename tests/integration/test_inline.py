"""Inline projections: a command writes rows in its own transaction, or stores nothing."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from threading import Event as Flag
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connections

from commands_app.commands import AddComment, EditComment, LikePost, NewPost
from commands_app.handlers import posts as repository
from contracts.posts import MessageUpdated, PostCreated, PostLiked
from messaging import inline, mediator
from messaging.checks import inline_projections_share_a_database_with_the_events
from messaging.console import path
from messaging.console.dashboard import refresh
from messaging.eventstore import unit_of_work, wait_slots
from messaging.eventstore.models import Event, Outbox, Receipt
from messaging.eventstore.unit_of_work import Appended, UnitOfWork
from messaging.exceptions import ConcurrencyError, DomainError
from messaging.inline import InlineFailed
from messaging.message import Context, utc_now
from messaging.monitoring.status import workers_to_start
from messaging.projections.consuming import checkpoints
from messaging.projections.models import Checkpoint, DeadLetter, ProjectionState
from messaging.projections.registry import PROJECTIONS, Applier
from messaging.projections.serving import waiting
from messaging.testing import deliver_all
from messaging.testing.delivery import consume_all
from queries_app.models import Likes, Post
from queries_app.projections import posts
from queries_app.projections.history import history
from queries_app.projections.likes import likes
from tests.support.fold import (
    assert_histories_equal_the_fold,
    assert_likes_equal_the_fold,
    assert_read_models_equal_the_fold,
)
from tests.support.modes import Mode
from tests.support.one_database import make_inline, one_database
from tests.support.processes import here
from tests.support.readiness import ready
from tests.support.rebuilding import some_posts
from tests.support.settings import postlog
from tests.support.threads import together

ALICE = Context(actor="alice")
OTHERS = {"likes", "people", "search"}  # that are consumed


@pytest.fixture
def both(database: Mode, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mode]:
    """One database, with two inline projections and one that consumers fill."""
    with one_database():
        make_inline(monkeypatch, posts, history)
        yield database


def applying(monkeypatch: pytest.MonkeyPatch, event_type: type, apply: Callable[..., Any]) -> None:
    old = posts.appliers[event_type]
    monkeypatch.setitem(posts.appliers, event_type, Applier(apply, old.row_keys))


def test_what_a_command_changes_is_in_the_rows_when_it_returns(both: Mode) -> None:
    some_posts()
    assert assert_read_models_equal_the_fold() == 6
    assert assert_histories_equal_the_fold()
    assert not Likes.objects.exists(), "that projection waits for a consumer"
    assert not Checkpoint.objects.exists()
    assert not DeadLetter.objects.exists()
    assert Outbox.objects.count() == Event.objects.count(), "the log gets them all the same"


def test_a_token_is_satisfied_at_once(both: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MAX_WAIT_S", -1)
    result = mediator.send(NewPost(message="seen"), ALICE)
    waiting.wait_for(posts, result.positions)


def test_a_command_may_append_several_times_to_several_streams(
    both: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def two_posts(command: NewPost, uow: UnitOfWork) -> Appended:
        for number in range(2):
            post = repository.new(uow)
            created = PostCreated(post_id=post.stream_id, author="alice", message=f"{number}")
            repository.save(uow, post, [created])
            again = repository.load(uow, post.stream_id)
            edited = MessageUpdated(post_id=post.stream_id, message=f"{number}, edited")
            appended = repository.save(uow, again, [edited])
        return appended

    monkeypatch.setitem(mediator._command_handlers, NewPost, two_posts)
    mediator.send(NewPost(message="two"), ALICE)
    assert assert_read_models_equal_the_fold() == 2
    assert set(Post.objects.values_list("message", "version")) == {
        ("0, edited", 2),
        ("1, edited", 2),
    }


def looks_like_a_refusal(post: Post) -> None:
    raise DomainError("no", "It looks like a refusal.")


def asks_for_what_is_not_there(post: Post) -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT 1 FROM coupons")


FAULTS: dict[str, tuple[Callable[[Post], Any], str]] = {  # and what is said of it
    "raises": (lambda post: post.no_such_field, "no_such_field"),  # type: ignore[attr-defined]
    "raises a DomainError": (looks_like_a_refusal, "It looks like a refusal"),
    "writes what is refused": (lambda post: setattr(post, "message", None), "(?i)not.null"),
    "asks for what is not there": (asks_for_what_is_not_there, "coupons.*`manage.py migrate`"),
    "sets what is no column": (lambda post: setattr(post, "mesage", ""), "no column 'mesage'"),
}


@pytest.mark.parametrize(("fault", "said"), FAULTS.values(), ids=list(FAULTS))
def test_a_projection_that_fails_fails_the_command_and_nothing_is_stored(
    both: Mode, monkeypatch: pytest.MonkeyPatch, fault: Callable[[Post], None], said: str
) -> None:
    wanted = Context(actor="alice", command_id=uuid4())
    with monkeypatch.context() as broken:
        applying(broken, PostCreated, lambda post, *_: fault(post))
        with pytest.raises(InlineFailed, match=said) as failed:
            mediator.send(NewPost(message="once"), wanted)
    assert "The inline projection 'posts' cannot apply" in str(failed.value)
    assert not Event.objects.exists()
    assert not Receipt.objects.exists(), "sent again, it may succeed"
    assert not DeadLetter.objects.exists()
    mediator.send(NewPost(message="once"), wanted)
    assert assert_read_models_equal_the_fold() == 1
    assert assert_histories_equal_the_fold()


def test_a_command_that_is_sent_again_applies_nothing_again(
    both: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = Context(actor="alice", command_id=uuid4())
    mediator.send(NewPost(message="once"), once)
    monkeypatch.setattr(inline, "level", lambda *_: pytest.fail("it was applied again"))
    mediator.send(NewPost(message="once"), once)
    assert assert_read_models_equal_the_fold() == 1


def test_a_command_that_lost_a_race_begins_again_with_fresh_rows(
    both: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    post_id = mediator.send(NewPost(message="liked"), ALICE).stream_id
    apply, lost = inline.apply, []

    def loses(grown: Any) -> None:
        apply(grown)
        if not lost:
            lost.append(grown)
            raise ConcurrencyError

    monkeypatch.setattr(inline, "apply", loses)
    mediator.send(LikePost(post_id=post_id), ALICE)
    assert lost
    assert assert_read_models_equal_the_fold() == 1
    assert Post.objects.get().likes == 1


def test_a_deadlock_or_a_database_that_is_away_is_no_fault_of_the_projection(
    both: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(post: Post, event: PostCreated, rows: Any) -> None:
        raise OperationalError("the power went")

    applying(monkeypatch, PostCreated, away)
    with pytest.raises(OperationalError, match="the power went"):
        mediator.send(NewPost(message="lost"), ALICE)


def test_rows_have_the_time_that_the_store_gave_an_event(
    both: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unit_of_work, "utc_now", lambda: utc_now() + timedelta(days=2))
    mediator.send(NewPost(message="by a host whose clock is wrong"), ALICE)
    assert assert_read_models_equal_the_fold() == 1


def test_commands_on_other_streams_do_not_wait_for_each_other(
    postgresql: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    with one_database():
        make_inline(monkeypatch, posts, history)
        slow = mediator.send(NewPost(message="slow"), ALICE).stream_id
        others = mediator.send(NewPost(message="another"), ALICE).stream_id
        applied, go_on = Flag(), Flag()
        apply = posts.appliers[PostLiked].apply

        def holds(post: Post, event: PostLiked, rows: Any) -> None:
            apply(post, event, rows)
            if post.stream_id == slow:
                applied.set()
                assert go_on.wait(60)

        def other() -> int:
            assert applied.wait(60)
            mediator.send(LikePost(post_id=others), ALICE)
            mediator.send(NewPost(message="a third"), ALICE)
            found = Post.objects.get(stream_id=slow).likes
            go_on.set()
            return found

        applying(monkeypatch, PostLiked, holds)
        _, found = together(lambda: mediator.send(LikePost(post_id=slow), ALICE), other)
        assert found == 0, "the other one was still in its transaction"
        assert assert_read_models_equal_the_fold() == 3


def test_commands_on_one_stream_lose_nothing(both: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait_slots, "STUCK_AFTER_S", 60)  # none is refused by a busy machine
    post_id = mediator.send(NewPost(message="liked"), ALICE).stream_id

    def like(number: int) -> Callable[[], Any]:
        return lambda: mediator.send(LikePost(post_id=post_id), Context(actor=f"person{number}"))

    results = together(*[like(number) for number in range(6)])
    assert [one for one in results if isinstance(one, Exception)] == []
    assert assert_read_models_equal_the_fold() == 1
    assert Post.objects.get().likes == 6


def test_the_first_commands_at_once_agree_who_writes(both: Mode) -> None:
    work = [lambda n=n: mediator.send(NewPost(message=f"{n}"), ALICE) for n in range(4)]
    assert [one for one in together(*work) if isinstance(one, Exception)] == []
    assert ProjectionState.objects.get(name="posts").inline is True
    assert assert_read_models_equal_the_fold() == 4


def test_a_command_that_looked_before_the_first_one_ended_does_not_decide_again(
    both: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    state_of = checkpoints.state_of

    def as_it_was(name: str) -> ProjectionState:
        state = state_of(name)
        state.inline = None
        return state

    mediator.send(NewPost(message="first"), ALICE)
    monkeypatch.setattr(inline.checkpoints, "state_of", as_it_was)
    mediator.send(NewPost(message="second"), ALICE)
    assert ProjectionState.objects.get(name="posts").inline is True
    assert assert_read_models_equal_the_fold() == 2


def test_what_older_code_appended_is_applied_with_the_next_event_of_its_stream(
    both: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    post_id = mediator.send(NewPost(message="first"), ALICE).stream_id
    added = mediator.send(AddComment(post_id=post_id, text="first"), ALICE)
    with monkeypatch.context() as older:
        older.setattr(posts, "inline", False)
        comment_id = added.ids["comment_id"]
        edit = EditComment(post_id=post_id, comment_id=comment_id, text="by older code")
        mediator.send(edit, ALICE)
    assert Post.objects.get().version == 2
    mediator.send(LikePost(post_id=post_id), ALICE)
    assert Post.objects.get().version == 4
    assert assert_read_models_equal_the_fold() == 1


def test_with_two_databases_a_command_is_refused_and_says_what_to_do(
    sqlite: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_inline(monkeypatch, likes)
    with pytest.raises(ImproperlyConfigured, match=r"'likes' is inline.*READ_DATABASE"):
        mediator.send(NewPost(message="nowhere"), ALICE)
    assert not Event.objects.exists()


def test_check_says_so_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    assert inline_projections_share_a_database_with_the_events() == []
    make_inline(monkeypatch, likes)
    (error,) = inline_projections_share_a_database_with_the_events()
    assert (error.id, "READ_DATABASE" in error.hint) == ("postlog.E010", True)
    with postlog(READ_DATABASE="default"):
        assert inline_projections_share_a_database_with_the_events() == []


def nothing_is_consumed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a project without totals, whose projections are all inline."""
    monkeypatch.delitem(PROJECTIONS, "people")
    make_inline(monkeypatch, *PROJECTIONS.values())


def test_with_inline_projections_alone_nothing_has_to_run_beside_the_web(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    with one_database(), postlog(READ_DATABASE="default", MAX_LAG=2):
        nothing_is_consumed(monkeypatch)
        some_posts()
        assert here("verify").stdout == "No difference.\n"
        assert ready().json() == {"status": "ok", "failing": {}}
        status = json.loads(here("status", "--json").stdout)
        assert (status["outbox"], status["lag"]) == (Event.objects.count(), 0)
        assert {(one["state"], one["lag"]) for one in status["projections"]} == {("inline", 0)}
        shown = here("status").stdout
        assert "projection posts: generation 1, inline, no lag, dead letters 0" in shown
        assert "Nothing reaches readers" not in shown
        assert [row.lag for row in path.rows(refresh())] == ["inline"] * len(PROJECTIONS)
        assert here("rebuild").returncode == 0
        assert here("verify").stdout == "No difference.\n"
        assert assert_read_models_equal_the_fold(2) == 6


def test_whoever_reads_kafka_needs_a_relay_all_the_same(
    sqlite: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing_is_consumed(monkeypatch)
    assert workers_to_start() == []
    with postlog(kafka={"bootstrap_servers": "localhost:1"}):
        assert workers_to_start() == ["manage.py runconsumer"]


def test_a_consumer_leaves_inline_projections_out_and_says_so(
    both: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    some_posts(1)
    done = here("runconsumer", "--once")
    assert done.returncode == 0
    assert "posts is left out: it is inline, commands write its rows." in done.stderr
    assert assert_likes_equal_the_fold() == 1
    assert {one.projection for one in Checkpoint.objects.all()} == OTHERS
    assert assert_read_models_equal_the_fold() == 1


def test_the_kit_delivers_to_the_others_and_consumes_no_inline_one(both: Mode) -> None:
    some_posts(1)
    deliver_all()
    assert assert_likes_equal_the_fold() == 1
    assert {one.projection for one in Checkpoint.objects.all()} == OTHERS
    with pytest.raises(TypeError, match="posts is inline"):
        consume_all(posts)
