"""The unit of work: what one command does, in one durable transaction."""

from collections.abc import Callable, Sequence
from uuid import UUID

from django.db import IntegrityError, OperationalError, transaction
from uuid_utils.compat import uuid7

from messaging import codec, plausible
from messaging.bus.base import LARGEST_RECORD
from messaging.eventstore import receipts, statements
from messaging.exceptions import ConcurrencyError, DomainError, Invalid, TooLarge, WrongPayload
from messaging.message import Context, Envelope, Result, utc_now
from messaging.transient import sqlstate

MINTED_HERE = 8  # the UUID version of command ids that no sender chose
LOST_RACE_STATES = frozenset({"40001", "40P01"})  # serialization failure, deadlock


class UnitOfWork:
    """Handed to a command's handler: who sends it, and the only way to append."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.actor = context.actor
        self.command_id = context.command_id or minted_command_id()
        self._correlation_id = context.correlation_id or self.command_id

    def new_id(self) -> UUID:
        """An id for something new, roughly in the order of time (UUIDv7)."""
        return uuid7()

    def append(
        self,
        stream_type: str,
        stream_id: UUID,
        before: int,
        events: Sequence[object],
        snapshot: statements.Snapshot | None = None,
    ) -> int:
        """Append to a stream that is at version `before`; return its new version.

        Raises `TooLarge` for an event that the bus would not take: once stored, it would keep
        all later ones from being published. Raises `Invalid` and `WrongPayload` for one that no
        consumer would believe.
        """
        if not events:
            return before
        encoded = [codec.encode_event(event) for event in events]
        now = utc_now()
        envelopes = [
            Envelope(
                event_id=uuid7(),
                stream_id=stream_id,
                stream_type=stream_type,
                version=version,
                type=wire_name,
                recorded_at=now,
                actor=self.actor,
                command_id=self.command_id,
                correlation_id=self._correlation_id,
                causation_id=self.context.causation_id,
                traceparent=self.context.traceparent,
            )
            for version, (wire_name, _) in enumerate(encoded, before + 1)
        ]
        payloads = [payload for _, payload in encoded]
        for envelope, event, payload in zip(envelopes, events, payloads, strict=True):
            _require_plausible(envelope, event)
            _require_size(envelope, payload)
        statements.append(before, envelopes, payloads, snapshot)
        return before + len(events)


def in_one_transaction(context: Context, work: Callable[[UnitOfWork], Result]) -> Result:
    """Do the work in a transaction of its own: all of it is stored, or nothing.

    If the sender chose the command's id, what became of it is stored too, a refusal in
    a transaction of its own, and a repetition gets the same answer. Raises `ConcurrencyError`
    when another transaction was first: begin again.
    """
    try:
        with transaction.atomic(using=statements.DATABASE, durable=True):
            answer = receipts.find(context)
            if answer is None:
                result = work(UnitOfWork(context))
                receipts.store(context, result)
    except IntegrityError as error:
        raise ConcurrencyError from error
    except OperationalError as error:
        if sqlstate(error) in LOST_RACE_STATES:
            raise ConcurrencyError from error
        raise
    except DomainError as refusal:
        answer = receipts.store_refusal(context, refusal)
        if answer is None:
            raise
    return result if answer is None else receipts.replay(answer)


def _require_plausible(envelope: Envelope, event: object) -> None:
    if not plausible.is_username(envelope.actor):
        raise Invalid("invalid_actor", f"{ascii(envelope.actor)[:60]} cannot be a username.")
    if fault := plausible.fault_of(envelope, event):
        raise WrongPayload(f"{envelope.type} is not stored: {fault}.")


def _require_size(envelope: Envelope, payload: str) -> None:
    """Raise `TooLarge` if the document would be too large for a bus."""
    # No need to encode what cannot be near: a character is at most four bytes, and the columns
    # bound the envelope to a few thousand.
    if len(payload) < LARGEST_RECORD // 8:
        return
    size = len(codec.encode_record(envelope, payload))
    if size > LARGEST_RECORD:
        raise TooLarge(
            "too_large", f"This makes {size:,} bytes; {LARGEST_RECORD:,} are stored at most."
        )


def minted_command_id() -> UUID:
    """A UUIDv7 whose version says 8: so the log alone tells which ids a sender chose, and may
    send again."""
    version = 0xF << 76
    return UUID(int=uuid7().int & ~version | MINTED_HERE << 76)
