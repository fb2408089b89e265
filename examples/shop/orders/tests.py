from uuid import UUID

from messaging.testing import given

from .events import Line, OrderPaid, OrderPlaced
from .order import cancel, evolve, pay, place

ORDER = UUID(int=1)
TEA = [Line(sku="tea-100", quantity=2)]
PLACED = OrderPlaced(order_id=ORDER, customer="ann", lines=TEA, pieces=2)
PAID = OrderPaid(order_id=ORDER, cents=1_200)


def test_an_order_is_placed_once():
    given(evolve=evolve).when(place, ORDER, "ann", TEA).then(PLACED)
    given(PLACED, evolve=evolve).when(place, ORDER, "ann", TEA).refused("order_exists")


def test_an_order_is_paid_once():
    given(PLACED, evolve=evolve).when(pay, ORDER, 1_200).then(PAID)
    given(PLACED, PAID, evolve=evolve).when(pay, ORDER, 1_200).then()


def test_only_its_customer_takes_an_order_back():
    given(PLACED, evolve=evolve).when(cancel, ORDER, "bob").refused("not_customer")
