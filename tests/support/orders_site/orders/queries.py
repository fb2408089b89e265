from dataclasses import dataclass

from messaging import Query, answers, live, query

from .models import Order
from .projections import orders


@query
@dataclass(frozen=True, slots=True, kw_only=True)
class FindItems(Query[list[str]]):
    """What was ordered, by name."""


@answers(FindItems, orders)
def find_items(query: FindItems) -> list[str]:
    return sorted(live(orders, Order).values_list("item", flat=True))
