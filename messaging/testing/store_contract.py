"""What every event store keeps to: a suite that runs on databases of your own, and on a store of
your own that has a `Repository` and a `unit_of_work` as those of `messaging.eventstore`.

@pytest.mark.django_db(transaction=True, databases=["default", "read"])
class TestMyDatabase(StoreContract):
    pass
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest
from django.db import connections

from messaging import codec
from messaging.eventstore.repository import REPOSITORIES, Loaded, Repository
from messaging.eventstore.unit_of_work import unit_of_work
from messaging.exceptions import (
    ConcurrencyError,
    DomainError,
    Invalid,
    NoTransaction,
    WrongPayload,
)
from messaging.message import Context, Envelope, Position, Result
from messaging.testing.events import registered

CONTEXT = Context(actor="ann")
WRITERS, WRITES = 4, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Credited:
    amount: int


@dataclass(slots=True, kw_only=True)
class Account:
    balance: int = 0


class Waiting(NamedTuple):
    """An event that was stored and is to be published."""

    envelope: Envelope
    event: Any


def evolve(account: Account | None, event: Credited) -> Account:
    return Account(balance=(account.balance if account else 0) + event.amount)


def _evolve_another(state: Any, event: Any) -> Account:
    raise AssertionError("no test stores an event of another stream type")


class StoreContract:
    @pytest.fixture(autouse=True)
    def _account_events(self) -> Iterator[None]:
        with registered("contract.credited.v1", Credited, stream="contract-account"):
            yield
        for stream_type in ("contract-account", "contract-loan"):
            REPOSITORIES.pop(stream_type, None)

    def unit_of_work(self, context: Context) -> AbstractContextManager[Any]:
        """Open the transaction of one command, as `messaging.eventstore.unit_of_work` does."""
        return unit_of_work(context)

    def repository(self, stream_type: str = "contract-account") -> Any:
        """The repository of the streams of a type, whose states are accounts."""
        takes = evolve if stream_type == "contract-account" else _evolve_another
        return Repository(stream_type, takes, Account, schema=1)

    def waiting(self) -> list[Waiting]:
        """All events that wait for the log, in the order in which they will be published."""
        from messaging.relay import outbox

        documents = [one.message.value for one in outbox.oldest(10_000)]
        decoded = [codec.decode_envelope(one) for one in documents]
        return [Waiting(env, codec.decode_event(env.type, data)) for env, data in decoded]

    def credit(self, account_id: UUID, *amounts: int, context: Context = CONTEXT) -> int:
        """Load, append, and give the version; once more if another writer was first."""
        while True:
            try:
                with self.unit_of_work(context) as uow:
                    loaded = self.repository().load(uow, account_id)
                    events = [Credited(amount=amount) for amount in amounts]
                    return int(self.repository().save(uow, loaded, events).version)
            except ConcurrencyError:
                continue

    def loaded(self, account_id: UUID, stream_type: str = "contract-account") -> tuple[int, Any]:
        with self.unit_of_work(CONTEXT) as uow:
            found = self.repository(stream_type).load(uow, account_id)
            return found.version, found.state

    # --- one stream -------------------------------------------------------------------------------

    def test_what_is_appended_is_loaded(self) -> None:
        account_id = uuid4()
        assert self.loaded(account_id) == (0, None)
        assert self.credit(account_id, 1) == 1
        assert self.credit(account_id, 2, 3) == 3
        assert self.loaded(account_id) == (3, Account(balance=6))

    def test_a_command_that_appends_nothing_changes_nothing(self) -> None:
        account_id = uuid4()
        assert self.credit(account_id) == 0
        assert self.credit(account_id, 1) == 1
        assert self.credit(account_id) == 1
        assert [one.envelope.version for one in self.waiting()] == [1]

    def test_a_stream_of_hundreds_of_events_is_loaded_as_they_add_up(self) -> None:
        account_id = uuid4()
        for number in range(25):
            self.credit(account_id, *range(number, number + 10))
        total = sum(n for number in range(25) for n in range(number, number + 10))
        assert self.loaded(account_id) == (250, Account(balance=total))

    def test_an_id_of_another_stream_type_is_not_found_and_not_appended(self) -> None:
        account_id = uuid4()
        self.credit(account_id, 1)
        assert self.loaded(account_id, "contract-loan") == (0, None)
        loans = self.repository("contract-loan")
        taken = pytest.raises(DomainError, match="belongs to something else")
        with taken, self.unit_of_work(CONTEXT) as uow:
            loans.save(uow, loans.load(uow, account_id), [Credited(amount=1)])
        assert self.loaded(account_id) == (1, Account(balance=1))

    def test_an_event_is_never_stored_in_a_stream_of_another_type(self) -> None:
        loans = self.repository("contract-loan")
        refused = pytest.raises(WrongPayload, match="belongs to streams of type 'contract-account'")
        with refused, self.unit_of_work(CONTEXT) as uow:
            loans.save(uow, loans.new(uow), [Credited(amount=1)])
        assert self.waiting() == []

    # --- what waits for the log -------------------------------------------------------------------

    def test_an_event_carries_who_appended_it_when_and_why(self) -> None:
        account_id, command_id, correlation_id, causation_id = (uuid4() for _ in range(4))
        context = Context(
            actor="ann",
            command_id=command_id,
            correlation_id=correlation_id,
            causation_id=causation_id,
            traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )
        self.credit(account_id, 7, context=context)
        [(found, event)] = self.waiting()
        assert event == Credited(amount=7)
        assert (found.stream_id, found.stream_type) == (account_id, "contract-account")
        assert (found.version, found.type) == (1, "contract.credited.v1")
        assert (found.actor, found.command_id) == ("ann", command_id)
        assert (found.correlation_id, found.causation_id) == (correlation_id, causation_id)
        assert found.traceparent == context.traceparent
        assert found.event_id.version == 7
        assert found.recorded_at.utcoffset() is not None

    def test_events_of_one_command_are_stored_together(self) -> None:
        self.credit(uuid4(), 1, 2, 3)
        found = self.waiting()
        assert [(e.version, event.amount) for e, event in found] == [(1, 1), (2, 2), (3, 3)]
        assert len({(e.command_id, e.recorded_at) for e, _ in found}) == 1
        assert len({e.event_id for e, _ in found}) == 3

    def test_events_of_one_command_are_stored_all_or_not_at_all(self) -> None:
        first, second = uuid4(), uuid4()

        def append_and_refuse() -> None:
            with self.unit_of_work(CONTEXT) as uow:
                for account_id in (first, second):
                    loaded = self.repository().load(uow, account_id)
                    self.repository().save(uow, loaded, [Credited(amount=1)])
                raise DomainError("changed_my_mind", "No.")

        with pytest.raises(DomainError, match="No"):
            append_and_refuse()
        assert self.loaded(first) == self.loaded(second) == (0, None)
        assert self.waiting() == []

    @pytest.mark.parametrize("wrong", ["1", 1.5, None])
    def test_an_event_that_nobody_could_read_is_not_stored(self, wrong: Any) -> None:
        account_id = uuid4()
        with pytest.raises(WrongPayload):
            self.credit(account_id, 1, wrong)
        with pytest.raises(Invalid):
            self.credit(account_id, 1, context=Context(actor="a b"))
        assert (self.loaded(account_id), self.waiting()) == ((0, None), [])

    # --- several writers --------------------------------------------------------------------------

    def test_a_stream_is_begun_once(self) -> None:
        account_id, repository = uuid4(), self.repository()
        self.credit(account_id, 1)
        with pytest.raises(ConcurrencyError), self.unit_of_work(CONTEXT) as uow:
            repository.save(uow, repository.new(uow, account_id), [Credited(amount=5)])
        assert self.loaded(account_id) == (1, Account(balance=1))
        assert len(self.waiting()) == 1

    def test_writers_of_one_stream_lose_nothing(self) -> None:
        account_id = uuid4()
        at_once(lambda: [self.credit(account_id, 1) for _ in range(WRITES)])
        every = WRITERS * WRITES
        assert self.loaded(account_id) == (every, Account(balance=every))
        versions = [one.envelope.version for one in self.waiting()]
        assert versions == list(range(1, every + 1)), "dense, and published in their order"

    def test_writers_of_several_streams_lose_nothing_and_keep_the_order_of_each(self) -> None:
        accounts = [uuid4() for _ in range(3)]
        at_once(lambda: [self.credit(accounts[n % 3], 1) for n in range(3 * WRITES)])
        found = self.waiting()
        for account_id in accounts:
            mine = [e.version for e, _ in found if e.stream_id == account_id]
            assert mine == list(range(1, WRITERS * WRITES + 1))

    def test_several_streams_are_saved_together_or_not_at_all(self) -> None:
        known, new = uuid4(), uuid4()
        self.credit(known, 1)
        with self.unit_of_work(CONTEXT) as uow:
            for account_id in (new, known):
                loaded = self.repository().load(uow, account_id)
                self.repository().save(uow, loaded, [Credited(amount=2)])
            assert {one.stream_id: one.version for one in uow.loaded.values()} == {new: 0, known: 1}
            assert [one.version for one in uow.saved.values()] == [1, 2], "in the order of saving"
        with pytest.raises(ConcurrencyError):
            self._credit_both(new, Loaded(stream_id=known, version=1, state=Account(balance=1)))
        assert self.loaded(new) == (1, Account(balance=2))
        assert self.loaded(known) == (2, Account(balance=3))

    def _credit_both(self, account_id: UUID, stale: Loaded[Account]) -> None:
        with self.unit_of_work(CONTEXT) as uow:
            loaded = self.repository().load(uow, account_id)
            self.repository().save(uow, loaded, [Credited(amount=4)])
            self.repository().save(uow, stale, [Credited(amount=4)])

    # --- the unit of work -------------------------------------------------------------------------

    def test_nothing_is_loaded_or_saved_when_it_has_ended(self) -> None:
        with self.unit_of_work(CONTEXT) as uow:
            new = self.repository().new(uow)
        for use in (
            partial(self.repository().load, uow, new.stream_id),
            partial(self.repository().save, uow, new, [Credited(amount=1)]),
        ):
            with pytest.raises(NoTransaction):
                use()
        assert self.waiting() == []

    def test_a_command_that_was_sent_before_is_known_with_its_result(self) -> None:
        context = Context(actor="ann", command_id=uuid4())
        at = Position("contract-account", uuid4(), 1)
        result = Result(positions=(at,), ids={}, created=True)
        with self.unit_of_work(context) as uow:
            assert uow.earlier is None
            uow.succeed(result)
        with self.unit_of_work(context) as uow:
            assert uow.earlier.replay() == result
        other = Context(actor="bob", command_id=context.command_id)
        with self.unit_of_work(other) as uow:
            assert uow.earlier is None, "the same id of another actor is another command"

    def test_so_is_its_refusal(self) -> None:
        context = Context(actor="ann", command_id=uuid4())
        with pytest.raises(DomainError), self.unit_of_work(context):
            raise DomainError("too_little", "Not enough.")
        with self.unit_of_work(context) as uow, pytest.raises(DomainError) as refused:
            uow.earlier.replay()
        assert refused.value.code == "too_little"


def at_once(work: Callable[[], object]) -> None:
    """Do it in several threads, each with its own connections. Raises what one of them raises."""

    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(WRITERS) as pool:
        for done in [pool.submit(run) for _ in range(WRITERS)]:
            done.result()
