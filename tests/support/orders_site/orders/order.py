"""The decisions about an order."""

from uuid import UUID

from messaging import DomainError

from .messages import OrderPlaced


def evolve(item: str | None, event: OrderPlaced) -> str:
    return event.item


def place(item: str | None, order_id: UUID, wanted: str) -> list[OrderPlaced]:
    if item is not None:
        raise DomainError("order_exists", "There is an order with this id already.")
    return [OrderPlaced(order_id=order_id, item=wanted)]
