"""How the times of an event's steps are told."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4, uuid5

import pytest
from uuid_utils.compat import uuid7

from messaging.eventstore.models import Event
from messaging.eventstore.unit_of_work import generated_command_id
from messaging.monitoring.timeline import MARGIN, WIDTH, Moment, duration, in_text, marks, received

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def after(**passed: float) -> datetime:
    return NOON + timedelta(**passed)


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        (timedelta(milliseconds=3), "+3 ms"),
        (timedelta(microseconds=-900), "+0 ms"),
        (timedelta(milliseconds=-250), "-250 ms"),
        (timedelta(microseconds=999_600), "+1.0 s"),
        (timedelta(seconds=59.96), "+1 min 0 s"),
        (timedelta(seconds=184), "+3 min 4 s"),
        (timedelta(hours=2, minutes=5), "+2 h 5 min"),
        (timedelta(days=3, hours=4), "+3 d 4 h"),
        (timedelta(days=-40_000), "-40000 d 0 h"),
    ],
)
def test_a_duration_has_two_units_at_most(passed: timedelta, said: str) -> None:
    assert duration(passed) == said


def test_each_moment_is_told_from_the_first_that_is_known() -> None:
    found = marks(
        [
            Moment("received", None, "not kept"),
            Moment("stored", NOON),
            Moment("published", after(milliseconds=41)),
            Moment("applied to posts", after(milliseconds=180), at_most=True),
            Moment("applied to likes", None, "on its way"),
        ]
    )
    assert [one.after for one in found] == ["", "", "+41 ms", "at most +180 ms", ""]
    assert [one.x for one in found] == [0, MARGIN, 141, WIDTH - MARGIN, 0]
    assert in_text(found)[2:] == [
        "published            2026-11-28 12:00:00.041 +41 ms",
        "applied to posts     2026-11-28 12:00:00.180 at most +180 ms",
        "applied to likes                                         (on its way)",
    ]


def test_clocks_that_differ_are_said_to_differ() -> None:
    leapt = marks([Moment("stored", NOON), Moment("published", after(days=-4_000), "known")])
    assert (leapt[1].after, leapt[1].x) == ("-4000 d 0 h", MARGIN)
    assert leapt[1].note == "known; the clocks of two hosts differ"
    cut = marks([Moment("stored", NOON), Moment("published", after(milliseconds=-1))])
    assert (cut[1].after, cut[1].note) == ("+0 ms", "")
    assert marks([]) == []
    assert [one.x for one in marks([Moment("stored", NOON)])] == [MARGIN]


def test_only_an_id_that_is_made_of_a_time_says_when_the_command_came() -> None:
    def came(command_id: UUID) -> list[Moment]:
        return [*received(Event(command_id=command_id, correlation_id=command_id))]

    (made,) = came(generated_command_id())
    assert made.step == "received"
    assert made.at is not None
    assert abs(made.at - datetime.now(UTC)) < timedelta(minutes=1)
    sent, unknown = came(UUID(str(uuid7())))
    assert (sent.step, sent.note[:12]) == ("sent", "by the clock")
    assert (unknown.step, unknown.at) == ("received", None)
    for command_id in (uuid4(), uuid5(uuid4(), "key"), UUID(int=0), UUID(int=2**128 - 1)):
        assert [one.at for one in came(command_id)] == [None]
