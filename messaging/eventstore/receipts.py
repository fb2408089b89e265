"""Receipts: (actor, command id) -> what became of the command.

Kept only for commands whose sender chose the id, because nobody else can send it again.
They expire by the database's clock: by the hosts' own, which differ, a command could take
effect twice.
"""

from typing import Any
from uuid import UUID

import msgspec
from django.db import IntegrityError, transaction

from messaging import exceptions
from messaging.dialect.values import db_uuid
from messaging.eventstore.statements import (
    DATABASE,
    FIND_RECEIPT,
    FORGET_RECEIPTS,
    INSERT_RECEIPT,
    execute,
    fetch,
    transaction_connection,
)
from messaging.exceptions import ConcurrencyError, DomainError, IdempotencyKeyReused
from messaging.message import Context, Result


class Answer(msgspec.Struct, omit_defaults=True):
    """A stored answer: a result, or the refusal whose class is named."""

    result: Result | None = None
    refusal: str | None = None
    code: str = ""
    detail: str = ""
    attr: str | None = None
    fingerprint: str = ""  # of what was sent; none: nobody asks


def find(context: Context) -> Answer | None:
    """What became of the command. Raises `IdempotencyKeyReused` if it was another one."""
    if context.command_id is None:
        return None
    connection = transaction_connection()
    key = db_uuid(connection, context.command_id)
    rows = fetch(connection, FIND_RECEIPT, [context.actor, key])
    if not rows:
        return None
    answer = msgspec.json.decode(rows[0][0], type=Answer)
    if answer.fingerprint and context.fingerprint not in ("", answer.fingerprint):
        raise IdempotencyKeyReused
    return answer


def store(context: Context, result: Result) -> None:
    """Store the result in the command's own transaction."""
    _insert(context, Answer(result=result, fingerprint=context.fingerprint))


def restore(actor: str, command_id: UUID, result: Result) -> bool:
    """Store the result of a command that the log tells of, unless its receipt is there.
    Needs a transaction."""
    context = Context(actor=actor, command_id=command_id)
    if find(context) is not None:
        return False
    _insert(context, Answer(result=result))
    return True


def store_refusal(context: Context, refusal: DomainError) -> Answer | None:
    """Remember a refusal, and return it; or the answer that somebody else stored meanwhile."""
    if context.command_id is None or isinstance(
        refusal, exceptions.ConcurrentChange | IdempotencyKeyReused
    ):
        return None
    answer = Answer(
        refusal=type(refusal).__name__,
        code=refusal.code,
        detail=refusal.detail,
        attr=refusal.attr,
        fingerprint=context.fingerprint,
    )
    try:
        with transaction.atomic(using=DATABASE, durable=True):
            earlier = find(context)
            if earlier is None:
                _insert(context, answer)
    except IntegrityError as error:
        raise ConcurrencyError from error  # the same command, sent twice at once: find its receipt
    return earlier or answer


def replay(answer: Answer) -> Result:
    """Give the first answer again: return the result, or raise the refusal."""
    if answer.result is not None:
        return answer.result
    kind: Any = getattr(exceptions, answer.refusal or "", DomainError)
    raise kind(answer.code, answer.detail, answer.attr)


def _insert(context: Context, answer: Answer) -> None:
    if context.command_id is None:
        return
    connection = transaction_connection()
    key = db_uuid(connection, context.command_id)
    text = msgspec.json.encode(answer).decode()
    if context.remember_for is None:
        execute(connection, [(INSERT_RECEIPT, [context.actor, key, text, None])])
        return
    # Expired ones go as new ones come: so they never pile up, and no job has to be started.
    forget = (FORGET_RECEIPTS, [context.actor, key])
    insert = (INSERT_RECEIPT, [context.actor, key, text, context.remember_for.total_seconds()])
    execute(connection, [forget, insert])
