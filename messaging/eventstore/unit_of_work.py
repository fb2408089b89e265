"""The unit of work: what one command reads and appends, in one durable transaction."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from django.db import IntegrityError, OperationalError
from uuid_utils.compat import uuid7

from messaging import codec, plausible
from messaging.bus.base import MAX_RECORD_BYTES
from messaging.dialect.psycopg import sqlstate
from messaging.eventstore import receipts, reservations, statements
from messaging.eventstore.keys import as_version_8, version_8
from messaging.eventstore.round_trips import durable_transaction
from messaging.exceptions import ConcurrencyError, DomainError, Invalid, TooLarge, WrongPayload
from messaging.message import Context, Envelope, Position, Result, utc_now

SERVER_GENERATED = 8  # the UUID version of command ids that no sender chose
DERIVED_FROM_KEY = 5  # that of ids derived from an Idempotency-Key, a form or a line of a file
OF_COMMAND = (1 << 80) - 1  # the low bits of a conversation's id: those of its first command
LOST_RACE_STATES = frozenset({"40001", "40P01"})  # serialization failure, deadlock


@dataclass(frozen=True, slots=True)
class Appended:
    """What a handler returns: the events that its command added to a stream, maybe none."""

    stream_id: UUID
    version: int  # of the stream, after these events
    events: Sequence[object]


class UnitOfWork:
    """Given to a command's handler: who sends the command, and the way to read and append."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.actor = context.actor
        self.command_id = context.command_id or generated_command_id()
        # What became of the command when it was sent before: do not carry it out again.
        self.earlier: receipts.StoredOutcome | None = None
        self.correlation_id = context.correlation_id or self._new_conversation()
        self.loaded: dict[UUID, Position] = {}  # each stream as the handler found it first
        self.saved: dict[UUID, Position] = {}  # each stream that it saved, as it left it

    def _new_conversation(self) -> UUID:
        """Return the command's id. One that is derived from a key carries no time, and its sender
        does not know it beforehand: for that, generate an id that carries one."""
        if self.command_id.version == DERIVED_FROM_KEY:
            return generated_conversation_id(self.command_id)
        return self.command_id

    def new_id(self) -> UUID:
        """Return an id for something new: a UUIDv7, so that ids sort roughly by time."""
        return uuid7()

    def append(
        self,
        stream_type: str,
        stream_id: UUID,
        before: int,
        events: Sequence[object],
        snapshot: statements.Snapshot | None = None,
    ) -> Appended:
        """Append events, maybe none, to a stream that is at version `before`.

        Raises `TooLarge` for one that the bus would not take, which would keep all later ones from
        being published, `Invalid` and `WrongPayload` for one that no consumer would believe.
        """
        appended = Appended(stream_id, before + len(events), events)
        if not events:
            return self._noted(stream_type, before, appended)
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
                correlation_id=self.correlation_id,
                causation_id=self.context.causation_id,
                traceparent=self.context.traceparent,
            )
            for version, (wire_name, _) in enumerate(encoded, before + 1)
        ]
        for envelope, event, (_, payload) in zip(envelopes, events, encoded, strict=True):
            _require_plausible(envelope, event)
            _require_size(envelope, payload)
        statements.append(before, envelopes, [payload for _, payload in encoded], snapshot)
        return self._noted(stream_type, before, appended)

    def _noted(self, stream_type: str, before: int, appended: Appended) -> Appended:
        stream_id = appended.stream_id
        self.loaded.setdefault(stream_id, Position(stream_type, stream_id, before))
        self.saved[stream_id] = Position(stream_type, stream_id, appended.version)
        return appended

    def grown(self) -> list[Position]:
        """Return the streams that it appended to, as they were before."""
        return [
            before
            for stream_id, before in self.loaded.items()
            if stream_id in self.saved and self.saved[stream_id].version > before.version
        ]

    def reserve(self, kind: str, key: str, stream_id: UUID) -> None:
        """Reserve a value that may be used once, such as a username, for a stream.

        `uow.reserve("username", name.casefold(), account.stream_id)`: what of a text counts, such
        as its case, is for the caller to say. Nothing changes if the stream has it already. Raises
        `AlreadyReserved` (409 `username_taken`) if another one has it, `Invalid` (400
        `invalid_key`) for a key that is empty or too long.
        """
        reservations.reserve(self, kind, key, stream_id)

    def release(self, kind: str, key: str, stream_id: UUID) -> None:
        """Release a value that the stream has reserved; anybody may reserve it then.

        Raises `DomainError` (409 `username_not_held`) if it has not.
        """
        reservations.release(self, kind, key, stream_id)

    def succeed(self, result: Result) -> receipts.StoredOutcome:
        """Store the result with the events, for when the same command is sent again, if its sender
        chose its id."""
        return receipts.store(self.context, result)


@contextmanager
def unit_of_work(context: Context) -> Iterator[UnitOfWork]:
    """Open the durable transaction of one command: all that is done in it is stored, or nothing.

    `uow.earlier` is what became of the command if it was sent before: then do nothing more. A
    `DomainError` that leaves the block is stored in a transaction of its own if the sender chose
    the command's id, so that the same command, sent again, is refused in the same way. Raises
    `ConcurrencyError` if another transaction was first: begin again with a new unit of work.
    """
    require_username(context)
    uow = UnitOfWork(context)
    try:
        with durable_transaction():
            uow.earlier = receipts.find(context)
            yield uow
    except IntegrityError as error:
        raise ConcurrencyError from error
    except OperationalError as error:
        if sqlstate(error) in LOST_RACE_STATES:
            raise ConcurrencyError from error
        raise
    except DomainError as refusal:
        receipts.store_refusal(context, refusal)
        raise


def require_username(context: Context) -> None:
    """Raise `Invalid` for an actor for whom no refusal or receipt could be stored."""
    if not plausible.is_username(context.actor):
        raise Invalid("invalid_actor", f"{ascii(context.actor)[:60]} cannot be a username.")


def _require_plausible(envelope: Envelope, event: object) -> None:
    if fault := plausible.fault_of(envelope, event):
        raise WrongPayload(f"{envelope.type} is not stored: {fault}.")


def _require_size(envelope: Envelope, payload: str) -> None:
    """Raise `TooLarge` if the document would be too large for a bus."""
    # No need to encode what cannot be near: a character is at most four bytes, and the columns
    # bound the envelope to a few thousand.
    if len(payload) < MAX_RECORD_BYTES // 8:
        return
    size = len(codec.encode_record(envelope, payload))
    if size > MAX_RECORD_BYTES:
        raise TooLarge(
            "too_large", f"This makes {size:,} bytes; {MAX_RECORD_BYTES:,} are stored at most."
        )


def generated_command_id() -> UUID:
    """Return a UUIDv7 that carries version 8.

    The version lets `restore-events` tell ids that the server generated from ids that a client
    chose and may send again. docs/decisions/0009-keys-of-clients-and-ids-minted-here.md
    """
    return as_version_8(uuid7())


def generated_conversation_id(command_id: UUID) -> UUID:
    """Return an id that says when the conversation began, as a UUIDv7 does, and with which command,
    instead of random bits."""
    return version_8(uuid7().int & ~OF_COMMAND | command_id.int & OF_COMMAND)


def began_with(conversation_id: UUID, command_id: UUID) -> bool:
    """Tell whether the id was generated for a conversation that this command began."""
    of_command = version_8(command_id.int & OF_COMMAND).int
    return conversation_id.int & OF_COMMAND == of_command & OF_COMMAND
