"""One batch of records: which take effect, which are repeats, which are parked.

An event takes effect if its version is the next of its stream. What cannot take effect
becomes a dead letter, later events of its stream join it, and other streams go on.
"""

import traceback
from collections import defaultdict
from collections.abc import Collection, Sequence
from uuid import UUID

from messaging.codec import Recorded
from messaging.projections.consuming.dead_letters import (
    Letter,
    Outcome,
    Parked,
    Place,
    Queue,
    discarded,
    queues_of,
)
from messaging.projections.consuming.decoding import Decoded, Decoder
from messaging.projections.registry import Projection
from messaging.projections.rows import Session
from messaging.transient import is_away, is_beyond_limits


def apply(
    projection: Projection,
    generation: int,
    batch: Sequence[Decoded],
    *,
    refused: str = "",
    drains: bool = True,
    taken: Collection[int] = (),
) -> tuple[Session, Outcome]:
    """Apply the batch to rows in memory. Needs a transaction; the caller writes both.

    Runs again from the database while events fail that did not before: what a failed
    event has changed by then must not stay. `refused` says why the database did not take
    what the only event of this batch wrote. `drains`: what waits behind an event takes
    effect with it. `taken`: the ids of the letters that this batch was made of.
    """
    poison: dict[Place, str] = {batch[0].place: refused} if refused and batch else {}
    while True:
        run = _Run(projection, generation, poison, drains=drains, taken=taken)
        run.all(batch)
        if run.outcome.failed.keys() <= poison.keys():
            return run.session, run.outcome
        poison |= run.outcome.failed


class _Run:
    def __init__(
        self,
        projection: Projection,
        generation: int,
        poison: dict[Place, str],
        *,
        drains: bool,
        taken: Collection[int],
    ) -> None:
        self.session = Session(projection, generation)
        self.outcome = Outcome()
        self._projection = projection
        self._decoder = Decoder(projection)
        self._generation = generation
        self._poison = poison
        self._drains = drains
        self._taken = taken
        self._queues: defaultdict[UUID, Queue] = defaultdict(dict)
        self._discarded = discarded(projection.name)

    def all(self, batch: Sequence[Decoded]) -> None:
        streams = {d.envelope.stream_id for d in batch if d.envelope is not None}
        self._queues = queues_of(self._projection.name, self._generation, streams, self._taken)
        waiting = [
            self._decoder.believed(letter.record)
            for queue in self._queues.values()
            for letter in queue.values()
            if self._drains
        ]
        self.session.load(
            # What is refused is not applied: that it names rows must not keep it from being parked.
            Recorded(d.envelope, None if d.place in self._poison else d.event)
            for d in [*batch, *waiting]
            if d.envelope is not None
        )
        for decoded in batch:
            if decoded.record.partition not in self.outcome.halted:
                self._one(decoded)

    def _one(self, decoded: Decoded) -> None:
        envelope = decoded.envelope
        if envelope is None:
            self._park(decoded, decoded.code, decoded.failure)
            return
        root = self.session.root(envelope.stream_id)
        progress = root.version if root is not None else 0
        queue = self._queues[envelope.stream_id]
        if envelope.version <= progress:
            if (
                root is not None
                and envelope.version == progress
                and root.event_id != envelope.event_id
            ):
                self._fork(decoded, root.event_id)
        elif (known := queue.get(envelope.version)) is not None:
            if known.event_id != envelope.event_id:
                self._fork(decoded, known.event_id)
        elif envelope.version > progress + 1:
            if queue:
                self._park(decoded, "behind", "It waits for an earlier event of its stream.")
            else:
                self._park(
                    decoded,
                    "gap",
                    f"Version {progress + 1} of the stream has not come. Republish this stream: "
                    f"`manage.py republish {envelope.stream_id}`.",
                )
        elif self._took_effect(decoded) and self._drains:
            self._drain(envelope.stream_id, queue)

    def _took_effect(self, decoded: Decoded) -> bool:
        """Apply an event whose turn it is, or park it."""
        if decoded.place in self._discarded:
            assert decoded.envelope is not None
            self.session.skip(decoded.envelope)
            return True
        if decoded.failure or decoded.place in self._poison:
            self._park(decoded, *self._why(decoded))
            return False
        assert decoded.envelope is not None
        try:
            self.session.apply(Recorded(decoded.envelope, decoded.event))
        except Exception as error:
            if is_away(error) and not is_beyond_limits(error):
                raise  # the function asked a database; the event is not at fault
            self.outcome.failed[decoded.place] = traceback.format_exc()
            self._park(decoded, "poison", self.outcome.failed[decoded.place])
            return False
        self.outcome.applied += 1
        return True

    def _why(self, decoded: Decoded) -> tuple[str, str]:
        if decoded.failure:
            return decoded.code, decoded.failure
        return "poison", self._poison[decoded.place]

    def _drain(self, stream_id: UUID, queue: Queue) -> None:
        """The missing event has come: what waited behind it takes effect, in order."""
        root = self.session.root(stream_id)
        while root is not None and (letter := queue.pop(root.version + 1, None)) is not None:
            decoded = self._decoder.believed(letter.record)
            self.outcome.parked.pop(decoded.place, None)
            if not self._took_effect(decoded):
                return
            if letter.id is not None:
                self.outcome.drained.append(letter.id)

    def _park(self, decoded: Decoded, code: str, reason: str) -> None:
        self.outcome.parked[decoded.place] = Parked(
            decoded.record, decoded.envelope, code, reason, decoded.due_at
        )
        if (envelope := decoded.envelope) is not None:
            letter = Letter(None, envelope.event_id, decoded.record)
            self._queues[envelope.stream_id][envelope.version] = letter

    def _fork(self, decoded: Decoded, known: UUID | None) -> None:
        envelope, record = decoded.envelope, decoded.record
        assert envelope is not None
        self.outcome.halted[record.partition] = (
            record.offset,
            f"Fork: version {envelope.version} of stream {envelope.stream_id} was event {known}, "
            f"now offset {record.offset} says it is {envelope.event_id}. Two histories were "
            "published. `manage.py verify` lists where they differ. If the store is right, run "
            "`manage.py rebuild --from store`; if it was put back to an earlier copy, `manage.py "
            f"restore-events`. If no relay of yours wrote one of the two records, declare that one "
            f"invalid: `manage.py reject-record {record.partition} {record.offset} "
            f"{envelope.event_id}`, if it is this one, and start again.",
        )
