"""Pages of a list, cut by cursor: a page stays what it was while new rows arrive in front.

A cursor names the last row of a page by its sort key, so the next page begins behind
that row (keyset pagination) and costs the same wherever it lies in the list.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec
from django.db.models import Model, Q, QuerySet

from messaging.exceptions import Invalid

M = TypeVar("M", bound=Model)
T = TypeVar("T")

PAGE_SIZE = 20
MAX_PAGE_SIZE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Some rows of a list, and the cursors of the pages beside it (None at either end)."""

    next: str | None
    previous: str | None
    results: list[T]


class _Cursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    backwards: bool
    time: datetime
    id: UUID


def encode_cursor(backwards: bool, time: datetime, row_id: UUID) -> str:
    raw = msgspec.json.encode(_Cursor(backwards, time, row_id))
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode_cursor(text: str) -> _Cursor:
    """Raises `Invalid` (400 `invalid_cursor`) for whatever `encode_cursor` did not make."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        cursor = msgspec.json.decode(raw, type=_Cursor)
        if cursor.time.utcoffset() != timedelta(0):
            raise ValueError("a time that is not UTC, as encode_cursor writes it")
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise Invalid(
            "invalid_cursor",
            "Follow the next and previous links; a cursor is not made by hand.",
            "cursor",
        ) from None
    return cursor


def page_of(
    rows: "QuerySet[M]",
    *,
    key: tuple[str, str],
    newest_first: bool,
    cursor: str | None,
    page_size: int,
    to_result: Callable[[M], T],
) -> Page[T]:
    """One page of `rows`, in one statement.

    `key` names the time and the unique id that the list is sorted by; an index has to
    begin with the same two (after the columns that `rows` is filtered by).
    """
    time_field, id_field = key
    at = decode_cursor(cursor) if cursor else None
    backwards = at is not None and at.backwards
    descending = newest_first != backwards
    if at is not None:
        beyond = "lt" if descending else "gt"
        # The first condition is the range of the index; the second cuts ties on the time.
        rows = rows.filter(**{f"{time_field}__{beyond}e": at.time}).filter(
            Q(**{f"{time_field}__{beyond}": at.time}) | Q(**{f"{id_field}__{beyond}": at.id})
        )
    sign = "-" if descending else ""
    found: Sequence[M] = list(rows.order_by(sign + time_field, sign + id_field)[: page_size + 1])
    more = len(found) > page_size
    shown = list(found[:page_size])
    if backwards:
        shown.reverse()

    def cursor_at(row: M, *, back: bool) -> str:
        values: Any = (getattr(row, time_field), getattr(row, id_field))
        return encode_cursor(back, *values)

    has_next = backwards or more
    has_previous = more if backwards else at is not None
    return Page(
        next=cursor_at(shown[-1], back=False) if shown and has_next else None,
        previous=cursor_at(shown[0], back=True) if shown and has_previous else None,
        results=[to_result(row) for row in shown],
    )
