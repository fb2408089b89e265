"""Command ids: what a command that is sent again gets, and what it stores, on both databases."""

from typing import Any
from uuid import uuid4

import pytest

from commands_app.commands import AddComment, DeletePost, LikePost, NewPost
from contracts.posts import MessageUpdated
from messaging import mediator
from messaging.eventstore import receipts
from messaging.eventstore.models import Event, Receipt, Stream
from messaging.eventstore.unit_of_work import Appended, UnitOfWork
from messaging.exceptions import ConcurrentChange, DomainError, Forbidden, NotFound
from messaging.message import Context, Result
from tests.support.modes import Mode
from tests.support.threads import together

ALICE = Context(actor="alice")


@pytest.fixture
def post_id(database: Mode) -> Any:
    return mediator.send(NewPost(message="first"), ALICE).stream_id


def refusal(command: Any, context: Context) -> tuple[Any, ...]:
    with pytest.raises(DomainError) as refused:
        mediator.send(command, context)
    error = refused.value
    return (type(error), error.code, error.detail, error.attr, error.status)


def test_a_command_without_an_id_has_no_receipt(post_id: Any) -> None:
    assert Receipt.objects.count() == 0


def test_the_first_result_is_returned_with_all_its_ids(post_id: Any) -> None:
    context = Context(actor="bob", command_id=uuid4())
    first = mediator.send(AddComment(post_id=post_id, text="Hi"), context)
    assert set(first.ids) == {"post_id", "comment_id"}
    assert first.created
    assert mediator.send(AddComment(post_id=post_id, text="Hi"), context) == first
    assert Event.objects.count() == 2


def test_a_command_that_changed_nothing_is_remembered_as_well(post_id: Any) -> None:
    mediator.send(LikePost(post_id=post_id), Context(actor="bob"))
    context = Context(actor="bob", command_id=uuid4())
    first = mediator.send(LikePost(post_id=post_id), context)
    mediator.send(LikePost(post_id=post_id), Context(actor="carol"))
    assert mediator.send(LikePost(post_id=post_id), context) == first
    assert first.version == 2


def test_a_refusal_stands_although_the_command_would_succeed_by_now(database: Mode) -> None:
    post_id, context = uuid4(), Context(actor="bob", command_id=uuid4())
    first = refusal(LikePost(post_id=post_id), context)
    assert first[:2] == (NotFound, "post_not_found")
    mediator.send(NewPost(post_id=post_id, message="Hi"), ALICE)
    assert refusal(LikePost(post_id=post_id), context) == first
    assert Event.objects.count() == 1


@pytest.mark.parametrize(
    ("kind", "code"),
    [(Forbidden, "not_author"), (NotFound, "post_not_found"), (DomainError, "post_removed")],
)
def test_a_refusal_is_remembered_in_every_part(post_id: Any, kind: type, code: str) -> None:
    if code == "post_removed":
        mediator.send(DeletePost(post_id=post_id), ALICE)
    command = DeletePost(post_id=uuid4() if code == "post_not_found" else post_id)
    context = Context(actor="bob", command_id=uuid4())
    first = refusal(command, context)
    assert first[:2] == (kind, code)
    assert refusal(command, context) == first
    assert Receipt.objects.count() == 1


def test_a_refused_command_that_is_sent_twice_at_once_is_refused_once(post_id: Any) -> None:
    context = Context(actor="bob", command_id=uuid4())
    results = together(*[lambda: mediator.send(DeletePost(post_id=post_id), context)] * 4)
    assert {getattr(result, "code", result) for result in results} == {"not_author"}
    assert Receipt.objects.count() == 1


def test_a_new_post_that_is_sent_twice_at_once_is_one_post(database: Mode) -> None:
    context = Context(actor="bob", command_id=uuid4())
    results = together(*[lambda: mediator.send(NewPost(message="Hi"), context)] * 4)
    assert len({str(result) for result in results}) == 1, results
    assert isinstance(results[0], Result)
    assert (Stream.objects.count(), Event.objects.count(), Receipt.objects.count()) == (1, 1, 1)


