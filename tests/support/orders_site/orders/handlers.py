from messaging.eventstore.repository import Repository
from messaging.eventstore.unit_of_work import UnitOfWork
from messaging.mediator import handles
from messaging.message import Result

from .messages import OrderPlaced, PlaceOrder


def evolve(state: str | None, event: OrderPlaced) -> str:
    return event.item


orders = Repository("order", evolve, str, schema=1)


@handles(PlaceOrder)
def place_order(command: PlaceOrder, unit: UnitOfWork) -> Result:
    order = orders.new(unit.new_id())
    events = [OrderPlaced(order_id=order.stream_id, item=command.item)]
    return orders.save(unit, order, events, ids={"order_id": order.stream_id}, created=True)
