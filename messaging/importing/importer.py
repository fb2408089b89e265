"""Store a history from elsewhere in one transaction: all of it, or nothing.

A line whose event is there already is passed over: the same file may be imported again.
"""

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from django.db import IntegrityError, connections, transaction

from messaging import conf, inline
from messaging.conf import write_alias
from messaging.dialect.values import database_now
from messaging.eventstore import bulk
from messaging.eventstore.reservations import STREAM_TYPE, Reserved
from messaging.exceptions import Invalid, PostlogError
from messaging.importing import values
from messaging.importing.lines import ImportedEvent, Place, Wrong
from messaging.importing.reading import parsed_chunks
from messaging.importing.streams import Stream, Streams

MAX_FAULTS = 20  # after so many, the rest is not read
FUTURE = timedelta(hours=1)  # clocks differ; so far ahead handlers may append, too
BEGUN_MEANWHILE = (
    "Somebody has begun one of these streams meanwhile: nothing is stored. Import it again."
)


class Fault(NamedTuple):
    line: int
    reason: str


class ImportRefused(PostlogError):
    """Lines of a history are wrong, and nothing of it is stored."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(
            f"{len(faults):,} line{'s are' if len(faults) > 1 else ' is'} wrong: nothing is stored."
        )
        self.faults = faults  # in the order of the lines; when there are many, not of all


class _TakenBack(Exception):
    """Ends a transaction without a trace."""


@dataclass(slots=True)
class Imported:
    """What was done, or would be."""

    events: int = 0
    begun: int = 0  # streams
    repeats: int = 0  # events that were stored before
    actors: int = 0  # accounts
    reserved: int = 0  # values that may be used once


def import_events(
    lines: Iterable[bytes], report: Callable[[int], object], *, dry: bool = False
) -> Imported:
    """Import a history, or (`dry`) do all of it and take it back.

    Its existing streams are locked until the end. `report` is called with the number of lines that
    were taken, after each chunk. Raises `ImportRefused`.
    """
    inline.decide()
    try:
        with _without_collector(), transaction.atomic(using=write_alias(), durable=True):
            done = _Import().run(lines, report)
            if dry:
                raise _TakenBack
    except _TakenBack:
        pass
    except IntegrityError as error:
        raise PostlogError(BEGUN_MEANWHILE) from error
    return done


@contextmanager
def _without_collector() -> Iterator[None]:
    """Nothing made here refers to itself, but of thousands of new objects the collector would look
    at all there are: a seventh of the time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


class _Import:
    def __init__(self) -> None:
        self._done = Imported()
        self._faults: list[Fault] = []
        self._left_out: set[Place] = set()  # by lines that are wrong
        self._streams = Streams()
        self._actors = conf.actors()(existing=True)
        # Of actors who need no account, or have been met.
        self._names = set(conf.postlog().machine_actors)

    def run(self, lines: Iterable[bytes], report: Callable[[int], object]) -> Imported:
        latest = database_now(connections[write_alias()]) + FUTURE
        for chunk in parsed_chunks(lines, latest):
            for number, wrong in chunk.wrong:
                self._refuse(number, wrong)
            self._take([event for event in chunk.events if self._has_actor(event)])
            report(chunk.last)
            if self._faults and (len(self._faults) > MAX_FAULTS or self._streams.are_too_many()):
                break  # nothing is written any more, so nothing can be looked up again
        if self._faults:
            raise ImportRefused(sorted(self._faults))
        self._done.actors = self._actors.made
        return self._done

    def _refuse(self, number: int, wrong: Wrong) -> None:
        self._faults.append(Fault(number, str(wrong)))
        if wrong.place is not None:
            self._left_out.add(wrong.place)

    def _has_actor(self, event: ImportedEvent) -> bool:
        """Find or make the account of the event's actor, or refuse the line."""
        actor = event.envelope.actor
        if actor in self._names:
            return True
        try:
            username = self._actors.username(actor)
        except Invalid as refused:
            self._refuse(event.number, Wrong(refused.detail.rstrip("."), event.place))
            return False
        if username != actor:
            why = f"{actor} has the account {username}: write the name in this way"
            self._refuse(event.number, Wrong(why, event.place))
            return False
        self._names.add(actor)
        return True

    def _take(self, events: list[ImportedEvent]) -> None:
        ids = [event.envelope.stream_id for event in events]
        ids += [change.stream_id for event in events for change in event.changes]
        streams = self._streams.load(ids)
        there = [e.envelope for e in events if e.envelope.version <= self._streams.of(e).stored]
        found = bulk.events_at([(e.stream_id, e.version) for e in there])
        stored = {place: one.event_id for place, one in found.items()}
        new = [
            one
            for event in events
            if self._is_new(event, stored)
            for one in (event, *self._values_of(event))
        ]
        if not self._faults:
            self._write(streams, new)
            self._streams.forget()

    def _is_new(self, event: ImportedEvent, stored: dict[Place, UUID]) -> bool:
        """Take the event, unless it is stored or wrong. `stored` are those that are there, or have
        just been taken."""
        stream, place, event_id = self._streams.of(event), event.place, event.envelope.event_id
        while self._left_out and (place[0], stream.version + 1) in self._left_out:
            stream.pass_over()
        try:
            if event.envelope.version > stream.version:
                stream.take(event)
                stored[place] = event_id
                return True
            if place in stored and stored[place] != event_id:
                raise Wrong(
                    f"version {event.envelope.version} of {event.envelope.stream_id} is another "
                    "event already, in the store or on an earlier line"
                )
            self._done.repeats += 1
        except Wrong as wrong:
            self._refuse(event.number, wrong)
            values.doubt(event, self._streams)
        return False

    def _values_of(self, event: ImportedEvent) -> list[ImportedEvent]:
        """What the event changes of values that may be used once. Not asked behind a line that
        cannot be read, which may have changed them too."""
        try:
            return list(values.events_of(event, self._streams)) if not self._left_out else []
        except Wrong as wrong:
            self._refuse(event.number, wrong)
            return []

    def _write(self, streams: list[Stream], new: list[ImportedEvent]) -> None:
        grown = [one for one in streams if one.version > one.stored]
        begun = [one.at_version(one.version) for one in grown if not one.stored]
        advanced = [one.at_version(one.version) for one in grown if one.stored]
        bulk.append(begun, advanced, [(e.envelope, e.payload) for e in new])
        # Commands write the rows of inline projections, and so does this.
        inline.apply([one.at_version(one.stored) for one in grown])
        for one in grown:
            one.stored = one.version
        self._done.events += sum(e.envelope.stream_type != STREAM_TYPE for e in new)
        self._done.reserved += sum(isinstance(e.event, Reserved) for e in new)
        self._done.begun += sum(one.stream_type != STREAM_TYPE for one in begun)
