"""How the events of orders change the read models."""

from messaging import Projection, Rows

from .events import OrderCancelled, OrderPaid, OrderPlaced
from .models import Order

orders = Projection("orders", of="order", models=[Order], version=2)


@orders.on(OrderPlaced)
def order_placed(order: Order, event: OrderPlaced, rows: Rows) -> None:
    order.customer = event.customer
    order.what = ", ".join(f"{line.quantity} {line.sku}" for line in event.lines)
    order.pieces = event.pieces
    order.placed_at = rows.envelope.recorded_at


@orders.on(OrderPaid)
def order_paid(order: Order, event: OrderPaid, rows: Rows) -> None:
    order.state = "paid"


@orders.on(OrderCancelled)
def order_cancelled(order: Order, event: OrderCancelled, rows: Rows) -> None:
    order.state = "cancelled"
