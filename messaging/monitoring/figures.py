"""The figures of a sample: what is measured of the whole installation at one moment.

Some only ever count up, so that two samples give a rate, however many between them are left out:
`position`, `published`, `applied`, `refused`, `failed`. Where several samples become one, these are
the last, and the others the worst.
"""

from typing import Any

import msgspec

MAX_ERRORS, MAX_ERROR = 5, 200  # of a sample, and the characters of each


class ProjectionFigures(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """Of one projection. Of an inline one nothing lags and nothing is parked."""

    lag: int | None = 0  # records of the log that it has yet to take; None: the log did not answer
    lag_s: float = 0.0  # for how long the oldest of these has been in the log
    applied: int | None = None  # records that it has taken
    p50_s: float | None = None  # from stored to applied, of what was applied; None: nothing was
    p95_s: float | None = None
    dead_letters: int = 0
    halted: tuple[int, ...] = ()  # partitions

    def merged(self, later: "ProjectionFigures") -> "ProjectionFigures":
        return ProjectionFigures(
            lag=_worst(self.lag, later.lag),
            lag_s=max(self.lag_s, later.lag_s),
            applied=self.applied if later.applied is None else later.applied,
            p50_s=_worst(self.p50_s, later.p50_s),
            p95_s=_worst(self.p95_s, later.p95_s),
            dead_letters=max(self.dead_letters, later.dead_letters),
            halted=tuple(sorted({*self.halted, *later.halted})),
        )


class Figures(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    taken_s: float = 0.0  # when, in seconds since the epoch, by the database's clock
    position: int = 0  # of the last stored event
    outbox: int = 0  # events that wait for the relay
    outbox_age_s: float = 0.0  # of the oldest of them
    published: int | None = None  # records in the log; None: it did not answer
    projections: dict[str, ProjectionFigures] = {}  # none: the read database did not answer
    workers: dict[str, int] = {}  # alive, by role: relay, consumer, owner of <projection>
    leader: str = ""  # the process whose relay publishes: host and process id
    refused: int = 0  # answers 4xx of the web processes, other than 401 and 404
    failed: int = 0  # answers 5xx
    errors: tuple[str, ...] = ()  # what could not work: "consumer near 1 could not work: why"
    samples: int = 1  # how many these are merged from: each stands for 10 s

    def merged(self, later: "Figures") -> "Figures":
        """One that stands for this and a later one."""
        mine, theirs = self.projections, later.projections
        return Figures(
            taken_s=later.taken_s,
            position=later.position,
            outbox=max(self.outbox, later.outbox),
            outbox_age_s=max(self.outbox_age_s, later.outbox_age_s),
            published=self.published if later.published is None else later.published,
            projections={
                name: mine[name].merged(theirs[name])
                if name in mine and name in theirs
                else theirs.get(name) or mine[name]
                for name in mine | theirs
            },
            workers={
                role: min(self.workers.get(role, 0), later.workers.get(role, 0))
                for role in self.workers | later.workers
            },
            leader=later.leader,
            refused=later.refused,
            failed=later.failed,
            errors=tuple(dict.fromkeys((*self.errors, *later.errors)))[:MAX_ERRORS],
            samples=self.samples + later.samples,
        )


_decoder = msgspec.json.Decoder(Figures)


def encode(figures: Figures) -> str:
    return msgspec.json.encode(figures).decode()


def decode(text: str) -> Figures:
    return _decoder.decode(text)


def _worst(one: Any, other: Any) -> Any:
    """The greater of two numbers, or the one that there is."""
    return max((value for value in (one, other) if value is not None), default=None)
