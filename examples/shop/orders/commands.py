"""What may be wanted of an order."""

from dataclasses import dataclass
from uuid import UUID

from messaging import command, staff

from .events import Line


@command
@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceOrder:
    """Order something."""

    lines: list[Line]
    order_id: UUID | None = None  # None: a new one


@command(who=staff)
@dataclass(frozen=True, slots=True, kw_only=True)
class PayOrder:
    """Record what the till took for an order."""

    order_id: UUID
    cents: int


@command
@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder:
    """Take one's own order back."""

    order_id: UUID
