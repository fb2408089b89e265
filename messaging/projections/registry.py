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
from messaging.projections.models import StreamProgress
from messaging.projections.read_models import ReadModel, RootModel, TotalModel

F = TypeVar("F", bound=Callable[..., None])
RowKey = tuple[Any, ...]  # (model, *values of its `key` fields)

PROJECTIONS: dict[str, "Projection"] = {}


@dataclass(frozen=True, slots=True)
class Applier:
    """What a projection does with one type of event."""

    apply: Callable[..., None]  # (root row, event, rows) -> None
    row_keys: Callable[[Any, Envelope], Iterable[RowKey]]  # the rows it needs beside the root


def no_rows(event: Any, envelope: Envelope) -> Iterable[RowKey]:
    """Of a function that needs its root row alone."""
    return ()


def _with_envelope(rows: Callable[..., Iterable[RowKey]]) -> Callable[..., Iterable[RowKey]]:
    """`rows`, given (event, envelope) whether it takes both or the event alone."""
    needed = [one for one in signature(rows).parameters.values() if one.default is one.empty]
    return rows if len(needed) > 1 else lambda event, _: rows(event)


def _without_root(function: Callable[..., None]) -> Callable[..., None]:
    try:
        signature(function).bind("event", "rows")
    except TypeError:
        raise RegistrationError(
            f"{function.__qualname__}: a projection with single_owner=True has no root row, and "
            "calls it with (event, rows)."
        ) from None
    return lambda _, event, rows: function(event, rows)


class Projection:
    """A named set of read models, fed by the events of one type of stream, or of several.

    The first model is the root: one row a stream. A projection with `single_owner=True` has totals
    instead, whose rows belong to no stream; how far each stream is applied is kept beside them.
    """

    def __init__(
        self,
        name: str,
        *,
        of: str | Sequence[str],
        models: list[type[ReadModel]],
        version: int = 1,
        inline: bool = False,
        single_owner: bool = False,
    ) -> None:
        """`of` is the type of its streams, or all types: `of=["order", "stock_item"]`. `version` is
        of the functions below: raise it when what they write changes, and `manage.py check` asks
        for a rebuild. `inline`: each command applies its events in its own transaction, where both
        sides are in one database; no consumer does. `single_owner`: one consumer at a time takes in
        all streams, so that their events may change the same rows, which are `TotalModel`s."""
        if inline and single_owner:
            raise RegistrationError(
                f"{name}: commands that run at the same time cannot share the rows of totals. Take "
                "inline=True or single_owner=True."
            )
        if name in PROJECTIONS:
            raise RegistrationError(f"The projection {name!r} is registered twice.")
        _require_fitting(name, models, single_owner)
        self.stream_types = frozenset([of] if isinstance(of, str) else of)
        if not all(self.stream_types) or not self.stream_types:
            raise RegistrationError(f"{name}: say which type of stream it is of: of='order'.")
        self.name = name
        self.version = version
        self.inline = inline
        self.single_owner = single_owner
        self.models: list[type[ReadModel]] = [StreamProgress, *models] if single_owner else models
        self.root: type[RootModel] = self.models[0]  # type: ignore[assignment]  # as required above
        # Which rows of the root's table are this projection's.
        self.root_filter = {"projection": name} if single_owner else {}
        self.appliers: dict[type, Applier] = {}
        PROJECTIONS[name] = self

    def on(
        self, event_type: type, *, rows: Callable[..., Iterable[RowKey]] = no_rows
    ) -> Callable[[F], F]:
        """Register the function that applies an event: f(root row, event, rows), or f(event, rows)
        where `single_owner=True`.

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
            apply = _without_root(function) if self.single_owner else function
            self.appliers[event_type] = Applier(apply, _with_envelope(rows))
            return function

        return register


def consumed() -> list[Projection]:
    """The projections that consumers fill from the log."""
    return [one for one in PROJECTIONS.values() if not one.inline]


def _require_fitting(name: str, models: Sequence[type[ReadModel]], single_owner: bool) -> None:
    totals = [model for model in models if issubclass(model, TotalModel)]
    if single_owner and (len(totals) < len(models) or not models):
        raise RegistrationError(
            f"{name}: with single_owner=True every model is a TotalModel, whose rows belong to no "
            "stream. Keep rows of streams in another projection."
        )
    if not single_owner and totals:
        raise RegistrationError(
            f"{name}: {totals[0].__name__} is a TotalModel, which events of many streams change. "
            "That needs single_owner=True."
        )
    if not single_owner and not (models and issubclass(models[0], RootModel)):
        raise RegistrationError(f"{name}: the first model is the root, a RootModel.")
