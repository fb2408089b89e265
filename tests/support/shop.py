"""Orders and stock: a domain that is not the site's, with fields of every type, at addresses of its
own."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from uuid import UUID

from django.test import override_settings
from django.urls import path

from config.urls import urlpatterns as of_the_site
from messaging import (
    Appended,
    NotFound,
    Query,
    Repository,
    UnitOfWork,
    answers,
    anyone,
    command,
    handles,
    query,
)
from messaging.api.views import command_view, query_view
from messaging.message import COMMANDS, QUERIES
from messaging.testing import registered
from queries_app.projections import posts


class Shipping(Enum):
    SLOW = "slow"
    FAST = "fast"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapping:
    colour: str
    ribbon: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    item: str
    quantity: int
    price: Decimal = Decimal("1.00")
    wrapping: Wrapping | None = None


@command
@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceOrder:
    """Order some things."""

    lines: list[Line]
    day: date | None = None
    at: datetime | None = None
    shipping: Shipping = Shipping.SLOW
    gift: bool = False
    note: str = ""
    discount: float = 0.0
    codes: dict[str, int] = field(default_factory=dict)
    order_id: UUID | None = None


@command
@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder:
    """Take an order back."""

    order_id: UUID


@command
@dataclass(frozen=True, slots=True, kw_only=True)
class CountStock:
    """Say how many of an item there are."""

    item_id: UUID
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPlaced:
    order_id: UUID
    lines: list[Line]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCancelled:
    order_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class StockCounted:
    item_id: UUID
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderView:
    order_id: UUID
    total: Decimal


@query(who=anyone)
@dataclass(frozen=True, slots=True, kw_only=True)
class FindOrders(Query[list[OrderView]]):
    """All orders of a day."""

    day: date | None = None
    above: Decimal = Decimal("0")
    shipping: Shipping | None = None
    gift: bool | None = None
    order_id: UUID | None = None
    at_most: int = 20


def evolve_order(state: int | None, event: OrderPlaced | OrderCancelled) -> int:
    return 1


def evolve_stock(state: int | None, event: StockCounted) -> int:
    return event.count


orders: Repository[int, OrderPlaced | OrderCancelled] = Repository(
    "shop_order", evolve_order, int, schema=1
)
stock: Repository[int, StockCounted] = Repository("shop_item", evolve_stock, int, schema=1)


@handles(PlaceOrder, creates=True)
def place_order(command: PlaceOrder, uow: UnitOfWork) -> Appended:
    order = orders.new(uow) if command.order_id is None else orders.load(uow, command.order_id)
    placed = OrderPlaced(order_id=order.stream_id, lines=command.lines)
    return orders.save(uow, order, [placed])


@handles(CancelOrder)
def cancel_order(command: CancelOrder, uow: UnitOfWork) -> Appended:
    order = orders.load(uow, command.order_id)
    if order.state is None:
        raise NotFound("order_not_found", "There is no such order.", "order_id")
    return orders.save(uow, order, [OrderCancelled(order_id=order.stream_id)])


@handles(CountStock)
def count_stock(command: CountStock, uow: UnitOfWork) -> Appended:
    item = stock.load(uow, command.item_id)
    counted = StockCounted(item_id=item.stream_id, count=command.count)
    return stock.save(uow, item, [counted])


@answers(FindOrders, posts)  # its rows are of no interest here
def find_orders(query: FindOrders) -> list[OrderView]:
    return []


EVENTS = {
    "shop.order_placed.v1": (OrderPlaced, "shop_order"),
    "shop.order_cancelled.v1": (OrderCancelled, "shop_order"),
    "shop.stock_counted.v1": (StockCounted, "shop_item"),
}
MESSAGES = (PlaceOrder, CancelOrder, CountStock, FindOrders)
# Only while a test asks for them; for all others they are not there.
for cls in MESSAGES:
    for registry in (COMMANDS, QUERIES):
        registry.pop(cls.__name__, None)

urlpatterns = [
    path("api/place-order/", command_view(PlaceOrder).as_view()),
    path("api/cancel-order/", command_view(CancelOrder).as_view()),
    path("api/count-stock/", command_view(CountStock).as_view()),
    path("api/find-orders/", query_view(FindOrders).as_view()),
    *of_the_site,  # to which pages link
]


@contextmanager
def shop() -> Iterator[None]:
    with ExitStack() as stack:
        for wire_name, (cls, stream) in EVENTS.items():
            stack.enter_context(registered(wire_name, cls, stream=stream))
        stack.enter_context(override_settings(ROOT_URLCONF="tests.support.shop"))
        yield
