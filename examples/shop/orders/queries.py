"""What may be asked about orders."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from messaging import (
    MAX_PAGE_SIZE,
    PAGE_SIZE,
    Asker,
    Page,
    Query,
    SortKey,
    answers,
    live,
    page_of,
    query,
)

from .models import Order
from .projections import orders

NEWEST_FIRST = SortKey(Order, "placed_at", "stream_id", descending=True)
SIZE = {"serializer_kwargs": {"min_value": 1, "max_value": MAX_PAGE_SIZE}}


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderView:
    order_id: UUID
    what: str
    pieces: int
    state: str
    placed_at: datetime
    version: int


@query
@dataclass(frozen=True, slots=True, kw_only=True)
class FindMyOrders(Query[Page[OrderView]]):
    """The orders of whoever asks, newest first."""

    cursor: str | None = None
    page_size: int = field(default=PAGE_SIZE, metadata=SIZE)


@answers(FindMyOrders, orders)
def find_my_orders(query: FindMyOrders, asker: Asker) -> Page[OrderView]:
    return page_of(
        live(orders, Order).filter(customer=asker.get_username()),
        sort=NEWEST_FIRST,
        cursor=query.cursor,
        page_size=query.page_size,
        to_result=view_of,
    )


def view_of(order: Order) -> OrderView:
    assert order.placed_at is not None, "the first event of an order places it"
    return OrderView(
        order_id=order.stream_id,
        what=order.what,
        pieces=order.pieces,
        state=order.state,
        placed_at=order.placed_at,
        version=order.version,
    )
