"""What happens to an item of the stock."""

from dataclasses import dataclass
from uuid import UUID

from messaging import event


@event("stock.item_received.v1", stream="stock_item")
@dataclass(frozen=True, slots=True, kw_only=True)
class ItemReceived:
    """So many of an item came in."""

    sku: str
    quantity: int


@event("stock.item_reserved.v1", stream="stock_item")
@dataclass(frozen=True, slots=True, kw_only=True)
class ItemReserved:
    """So many were set aside for an order."""

    sku: str
    order_id: UUID
    quantity: int


@event("stock.item_released.v1", stream="stock_item")
@dataclass(frozen=True, slots=True, kw_only=True)
class ItemReleased:
    """What was set aside for an order is for sale again."""

    sku: str
    order_id: UUID
    quantity: int


StockEvent = ItemReceived | ItemReserved | ItemReleased
