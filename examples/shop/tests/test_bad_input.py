"""Whatever is wrong is refused with a code, and nothing is stored."""

import json
from uuid import UUID

import pytest

from messaging import Context, Invalid, send
from stock.commands import ReceiveStock
from stock.handlers import items

LINE = {"sku": "tea-100", "quantity": 1}
NOBODYS = str(UUID(int=7))
HUGE = 10**30

ORDERS = [  # what is sent as place-order, status, code
    (None, 400, "parse_error"),
    ([], 400, "parse_error"),
    ({}, 400, "required"),
    ({"lines": None}, 400, "null"),
    ({"lines": "tea-100"}, 400, "not_a_list"),
    ({"lines": {}}, 400, "not_a_list"),
    ({"lines": []}, 400, "invalid"),
    ({"lines": [LINE] * 2}, 400, "invalid"),
    ({"lines": [{**LINE, "sku": f"tea-{n}"} for n in range(101)]}, 400, "invalid"),
    ({"lines": [None]}, 400, "null"),
    ({"lines": ["tea-100"]}, 400, "invalid"),
    ({"lines": [{"sku": "tea-100"}]}, 400, "required"),
    ({"lines": [{**LINE, "sku": 1}]}, 400, "invalid"),
    ({"lines": [{**LINE, "sku": None}]}, 400, "null"),
    ({"lines": [{**LINE, "sku": ""}]}, 400, "invalid_key"),
    ({"lines": [{**LINE, "sku": "x" * 500}]}, 400, "invalid_key"),
    ({"lines": [{**LINE, "sku": "tea\x00"}]}, 400, "null_characters_not_allowed"),
    ({"lines": [{**LINE, "sku": "tea-7"}]}, 404, "item_not_found"),
    ({"lines": [{**LINE, "sku": "TEA-100"}]}, 404, "item_not_found"),
    ({"lines": [{**LINE, "quantity": "1"}]}, 400, "invalid"),
    ({"lines": [{**LINE, "quantity": 1.0}]}, 400, "invalid"),
    ({"lines": [{**LINE, "quantity": True}]}, 400, "invalid"),
    ({"lines": [{**LINE, "quantity": None}]}, 400, "null"),
    ({"lines": [{**LINE, "quantity": 0}]}, 400, "invalid"),
    ({"lines": [{**LINE, "quantity": -1}]}, 400, "invalid"),
    ({"lines": [{**LINE, "quantity": HUGE}]}, 400, "max_value"),
    ({"lines": [{**LINE, "colour": "red"}]}, 400, "unknown_field"),
    ({"lines": [LINE], "colour": "red"}, 400, "unknown_field"),
    ({"lines": [LINE], "customer": "bob@shop.example"}, 400, "unknown_field"),
    ({"lines": [LINE], "order_id": "1"}, 400, "invalid"),
    ({"lines": [LINE], "order_id": 1}, 400, "invalid"),
    ({"lines": [LINE], "order_id": [NOBODYS]}, 400, "invalid"),
]
PAYMENTS = [  # what is sent as pay-order
    ({"order_id": NOBODYS, "cents": 1}, 404, "order_not_found"),
    ({"order_id": NOBODYS, "cents": "1"}, 400, "invalid"),
    ({"order_id": NOBODYS, "cents": HUGE}, 400, "max_value"),
    ({"cents": 1}, 400, "required"),
]


def code_of(answer):
    return answer.json()["errors"][0]["code"]


@pytest.mark.parametrize(("body", "status", "code"), ORDERS)
def test_an_order_that_cannot_be(of, ann, tea, stored, body, status, code):
    before = stored()
    answer = of(ann).command("place-order", body)
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert stored() == before


@pytest.mark.parametrize(("body", "status", "code"), PAYMENTS)
def test_a_payment_that_cannot_be(of, till, stored, body, status, code):
    answer = of(till).command("pay-order", body)
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert stored() == (0, 0)


