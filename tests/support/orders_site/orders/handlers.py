from messaging import Appended, Repository, UnitOfWork, handles

from .messages import PlaceOrder
from .order import evolve, place

orders = Repository("order", evolve, str, schema=1)


@handles(PlaceOrder, creates=True)
def place_order(command: PlaceOrder, uow: UnitOfWork) -> Appended:
    order = orders.new(uow)
    return orders.save(uow, order, place(order.state, order.stream_id, command.item))
