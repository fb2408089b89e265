"""One function a command: load, decide, save. The rules are in order.py."""

from messaging import Appended, Repository, UnitOfWork, handles
from stock.handlers import release, reserve

from . import order
from .commands import CancelOrder, PayOrder, PlaceOrder
from .events import OrderEvent
from .order import Order, evolve

orders: Repository[Order, OrderEvent] = Repository("order", evolve, Order, schema=1)


@handles(PlaceOrder, creates=True)
def place_order(command: PlaceOrder, uow: UnitOfWork) -> Appended:
    found = orders.new(uow) if command.order_id is None else orders.load(uow, command.order_id)
    events = order.place(found.state, found.stream_id, uow.actor, command.lines)
    for line in sorted(command.lines, key=lambda line: line.sku):
        reserve(uow, line.sku, found.stream_id, line.quantity)
    return orders.save(uow, found, events)


@handles(PayOrder)
def pay_order(command: PayOrder, uow: UnitOfWork) -> Appended:
    found = orders.load(uow, command.order_id)
    return orders.save(uow, found, order.pay(found.state, command.order_id, command.cents))


@handles(CancelOrder)
def cancel_order(command: CancelOrder, uow: UnitOfWork) -> Appended:
    found = orders.load(uow, command.order_id)
    events = order.cancel(found.state, command.order_id, uow.actor)
    if events and found.state is not None:
        for line in sorted(found.state.lines, key=lambda line: line.sku):
            release(uow, line.sku, found.stream_id, line.quantity)
    return orders.save(uow, found, events)
