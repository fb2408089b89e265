"""What happens to an order."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from messaging import event, upcaster


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """So many of one item."""

    sku: str
    quantity: int


@upcaster("orders.order_placed.v1", "orders.order_placed.v2")
def with_pieces(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "pieces": sum(line["quantity"] for line in data["lines"])}


@event("orders.order_placed.v2", stream="order", id_field="order_id", usernames=("customer",))
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPlaced:
    """A customer ordered something."""

    order_id: UUID
    customer: str
    lines: list[Line]
    pieces: int


@event("orders.order_paid.v1", stream="order", id_field="order_id")
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPaid:
    """The till took the money."""

    order_id: UUID
    cents: int


@event("orders.order_cancelled.v1", stream="order", id_field="order_id")
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCancelled:
    """The customer took the order back."""

    order_id: UUID


OrderEvent = OrderPlaced | OrderPaid | OrderCancelled
