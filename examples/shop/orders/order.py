"""An order: its state, its rules and its decisions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never
from uuid import UUID

from messaging import DomainError, Forbidden, Invalid, NotFound

from .events import Line, OrderCancelled, OrderEvent, OrderPaid, OrderPlaced

MAX_LINES = 100
MAX_QUANTITY = 1_000
MAX_CENTS = 10_000_000


@dataclass(slots=True, kw_only=True)
class Order:
    """What the decisions need to know about an order."""

    customer: str
    lines: list[Line]
    paid: bool = False
    cancelled: bool = False


def evolve(order: Order | None, event: OrderEvent) -> Order:
    """Return the order after an event."""
    if isinstance(event, OrderPlaced):
        return Order(customer=event.customer, lines=event.lines)
    assert order is not None, "the first event of an order is OrderPlaced"
    match event:
        case OrderPaid():
            order.paid = True
        case OrderCancelled():
            order.cancelled = True
        case _:
            assert_never(event)
    return order


def place(
    order: Order | None, order_id: UUID, customer: str, lines: Sequence[Line]
) -> list[OrderEvent]:
    if order is not None:
        raise DomainError("order_exists", "There is an order with this id already.")
    if not 1 <= len(lines) <= MAX_LINES:
        raise Invalid("invalid", f"Order 1 to {MAX_LINES} items.", "lines")
    if len({line.sku for line in lines}) < len(lines):
        raise Invalid("invalid", "Name each item once.", "lines")
    if not all(1 <= line.quantity <= MAX_QUANTITY for line in lines):
        raise Invalid("invalid", f"Order 1 to {MAX_QUANTITY} of an item.", "lines")
    pieces = sum(line.quantity for line in lines)
    return [OrderPlaced(order_id=order_id, customer=customer, lines=list(lines), pieces=pieces)]


def pay(order: Order | None, order_id: UUID, cents: int) -> list[OrderEvent]:
    order = existing(order)
    if order.cancelled:
        raise DomainError("order_cancelled", "The customer took this order back.")
    if not 1 <= cents <= MAX_CENTS:
        raise Invalid("invalid", f"Pay 1 to {MAX_CENTS} cents.", "cents")
    return [] if order.paid else [OrderPaid(order_id=order_id, cents=cents)]


def cancel(order: Order | None, order_id: UUID, actor: str) -> list[OrderEvent]:
    order = existing(order)
    if order.customer != actor:
        raise Forbidden("not_customer", "Only its customer takes an order back.")
    if order.paid:
        raise DomainError("order_paid", "This order is paid.")
    return [] if order.cancelled else [OrderCancelled(order_id=order_id)]


def existing(order: Order | None) -> Order:
    if order is None:
        raise NotFound("order_not_found", "There is no such order.", "order_id")
    return order
