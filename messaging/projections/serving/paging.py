"""Pages of a list, cut by cursor: a page stays what it was while new rows arrive in front.

A cursor names the last row of a page by its sort key, so the next page begins behind
that row (keyset pagination) and costs the same wherever it lies in the list.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import msgspec
from django.core.exceptions import ValidationError
from django.core.validators import DecimalValidator
from django.db.models import (
    BigIntegerField,
    BooleanField,
    CharField,
    DateField,
    DateTimeField,
    DecimalField,
    IntegerField,
    Model,
    Q,
    QuerySet,
    UUIDField,
)

from messaging.exceptions import Invalid, RegistrationError

M = TypeVar("M", bound=Model)
T = TypeVar("T")

PAGE_SIZE = 20
MAX_PAGE_SIZE = 100
STEP = 5_000  # rows that one page scans at most, where no index knows which of them match


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Some rows of a list, and the cursors of the pages beside it (None at either end)."""

    next: str | None
    previous: str | None
    results: list[T]


# What a field that a list is sorted by holds; an integer as its column does.
TYPES: dict[type, Any] = {
    BigIntegerField: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)],
    BooleanField: bool,
    CharField: Annotated[str, msgspec.Meta(pattern="^[^\\x00]*$")],  # PostgreSQL takes no NUL
    DateField: date,
    DateTimeField: datetime,
    DecimalField: Decimal,
    IntegerField: Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)],
    UUIDField: UUID,
}


class SortKey:
    """What a list is sorted by; made once, beside the query.

        BY_PRICE = SortKey(Order, "price", "order_id", descending=True)

    The last of the fields is unique, and an index begins with the same ones, after the columns
    that the rows are filtered by. Raises `RegistrationError` for a field whose values no cursor
    can hold.
    """

    def __init__(self, model: type[Model], *fields: str, descending: bool = False) -> None:
        self.fields = fields
        self.descending = descending
        found = [model._meta.get_field(name) for name in fields]
        # The type of a cursor: whether it leads backwards, then the values of the key.
        self.shape: Any = tuple.__class_getitem__((bool, *map(_type_of, found)))
        self._decimals = [
            (at, DecimalValidator(field.max_digits, field.decimal_places))
            for at, field in enumerate(found)
            if isinstance(field, DecimalField)
        ]

    def require_storable(self, values: Sequence[Any]) -> None:
        """Raise `ValidationError` for a decimal that the column cannot hold."""
        for at, validator in self._decimals:
            validator(values[at])


def _type_of(field: Any) -> Any:
    for base in type(field).__mro__:
        if base in TYPES:
            return TYPES[base]
    known = ", ".join(sorted(kind.__name__ for kind in TYPES))
    raise RegistrationError(
        f"No page can be sorted by {field.model.__name__}.{field.name}, a {type(field).__name__}. "
        f"Sort by one of these: {known}."
    )


def encode_cursor(backwards: bool, *values: Any) -> str:
    """`values` are those of the sort key, in its order."""
    raw = msgspec.json.encode([backwards, *values])
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode_cursor(text: str, sort: SortKey) -> tuple[bool, list[Any]]:
    """Raises `Invalid` (400 `invalid_cursor`) for whatever `encode_cursor` did not make."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        backwards, *values = msgspec.json.decode(raw, type=sort.shape)
        if any(isinstance(v, datetime) and v.utcoffset() != timedelta(0) for v in values):
            raise ValueError("a time that is not UTC, as encode_cursor writes it")
        sort.require_storable(values)
    except (ValueError, binascii.Error, msgspec.MsgspecError, ValidationError):
        raise Invalid(
            "invalid_cursor",
            "Follow the next and previous links; a cursor is not made by hand.",
            "cursor",
        ) from None
    return backwards, values


def page_of(
    rows: "QuerySet[M]",
    *,
    sort: SortKey,
    cursor: str | None,
    page_size: int,
    to_result: Callable[[M], T],
    only: Q | None = None,
) -> Page[T]:
    """One page of `rows`, `page_size` of them at most, each made a result by `to_result`.

        page_of(live(orders, Order), sort=BY_PRICE, cursor=query.cursor,
                page_size=query.page_size, to_result=order_view)

    `cursor` is that of a page beside it (`Page.next`, `Page.previous`); None: the first page.
    Raises `Invalid` (400 `invalid_cursor`) for any other text. `only` is a condition that no index
    serves: a page then scans 5,000 rows, whose end one more statement finds, and may be short, or
    empty, though others follow.
    """
    at = decode_cursor(cursor, sort) if cursor else None
    backwards = at is not None and at[0]
    key, descending = sort.fields, sort.descending != backwards
    if at is not None:
        rows = rows.filter(_beyond(key, at[1], "lt" if descending else "gt"))
    sign = "-" if descending else ""
    rows = rows.order_by(*(sign + name for name in key))
    rows, edge = (rows, None) if only is None else _step_of(rows, key, only, descending)
    found: Sequence[M] = list(rows[: page_size + 1])
    more = len(found) > page_size
    shown = found[:page_size]
    last = _key_of(shown[-1], key) if shown and (more or edge is None) else edge
    first = _key_of(shown[0], key) if shown else None
    ahead = encode_cursor(backwards, *last) if last and (more or edge is not None) else None
    behind = encode_cursor(not backwards, *first) if first and at is not None else None
    return Page(
        next=behind if backwards else ahead,
        previous=ahead if backwards else behind,
        results=[to_result(row) for row in (reversed(shown) if backwards else shown)],
    )


def _step_of(
    rows: "QuerySet[M]", key: tuple[str, ...], only: Q, descending: bool
) -> "tuple[QuerySet[M], Sequence[Any] | None]":
    """The matching rows of a step, and the key of its last row; None: the list ends before."""
    edge = next(iter(rows.values_list(*key)[STEP - 1 : STEP]), None)
    if edge is not None:
        rows = rows.filter(_beyond(key, edge, "gt" if descending else "lt", inclusive=True))
    return rows.filter(only), edge


def _key_of(row: Model, key: tuple[str, ...]) -> Sequence[Any]:
    return [getattr(row, name) for name in key]


def _beyond(
    key: tuple[str, ...], values: Sequence[Any], beyond: str, *, inclusive: bool = False
) -> Q:
    """Keyset predicate `a <= x AND (a < x OR b < y)`, so that an index on (a, b) serves it."""
    wanted = Q(**{f"{key[-1]}__{beyond}{'e' * inclusive}": values[-1]})
    for name, value in [*zip(key, values, strict=True)][-2::-1]:
        unequal = Q(**{f"{name}__{beyond}": value})
        wanted = Q(**{f"{name}__{beyond}e": value}) & (unequal | wanted)
    return wanted
