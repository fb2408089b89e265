"""What the two sides of orders say to each other."""

from dataclasses import dataclass
from uuid import UUID

from messaging import command, event


@command
@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceOrder:
    """Order an item."""

    item: str


@event("orders.order_placed.v1", stream="order", id_field="order_id")
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPlaced:
    """An item was ordered."""

    order_id: UUID
    item: str
