"""Building a generation of an inline projection: from the store alone, beside commands that write.

No log is followed. What was stored after the snapshot is found by comparing streams with rows, and
the last of it is applied while no command can write rows: docs/decisions/0031-inline-projections.md
"""

from uuid import UUID

from django.db import connections, transaction

from messaging import inline
from messaging.conf import read_alias
from messaging.dialect import dialect_of
from messaging.dialect.values import as_uuid
from messaging.exceptions import HistoryMismatch
from messaging.message import utc_now
from messaging.projections import writers
from messaging.projections.consuming import dead_letters
from messaging.projections.models import Checkpoint, DeadLetter, ProjectionState
from messaging.rebuilding import from_store, generations
from messaging.rebuilding.builder import Builder
from messaging.rebuilding.requests import State

STREAMS = 1_000  # in one transaction, and while commands wait

BEHIND = """
SELECT s.stream_id, COALESCE(n.version, 0) FROM messaging_stream s
LEFT JOIN {root} n ON n.generation = %s AND n.stream_id = s.stream_id
WHERE s.stream_type IN ({types}) AND s.version > COALESCE(n.version, 0) LIMIT %s
"""


class InlineBuilder(Builder):
    def _prepare(self) -> None:
        with self._long_statement():
            total = from_store.count(self._projection)
        self._change(state=State.FILLING, events_total=total)

    def _catch_up(self) -> None:
        self._require_none_parked()
        while len(behind := self._behind()) == STREAMS:
            self._check_cancelled()
            with transaction.atomic(using=read_alias(), durable=True):
                self._level(behind)
        self._say("caught up")
        self._switch()

    def _switch(self) -> None:
        """Apply the rest and switch readers and commands to this generation, in one transaction."""
        name, generation = self._projection.name, self._rebuild.generation
        connection = connections[read_alias()]
        with transaction.atomic(using=read_alias(), durable=True):
            dialect_of(connection).read_what_is_committed(connection)  # of commands waited for
            self._require_mine()  # then, as in `Builder._switched`
            # Commands wait from here on, at their end. Readers do not.
            writers.hold(name, alone=True)
            state = ProjectionState.objects.select_for_update().get(name=name)
            with self._long_statement():
                while behind := self._behind():
                    self._level(behind)
                if not self._rebuild.accept_regression:
                    generations.require_no_regression(
                        self._projection, generation, state.live_generation
                    )
            # Fences the consumers, if they filled the old one.
            Checkpoint.objects.filter(projection=name).delete()
            state.live_generation, state.inline = generation, True
            state.code_version = self._projection.version
            state.save()
            self._change(state=State.CLEANING_UP, switched_at=utc_now())
            self._say("about to switch")
        generations.announce_switch(self._projection, generation)

    def _behind(self) -> dict[UUID, int]:
        """Streams that the store has later versions of than this generation, and its version."""
        types = sorted(self._projection.stream_types)
        marks = ", ".join(["%s"] * len(types))
        sql = BEHIND.format(root=self._projection.root._meta.db_table, types=marks)
        with connections[read_alias()].cursor() as cursor:
            cursor.execute(sql, [self._rebuild.generation, *types, STREAMS])
            return {as_uuid(stream_id): version for stream_id, version in cursor.fetchall()}

    def _level(self, behind: dict[UUID, int]) -> None:
        name, generation = self._projection.name, self._rebuild.generation
        self._note_progress(0)
        try:
            inline.level(self._projection, generation, behind, dead_letters.discarded(name))
        except inline.InlineFailed as error:
            raise HistoryMismatch(str(error)) from error

    def _require_none_parked(self) -> None:
        """The rows are to be whole: what cannot be applied ends the rebuild as failed."""
        parked = DeadLetter.objects.filter(
            projection=self._projection.name, generation=self._rebuild.generation
        )
        if (first := parked.order_by("stream_id", "version").first()) is not None:
            raise HistoryMismatch(
                f"Version {first.version} of stream {first.stream_id} cannot be applied, and rows "
                f"that commands write have to be whole. Readers stay where they are. Fix the "
                f"projection's function, and run this again. {first.reason}"
            )
