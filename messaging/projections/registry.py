"""Projections: which events change which read models, and how.

orders = Projection("orders", of="order", models=[Order, Line])

@orders.on(QuantityChanged, rows=lambda e: [(Line, e.line_id)])
def quantity_changed(order: Order, event: QuantityChanged, rows: Rows) -> None:
    rows.get(Line, event.line_id).quantity = event.quantity
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any, TypeVar

from messaging.exceptions import RegistrationError
from messaging.message import Envelope, naming_of, wire_name_of
from messaging.projections.read_models import ReadModel, RootModel

F = TypeVar("F", bound=Callable[..., None])
RowKey = tuple[Any, ...]  # (model, *values of its `key` fields)

PROJECTIONS: dict[str, "Projection"] = {}


@dataclass(frozen=True, slots=True)
class Applier:
    """What a projection does with one type of event."""

    apply: Callable[..., None]  # (root row, event, rows) -> None
    row_keys: Callable[[Any, Envelope], Iterable[RowKey]]  # the rows it needs beside the root


def _no_rows(event: Any) -> Iterable[RowKey]:
    return ()


def _with_envelope(rows: Callable[..., Iterable[RowKey]]) -> Callable[..., Iterable[RowKey]]:
    """`rows`, given (event, envelope) whether it takes both or the event alone."""
    needed = [one for one in signature(rows).parameters.values() if one.default is one.empty]
    return rows if len(needed) > 1 else lambda event, _: rows(event)


class Projection:
    """A named set of read models, fed by the events of one type of stream, or of several.

    The first model is the root: one row a stream.
    """

    def __init__(
        self,
        name: str,
        *,
        of: str | Sequence[str],
        models: list[type[ReadModel]],
        version: int = 1,
        inline: bool = False,
    ) -> None:
        """`of` is the type of its streams, or all types: `of=["order", "stock_item"]`. `version` is
        of the functions below: raise it when what they write changes, and `manage.py check` asks
        for a rebuild. `inline`: each command applies its events in its own transaction, where both
        sides are in one database; no consumer does."""
        if name in PROJECTIONS:
            raise RegistrationError(f"The projection {name!r} is registered twice.")
        if not models or not issubclass(models[0], RootModel):
            raise RegistrationError(f"{name}: the first model is the root, a RootModel.")
        self.stream_types = frozenset([of] if isinstance(of, str) else of)
        if not all(self.stream_types) or not self.stream_types:
            raise RegistrationError(f"{name}: say which type of stream it is of: of='order'.")
        self.name = name
        self.models = models
        self.version = version
        self.inline = inline
        self.root: type[RootModel] = models[0]
        self.appliers: dict[type, Applier] = {}
        PROJECTIONS[name] = self

    def on(
        self, event_type: type, *, rows: Callable[..., Iterable[RowKey]] = _no_rows
    ) -> Callable[[F], F]:
        """Register the function that applies an event: f(root row, event, rows).

        The function changes rows and nothing else, since it runs again after a crash and in a
        rebuild. Of its own stream it may read the root and the rows that `rows` names, which is
        called with the event, or with the event and its envelope:
        `rows=lambda _, envelope: [(Reader, envelope.actor)]`.
        """
        wire_name_of(event_type)  # raises if it is no event
        if (stream := naming_of(event_type).stream) not in self.stream_types:
            taken = ", ".join(map(repr, sorted(self.stream_types)))
            raise RegistrationError(
                f"{event_type.__name__} is an event of the stream type {stream!r}: the projection "
                f"{self.name!r} takes those of {taken}. Add it to of=, or handle the event in "
                "another projection."
            )

        def register(function: F) -> F:
            if event_type in self.appliers:
                raise RegistrationError(f"{self.name} has two functions on {event_type.__name__}.")
            self.appliers[event_type] = Applier(function, _with_envelope(rows))
            return function

        return register


def consumed() -> list[Projection]:
    """The projections that consumers fill from the log."""
    return [one for one in PROJECTIONS.values() if not one.inline]
