"""How the events of orders change the totals."""

from datetime import date

from messaging import Envelope, Projection, Rows
from orders.events import OrderPaid

from .models import Revenue

revenue = Projection("revenue", of="order", models=[Revenue], single_owner=True)


def its_day(event: OrderPaid, envelope: Envelope) -> list[tuple[type[Revenue], date]]:
    return [(Revenue, envelope.recorded_at.date())]


@revenue.on(OrderPaid, rows=its_day)
def order_paid(event: OrderPaid, rows: Rows) -> None:
    day = rows.envelope.recorded_at.date()
    total = rows.get(Revenue, day) or rows.add(Revenue(day=day))
    total.cents += event.cents
    total.orders += 1
