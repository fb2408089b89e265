"""Several commands in one transaction: each with the outcome that it would have by itself."""

import json
from collections.abc import Callable
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction

from commands_app.commands import EditMessage, LikePost, NewPost
from commands_app.handlers import posts
from contracts.posts import MessageUpdated, PostCreated, PostLiked
from messaging import Actors, mediator
from messaging.api import command_file
from messaging.api.sending import Sender
from messaging.eventstore import statements
from messaging.eventstore.models import Event, Outbox, Receipt
from messaging.eventstore.unit_of_work import Appended, UnitOfWork, unit_of_work
from messaging.exceptions import DomainError, Invalid, NotTogether
from messaging.message import Context, Result
from tests.support.modes import Mode
from tests.support.settings import postlog

ALICE = Context(actor="alice")
LINES: list[dict[str, Any]] = [
    {"command": "NewPost", "actor": "a b", "post": "p2", "message": "no such name"},
    {"command": "LikePost", "actor": "bob", "post": "p1"},  # before there is one
    {"command": "NewPost", "actor": "alice", "post": "p1", "message": "Hi"},
    {"command": "LikePost", "actor": "bob", "post": "p1"},
    {"command": "LikePost", "actor": "bob", "post": "p1"},
    {"command": "AddComment", "actor": "bob", "post": "p1", "comment": "c1", "text": "Yes"},
    {"command": "EditMessage", "actor": "bob", "post": "p1", "message": "not his"},
    {"command": "NewPost", "actor": "alice", "post": "p3", "message": "Hi"},
    {"command": "NewPost", "actor": "alice", "post": "p3", "message": "again"},
    {"command": "DeletePost", "actor": "alice", "post": "p1"},
    {"command": "LikePost", "actor": "carol", "post": "p1"},
    {"command": "LikePost", "actor": "carol", "post": "p1", "again": True},
]


def key(actor: str = "bob") -> Context:
    return Context(actor=actor, command_id=uuid4())


def lines_of(commands: list[dict[str, Any]]) -> list[command_file.Line]:
    return list(command_file.lines(json.dumps(one).encode() for one in commands))


def lines(prefix: str) -> list[command_file.Line]:
    def own(name: str, value: Any) -> Any:
        return prefix + value if name in ("post", "comment") else value

    return lines_of([{name: own(name, one[name]) for name in one} for one in LINES])


def stored(post: UUID) -> list[str]:
    found = Event.objects.filter(stream_id=post).order_by("position")
    return list(found.values_list("type", flat=True))


def new_post() -> UUID:
    return mediator.send(NewPost(message="first"), ALICE).stream_id


def handled_by(
    monkeypatch: pytest.MonkeyPatch, handler: Callable[[LikePost, UnitOfWork], Appended]
) -> None:
    monkeypatch.setitem(mediator._command_handlers, LikePost, handler)


