"""Bad input to a domain that is not the site's: a 4xx with a code, and nothing is stored."""

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any
from uuid import UUID

import pytest
from rest_framework.test import APIRequestFactory, force_authenticate

from accounts.models import User
from messaging.api.views import command_view
from messaging.eventstore.models import Event, Receipt, Stream
from tests.support.api import HTML, Api, errors
from tests.support.modes import Mode
from tests.support.shop import PlaceOrder, shop

ORDER, ITEM = str(UUID(int=1, version=4)), str(UUID(int=2, version=4))
PLACED: dict[str, Any] = {
    "lines": [{"item": "tea", "quantity": 2, "price": "9.90", "wrapping": {"colour": "red"}}]
}
# Where in the body of a good order -> (code of the error, what stands there instead). The error
# names the same place, or what the third says.
WRONG: dict[str, list[tuple[Any, ...]]] = {
    "order_id": [("invalid", 5), ("invalid", ""), ("invalid", "x"), ("invalid", True),
                 ("invalid", []), ("invalid", {"id": ITEM}), ("invalid", ITEM.replace("-", "")),
                 ("invalid", f"{{{ITEM}}}"), ("invalid", "\uff11" + ITEM[1:])],
    "lines": [("null", None), ("not_a_list", "tea"), ("not_a_list", {"item": "tea"}),
              ("not_a_list", 5), ("invalid", ["tea"], "lines.0.non_field_errors"),
              ("invalid", [[]], "lines.0.non_field_errors"),
              ("required", [{"quantity": 1}], "lines.0.item")],
    "lines.0.item": [("invalid", 5), ("invalid", True), ("invalid", ["tea"]), ("null", None),
                     ("null_characters_not_allowed", "a\0b"),
                     ("surrogate_characters_not_allowed", "\ud800")],
    "lines.0.quantity": [("invalid", "2"), ("invalid", 2.0), ("invalid", True), ("null", None),
                         ("max_value", 2**31), ("min_value", -(2**40)), ("max_value", 10**300)],
    "lines.0.price": [("invalid", 9.9), ("invalid", 9), ("invalid", "1e400"), ("invalid", "1e3"),
                      ("invalid", "NaN"), ("invalid", "Infinity"), ("invalid", ""),
                      ("invalid", " 1"), ("invalid", "9" * 101), ("invalid", []), ("null", None)],
    "lines.0.more": [("unknown_field", 1)],
    "lines.0.wrapping": [("invalid", "red", "lines.0.wrapping.non_field_errors"),
                         ("invalid", [], "lines.0.wrapping.non_field_errors"),
                         ("required", {}, "lines.0.wrapping.colour")],
    "lines.0.wrapping.colour": [("invalid", 5), ("null", None)],
    "lines.0.wrapping.ribbon": [("invalid", "yes"), ("invalid", 1), ("null", None)],
    "lines.0.wrapping.more": [("unknown_field", {"deeper": 1})],
    "day": [("invalid", "2026-02-30"), ("invalid", 20260131), ("invalid", "31.01.2026"),
            ("invalid", "2026-01-31T00:00:00Z"), ("invalid", ["2026-01-31"])],
    "at": [("invalid", "2026-01-31"), ("invalid", "2026-01-31T12:00:00"), ("invalid", 1769860800),
           ("invalid", "0001-01-01T00:00:00+14:00"), ("invalid", "2026-01-31T25:00:00Z")],
    "shipping": [("invalid_choice", "SLOW"), ("invalid_choice", 1), ("null", None),
                 ("invalid_choice", ["fast"]), ("invalid_choice", {"value": "fast"})],
    "gift": [("invalid", 1), ("invalid", "true"), ("null", None), ("invalid", [])],
    "note": [("invalid", 5), ("null", None), ("invalid", {})],
    "discount": [("invalid", "0.5"), ("invalid", True), ("invalid", 10**400), ("null", None)],
    "codes": [("not_a_dict", []), ("not_a_dict", "a"), ("invalid", {"a": "1"}, "codes.a"),
              ("max_value", {"a": 2**40}, "codes.a"), ("null", {"a": None}, "codes.a")],
    "more": [("unknown_field", None)],
    "__class__": [("unknown_field", "Order")],
}  # fmt: skip
CASES = [(place, *case) for place, cases in WRONG.items() for case in cases]
BODIES = [
    b"", b"[]", b"null", b"5", b'"tea"', b"{", b'{"lines": [], "lines": []}', b"\xff{}",
    b'{"lines": [{"item": "tea", "item": "tea", "quantity": 1}]}',
    b'{"lines": [{"item": "tea", "quantity": NaN}]}', b'{"discount": 1e400, "lines": []}',
    b'{"lines": ' + b"[" * 100_000,
    b'{"lines": ' + b'[{"wrapping": ' * 40 + b"null" + b"}]" * 40 + b"}",
]  # fmt: skip
QUERIES = [
    ("day=2026-02-30", "invalid", "day"), ("day=x", "invalid", "day"),
    ("above=1e400", "invalid", "above"), ("above=NaN", "invalid", "above"),
    ("above=1,5", "invalid", "above"), ("shipping=SLOW", "invalid_choice", "shipping"),
    ("gift=perhaps", "invalid", "gift"), ("order_id=5", "invalid", "order_id"),
    ("order_id=%00", "invalid", "order_id"), ("at_most=2.0", "invalid", "at_most"),
    ("at_most=99999999999", "max_value", "at_most"),
    ("at_most=1&at_most=2", "repeated_field", "at_most"),
    ("more=1", "unknown_field", "more"), ("day.year=2026", "unknown_field", "day.year"),
    ("order_id[0]=5", "unknown_field", "order_id[0]"),
    ("consistency_token=x", "invalid_token", "consistency_token"),
    ("consistency_token=", "invalid_token", "consistency_token"),
]  # fmt: skip


