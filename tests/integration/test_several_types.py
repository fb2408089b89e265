"""A projection of several stream types takes in their streams, and no others."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest

from commands_app.commands import NewPost
from contracts.posts import PostCreated
from messaging import mediator
from messaging.eventstore.unit_of_work import unit_of_work
from messaging.message import Context
from messaging.monitoring.status import current_status
from messaging.projections.models import DeadLetter
from messaging.projections.registry import PROJECTIONS, Projection
from messaging.projections.rows import Rows
from messaging.recovery.verify_log import all_streams, events_by_stream
from messaging.recovery.verify_read_models import ReadModelsAgainstStore
from messaging.testing import publish_all, registered
from queries_app.models import Likes
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.rebuilding import rebuild
from tests.support.records import publish, record_of

ALICE = Context(actor="alice")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanOpened:
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskOpened:
    pass


@pytest.fixture
def both() -> Iterator[Projection]:
    with (
        registered("loans.loan_opened.v1", LoanOpened, stream="loan"),
        registered("desks.desk_opened.v1", DeskOpened, stream="desk"),
    ):
        projection = Projection("both", of=["post", "loan"], models=[Likes])

        @projection.on(LoanOpened)
        def loan_opened(row: Likes, event: LoanOpened, rows: Rows) -> None:
            row.count = event.amount

        @projection.on(PostCreated)
        def post_created(row: Likes, event: PostCreated, rows: Rows) -> None:
            row.visible = True

        yield projection
        del PROJECTIONS["both"]


def stored(stream_type: str, event: object) -> UUID:
    with unit_of_work(ALICE) as uow:
        return uow.append(stream_type, uuid4(), 0, [event]).stream_id


def differences(projection: Projection) -> list[str]:
    comparison, found = ReadModelsAgainstStore(projection), list[str]()
    for streams in all_streams():
        comparison.read_rows(streams)
        found += comparison.compare(events_by_stream(streams))
    return [*found, *comparison.foreign(), *comparison.behind(patience_s=0)]


def rows() -> dict[UUID, tuple[int, bool, int]]:
    return {row.stream_id: (row.count, row.visible, row.version) for row in Likes.objects.all()}


@pytest.mark.parametrize("source", ["log", "store"])
def test_its_streams_are_consumed_rebuilt_and_compared(
    database: Mode, both: Projection, source: str
) -> None:
    loan = stored("loan", LoanOpened(amount=7))
    post = mediator.send(NewPost(message="Hi"), ALICE).stream_id
    stored("desk", DeskOpened())
    publish_all()
    expected = {loan: (7, False, 1), post: (0, True, 1)}

    assert len(differences(both)) == 2, "what was not consumed is missed, of either type"
    assert consume_all(both) == {}
    assert rows() == expected
    assert differences(both) == []
    Likes.objects.update(count=9)
    assert len(differences(both)) == 2
    assert rebuild(both, source).state == "done"
    assert (rows(), differences(both)) == (expected, [])
    status = next(one for one in current_status().projections if one.name == "both")
    assert (status.generation, status.lag, status.state) == (2, 0, "live")


def test_what_cannot_be_applied_is_parked_for_its_types_alone(
    database: Mode, both: Projection
) -> None:
    """Of another type, what this code does not know is no business of the projection."""
    streams = {kind: uuid4() for kind in ("loan", "desk")}
    for kind, stream_id in streams.items():
        event = LoanOpened(amount=1)
        publish(record_of(stream_id, 1, event, stream_type=kind, type=f"{kind}s.closed.v1"))
    consume_all(both)
    assert [one.stream_id for one in DeadLetter.objects.all()] == [streams["loan"]]
