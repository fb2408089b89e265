"""A message is read as strictly within as at its outer level, from JSON and from a form."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from io import BytesIO
from typing import Any, Literal
from uuid import UUID

import pytest
from django.http import QueryDict

from messaging import Invalid
from messaging.api import command_file
from messaging.api.serializers import input_serializer, read
from messaging.message import COMMANDS


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Size(IntEnum):
    SMALL = 1
    LARGE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    item: str
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Everything:
    text: str = ""
    number: int = 0
    fraction: float = 0.0
    truth: bool = False
    id: UUID | None = None
    price: Decimal = Decimal("1.50")
    day: date | None = None
    at: datetime | None = None
    clock: time | None = None
    lasts: timedelta | None = None
    colour: Colour = Colour.RED
    size: Size = Size.SMALL
    unit: Literal["kg", "g"] = "kg"
    line: Line | None = None
    lines: list[Line] = field(default_factory=list)
    ids: list[UUID] = field(default_factory=list)
    prices: dict[str, Decimal] = field(default_factory=dict)


ID = "01a20892-7c3e-7d41-9f56-3a1b2c4d5e6f"
RIGHT: list[tuple[str, Any, Any]] = [
    ("fraction", 1.5, 1.5),
    ("fraction", 1, 1.0),
    ("truth", True, True),
    ("price", "9.999", Decimal("9.999")),
    ("price", "-0", Decimal("0")),
    ("day", "2026-01-31", date(2026, 1, 31)),
    ("at", "2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
    ("at", "2026-01-31T12:00:00.25+02:00", datetime(2026, 1, 31, 10, 0, 0, 250_000, tzinfo=UTC)),
    ("clock", "12:30", time(12, 30)),
    ("lasts", "1 00:00:30", timedelta(days=1, seconds=30)),
    ("colour", "blue", Colour.BLUE),
    ("size", 2, Size.LARGE),
    ("unit", "g", "g"),
    ("line", {"item": "tea", "quantity": 2}, Line(item="tea", quantity=2)),
    ("lines", [{"item": "tea", "quantity": 2}], [Line(item="tea", quantity=2)]),
    ("ids", [ID], [UUID(ID)]),
    ("prices", {"tea": "2.50"}, {"tea": Decimal("2.50")}),
]
WRONG: list[tuple[str, Any, str]] = [  # and where it is wrong
    ("fraction", "1.5", "fraction"),
    ("fraction", True, "fraction"),
    ("fraction", 10**400, "fraction"),
    ("truth", "true", "truth"),
    ("truth", 1, "truth"),
    ("truth", "yes", "truth"),
    ("price", 9.99, "price"),
    ("price", 9, "price"),
    ("price", "NaN", "price"),
    ("price", "1e3", "price"),
    ("price", "1e400", "price"),
    ("price", "9" * 101, "price"),
    ("price", " 1", "price"),
    ("price", "\u0661", "price"),  # a digit elsewhere
    ("day", "2026-1-31", "day"),
    ("day", "20260131", "day"),
    ("day", "2026-02-30", "day"),
    ("day", 20260131, "day"),
    ("day", "2026-01-31T12:00:00Z", "day"),
    ("at", "2026-01-31T12:00:00", "at"),
    ("at", "2026-01-31", "at"),
    ("at", "0001-01-01T00:00:00+01:00", "at"),
    ("at", 1_769_860_800, "at"),
    ("clock", 1230, "clock"),
    ("clock", "25:00", "clock"),
    ("lasts", 30, "lasts"),
    ("lasts", "30", "lasts"),
    ("colour", "RED", "colour"),
    ("colour", ["red"], "colour"),
    ("size", "1", "size"),
    ("size", True, "size"),
    ("size", 1.0, "size"),
    ("unit", "lb", "unit"),
    ("unit", 5, "unit"),
    ("line", {"item": "tea", "quantity": "2"}, "line.quantity"),
    ("line", {"item": 5, "quantity": 2}, "line.item"),
    ("line", {"item": "tea", "quantity": 2, "price": 1}, "line.price"),
    ("line", {"item": "tea"}, "line.quantity"),
    ("line", [], "line.non_field_errors"),
    ("line", "tea", "line.non_field_errors"),
    ("lines", [{"item": "tea", "quantity": 2}, {"item": "figs"}], "lines.1.quantity"),
    ("lines", {"item": "tea", "quantity": 2}, "lines"),
    ("lines", "tea", "lines"),
    ("ids", [5], "ids.0"),
    ("ids", [ID, ID[:-1]], "ids.1"),
    ("ids", None, "ids"),
    ("prices", {"tea": 2.5}, "prices.tea"),
    ("prices", [], "prices"),
]


@pytest.mark.parametrize(("name", "sent", "read_as"), RIGHT)
def test_what_is_written_as_its_type_has_it_is_read(name: str, sent: Any, read_as: Any) -> None:
    found = getattr(read(Everything, {name: sent}), name)
    assert (found, type(found)) == (read_as, type(read_as))


@pytest.mark.parametrize(("name", "sent", "where"), WRONG)
def test_anything_else_is_refused_by_its_place(name: str, sent: Any, where: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(Everything, {name: sent})
    assert refused.value.attr == where
    assert refused.value.code
    assert len(refused.value.detail) < 200


# In a file null stands for what is left out.
@pytest.mark.parametrize(("name", "sent", "where"), [one for one in WRONG if one[1] is not None])
def test_a_line_of_a_file_is_refused_with_the_same_words(
    monkeypatch: pytest.MonkeyPatch, name: str, sent: Any, where: str
) -> None:
    monkeypatch.setitem(COMMANDS, "Everything", Everything)
    line = {"command": "Everything", "actor": "ann", name: sent}
    (parsed,) = command_file.lines(BytesIO(json.dumps(line).encode()))
    with pytest.raises(Invalid) as api:
        read(Everything, {name: sent})
    with pytest.raises(Invalid) as file:
        command_file.parse(parsed)
    assert (file.value.code, file.value.attr) == (api.value.code, where)
    assert file.value.detail == f'"{where}": {api.value.detail}'


def test_what_is_left_out_has_the_defaults_of_the_dataclass() -> None:
    assert read(Everything, {}) == Everything()


@pytest.mark.parametrize(
    ("sent", "name", "read_as"),
    [
        ("number=7", "number", 7),
        ("fraction=1.5", "fraction", 1.5),
        ("truth=on", "truth", True),
        ("size=2", "size", Size.LARGE),
        ("colour=blue", "colour", Colour.BLUE),
        ("at=2026-01-31T12:00", "at", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("line.item=tea&line.quantity=2", "line", Line(item="tea", quantity=2)),
        ("lines[0]item=tea&lines[0]quantity=2", "lines", [Line(item="tea", quantity=2)]),
        (f"ids={ID}&ids={ID}", "ids", [UUID(ID), UUID(ID)]),
        ("prices.tea=2.50", "prices", {"tea": Decimal("2.50")}),
    ],
)
def test_in_a_form_all_is_text(sent: str, name: str, read_as: Any) -> None:
    serializer = input_serializer(Everything)(data=QueryDict(sent))
    assert serializer.is_valid(), serializer.errors
    assert getattr(serializer.validated_data, name) == read_as


IN_A_FORM = [
    "number=7.5", "fraction=nan", "fraction=1e5", "size=3", "truth=x", "text=a&text=b", "text.a=b",
    "line.item=tea&line.quantity=x", "line.item=tea&line.quantity=2&line.price=1", "line=tea",
    "lines[0]item=tea", "lines[0]item=tea&lines[0]quantity=2&lines[0]more=1", "lines[x]item=tea",
    "ids=5", "prices.tea=x", "lines=tea", "no[0]item=tea",
]  # fmt: skip


@pytest.mark.parametrize("sent", IN_A_FORM)
def test_in_a_form_too_not_any_text_will_do(sent: str) -> None:
    assert not input_serializer(Everything)(data=QueryDict(sent)).is_valid()


@pytest.mark.parametrize("data", [{"number": 1}, QueryDict("number=1")], ids=["json", "form"])
def test_to_read_a_message_a_request_makes_no_fields(data: Any) -> None:
    serializer = input_serializer(Everything)(data=data)
    assert serializer.is_valid()
    assert "fields" not in vars(serializer)


def test_threads_that_read_at_once_do_not_see_what_the_others_read() -> None:
    def refused_at(number: int) -> dict[str, Any]:
        lines = [{"item": "tea", "quantity": one} for one in range(number)]
        serializer = input_serializer(Everything)(data={"lines": [*lines, {"item": number}]})
        serializer.is_valid()
        return serializer.errors

    alone = {number: refused_at(number) for number in range(40)}
    with ThreadPoolExecutor(8) as pool:
        for number, found in zip(alone, pool.map(refused_at, alone), strict=True):
            assert found == alone[number]
    assert len({json.dumps(found) for found in alone.values()}) == 40
