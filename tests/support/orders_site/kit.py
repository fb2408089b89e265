"""Tests of orders with the testing kit, as docs/testing.md has them."""

from uuid import uuid4

import pytest
from orders.messages import OrderPlaced, PlaceOrder
from orders.models import Order
from orders.order import place
from orders.projections import orders

from messaging import Context, live, send
from messaging.testing import deliver_all, given, project
from messaging.testing.store_contract import StoreContract

ORDER = uuid4()
PLACED = OrderPlaced(order_id=ORDER, item="tea")


def test_an_order_is_placed_once():
    given().when(place, ORDER, "tea").then(PLACED)
    given(PLACED).when(place, ORDER, "tea").refused("order_exists")


def test_an_order_says_what_was_ordered():
    assert project(orders, PLACED).get(Order).item == "tea"


@pytest.mark.django_db(databases=["default", "read"])
def test_an_order_is_shown(memory_bus):
    order_id = send(PlaceOrder(item="tea"), Context(actor="ann")).stream_id
    deliver_all()
    assert live(orders, Order).get(stream_id=order_id).item == "tea"


@pytest.mark.django_db(transaction=True, databases=["default", "read"])
class TestOurDatabase(StoreContract):
    pass
