"""Which messages the API can offer, and that `manage.py check` names the others with the cure."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIRequestFactory

from messaging import Page, Query, anyone, mediator, message
from messaging.api.component_names import component_name
from messaging.api.constraints import add_domain_constraints
from messaging.api.openapi import summary
from messaging.api.routes import kebab, routes
from messaging.api.views import command_view, query_view
from messaging.message import COMMANDS, QUERIES
from messaging.message_checks import the_api_can_offer_every_message


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderView:
    item: str
    price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class FindOrders(Query[list[OrderView]]):
    """All orders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindBare(Query):  # type: ignore[type-arg]
    """A query that does not say what answers it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseShop:
    """A command that needs no word more."""


def unannotated(*arguments):  # type: ignore[no-untyped-def]
    return [TEA]


TEA = OrderView(item="tea", price=Decimal("9.90"))
Answer = Callable[[type, Any], type]


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> Answer:
    def register(query_type: type, handler: Any) -> type:
        monkeypatch.setitem(QUERIES, query_type.__name__, query_type)
        monkeypatch.setitem(message._WHO, query_type, anyone)
        monkeypatch.setitem(mediator._query_handlers, query_type, handler)
        return query_type

    return register


def faults() -> list[str]:
    return [f"{one.id} {one.msg}" for one in the_api_can_offer_every_message()]


def names() -> set[str]:
    return {str(one.pattern) for one in routes()}


def schema() -> dict[str, Any]:
    found: dict[str, Any] = SchemaGenerator(patterns=routes()).get_schema(None, public=True)
    return add_domain_constraints(found, None, None, True)


def test_what_the_site_has_can_all_be_offered() -> None:
    assert faults() == []


def test_a_query_without_fields_and_with_a_list_as_answer_is_an_endpoint(answered: Answer) -> None:
    answered(FindOrders, unannotated)  # and no annotation
    assert faults() == []
    assert "queries/find-orders/" in names()
    response = query_view(FindOrders).as_view()(APIRequestFactory().get("/"))
    assert response.status_code == 200
    response.accepted_renderer.render(response.data)
    assert response.render().content == b'[{"item":"tea","price":"9.90"}]'


def test_the_document_shows_the_list(answered: Answer) -> None:
    answered(FindOrders, unannotated)
    (get,) = (path["get"] for name, path in schema()["paths"].items() if "find-orders" in name)
    answer = get["responses"]["200"]["content"]["application/json"]
    assert answer["schema"]["type"] == "array"
    assert answer["schema"]["items"]["$ref"].endswith("/OrderView")
    (example,) = answer["examples"].values()
    assert example["value"] == [{"item": "item", "price": "9.90"}]


def test_a_command_without_fields_is_an_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "CloseShop", CloseShop)
    monkeypatch.setitem(message._WHO, CloseShop, anyone)
    monkeypatch.setitem(mediator._command_handlers, CloseShop, unannotated)
    assert faults() == []
    assert "commands/close-shop/" in names()
    assert any("close-shop" in name for name in schema()["paths"])
    serializer = command_view(CloseShop).serializer_class(data={})
    assert serializer.is_valid()
    assert serializer.validated_data == CloseShop()
    assert not command_view(CloseShop).serializer_class(data={"now": True}).is_valid()


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """So many of an item."""

    item: str = field(metadata={"schema": {"maxLength": 20}})
    price: OrderView | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceOrder:
    """Order some things."""

    lines: list[Line]
    named: dict[str, Line] = field(default_factory=dict)


def test_the_document_says_of_dataclasses_within_what_it_says_of_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(COMMANDS, "PlaceOrder", PlaceOrder)
    monkeypatch.setitem(message._WHO, PlaceOrder, anyone)
    monkeypatch.setitem(mediator._command_handlers, PlaceOrder, unannotated)
    schemas = schema()["components"]["schemas"]
    for name in ("PlaceOrder", "Line", "OrderView"):
        assert schemas[name]["additionalProperties"] is False
    assert schemas["Line"]["description"] == "So many of an item."
    assert schemas["Line"]["properties"]["item"] == {"type": "string", "maxLength": 20}


def another_line() -> type:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Line:
        """Another line."""

        price: int = 0

    Line.__module__ = "shop.prices"
    return Line


def test_two_dataclasses_of_one_name_are_two_schemas(monkeypatch: pytest.MonkeyPatch) -> None:
    other = another_line()

    @dataclass(frozen=True, slots=True, kw_only=True)
    class PriceLines:
        """Price some lines. Or none."""

        lines: list[other] = field(default_factory=list)  # type: ignore[valid-type]

    for one in (PlaceOrder, PriceLines):
        monkeypatch.setitem(COMMANDS, one.__name__, one)
        monkeypatch.setitem(message._WHO, one, anyone)
        monkeypatch.setitem(mediator._command_handlers, one, unannotated)
    schemas = schema()["components"]["schemas"]
    names = [component_name(Line), component_name(other)]
    assert names == ["TestsUnitTest_Offered_MessagesLine", "ShopPricesLine"]
    assert [set(schemas[name]["properties"]) for name in names] == [{"item", "price"}, {"price"}]
    assert schemas[names[0]]["description"] == "So many of an item."
    assert schemas[names[1]]["properties"]["price"]["type"] == "integer"
    assert "Line" not in schemas
    assert component_name(PlaceOrder) == "PlaceOrder"
    assert summary(PriceLines) == "Price some lines."


def to_a_page(query: FindBare) -> Page[OrderView]:
    raise NotImplementedError


def to_a_number(query: FindBare) -> int:
    return 1


def to_nothing_known(query: FindBare) -> "NoSuchView":  # type: ignore[name-defined]  # noqa: F821
    return None


def test_a_query_may_leave_it_to_its_handler_to_say_what_answers_it(answered: Answer) -> None:
    answered(FindBare, to_a_page)
    assert faults() == []
    assert mediator.answer_of(FindBare) == Page[OrderView]


def to_a_list(query: FindBare) -> list:  # type: ignore[type-arg]
    return []


def to_one_or_none(query: FindBare) -> OrderView | None:
    return None


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        (to_a_number, "it is answered by <class 'int'>"),
        (to_a_list, "it is answered by <class 'list'>"),
        (to_one_or_none, f"it is answered by {OrderView | None}"),
        (to_nothing_known, "nothing says what answers it"),
        (unannotated, "nothing says what answers it"),
    ],
)
def test_a_query_whose_answer_has_no_form_is_named_and_not_offered(
    answered: Answer, handler: Any, said: str
) -> None:
    answered(FindBare, handler)
    assert faults() == [f"postlog.E009 The API cannot offer FindBare: {said}."]
    (error,) = the_api_can_offer_every_message()
    assert "class FindOrder(Query[OrderView])" in str(error.hint)
    assert "queries/find-bare/" not in names()


@dataclass(frozen=True, slots=True, kw_only=True)
class WithAnything:
    thing: object


@dataclass(frozen=True, slots=True, kw_only=True)
class WithinAnother:
    things: list[WithAnything]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfNoType:
    thing: "NoSuchType"  # type: ignore[name-defined]  # noqa: F821


@dataclass(frozen=True, slots=True, kw_only=True)
class OfItself:
    more: "list[OfItself]"


@pytest.mark.parametrize(
    ("command_type", "said"),
    [
        (WithAnything, "not supported for field 'thing' on 'WithAnything'"),
        (WithinAnother, "not supported for field 'thing' on 'WithAnything'"),
        (OfNoType, "an annotation cannot be resolved: name 'NoSuchType' is not defined."),
        (OfItself, "a dataclass in it holds itself."),
    ],
)
def test_a_field_that_json_cannot_tell_is_named_and_its_command_not_offered(
    monkeypatch: pytest.MonkeyPatch, command_type: type, said: str
) -> None:
    monkeypatch.setitem(COMMANDS, command_type.__name__, command_type)
    monkeypatch.setitem(mediator._command_handlers, command_type, unannotated)
    (fault,) = faults()
    assert fault.startswith(f"postlog.E009 The API cannot offer {command_type.__name__}: ")
    assert said in fault
    assert f"commands/{kebab(command_type.__name__)}/" not in names()
