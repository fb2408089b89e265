"""A stream has a type, and an event's payload has the types of its fields."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest

from commands_app.commands import AddComment, LikePost, NewPost
from commands_app.handlers import posts
from contracts.posts import MessageUpdated, PostCreated
from messaging import mediator
from messaging.eventstore.models import Event, Outbox, Stream
from messaging.eventstore.repository import Repository
from messaging.eventstore.unit_of_work import unit_of_work
from messaging.exceptions import ConcurrencyError, DomainError, NotFound, WrongPayload
from messaging.message import Context
from messaging.testing import registered
from tests.support.api import Api, errors
from tests.support.modes import Mode

ALICE = Context(actor="alice")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanOpened:
    amount: int


@dataclass(slots=True, kw_only=True)
class Loan:
    amount: int


def evolve(loan: Loan | None, event: LoanOpened) -> Loan:
    return Loan(amount=event.amount)


loans: Repository[Loan, LoanOpened] = Repository("loan", evolve, Loan, schema=1)


@pytest.fixture(autouse=True)
def loan_events() -> Iterator[None]:
    with registered("loans.loan_opened.v1", LoanOpened, stream="loan"):
        yield


@pytest.fixture
def loan_id(database: Mode) -> UUID:
    return open_loan(uuid4(), 10)


def open_loan(stream_id: UUID, amount: Any) -> UUID:
    with unit_of_work(ALICE) as uow:
        new = loans.new(uow, stream_id)
        return loans.save(uow, new, [LoanOpened(amount=amount)]).stream_id


def stored() -> list[tuple[str, int]]:
    return list(Event.objects.order_by("position").values_list("stream_type", "version"))


def test_an_id_of_another_type_is_not_found(loan_id: UUID) -> None:
    for command in (LikePost(post_id=loan_id), AddComment(post_id=loan_id, text="Hi")):
        with pytest.raises(NotFound) as refused:
            mediator.send(command, ALICE)
        assert refused.value.code == "post_not_found"
    assert stored() == [("loan", 1)]


def test_an_id_of_another_type_is_refused_where_a_new_thing_would_have_it(loan_id: UUID) -> None:
    with pytest.raises(DomainError) as refused:
        mediator.send(NewPost(post_id=loan_id, message="Hi"), ALICE)
    assert (refused.value.code, refused.value.status) == ("id_taken", 409)
    assert stored() == [("loan", 1)]


def test_a_command_on_an_id_of_another_type_is_404(loan_id: UUID) -> None:
    answer = Api("alice").send("like-post", post_id=str(loan_id))
    assert (answer.status_code, errors(answer)[0][0]) == (404, "post_not_found")


def test_a_new_stream_under_an_id_of_another_type_is_never_appended(database: Mode) -> None:
    post_id = mediator.send(NewPost(message="Hi"), ALICE).stream_id
    with pytest.raises(ConcurrencyError):
        open_loan(post_id, 10)
    assert stored() == [("post", 1)]


def test_an_append_under_another_type_is_refused_by_the_statement_itself(loan_id: UUID) -> None:
    with pytest.raises(ConcurrencyError), unit_of_work(ALICE) as uow:
        uow.append("post", loan_id, 1, [MessageUpdated(post_id=loan_id, message="Hi")])
    assert stored() == [("loan", 1)]
    assert (Stream.objects.get().version, Outbox.objects.count()) == (1, 1)


def test_an_event_of_another_type_is_never_stored(database: Mode) -> None:
    post_id = mediator.send(NewPost(message="Hi"), ALICE).stream_id
    wrong: Any = [LoanOpened(amount=1)]
    refused = pytest.raises(WrongPayload, match="type 'loan', its envelope says 'post'")
    with refused, unit_of_work(ALICE) as uow:
        posts.save(uow, posts.load(uow, post_id), wrong)
    assert stored() == [("post", 1)]


@pytest.mark.parametrize(
    "wrong",
    [
        LoanOpened(amount=1.5),  # type: ignore[arg-type]
        LoanOpened(amount="10"),  # type: ignore[arg-type]
        LoanOpened(amount=None),  # type: ignore[arg-type]
        LoanOpened(amount=object()),  # type: ignore[arg-type]
        PostCreated(post_id=uuid4(), author="alice", message="\ud800"),
        PostCreated(post_id=uuid4(), author=uuid4(), message="Hi"),  # type: ignore[arg-type]
    ],
    ids=["float", "text", "none", "object", "surrogate", "read-otherwise"],
)
def test_an_event_that_is_not_of_its_types_is_not_stored(database: Mode, wrong: Any) -> None:
    with pytest.raises(WrongPayload, match="is not stored"), unit_of_work(ALICE) as uow:
        uow.append("loan", uuid4(), 0, [LoanOpened(amount=1), wrong])
    assert stored() == []
