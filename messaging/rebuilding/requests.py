"""Requests for rebuilds. Whoever asks (shell, API, admin) writes a row; one builder takes it."""

from uuid import UUID

from django.db import IntegrityError, transaction

from messaging.conf import read_alias
from messaging.exceptions import PostlogError
from messaging.message import MAX_ACTOR
from messaging.projections.consuming import checkpoints
from messaging.projections.models import Rebuild
from messaging.projections.registry import PROJECTIONS
from messaging.rebuilding.generations import next_generation

State = Rebuild.State
ATTEMPTS = 5  # to ask while others ask and end


class UnderWay(PostlogError):
    """Another rebuild of the projection has not ended."""

    def __init__(self, rebuild: Rebuild) -> None:
        super().__init__(
            f"A rebuild of {rebuild.projection} is under way already: {describe(rebuild)}. Wait "
            "for it (`manage.py status`), or cancel it: "
            f"`manage.py rebuild {rebuild.projection} --cancel`."
        )
        self.rebuild = rebuild


class BuilderReplaced(PostlogError):
    """The rebuild was cancelled, or another builder has taken it over: stop."""


class NeedsStore(PostlogError):
    """The projection is inline."""

    def __init__(self, projection: str) -> None:
        super().__init__(
            f"{projection} is inline: commands write its rows before their events are in the log, "
            "so that its rows would go back to what the log has. Rebuild it from the store: "
            f"`manage.py rebuild {projection} --from store`."
        )


def best_source(projection: str) -> Rebuild.Source:
    """What to rebuild it from, if nobody says."""
    found = PROJECTIONS.get(projection)
    return Rebuild.Source.STORE if found is not None and found.inline else Rebuild.Source.LOG


def active(projection: str) -> Rebuild | None:
    """The rebuild that has not ended."""
    return Rebuild.objects.filter(projection=projection).exclude(state__in=Rebuild.ENDED).first()


def ask(projection: str, source: str, by: str, *, accept_regression: bool = False) -> Rebuild:
    """Ask for a rebuild. Raises `UnderWay` if there is one, `NeedsStore` for an inline projection
    from the log. `accept_regression`: switch readers even if they have seen later versions, which
    are lost for good."""
    if source != best_source(projection) == Rebuild.Source.STORE:
        raise NeedsStore(projection)
    checkpoints.state_of(projection)
    attempts = 0
    while True:
        try:
            with transaction.atomic(using=read_alias()):
                return Rebuild.objects.create(
                    projection=projection,
                    generation=next_generation(projection),
                    source=source,
                    asked_by=by[:MAX_ACTOR],
                    accept_regression=accept_regression,
                )
        except IntegrityError:
            running = active(projection)
            if running is not None:
                raise UnderWay(running) from None
            attempts += 1  # the one that was under way has just ended
            if attempts == ATTEMPTS:
                raise


def cancel(projection: str) -> Rebuild | None:
    """Stop the rebuild, if there is one that has not switched yet."""
    with transaction.atomic(using=read_alias()):
        found = (
            Rebuild.objects.select_for_update()
            .filter(projection=projection)
            .exclude(state__in=[*Rebuild.ENDED, State.CLEANING_UP])
            .first()
        )
        if found is not None:
            found.state, found.builder = State.CLEANING_UP, None
            found.save(update_fields=["state", "builder"])
    return found


def change(rebuild: Rebuild, builder: UUID, **values: object) -> None:
    """Note progress, in the transaction that makes it. This is the fence of a rebuild: it raises
    `BuilderReplaced` if this builder was replaced, so that the transaction is rolled back."""
    mine = Rebuild.objects.filter(id=rebuild.id, builder=builder, state=rebuild.state)
    if not mine.update(**values):
        raise BuilderReplaced(f"{rebuild.projection}: the rebuild was cancelled or taken over.")


def ended_as(rebuild: Rebuild) -> State:
    """The state in which it ends, once everything is cleaned up."""
    if rebuild.switched_at is not None:
        return State.DONE
    return State.FAILED if rebuild.error else State.CANCELLED


def describe(rebuild: Rebuild) -> str:
    """The state of a rebuild in a few words."""
    share = f", {rebuild.events_done:,} of {rebuild.events_total:,} events"
    return f"generation {rebuild.generation}, from the {rebuild.source}, {rebuild.state}{share}"
