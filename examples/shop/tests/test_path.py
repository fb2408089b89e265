"""From a command to what people see."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.utils.timezone import now

from messaging.testing import deliver_all


def lines(sku, quantity=1):
    return {"lines": [{"sku": sku, "quantity": quantity}]}


def test_customers_see_their_own_orders_and_nobody_elses(of, ann, bob, tea, memory_bus):
    placed = of(ann).command("place-order", lines(tea, 2))
    assert placed.status_code == 201
    deliver_all()
    (order,) = of(ann).query("find-my-orders").json()["results"]
    assert order["order_id"] == placed.json()["order_id"]
    assert (order["what"], order["pieces"], order["state"]) == ("2 tea-100", 2, "placed")
    assert of(bob).query("find-my-orders").json()["results"] == []


def test_a_token_shows_ones_own_change_or_says_that_it_cannot(of, ann, tea, memory_bus):
    token = of(ann).command("place-order", lines(tea)).json()["consistency_token"]
    asked = of(ann).query("find-my-orders", consistency_token=token)
    assert (asked.status_code, asked.json()["errors"][0]["code"]) == (503, "read_side_behind")
    deliver_all()
    asked = of(ann).query("find-my-orders", consistency_token=token)
    assert len(asked.json()["results"]) == 1


def test_what_is_sold_out_is_not_sold_and_leaves_no_order(of, ann, tea, stored):
    before = stored()
    refused = of(ann).command("place-order", lines(tea, 4))
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (409, "out_of_stock")
    assert stored() == before


def test_an_order_of_which_one_item_is_missing_reserves_none(of, ann, tea, stored):
    before = stored()
    body = {"lines": [{"sku": tea, "quantity": 1}, {"sku": "zinc-1", "quantity": 1}]}
    refused = of(ann).command("place-order", body)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (404, "item_not_found")
    assert stored() == before


def test_what_an_order_had_reserved_is_sold_again_when_it_is_taken_back(of, ann, bob, tea):
    order_id = of(ann).command("place-order", lines(tea, 3)).json()["order_id"]
    assert of(bob).command("place-order", lines(tea)).status_code == 409
    assert of(ann).command("cancel-order", {"order_id": order_id}).status_code == 200
    assert of(bob).command("place-order", lines(tea)).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_of_customers_who_come_at_once_none_buys_what_is_sold(of, ann, tea, stored):
    def order(_):
        try:
            return of(ann).command("place-order", lines(tea)).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as customers:
        answers = sorted(customers.map(order, range(8)))
    assert answers == [201] * 3 + [409] * 5
    assert stored()[0] == 1 + 3 * 2, "of each order its own event and a reservation"


def test_the_revenue_of_a_day_counts_each_paid_order_once(of, ann, till, tea, memory_bus):
    for cents in (1_200, 350):
        order_id = of(ann).command("place-order", lines(tea)).json()["order_id"]
        for _ in range(2):
            of(till).command("pay-order", {"order_id": order_id, "cents": cents})
    deliver_all()
    assert of(till).query("find-revenue").json()["results"] == [
        {"day": now().date().isoformat(), "cents": 1_550, "orders": 2}
    ]