@pytest.mark.parametrize(
    ("text", "kind", "status", "code"),
    [
        ('{"lines": [', "application/json", 400, "parse_error"),
        ('{"lines": [], "lines": []}', "application/json", 400, "parse_error"),
        ('{"lines": NaN}', "application/json", 400, "parse_error"),
        ("[" * 10_000, "application/json", 400, "parse_error"),
        ("\xff", "application/json", 400, "parse_error"),
        ("<lines/>", "application/xml", 415, "unsupported_media_type"),
    ],
)
def test_a_body_that_cannot_be(of, ann, stored, text, kind, status, code):
    answer = of(ann).post("/api/commands/place-order/", text.encode("latin-1"), kind)
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert stored() == (0, 0)


def test_the_id_of_another_aggregate(of, ann, till, tea, stored):
    before = stored()
    items_id = str(items.stream_id_of(tea))
    taken = of(ann).command("place-order", {"lines": [LINE], "order_id": items_id})
    paid = of(till).command("pay-order", {"order_id": items_id, "cents": 1})
    cancelled = of(ann).command("cancel-order", {"order_id": items_id})
    assert [(one.status_code, code_of(one)) for one in (taken, paid, cancelled)] == [
        (409, "id_taken"),
        (404, "order_not_found"),
        (404, "order_not_found"),
    ]
    assert stored() == before


def test_an_order_of_somebody_else(of, ann, bob, tea, stored):
    order_id = of(ann).command("place-order", {"lines": [LINE]}).json()["order_id"]
    before = stored()
    answer = of(bob).command("cancel-order", {"order_id": order_id})
    assert (answer.status_code, code_of(answer)) == (403, "not_customer")
    assert stored() == before


def test_who_may_not(of, ann, stored):
    assert of().command("place-order", {"lines": [LINE]}).status_code in (401, 403)
    assert of(ann).command("receive-stock", {"sku": "tea-100", "quantity": 1}).status_code == 403
    assert of(ann).command("pay-order", {"order_id": NOBODYS, "cents": 1}).status_code == 403
    assert of(ann).query("find-revenue").status_code == 403
    assert of().query("find-my-orders").status_code in (401, 403)
    assert stored() == (0, 0)


def test_an_actor_whose_name_is_too_long(till, stored):
    with pytest.raises(Invalid) as refused:
        send(
            ReceiveStock(sku="tea-100", quantity=1),
            Context(actor="x" * 255, asker=till),
        )
    assert (refused.value.status, refused.value.code) == (400, "invalid_actor")
    assert stored() == (0, 0)


def test_a_token_that_was_made_by_hand(of, ann, till, tea, stored):
    token = of(ann).command("place-order", {"lines": [LINE]}).json()["consistency_token"]
    others = of(till).command("receive-stock", {"sku": tea, "quantity": 1})
    signature = token.rpartition(":")[2]
    forged = f"{others.json()['consistency_token'].rpartition(':')[0]}:{signature}"
    for wrong in (forged, token + "x", "x", "", token.upper()):
        answer = of(ann).query("find-my-orders", consistency_token=wrong)
        assert (answer.status_code, code_of(answer)) == (400, "invalid_token"), wrong


def test_the_token_of_another_aggregate_is_nothing_to_wait_for(of, ann, till, stored):
    received = of(till).command("receive-stock", {"sku": "tea-100", "quantity": 1}).json()
    answer = of(ann).query("find-my-orders", consistency_token=received["consistency_token"])
    assert (answer.status_code, answer.json()["results"]) == (200, [])


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"page_size": 0}, "min_value"),
        ({"page_size": 101}, "max_value"),
        ({"page_size": "many"}, "invalid"),
        ({"cursor": "x"}, "invalid_cursor"),
        ({"customer": "bob@shop.example"}, "unknown_field"),
    ],
)
def test_a_question_that_cannot_be(of, ann, stored, parameters, code):
    answer = of(ann).query("find-my-orders", **parameters)
    assert (answer.status_code, code_of(answer)) == (400, code)


def test_the_cursor_of_another_list(of, ann, till, tea, memory_bus):
    by_day = json.dumps([False, "2026-11-28"]).encode().hex()
    answer = of(ann).query("find-my-orders", cursor=by_day)
    assert (answer.status_code, code_of(answer)) == (400, "invalid_cursor")
