"""Receipts: (actor, command id) -> what became of the command.

They are kept only for commands whose sender chose the id, because nobody can send a generated
id again (docs/decisions/0001-receipts-only-for-ids-that-senders-chose.md). They expire by the
database's clock: the hosts' clocks differ, so by those a command could take effect twice.
"""

from uuid import UUID

import msgspec
from django.db import IntegrityError, transaction

from messaging.conf import write_alias
from messaging.dialect.values import db_uuid
from messaging.eventstore.statements import (
    FIND_RECEIPT,
    FORGET_RECEIPTS,
    INSERT_RECEIPT,
    execute,
    fetch,
    transaction_connection,
)
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
    if not rows:
        return None
    outcome = msgspec.json.decode(rows[0][0], type=StoredOutcome)
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
    outcome = StoredOutcome(
        refusal=_code_of(refusal),
        code=refusal.code,
        detail=refusal.detail,
        attr=refusal.attr,
        fingerprint=context.fingerprint,
    )
    try:
        with transaction.atomic(using=write_alias(), durable=True):
            _insert(context, outcome)
    except IntegrityError as error:
        raise ConcurrencyError from error


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
