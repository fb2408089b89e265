"""Checkpoints: how far a generation of a projection has read each partition.

They stand in the read database and are advanced in the transaction that writes the
rows, so each event is applied once, whatever the bus delivers again.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from django.db import connections, transaction

from messaging.bus.base import Bus, Identity
from messaging.conf import read_alias
from messaging.dialect import dialect_of
from messaging.dialect.base import Statement
from messaging.dialect.values import sql_now
from messaging.exceptions import FencedOff, HistoryMismatch
from messaging.projections import writers
from messaging.projections.models import Checkpoint, ProjectionState
from messaging.projections.registry import PROJECTIONS, Projection
from messaging.proof import Proof, proof_from, proofs_before, require_proofs, undisturbed

# VALUES name their columns column1, column2, ... on PostgreSQL and SQLite alike.
ADVANCE = """
UPDATE messaging_checkpoint SET "offset" = v.column3, halted = '', checked_at = {now},
  proof = COALESCE(NULLIF(v.column4, ''), proof)
FROM (VALUES {marks}) AS v
WHERE projection = %s AND generation = %s AND "partition" = v.column1 AND "offset" = v.column2
"""

HOLD_ALL = Statement(
    "hold_all_checkpoints",
    "SELECT 1 FROM messaging_checkpoint WHERE projection = %s AND generation = %s "
    'ORDER BY "partition" {lock}',
)

# One statement: between two, a rebuild may switch, and delete the checkpoints asked for.
LIVE = """
SELECT s.live_generation, c."partition", c."offset", c.identity
FROM messaging_projectionstate s LEFT JOIN messaging_checkpoint c
ON c.projection = s.name AND c.generation = s.live_generation
WHERE s.name = %s
"""


class Move(NamedTuple):
    """From which offset to which one checkpoint moves."""

    old: int
    new: int
    proof: str = ""  # of the last record before `new`; empty: none was read, keep the proof


def live_generation(projection: str) -> int:
    """The generation that readers see, which is 1 until the first rebuild."""
    return state_of(projection).live_generation


def state_of(projection: str) -> ProjectionState:
    """Get the state, or create it with the version of the present code."""
    code = {"code_version": PROJECTIONS[projection].version}
    return ProjectionState.objects.get_or_create(name=projection, defaults=code)[0]


def code_versions() -> dict[str, int]:
    """The version of the code that built each projection's live generation."""
    built = ProjectionState.objects.filter(name__in=PROJECTIONS)
    return dict(built.values_list("name", "code_version"))


def begin(projection: str, identity: Identity) -> int:
    """Make the checkpoints of the live generation that are missing, at offset 0; return the
    generation. Raises `HistoryMismatch` if those that are there belong to another log, and
    `FencedOff` if commands write the rows."""
    state_of(projection)
    with transaction.atomic(using=read_alias()):
        # Locked, so that no rebuild switches readers to another generation meanwhile.
        state = ProjectionState.objects.select_for_update().get(name=projection)
        generation = state.live_generation
        writers.require_consumers(state)
        begin_at(projection, generation, identity, dict.fromkeys(range(identity.partitions), 0))
        require_identity(projection, generation, identity)
    return generation


def begin_at(
    projection: str,
    generation: int,
    identity: Identity,
    offsets: Mapping[int, int],
    proofs: Mapping[int, str] = MappingProxyType({}),
) -> None:
    """Make the checkpoints that are missing, by partition."""
    Checkpoint.objects.bulk_create(
        [
            Checkpoint(
                projection=projection,
                generation=generation,
                partition=partition,
                offset=offset,
                identity=str(identity),
                proof=proofs.get(partition, ""),
            )
            for partition, offset in offsets.items()
        ],
        ignore_conflicts=True,
    )


def require_identity(projection: str, generation: int, identity: Identity) -> None:
    """Raise `HistoryMismatch` unless the offsets belong to this log.

    In another log they mean nothing.
    """
    rows = Checkpoint.objects.filter(projection=projection, generation=generation)
    _require_same(projection, set(rows.values_list("identity", flat=True)), identity)


def require_live_identity(projection: str, identity: Identity) -> int:
    """As `require_identity`, for the live generation, which is returned."""
    rows = _live(projection)
    known = {identity for _, partition, _, identity in rows if partition is not None}
    _require_same(projection, known, identity)
    return int(rows[0][0])


