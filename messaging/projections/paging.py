"""Pages of a list, cut by cursor: a page stays what it was while new rows arrive in front.

A cursor names the last row of a page by its sort key, so the next page begins behind
that row (keyset pagination) and costs the same wherever it lies in the list.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import msgspec
from django.db.models import DateTimeField, IntegerField, Model, Q, QuerySet, UUIDField

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


# What a field that a list is sorted by holds; an integer as its column does.
TYPES: dict[type, Any] = {
    DateTimeField: datetime,
    IntegerField: Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)],
    UUIDField: UUID,
}


def encode_cursor(backwards: bool, *values: Any) -> str:
    """`values` are those of the sort key, in its order."""
    raw = msgspec.json.encode([backwards, *values])
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode_cursor(text: str, shape: Any) -> tuple[bool, list[Any]]:
    """Raises `Invalid` (400 `invalid_cursor`) for whatever `encode_cursor` did not make."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        backwards, *values = msgspec.json.decode(raw, type=shape)
        if any(isinstance(v, datetime) and v.utcoffset() != timedelta(0) for v in values):
            raise ValueError("a time that is not UTC, as encode_cursor writes it")
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise Invalid(
            "invalid_cursor",
            "Follow the next and previous links; a cursor is not made by hand.",
            "cursor",
        ) from None
    return backwards, values


def page_of(
    rows: "QuerySet[M]",
    *,
    key: tuple[str, ...],
    newest_first: bool,
    cursor: str | None,
    page_size: int,
    to_result: Callable[[M], T],
) -> Page[T]:
    """One page of `rows`, in one statement.

    `key` names the fields that the list is sorted by, the last of them unique; an index
    has to begin with the same ones (after the columns that `rows` is filtered by).
    """
    at = decode_cursor(cursor, _shape_of(rows.model, key)) if cursor else None
    backwards = at is not None and at[0]
    descending = newest_first != backwards
    if at is not None:
        rows = rows.filter(_beyond(key, at[1], "lt" if descending else "gt"))
    sign = "-" if descending else ""
    found: Sequence[M] = list(rows.order_by(*(sign + name for name in key))[: page_size + 1])
    more = len(found) > page_size
    shown = list(found[:page_size])
    if backwards:
        shown.reverse()

    def cursor_at(row: M, *, back: bool) -> str:
        return encode_cursor(back, *(getattr(row, name) for name in key))

    has_next = backwards or more
    has_previous = more if backwards else at is not None
    return Page(
        next=cursor_at(shown[-1], back=False) if shown and has_next else None,
        previous=cursor_at(shown[0], back=True) if shown and has_previous else None,
        results=[to_result(row) for row in shown],
    )


def _beyond(key: tuple[str, ...], values: Sequence[Any], beyond: str) -> Q:
    """What lies beyond the cursor: of each field but the last a range, which an index can
    serve, and in it what is not equal, or is and lies beyond by the next field."""
    wanted = Q(**{f"{key[-1]}__{beyond}": values[-1]})
    for name, value in [*zip(key, values, strict=True)][-2::-1]:
        unequal = Q(**{f"{name}__{beyond}": value})
        wanted = Q(**{f"{name}__{beyond}e": value}) & (unequal | wanted)
    return wanted


@cache
def _shape_of(model: type[Model], key: tuple[str, ...]) -> Any:
    """The type of a cursor: whether it leads backwards, then the values of the key."""
    types = (TYPES[type(model._meta.get_field(name))] for name in key)
    return tuple.__class_getitem__((bool, *types))
