"""Lists are cut into pages by fields of any kind, and a forged cursor is no fault of the server."""

import base64
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import chain
from typing import Any
from uuid import UUID

import pytest
from django.db import connections, models

from messaging import Invalid, Page, RegistrationError, SortKey, page_of
from messaging.conf import read_alias
from tests.support.modes import Mode


class Thing(models.Model):  # noqa: DJ008  nobody prints one
    id = models.UUIDField(primary_key=True)
    name = models.CharField(max_length=20)
    day = models.DateField()
    at = models.DateTimeField()
    price = models.DecimalField(max_digits=8, decimal_places=2)
    large = models.BigIntegerField()
    small = models.SmallIntegerField()
    yes = models.BooleanField()
    slug = models.SlugField()
    text = models.TextField()
    fraction = models.FloatField()
    lasts = models.DurationField()
    same = models.ForeignKey("self", on_delete=models.CASCADE, null=True)

    class Meta:
        app_label = "sorted_pages"


# What a field takes of the forged values below; all else is refused.
SORTED: dict[str, set[str]] = {
    "name": {"empty", "text", "long", "day", "time", "earliest", "last", "zone", "uuid", "price",
             "fine", "digits", "huge", "nan"},
    "day": {"day"},
    "at": {"time", "earliest", "last"},
    "price": {"one", "minus", "fraction", "price", "2**15"},
    "large": {"one", "minus", "2**15", "2**31"},
    "small": {"one", "minus", "2**15"},
    "yes": {"true"},
    "slug": {"empty", "text", "long", "day", "time", "earliest", "last", "zone", "uuid", "price",
             "fine", "digits", "huge", "nan"},
    "id": {"uuid"},
}  # fmt: skip
FORGED: dict[str, Any] = {
    "null": None,
    "true": True,
    "one": 1,
    "minus": -1,
    "fraction": 1.5,
    "2**15": 2**15,
    "2**31": 2**31,
    "2**63": 2**63,
    "10**30": 10**30,
    "empty": "",
    "text": "tea",
    "long": "x" * 10_000,
    "nul": "a\0b",
    "day": "2026-01-31",
    "time": "2026-01-31T00:00:00Z",
    "earliest": "0001-01-01T00:00:00Z",
    "last": "9999-12-31T23:59:59.999999Z",
    "zone": "2026-01-31T00:00:00+01:00",
    "uuid": "01a20892-7c3e-7d41-9f56-3a1b2c4d5e6f",
    "price": "9.90",
    "fine": "9.999",
    "digits": "9" * 100,
    "huge": "1e400",
    "nan": "NaN",
    "list": [],
    "object": {},
}
# Not of JSON, or not of a list of a truth and values.
NO_CURSORS = [
    "x", "!", "A" * 10_001, "\ud800", "é", base64.b64encode(b"[]").decode(),
    base64.b64encode(b"[true]").decode(), base64.b64encode(b"{}").decode(),
    base64.b64encode(b"[" * 10_000).decode(), base64.b64encode(b'[true, "\\ud800"]').decode(),
    base64.b64encode(b"[true, \xff]").decode(), base64.b64encode(b"[1e999]").decode(),
]  # fmt: skip


@pytest.fixture
def things(database: Mode) -> Any:
    with connections[read_alias()].schema_editor() as editor:
        editor.create_model(Thing)
    rows = Thing.objects.using(read_alias())
    rows.bulk_create(
        Thing(
            id=UUID(int=number),
            name=("tea", "Tea", "été", "")[number % 4],
            day=date(2026, 1, 1 + number % 3),
            at=datetime(2026, 1, 31, 12, 0, number % 3, 250_000, tzinfo=UTC),
            price=Decimal(f"{number % 3}.90"),
            large=(-(2**63), 0, 2**63 - 1)[number % 3],
            small=number % 2,
            yes=number % 2 == 0,
            slug=f"s-{number % 3}",
            fraction=0.5,
            lasts=timedelta(0),
        )
        for number in range(9)
    )
    return rows


def page(rows: Any, sort: SortKey, cursor: str | None) -> Page[UUID]:
    return page_of(rows, sort=sort, cursor=cursor, page_size=2, to_result=lambda one: one.pk)


def walk(rows: Any, sort: SortKey, cursor: str | None, way: str) -> list[list[UUID]]:
    found = page(rows, sort, cursor)
    following = getattr(found, way)
    return [found.results, *(walk(rows, sort, following, way) if following else [])]


@pytest.mark.parametrize("name", SORTED)
def test_pages_by_a_field_show_each_row_once_there_and_back(things: Any, name: str) -> None:
    key = [name] if name == "id" else [name, "id"]
    for descending in (False, True):
        sort = SortKey(Thing, *key, descending=descending)
        there = walk(things, sort, None, "next")
        signed = [f"-{one}" if descending else one for one in key]
        ids = things.order_by(*signed).values_list("pk", flat=True)
        assert list(chain(*there)) == list(ids)
        assert [len(one) for one in there] == [2, 2, 2, 2, 1]
        fourth: str | None = None
        for _ in range(4):
            fourth = page(things, sort, fourth).next
        before = page(things, sort, fourth).previous
        assert walk(things, sort, before, "previous")[::-1] == there[:4]


def made_by_hand(*values: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def is_taken(rows: Any, sort: SortKey, cursor: str) -> bool:
    try:
        page(rows, sort, cursor)
    except Invalid as refused:
        return (refused.status, refused.code, refused.attr) != (400, "invalid_cursor", "cursor")
    return True


@pytest.mark.parametrize("name", SORTED)
def test_a_forged_cursor_is_a_400_or_a_page(things: Any, name: str) -> None:
    accepted = set()
    for forged, value in FORGED.items():
        values = [value] if name == "id" else [value, str(UUID(int=5))]
        sort = SortKey(Thing, *([name] if name == "id" else [name, "id"]))
        for cursor in (made_by_hand(True, *values), made_by_hand(False, *values)):
            if is_taken(things, sort, cursor):
                accepted.add(forged)
        for wrong in ([], values[:-1], [*values, 1], [values]):
            with pytest.raises(Invalid):
                page(things, sort, made_by_hand(True, *wrong))
        with pytest.raises(Invalid):
            page(things, sort, made_by_hand(0, *values))
    assert accepted == SORTED[name]


@pytest.mark.parametrize("cursor", NO_CURSORS, ids=range(len(NO_CURSORS)))
def test_what_is_no_cursor_is_a_400(sqlite: Mode, cursor: str) -> None:
    with pytest.raises(Invalid, match="Follow the next and previous links"):
        page(Thing.objects.using(read_alias()), SortKey(Thing, "id"), cursor)


@pytest.mark.parametrize("name", ["text", "fraction", "lasts", "same"])
def test_a_field_that_no_cursor_holds_is_refused_where_the_key_is_made(name: str) -> None:
    with pytest.raises(RegistrationError, match=f"by Thing.{name}, a .*Sort by one of these: Big"):
        SortKey(Thing, name, "id")