def _require_same(projection: str, known: set[str], identity: Identity) -> None:
    if known - {str(identity)}:
        raise HistoryMismatch(
            f"The log is not the one that projection {projection!r} has read: its checkpoints "
            f"belong to {' and '.join(sorted(known))}, the broker has {identity} (cluster, topic "
            "id, partitions). The topic was deleted and recreated, or this is another cluster. "
            "Nothing was applied. If the new log is right, run `manage.py republish --all "
            "--accept-new-log` and then `manage.py rebuild --from store`."
        )


def live_offsets(projection: str) -> tuple[int, dict[int, int]]:
    """The generation that readers see, and the next offset of each of its partitions."""
    rows = _live(projection)
    offsets = {partition: offset for _, partition, offset, _ in rows if partition is not None}
    return rows[0][0], offsets


def _live(projection: str) -> list[tuple[Any, ...]]:
    """Rows of LIVE; raises `FencedOff` if the projection's state is gone."""
    with connections[read_alias()].cursor() as cursor:
        cursor.execute(LIVE, [projection])
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    if not rows:
        raise FencedOff("the read database was emptied: its checkpoints are gone")
    return rows


def require_same_log(projection: str, generation: int, bus: Bus, partitions: Iterable[int]) -> None:
    """Raise `LostTail` unless the log still holds the last record that was read of each of
    these partitions. A checkpoint of an earlier release has no proof: it gets one here."""
    rows = Checkpoint.objects.filter(
        projection=projection, generation=generation, partition__in=list(partitions), offset__gt=0
    )
    proofs: dict[int, Proof] = {}
    unproven: dict[int, int] = {}
    for partition, offset, proof in rows.values_list("partition", "offset", "proof"):
        if proof:
            proofs[partition] = proof_from(proof)
        else:
            unproven[partition] = offset
    if proofs:
        undisturbed(bus, lambda bus: require_proofs(bus, proofs, f"projection {projection!r} read"))
    if unproven:
        found = undisturbed(bus, lambda bus: proofs_before(bus, unproven))
        for partition, proof in found.items():
            # Not over that of a consumer that has moved it meanwhile.
            rows.filter(partition=partition, proof="").update(proof=proof)


def offsets(projection: str, generation: int, partitions: Iterable[int]) -> dict[int, int]:
    """The next offset of each of these partitions."""
    return dict(
        Checkpoint.objects.filter(
            projection=projection, generation=generation, partition__in=list(partitions)
        ).values_list("partition", "offset")
    )


def advance(projection: str, generation: int, moves: Mapping[int, Move]) -> None:
    """Compare and swap, by partition. Needs a transaction.

    Raises `FencedOff` if any is not where this consumer left it: somebody else
    owns the partition now, or the generation is gone.
    """
    rows = [value for partition, move in sorted(moves.items()) for value in (partition, *move)]
    marks = ", ".join(["(%s, %s, %s, %s)"] * len(moves))
    with connections[read_alias()].cursor() as cursor:
        sql = ADVANCE.format(marks=marks, now=sql_now(connections[read_alias()]))
        cursor.execute(sql, [*rows, projection, generation])
        if cursor.rowcount != len(moves):
            raise FencedOff(f"{projection}: {len(moves) - cursor.rowcount} of {len(moves)}")


def hold(projection: str, generation: int, partitions: Iterable[int]) -> None:
    """Lock these checkpoints until the transaction ends, so that consumers wait to advance them.
    Raises `FencedOff` if the generation is gone."""
    rows = Checkpoint.objects.select_for_update().filter(
        projection=projection, generation=generation, partition__in=set(partitions)
    )
    if len(rows.order_by("partition")) != len(set(partitions)):
        raise FencedOff(f"{projection}: generation {generation} is gone. Try again.")


def hold_all(projection: Projection, generation: int) -> None:
    """Where a projection has a single owner, lock all its checkpoints until the transaction ends:
    whatever else would change its totals meanwhile waits here, and then loads them as they are.
    First in the transaction, as the locks are taken in one order. Raises `FencedOff` if the
    generation is gone."""
    if projection.single_owner:
        connection = connections[read_alias()]
        with connection.cursor() as cursor:
            cursor.execute(dialect_of(connection).text(HOLD_ALL), [projection.name, generation])
            if not cursor.fetchall():
                raise FencedOff(f"{projection.name}: generation {generation} is gone.")


def halt(projection: str, generation: int, partition: int, offset: int, reason: str) -> None:
    """Put the checkpoint before the record that halts its partition, and say why."""
    Checkpoint.objects.filter(
        projection=projection, generation=generation, partition=partition
    ).update(offset=offset, halted=reason)
