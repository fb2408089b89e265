"""What may be wanted of the stock."""

from dataclasses import dataclass

from messaging import command, staff


@command(who=staff)
@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveStock:
    """Record what came in."""

    sku: str
    quantity: int
