"""An item of the stock: its state, its rules and its decisions."""

import re
from dataclasses import dataclass
from uuid import UUID

from messaging import DomainError, Invalid, NotFound

from .events import ItemReceived, ItemReleased, ItemReserved, StockEvent

SKU = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
MAX_SKU = 40
MAX_QUANTITY = 1_000_000


@dataclass(slots=True, kw_only=True)
class Item:
    """What the decisions need to know about an item."""

    sku: str
    free: int = 0  # not set aside


def evolve(item: Item | None, event: StockEvent) -> Item:
    """Return the item after an event."""
    item = item or Item(sku=event.sku)
    item.free += -event.quantity if isinstance(event, ItemReserved) else event.quantity
    return item


def receive(item: Item | None, sku: str, quantity: int) -> list[StockEvent]:
    if len(sku) > MAX_SKU or not SKU.fullmatch(sku):
        raise Invalid("invalid", "An SKU looks like tea-100.", "sku")
    free = 0 if item is None else item.free
    if not 1 <= quantity <= MAX_QUANTITY - free:
        raise Invalid("invalid", f"There are 1 to {MAX_QUANTITY} of an item.", "quantity")
    return [ItemReceived(sku=sku, quantity=quantity)]


def reserve(item: Item | None, order_id: UUID, quantity: int) -> list[StockEvent]:
    if item is None:
        raise NotFound("item_not_found", "There is no such item.", "lines")
    if quantity > item.free:
        raise DomainError("out_of_stock", f"There are {item.free} of {item.sku}.", "lines")
    return [ItemReserved(sku=item.sku, order_id=order_id, quantity=quantity)]


def release(item: Item | None, order_id: UUID, quantity: int) -> list[StockEvent]:
    if item is None:
        return []  # ordered before there was a stock: nothing was set aside
    return [ItemReleased(sku=item.sku, order_id=order_id, quantity=quantity)]
