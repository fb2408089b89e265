"""Given these events, when this decision is taken, then expect these events, or a refusal.

    given(PLACED).when(pay_order, amount=3).then(OrderPaid(order_id=ORDER, amount=3))
    given(PLACED, PAID).when(pay_order, amount=3).refused("already_paid")

A decision is a function of the state, and of what the command says: it returns a list of events, or
raises a `DomainError`. The state is what `evolve` makes of the given events.
"""

from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec

from messaging.exceptions import DomainError
from messaging.testing.events import event_types, listed, repository_of, require_events

P = ParamSpec("P")
Evolve = Callable[[Any, Any], Any]


class Given:
    """A stream's events so far."""

    def __init__(self, events: Sequence[object], evolve: Evolve | None) -> None:
        require_events(events, "given()")
        self.events = events
        self._evolve = evolve or (_evolve_of(events[0]) if events else None)
        for one in events:
            _require_known(self._evolve, one, "given()")

    @property
    def state(self) -> Any:
        """The state that the events add up to; None without events.

        given(PLACED, PAID).state.is_paid
        """
        state = None
        for event in self.events:
            assert self._evolve is not None
            state = self._evolve(state, event)
        return state

    def when(
        self,
        decision: Callable[Concatenate[Any, P], Sequence[object]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> "Decided":
        """Take a decision: `decision(state, *args, **kwargs)`.

        given(PLACED).when(pay_order, amount=3)
        """
        name = getattr(decision, "__qualname__", repr(decision))
        try:
            found = decision(self.state, *args, **kwargs)
        except DomainError as refusal:
            return Decided(self.events, name, (), refusal)
        if not isinstance(found, list | tuple):
            raise TypeError(
                f"{name} returned {found!r:.200}: a decision returns a list of events, and [] if "
                "nothing changes."
            )
        require_events(found, f"What {name} returns")
        for one in found:
            _require_known(self._evolve, one, f"What {name} returns")
        return Decided(self.events, name, found, None)


class Decided:
    """What a decision has led to."""

    def __init__(
        self,
        given: Sequence[object],
        decision: str,
        events: Sequence[object],
        refusal: DomainError | None,
    ) -> None:
        self._given, self._decision = given, decision
        self._events, self._refusal = list(events), refusal

    def then(self, *events: object) -> None:
        """Expect exactly these events, in this order; none: that nothing changes.

        given(PLACED).when(rename_order, "tea").then(OrderRenamed(order_id=ORDER, name="tea"))
        """
        __tracebackhide__ = True
        require_events(events, "then()")
        if self._refusal is not None or self._events != list(events):
            raise AssertionError(self._message(listed(events))) from self._refusal

    def refused(self, code: str) -> DomainError:
        """Expect a refusal with this code. Returns it, for what else it says.

        assert given(PAID).when(cancel_order, "bob").refused("not_yours").status == 403
        """
        __tracebackhide__ = True
        if self._refusal is None or self._refusal.code != code:
            raise AssertionError(self._message(f"    refused: {code}")) from self._refusal
        return self._refusal

    def _message(self, expected: str) -> str:
        actual = listed(self._events)
        if self._refusal is not None:
            actual = f"    refused: {self._refusal.code} ({self._refusal.detail})"
        return (
            f"{self._decision} decided otherwise.\n  given\n{listed(self._given)}\n"
            f"  expected\n{expected}\n  actual\n{actual}"
        )


def given(*events: object, evolve: Evolve | None = None) -> Given:
    """Begin with these events of one stream; without any, with a stream that does not exist.

    `evolve` makes the state of them. It can be left out where a repository of the project has one
    that takes such events by its annotation, `def evolve(order: Order | None, event: OrderEvent)`.

        given(OrderPlaced(order_id=ORDER, item="tea")).when(cancel_order, "ann")
    """
    return Given(events, evolve)


def _evolve_of(event: object) -> Evolve:
    repository = repository_of(event)
    if repository is None:
        raise TypeError(
            f"No repository's evolve takes {type(event).__name__} by its annotation. Import the "
            "module with the Repository, or say given(..., evolve=evolve)."
        )
    found: Evolve = repository.evolve
    return found


def _require_known(evolve: Evolve | None, event: object, where: str) -> None:
    known = frozenset[type]() if evolve is None else event_types(evolve)
    if known and type(event) not in known:
        names = ", ".join(sorted(one.__name__ for one in known))
        raise TypeError(
            f"{where} has a {type(event).__name__}, which is an event of another stream type. "
            f"This evolve takes {names}."
        )
