from messaging import Projection, Rows

from .messages import OrderPlaced
from .models import Order

orders = Projection("orders", of="order", models=[Order])


@orders.on(OrderPlaced)
def order_placed(order: Order, event: OrderPlaced, rows: Rows) -> None:
    order.item = event.item
