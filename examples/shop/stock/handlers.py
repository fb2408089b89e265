"""Load, decide, save. The rules are in item.py."""

from uuid import UUID

from messaging import Appended, Repository, UnitOfWork, handles

from . import item
from .commands import ReceiveStock
from .events import StockEvent
from .item import Item, evolve

items: Repository[Item, StockEvent] = Repository("stock_item", evolve, Item, schema=1, id_of=str)


@handles(ReceiveStock)
def receive_stock(command: ReceiveStock, uow: UnitOfWork) -> Appended:
    found = items.load(uow, command.sku)
    return items.save(uow, found, item.receive(found.state, command.sku, command.quantity))


def reserve(uow: UnitOfWork, sku: str, order_id: UUID, quantity: int) -> None:
    found = items.load(uow, sku)
    items.save(uow, found, item.reserve(found.state, order_id, quantity))


def release(uow: UnitOfWork, sku: str, order_id: UUID, quantity: int) -> None:
    found = items.load(uow, sku)
    items.save(uow, found, item.release(found.state, order_id, quantity))
