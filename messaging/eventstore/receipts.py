"""Receipts: (actor, command id) -> what became of the command.

Kept only for commands whose sender chose the id, because nobody else can send it again.
"""

from typing import Any
from uuid import UUID

import msgspec
from django.db import IntegrityError, transaction

from messaging import exceptions
from messaging.dbvalues import db_time, db_uuid
from messaging.eventstore.statements import (
    DATABASE,
    FIND_RECEIPT,
    INSERT_RECEIPT,
    execute,
    fetch,
    transaction_connection,
)
from messaging.exceptions import LostRace, Refused
from messaging.message import Context, Result, utc_now


class Answer(msgspec.Struct, omit_defaults=True):
    """A stored answer: a result, or the refusal whose class is named."""

    result: Result | None = None
    refusal: str | None = None
    code: str = ""
    detail: str = ""
    attr: str | None = None


def find(context: Context) -> Answer | None:
    if context.command_id is None:
        return None
    connection = transaction_connection()
    key = db_uuid(connection, context.command_id)
    rows = fetch(connection, FIND_RECEIPT, [context.actor, key])
    return msgspec.json.decode(rows[0][0], type=Answer) if rows else None


def store(context: Context, result: Result) -> None:
    """Store the result in the command's own transaction."""
    if context.command_id is not None:
        _insert(context.actor, context.command_id, Answer(result=result))


def restore(actor: str, command_id: UUID, result: Result) -> bool:
    """Store the result of a command that the log tells of, unless its receipt is there.
    Needs a transaction."""
    if find(Context(actor=actor, command_id=command_id)) is not None:
        return False
    _insert(actor, command_id, Answer(result=result))
    return True


def store_refusal(context: Context, refusal: Refused) -> Answer | None:
    """Remember a refusal, and return it; or the answer that somebody else stored meanwhile."""
    if context.command_id is None or isinstance(refusal, exceptions.ConcurrentChange):
        return None
    answer = Answer(
        refusal=type(refusal).__name__,
        code=refusal.code,
        detail=refusal.detail,
        attr=refusal.attr,
    )
    try:
        with transaction.atomic(using=DATABASE, durable=True):
            earlier = find(context)
            if earlier is None:
                _insert(context.actor, context.command_id, answer)
    except IntegrityError as error:
        raise LostRace from error  # the same command, sent twice at once: find its receipt
    return earlier or answer


def replay(answer: Answer) -> Result:
    """Give the first answer again: return the result, or raise the refusal."""
    if answer.result is not None:
        return answer.result
    kind: Any = getattr(exceptions, answer.refusal or "", Refused)
    raise kind(answer.code, answer.detail, answer.attr)


def _insert(actor: str, command_id: UUID, answer: Answer) -> None:
    connection = transaction_connection()
    text = msgspec.json.encode(answer).decode()
    values = [actor, db_uuid(connection, command_id), text, db_time(connection, utc_now())]
    execute(connection, [(INSERT_RECEIPT, values)])