def test_lines_sent_together_end_as_lines_sent_one_by_one(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_by_one = [Sender(print).send(line) for line in lines("a")]
    events = Event.objects.count()
    monkeypatch.setattr(Sender, "send", None)
    together = lines("b")
    assert list(Sender(print).send_all(together)) == one_by_one
    assert Event.objects.count() == Outbox.objects.count() == 2 * events == 10
    kinds = [stored(command_file.id_of(f"{prefix}p1")) for prefix in "ab"]
    assert kinds[0] == kinds[1]
    receipts = Receipt.objects.count()
    assert list(Sender(print).send_all(together)) == one_by_one, "they are remembered"
    assert (Event.objects.count(), Receipt.objects.count()) == (10, receipts)


def test_several_commands_have_one_commit_and_are_loaded_at_once(postgresql: Mode) -> None:
    def send() -> None:
        sent = [(NewPost(message="Hi", post_id=uuid4()), key()) for _ in range(10)]
        assert all(isinstance(one, Result) for one in mediator.send_together(sent))

    send()
    found = []

    def record(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        found.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(record):
        send()
    find, load, write = found
    assert find.startswith("BEGIN;EXECUTE postlog_find_receipt_10(")
    assert load.startswith("EXECUTE postlog_load_10(")
    assert write.endswith(";COMMIT")


def test_what_a_refused_command_has_saved_is_not_stored(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save_and_refuse(command: LikePost, uow: UnitOfWork) -> Appended:
        liked = PostLiked(post_id=command.post_id, username="bob")
        posts.save(uow, posts.load(uow, command.post_id), [liked])
        raise DomainError("changed_my_mind", "No.")

    handled_by(monkeypatch, save_and_refuse)
    first, second = new_post(), uuid4()
    outcomes = mediator.send_together(
        [
            (EditMessage(post_id=first, message="second"), key("alice")),
            (LikePost(post_id=first), key()),
            (NewPost(post_id=second, message="Hi"), key()),
        ]
    )
    assert [getattr(one, "code", "") for one in outcomes] == ["", "changed_my_mind", ""]
    assert stored(first) == ["posts.post_created.v1", "posts.message_updated.v1"]
    assert stored(second) == ["posts.post_created.v1"]
    assert Receipt.objects.count() == 3


@pytest.mark.parametrize("how", ["reads", "loads"])
def test_a_refusal_that_cannot_be_taken_back_leaves_nothing_of_all(
    database: Mode, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    def save_and_refuse(command: LikePost, uow: UnitOfWork) -> Appended:
        liked = PostLiked(post_id=command.post_id, username="bob")
        posts.save(uow, posts.load(uow, command.post_id), [liked])
        if how == "reads":
            Event.objects.count()
        else:
            posts.load(uow, uuid4())
        raise DomainError("changed_my_mind", "No.")

    handled_by(monkeypatch, save_and_refuse)
    first, second = new_post(), uuid4()
    sent: list[tuple[object, Context]] = [
        (NewPost(post_id=second, message="Hi"), key()),
        (LikePost(post_id=first), key()),
    ]
    with pytest.raises(NotTogether):
        mediator.send_together(sent)
    assert (len(stored(first)), stored(second), Receipt.objects.count()) == (1, [], 0)


def test_what_a_refused_handler_wrote_by_itself_is_not_stored(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_and_refuse(command: LikePost, uow: UnitOfWork) -> Appended:
        Receipt.objects.create(actor="x", command_id=uuid4(), outcome="{}")
        raise DomainError("changed_my_mind", "No.")

    handled_by(monkeypatch, write_and_refuse)
    with pytest.raises(NotTogether):
        mediator.send_together([(LikePost(post_id=uuid4()), key())])
    assert not Receipt.objects.exists()


def test_what_a_refused_handler_would_do_after_the_commit_is_not_done(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def announce_and_refuse(command: LikePost, uow: UnitOfWork) -> Appended:
        transaction.on_commit(lambda: done.append("announced"))
        raise DomainError("changed_my_mind", "No.")

    handled_by(monkeypatch, announce_and_refuse)
    with pytest.raises(NotTogether):
        mediator.send_together([(LikePost(post_id=uuid4()), key())])
    assert (done, Receipt.objects.count()) == ([], 0)


def test_lines_that_are_no_commands_need_no_transaction(database: Mode) -> None:
    assert mediator.send_together([]) == []
    refused = Sender(print).send_all(lines_of([{"command": "None"}, {"command": "None"}]))
    assert [one and one.code for one in refused] == ["unknown_command"] * 2


class Known(Actors):
    """Who is known has an account; a handler makes one."""

    def username(self, actor: str) -> str:
        if not get_user_model().objects.filter(username=actor).exists():
            raise Invalid("invalid_actor", "Nobody has this name.")
        return actor


def test_an_actor_may_be_made_by_a_line_before(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = mediator.handler_of(NewPost)

    def make_bob(command: NewPost, uow: UnitOfWork) -> Any:
        get_user_model().objects.create(username="bob")
        return real(command, uow)

    monkeypatch.setitem(mediator._command_handlers, NewPost, make_bob)
    get_user_model().objects.create(username="alice")
    with postlog(ACTORS=f"{__name__}.Known"):
        outcomes = list(Sender(print).send_all(lines("a")[2:4]))
    assert outcomes == [None, None]


def test_where_one_fails_those_before_it_are_stored_and_those_behind_it_are_not_sent(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(command: LikePost, uow: UnitOfWork) -> Appended:
        raise RuntimeError("out of order")

    handled_by(monkeypatch, fail)
    outcomes = Sender(print).send_all(lines("a")[2:])
    assert next(outcomes) is None
    with pytest.raises(RuntimeError, match="out of order"):
        next(outcomes)
    assert Event.objects.count() == Receipt.objects.count() == 1


def test_a_stream_that_others_begin_meanwhile_is_a_lost_race_of_all_and_then_settled(
    postgresql: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = mediator.handler_of(NewPost), count()

    def begin_elsewhere_first(command: NewPost, uow: UnitOfWork) -> Any:
        if next(calls) == 1:
            begin(command.post_id)
        return real(command, uow)

    monkeypatch.setitem(mediator._command_handlers, NewPost, begin_elsewhere_first)
    new = {"command": "NewPost", "actor": "bob", "message": "Hi"}
    outcomes = list(Sender(print).send_all(lines_of([new | {"post": one} for one in "abc"])))
    assert [one and one.code for one in outcomes] == [None, "post_exists", None]
    assert Event.objects.count() == 3


def begin(post_id: UUID | None) -> None:
    """By another connection."""
    from tests.support.threads import together

    assert post_id is not None

    def work() -> None:
        with unit_of_work(ALICE) as uow:
            created = PostCreated(post_id=post_id, author="alice", message="mine")
            uow.append("post", post_id, 0, [created])

    together(work)


def test_who_may_not_send_is_refused_and_that_is_not_remembered(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mediator, "who_may", lambda _: lambda asker: asker.get_username() == "ann")
    outcomes = mediator.send_together(
        [(NewPost(message="Hi"), key("ann")), (NewPost(message="Hi"), key())]
    )
    assert [getattr(one, "code", "") for one in outcomes] == ["", "permission_denied"]
    assert Receipt.objects.count() == Event.objects.count() == 1


def test_an_actor_who_cannot_have_an_account_is_refused(database: Mode) -> None:
    outcomes = mediator.send_together(
        [(NewPost(message="Hi"), key("a b")), (NewPost(message="Hi"), key())]
    )
    assert [getattr(one, "code", "") for one in outcomes] == ["invalid_actor", ""]
    assert Receipt.objects.count() == Event.objects.count() == 1


def test_what_is_loaded_ahead_is_what_is_loaded(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("messaging.eventstore.repository.EVERY", 3)
    short, long, without = new_post(), new_post(), uuid4()
    for text in "abcd":
        mediator.send(EditMessage(post_id=long, message=text), ALICE)
    schema = posts._snapshots.schema

    def loaded(ahead: bool, schema: str) -> list[list[statements.Row]]:
        with unit_of_work(ALICE):
            if ahead:
                statements.load_ahead([short, long, without])
            return [statements.load(one, schema) for one in (short, long, without)]

    assert loaded(True, schema) == loaded(False, schema)
    assert loaded(True, "another schema") == loaded(False, "another schema")
    assert [len(one) for one in loaded(True, schema)] == [2, 3, 0]


def test_what_was_appended_since_it_was_loaded_ahead_is_loaded_again(database: Mode) -> None:
    post_id = new_post()
    with unit_of_work(ALICE) as uow:
        statements.load_ahead([post_id])
        uow.append("post", post_id, 1, [MessageUpdated(post_id=post_id, message="b")])
        assert posts.load(uow, post_id).version == 2
        assert posts.load(uow, post_id).version == 2
