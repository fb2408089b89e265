"""What the checker judges: what clients were told, and what the databases and the log hold."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

ACKNOWLEDGED, REFUSED, UNKNOWN = "acknowledged", "refused", "unknown"


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command that one client sent until its outcome was known, or until time was up."""

    client: str
    actor: str
    name: str  # "like-post"
    post: UUID
    body: dict[str, Any]
    command_id: UUID
    outcome: str
    sent_at: float  # seconds of one monotonic clock: when it was first sent
    answered_at: float  # when the outcome was known
    status: int = 0
    version: int = 0  # as answered
    code: str = ""  # of a refusal
    attempts: int = 1


@dataclass(frozen=True, kw_only=True)
class Read:
    """One answer to one query about one post."""

    client: str
    query: str
    post: UUID
    sent_at: float
    answered_at: float
    status: int
    version: int = 0  # 0: the post was not found
    token: int = 0  # the version that the client had to see; 0: it sent no token
    seen: dict[str, Any] = field(default_factory=dict)


class Repeat(NamedTuple):
    """The answer to a command that was sent again after its outcome was known."""

    command_id: UUID
    status: int
    version: int
    code: str


class Answer(NamedTuple):
    """An answer that was no outcome and no content: 5xx, and 4xx that nobody expects."""

    client: str
    path: str
    status: int
    retry_after: str
    text: str


class Page(NamedTuple):
    """What a tab saw right after the same session had written a post."""

    client: str
    post: str
    asked_at: float
    status: int
    shown: bool
    said: bool  # that it is behind


class Probe(NamedTuple):
    """How long something took that healthy parts have to do while another part is broken."""

    what: str
    took_s: float
    most_s: float


class Ended(NamedTuple):
    """A process that ended though nobody stopped it."""

    role: str
    code: int
    output: str


class Foreign(NamedTuple):
    """A stream of another domain, in the same store."""

    post: UUID
    events: int  # of its own, at most


class Forged(NamedTuple):
    """A record of the log that no relay wrote."""

    event_id: UUID


class Event(NamedTuple):
    """A row of the event store."""

    position: int
    stream: UUID
    version: int
    event_id: UUID
    type: str
    data: dict[str, Any]
    recorded_at: datetime
    actor: str
    command_id: UUID


class Published(NamedTuple):
    """A record of the log."""

    partition: int
    offset: int
    key: str
    stream: UUID
    version: int
    event_id: UUID
    type: str
    data: dict[str, Any]


Row = dict[str, Any]


@dataclass(kw_only=True)
class Tables:
    """The rows that readers see: those of the live generation of each projection."""

    posts: dict[UUID, Row] = field(default_factory=dict)
    comments: dict[tuple[UUID, UUID], Row] = field(default_factory=dict)
    histories: dict[UUID, Row] = field(default_factory=dict)
    entries: dict[tuple[UUID, int], Row] = field(default_factory=dict)
    texts: dict[tuple[UUID, UUID], Row] = field(default_factory=dict)
    likes: dict[UUID, Row] = field(default_factory=dict)
    like: dict[tuple[UUID, str], Row] = field(default_factory=dict)


@dataclass(kw_only=True)
class Level:
    """Whether the system has come to rest."""

    outbox: int = 0
    lag: dict[str, int] = field(default_factory=dict)  # projection -> records behind
    halted: list[str] = field(default_factory=list)
    dead_letters: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class Facts:
    commands: list[Command] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    repeats: list[Repeat] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    foreign: list[Foreign] = field(default_factory=list)
    forged: list[Forged] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    streams: dict[UUID, int] = field(default_factory=dict)  # version of the stream's row
    log: list[Published] = field(default_factory=list)
    tables: Tables = field(default_factory=Tables)
    level: Level = field(default_factory=Level)


class Violation(NamedTuple):
    """A broken promise, and what shows it."""

    rule: str
    evidence: str
