"""Who writes the rows of a projection that readers see: consumers, or (`inline=True`) commands.

Both at once would lose changes, since each writes whole rows. So the projection's state says who,
and it changes only while no command is writing.
"""

from django.db import connections, transaction

from messaging.conf import read_alias
from messaging.dialect import dialect_of
from messaging.dialect.base import Statement
from messaging.exceptions import FencedOff
from messaging.projections.models import ProjectionState

# At these levels PostgreSQL refuses to lock a row that was changed since it began to read.
UNCHANGED = Statement(
    "projection_state_unchanged",
    "SELECT 1 FROM messaging_projectionstate WHERE name = %s {share}",
)


def hold(projection: str, *, alone: bool) -> None:
    """Keep the live generation, and who writes it, as they are until the transaction ends.
    `alone`: wait until no command is writing, and let none begin.

    Where the settings let a transaction see one moment only (REPEATABLE READ, SERIALIZABLE), one
    that would not see who writes since then has lost a race.
    """
    connection = connections[read_alias()]
    dialect = dialect_of(connection)
    if not dialect.hold(connection, f"postlog writers of {projection}", alone=alone):
        with connection.cursor() as cursor:
            cursor.execute(dialect.text(UNCHANGED), [projection])


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
    connection = connections[read_alias()]
    with transaction.atomic(using=read_alias(), durable=True):
        dialect_of(connection).read_what_is_committed(connection)
        hold(projection, alone=True)
        ProjectionState.objects.filter(name=projection, inline=True).update(inline=False)
