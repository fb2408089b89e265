"""Receipts: (actor, command id) -> what became of the command.

They are kept only for commands whose sender chose the id, because nobody can send a generated
id again (docs/decisions/0001-receipts-only-for-ids-that-senders-chose.md). They expire by the
database's clock: the hosts' clocks differ, so by those a command could take effect twice.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from django.db import IntegrityError

from messaging.dialect import dialect_of
from messaging.dialect.base import Statement
from messaging.dialect.values import as_uuid, db_uuid
from messaging.eventstore.round_trips import (
    durable_transaction,
    execute,
    fetch,
    transaction_connection,
)
from messaging.eventstore.statements import FIND_RECEIPT, FORGET_RECEIPTS, INSERT_RECEIPT
from messaging.exceptions import (
    ConcurrencyError,
    ConcurrentChange,
    DomainError,
    Forbidden,
    IdempotencyKeyReused,
    Invalid,
    NotFound,
    NotSignedIn,
    PreconditionFailed,
    TooLarge,
)
from messaging.message import Context, Result

# Stored, so never change a code: a class may be renamed. A project's own class is stored as the
# nearest of its bases here.
REFUSALS: dict[str, type[DomainError]] = {
    "conflict": DomainError,
    "forbidden": Forbidden,
    "invalid": Invalid,
    "not_found": NotFound,
    "not_signed_in": NotSignedIn,
    "precondition_failed": PreconditionFailed,
    "too_large": TooLarge,
}
_CODES = {kind: code for code, kind in REFUSALS.items()}
NOT_STORED = (ConcurrentChange, IdempotencyKeyReused)  # sent again, they may end otherwise


class StoredOutcome(msgspec.Struct, omit_defaults=True):
    """A result, or a refusal: one of REFUSALS, and what it said."""

    result: Result | None = None
    refusal: str | None = None
    code: str = ""
    detail: str = ""
    attr: str | None = None
    fingerprint: str = ""  # of what was sent; empty: not compared

    def replay(self) -> Result:
        """Return the result, or raise the refusal."""
        if self.result is not None:
            return self.result
        raise REFUSALS.get(self.refusal or "", DomainError)(self.code, self.detail, self.attr)


def find(context: Context) -> StoredOutcome | None:
    """Look up what became of the command.

    Raises `IdempotencyKeyReused` if something else was sent under its id.
    """
    if context.command_id is None:
        return None
    connection = transaction_connection()
    key = db_uuid(connection, context.command_id)
    rows = fetch(connection, FIND_RECEIPT, [context.actor, key])
    return outcome_in(rows[0][0], context) if rows else None


def find_all(keys: Sequence[tuple[str, UUID]]) -> list[str | None]:
    """Look up what became of several commands, by (actor, command id), by one statement: as it is
    stored, for `outcome_in`."""
    if not keys:
        return []
    connection = transaction_connection()
    mark = f"(%s, {dialect_of(connection).uuid_mark})"
    statement = Statement(
        f"{FIND_RECEIPT.name}_{len(keys)}",
        # A look-up for each. A join is planned by statistics, which may be of an empty table.
        f"WITH k AS (VALUES {', '.join([mark] * len(keys))}) SELECT column1, column2, "
        "(SELECT outcome FROM messaging_receipt WHERE actor = column1 AND command_id = column2 "
        "AND (expires_at IS NULL OR expires_at > {now})) FROM k",
    )
    values = [value for actor, one in keys for value in (actor, db_uuid(connection, one))]
    rows = fetch(connection, statement, values)
    found = {(actor, as_uuid(one)): text for actor, one, text in rows}
    return [found[key] for key in keys]


def outcome_in(text: str, context: Context) -> StoredOutcome:
    """Raises `IdempotencyKeyReused` if it is of another command than the context's."""
    outcome = msgspec.json.decode(text, type=StoredOutcome)
    if outcome.fingerprint and context.fingerprint not in ("", outcome.fingerprint):
        raise IdempotencyKeyReused
    return outcome


def store(context: Context, result: Result) -> StoredOutcome:
    """Store the result in the command's own transaction."""
    outcome = StoredOutcome(result=result, fingerprint=context.fingerprint)
    _insert(context, outcome)
    return outcome


def restore(actor: str, command_id: UUID, result: Result) -> bool:
    """Store the result of a command found in the log, unless its receipt is there.

    Needs a transaction.
    """
    context = Context(actor=actor, command_id=command_id)
    if find(context) is not None:
        return False
    _insert(context, StoredOutcome(result=result))
    return True


def store_refusal(context: Context, refusal: DomainError) -> None:
    """Store a refusal in a transaction of its own.

    Raises `ConcurrencyError` if the same command, sent twice at once, has its receipt by now:
    that one counts.
    """
    if context.command_id is None or isinstance(refusal, NOT_STORED):
        return
    try:
        with durable_transaction():
            add_refusal(context, refusal)
    except IntegrityError as error:
        raise ConcurrencyError from error


def add_refusal(context: Context, refusal: DomainError) -> None:
    """Store a refusal in the open transaction."""
    outcome = StoredOutcome(
        refusal=_code_of(refusal),
        code=refusal.code,
        detail=refusal.detail,
        attr=refusal.attr,
        fingerprint=context.fingerprint,
    )
    _insert(context, outcome)


def _code_of(refusal: DomainError) -> str:
    return next(_CODES[kind] for kind in type(refusal).__mro__ if kind in _CODES)


def _insert(context: Context, outcome: StoredOutcome) -> None:
    if context.command_id is None:
        return
    connection = transaction_connection()
    key = db_uuid(connection, context.command_id)
    text = msgspec.json.encode(outcome).decode()
    if context.remember_for is None:
        execute(connection, [(INSERT_RECEIPT, [context.actor, key, text, None])])
        return
    # Delete expired receipts as new ones come: so they never pile up, and no job is needed.
    forget = (FORGET_RECEIPTS, [context.actor, key])
    insert = (INSERT_RECEIPT, [context.actor, key, text, context.remember_for.total_seconds()])
    execute(connection, [forget, insert])
