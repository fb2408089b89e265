"""Who writes the rows of a projection that readers see: consumers, or (`inline=True`) commands.

Both at once would lose changes, since each writes whole rows. So the projection's state says who,
and it changes only while no command is writing.
"""

from django.db import connections, transaction

from messaging.conf import read_alias
from messaging.dialect import dialect_of
from messaging.exceptions import FencedOff
from messaging.projections.models import ProjectionState


def hold(projection: str, *, alone: bool) -> None:
    """Keep the live generation, and who writes it, as they are until the transaction ends.
    `alone`: wait until no command is writing, and let none begin."""
    connection = connections[read_alias()]
    dialect_of(connection).hold(connection, f"postlog writers of {projection}", alone=alone)


def require_consumers(state: ProjectionState) -> None:
    """Let consumers write, if nobody has so far. Raises `FencedOff` if commands do. The state is
    locked."""
    if state.inline:
        raise FencedOff(
            f"commands write the rows of {state.name}: it was made inline by newer code than this "
            "process has. Restart it with that code"
        )
    if state.inline is None:
        state.inline = False
        state.save(update_fields=["inline"])


def take_over(projection: str) -> None:
    """Let consumers write from now on, if commands did. What these have applied is dropped by its
    version when it comes from the log."""
    with transaction.atomic(using=read_alias(), durable=True):
        hold(projection, alone=True)
        ProjectionState.objects.filter(name=projection, inline=True).update(inline=False)