def test_a_concurrent_change_is_not_remembered(
    post_id: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(command: Any, uow: UnitOfWork) -> Appended:
        return uow.append("post", post_id, 0, [MessageUpdated(post_id=post_id, message="b")])

    context = Context(actor="bob", command_id=uuid4())
    with monkeypatch.context() as patch:
        patch.setitem(mediator._command_handlers, LikePost, lose)
        with pytest.raises(ConcurrentChange):
            mediator.send(LikePost(post_id=post_id), context)
    assert Receipt.objects.count() == 0
    assert mediator.send(LikePost(post_id=post_id), context).version == 2


def test_a_command_that_broke_off_leaves_no_receipt_and_can_be_sent_again(
    post_id: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = mediator.handler_of(LikePost)

    def break_off(command: Any, uow: UnitOfWork) -> Appended:
        real(command, uow)
        raise ZeroDivisionError

    context = Context(actor="bob", command_id=uuid4())
    with monkeypatch.context() as patch:
        patch.setitem(mediator._command_handlers, LikePost, break_off)
        with pytest.raises(ZeroDivisionError):
            mediator.send(LikePost(post_id=post_id), context)
    assert (Event.objects.count(), Receipt.objects.count()) == (1, 0)
    assert mediator.send(LikePost(post_id=post_id), context).version == 2


def test_a_stored_refusal_is_named_by_a_code_that_outlives_the_class(database: Mode) -> None:
    """These texts stand in databases: a class may be renamed or moved, a code never changes."""
    stored = {
        "conflict": ("DomainError", 409),
        "forbidden": ("Forbidden", 403),
        "invalid": ("Invalid", 400),
        "not_found": ("NotFound", 404),
        "not_signed_in": ("NotSignedIn", 401),
        "precondition_failed": ("PreconditionFailed", 412),
        "too_large": ("TooLarge", 413),
    }
    assert set(stored) == set(receipts.REFUSALS)
    for name, (kind, status) in stored.items():
        context = Context(actor="bob", command_id=uuid4())
        text = f'{{"refusal":"{name}","code":"a_code","detail":"Why.","attr":"post_id"}}'
        Receipt.objects.create(actor="bob", command_id=context.command_id, outcome=text)
        error = refusal(LikePost(post_id=uuid4()), context)
        assert (error[0].__name__, *error[1:]) == (kind, "a_code", "Why.", "post_id", status)


def test_a_refusal_of_the_projects_own_class_is_remembered_as_what_it_derives_from(
    post_id: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SoldOut(NotFound):
        pass

    def refuse(command: Any, uow: UnitOfWork) -> Appended:
        raise SoldOut("sold_out", "None are left.")

    monkeypatch.setitem(mediator._command_handlers, LikePost, refuse)
    context = Context(actor="bob", command_id=uuid4())
    assert refusal(LikePost(post_id=post_id), context)[0] is SoldOut
    assert refusal(LikePost(post_id=post_id), context)[:2] == (NotFound, "sold_out")
    assert "SoldOut" not in Receipt.objects.get().outcome


def test_a_refusal_gives_way_to_a_receipt_that_was_stored_meanwhile(
    post_id: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command, sent twice at once: one attempt may be refused, the other carried out."""
    context, results = Context(actor="bob", command_id=uuid4()), []
    real, store_refusal = mediator.handler_of(LikePost), receipts.store_refusal

    def refuse(command: Any, uow: UnitOfWork) -> Appended:
        raise DomainError("too_early", "Not yet.")

    def store_later(context: Context, error: DomainError) -> None:
        mediator._command_handlers[LikePost] = real
        results.append(mediator.send(LikePost(post_id=post_id), context))
        store_refusal(context, error)

    monkeypatch.setitem(mediator._command_handlers, LikePost, refuse)
    monkeypatch.setattr(receipts, "store_refusal", store_later)
    assert [mediator.send(LikePost(post_id=post_id), context)] == results
    assert (Event.objects.count(), Receipt.objects.count()) == (2, 1)
