from messaging import Appended, Repository, UnitOfWork, handles

from .messages import OrderPlaced, PlaceOrder


def evolve(state: str | None, event: OrderPlaced) -> str:
    return event.item


orders = Repository("order", evolve, str, schema=1)


@handles(PlaceOrder, creates=True)
def place_order(command: PlaceOrder, uow: UnitOfWork) -> Appended:
    order = orders.new(uow)
    event = OrderPlaced(order_id=order.stream_id, item=command.item)
    return orders.save(uow, order, [event])
