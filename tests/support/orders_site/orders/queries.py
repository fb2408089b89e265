from dataclasses import dataclass

from messaging import Query, answers, anyone, live, query

from .models import Order
from .projections import orders


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    items: list[str]


@query(who=anyone)
@dataclass(frozen=True, slots=True, kw_only=True)
class FindItems(Query[Items]):
    """What was ordered, by name."""

    beginning: str = ""


@answers(FindItems, orders)
def find_items(query: FindItems) -> Items:
    found = live(orders, Order).filter(item__startswith=query.beginning)
    return Items(items=sorted(found.values_list("item", flat=True)))