@pytest.fixture
def ann(database: Mode) -> Iterator[Api]:
    with shop():
        yield Api("ann")


def stored() -> tuple[int, int, int]:
    return Event.objects.count(), Stream.objects.count(), Receipt.objects.count()


def body_with(place: str, value: Any) -> str:
    """A good order but for what stands at one place."""
    body: Any = deepcopy(PLACED)
    *path, last = place.split(".")
    found = body
    for step in path:
        found = found[int(step)] if step.isdigit() else found[step]
    found[last] = value
    return json.dumps(body)


def refused(api: Api, address: str, body: str | bytes, mode: Mode) -> Any:
    before = stored()
    answer = api.post(address, body)
    assert stored() == before, body
    if mode.vendor == "sqlite":  # a browser gets a page with the same status
        assert api.post(address, body, accept=HTML).status_code == answer.status_code, body
        assert stored() == before, body
    return answer


def test_what_is_right_is_taken(ann: Api) -> None:
    assert ann.post("/api/place-order/", json.dumps(PLACED)).status_code == 201
    assert stored() == (1, 1, 0)


def test_a_value_of_a_wrong_type_is_refused_by_its_place(ann: Api, database: Mode) -> None:
    came = {}
    for place, _, value, *_ in CASES:
        answer = refused(ann, "/api/place-order/", body_with(place, value), database)
        assert answer.status_code == 400, (place, value)
        came[place, repr(value)] = errors(answer)
    assert came == {
        (place, repr(value)): [(code, *(where or [place]))] for place, code, value, *where in CASES
    }


def test_a_body_that_is_none_is_refused(ann: Api, database: Mode) -> None:
    for body in BODIES:
        answer = refused(ann, "/api/place-order/", body, database)
        assert answer.status_code == 400, body[:60]
        assert errors(answer)


def test_a_query_with_a_wrong_value_is_refused_by_its_parameter(ann: Api) -> None:
    for sent, code, where in QUERIES:
        answer = ann.client.get(f"/api/find-orders/?{sent}")
        assert (answer.status_code, errors(answer)) == (400, [(code, where)]), sent


def test_the_id_of_another_aggregate_is_refused(ann: Api, database: Mode) -> None:
    ann.post("/api/place-order/", json.dumps({**PLACED, "order_id": ORDER}))
    ann.post("/api/count-stock/", json.dumps({"item_id": ITEM, "count": 5}))
    assert stored() == (2, 2, 0)
    for address, fields, status, code in (
        ("/api/cancel-order/", {"order_id": ITEM}, 404, "order_not_found"),
        ("/api/place-order/", {**PLACED, "order_id": ITEM}, 409, "id_taken"),
        ("/api/count-stock/", {"item_id": ORDER, "count": 1}, 409, "id_taken"),
    ):
        answer = refused(ann, address, json.dumps(fields), database)
        assert answer.status_code == status
        assert [found for found, _ in errors(answer)] == [code]


def test_a_token_that_is_put_together_is_refused(ann: Api) -> None:
    placed = ann.post("/api/place-order/", json.dumps(PLACED)).json()["consistency_token"]
    counted = ann.post("/api/count-stock/", json.dumps({"item_id": ITEM, "count": 5})).json()
    (said, signature), (other, others) = (
        token.rsplit(":", 1) for token in (placed, counted["consistency_token"])
    )
    for token in (
        f"{said}:{others}", f"{other}:{signature}", f"{said}{other}:{signature}",
        f"{said}:{other}:{others}", said, f"{said}:", f":{signature}", f"{said}0:{signature}",
    ):  # fmt: skip
        for asked in (
            ann.client.get("/api/find-orders/", {"consistency_token": token}),
            ann.client.get("/api/find-orders/", headers={"Consistency-Token": token}),
        ):
            assert asked.status_code == 400, token
            assert errors(asked) == [("invalid_token", "consistency_token")]


@pytest.mark.parametrize("name", ["x" * 300, "ann\n", "ann and bob", "\u202eann", "a\0b"])
def test_an_actor_that_cannot_be_is_refused(ann: Api, name: str) -> None:
    request = APIRequestFactory().post("/api/place-order/", PLACED, "json")
    force_authenticate(request, User(username=name))
    answer: Any = command_view(PlaceOrder).as_view()(request)
    assert answer.status_code == 400
    assert [one["code"] for one in answer.data["errors"]] == ["invalid_actor"]
    assert stored() == (0, 0, 0)
