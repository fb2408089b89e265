"""Dead letters by what is wrong: one cause often parks many streams, and one stream many events."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db.models import Count

from messaging.admin.readonly_admin import page_of
from messaging.projections.consuming.dead_letters import heads
from messaging.projections.models import DeadLetter, ProjectionState, Rebuild
from messaging.projections.registry import PROJECTIONS

MAX_HEADS = 1_000  # dead letters that others wait behind, of a generation
MAX_STREAMS = 20  # of a cause, in the list
# What differs from stream to stream in an error: ids, hashes, numbers.
OF_ONE_STREAM = re.compile(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\b0x[0-9a-f]+\b|\b\d+\b")
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


@dataclass(slots=True)
class Stream:
    letter: DeadLetter  # the one that the others wait behind
    behind: int
    seen: str  # what readers see of it meanwhile

    @property
    def url(self) -> str:
        return page_of(DeadLetter, self.letter.pk)


@dataclass(slots=True)
class Group:
    projection: str
    generation: int
    code: str
    error: str  # without what differs from stream to stream
    since: datetime
    streams: list[Stream] = field(default_factory=list)

    @property
    def events(self) -> int:
        return sum(1 + one.behind for one in self.streams)

    @property
    def shown(self) -> list[Stream]:
        return self.streams[:MAX_STREAMS]

    @property
    def left_out(self) -> int:
        return len(self.streams) - len(self.shown)


def by_cause() -> list[Group]:
    """The dead letters that others wait behind, the cause with the most streams first."""
    groups: dict[tuple[str, int, str, str], Group] = {}
    for name, generation in _generations():
        first = heads(name, generation, MAX_HEADS)
        parked, versions = _parked(first), _versions(first)
        for head in first:
            key = (name, generation, head.code, OF_ONE_STREAM.sub(ELLIPSIS, error_of(head)))
            group = groups.setdefault(key, Group(*key, since=head.parked_at))
            group.since = min(group.since, head.parked_at)
            behind = max(0, parked.get(_key(head), 1) - 1)
            group.streams.append(Stream(head, behind, _seen(head, versions)))
    return sorted(groups.values(), key=lambda one: -len(one.streams))


def _generations() -> Iterator[tuple[str, int]]:
    """Those that readers see, and those that are being built."""
    live = dict(ProjectionState.objects.values_list("name", "live_generation"))
    yield from ((name, live.get(name, 1)) for name in PROJECTIONS)
    building = Rebuild.objects.exclude(state__in=(*Rebuild.ENDED, Rebuild.State.CLEANING_UP))
    yield from building.order_by("id").values_list("projection", "generation")


def stream_of(letter: DeadLetter) -> Stream:
    """The letter's own stream, from this letter on."""
    behind = 0
    if letter.stream_id is not None:
        behind = DeadLetter.objects.filter(
            projection=letter.projection, generation=letter.generation,
            stream_id=letter.stream_id, version__gt=letter.version,
        ).count()  # fmt: skip
    return Stream(letter, behind, _seen(letter, _versions([letter])))


def error_of(letter: DeadLetter) -> str:
    """What went wrong: the first line of the message, behind the last frame of a traceback. A
    database's message goes on for some lines: the row's values, and what was being done."""
    lines = letter.reason.strip().splitlines()
    frames = [number for number, line in enumerate(lines) if line.startswith("  File ")]
    behind = lines[frames[-1] :] if frames else lines
    return next((line for line in behind if line[:1].strip()), "")


Key = tuple[str, int, UUID | None]


def _key(letter: DeadLetter) -> Key:
    return letter.projection, letter.generation, letter.stream_id


def _parked(first: list[DeadLetter]) -> dict[Key, int]:
    """How many are parked of each stream."""
    ids = {one.stream_id for one in first if one.stream_id}
    rows = DeadLetter.objects.filter(stream_id__in=ids).order_by()
    counted = rows.values_list("projection", "generation", "stream_id").annotate(n=Count("id"))
    return {(name, generation, stream): n for name, generation, stream, n in counted}


def _versions(letters: list[DeadLetter]) -> dict[Key, int]:
    """Of the rows that readers see."""
    found: dict[Key, int] = {}
    for name, generation in {(one.projection, one.generation) for one in letters}:
        if (projection := PROJECTIONS.get(name)) is None:
            continue
        ids = [one.stream_id for one in letters if one.stream_id and one.projection == name]
        rows = projection.root._default_manager.filter(
            **projection.root_filter, generation=generation, stream_id__in=ids
        )
        for stream, version in rows.values_list("stream_id", "version"):
            found[name, generation, stream] = version
    return found


def _seen(letter: DeadLetter, versions: dict[Key, int]) -> str:
    if letter.stream_id is None:
        return "all of it: the record names no stream"
    version = versions.get(_key(letter))
    return "nothing of it" if not version else f"version {version}"
