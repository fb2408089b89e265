"""What may be asked about the shop as a whole."""

from dataclasses import dataclass, field
from datetime import date

from messaging import (
    MAX_PAGE_SIZE,
    PAGE_SIZE,
    Page,
    Query,
    SortKey,
    answers,
    live,
    page_of,
    query,
    staff,
)

from .models import Revenue
from .projections import revenue

LATEST_FIRST = SortKey(Revenue, "day", descending=True)
SIZE = {"serializer_kwargs": {"min_value": 1, "max_value": MAX_PAGE_SIZE}}


@dataclass(frozen=True, slots=True, kw_only=True)
class RevenueView:
    day: date
    cents: int
    orders: int


@query(who=staff)
@dataclass(frozen=True, slots=True, kw_only=True)
class FindRevenue(Query[Page[RevenueView]]):
    """What the till took each day, the latest day first."""

    cursor: str | None = None
    page_size: int = field(default=PAGE_SIZE, metadata=SIZE)


@answers(FindRevenue, revenue)
def find_revenue(query: FindRevenue) -> Page[RevenueView]:
    return page_of(
        live(revenue, Revenue),
        sort=LATEST_FIRST,
        cursor=query.cursor,
        page_size=query.page_size,
        to_result=lambda row: RevenueView(day=row.day, cents=row.cents, orders=row.orders),
    )
