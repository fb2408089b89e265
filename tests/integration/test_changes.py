"""Who waits for a change is woken by it, and asks less and less where none comes."""

import time
from itertools import pairwise
from threading import Event as Flag
from threading import Thread
from uuid import UUID, uuid4

import pytest
from django.contrib.auth import get_user_model
from django.db import connections

from messaging.dialect.changes import MAX_PAUSE_S, MIN_PAUSE_S, Changes
from messaging.exceptions import ReadSideBehind
from messaging.message import Position
from messaging.projections.registry import Projection
from messaging.projections.serving import waiting
from messaging.projections.serving.live import live_version
from queries_app.projections import posts
from tests.support.modes import Mode
from tests.support.threads import together

FOR_EVER_S = 60.0


class Pauses(Flag):
    """Never set; keeps how long each pause was to be, and takes none."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.taken.append(timeout)
        return False


def commit() -> None:
    get_user_model().objects.create(username="ann")
    connections.close_all()


def test_a_commit_of_another_connection_ends_the_wait(sqlite: Mode) -> None:
    changes = Changes("default")
    get_user_model().objects.count()  # the look
    changes.wait(FOR_EVER_S)  # what it saw first counts as new
    begun = time.monotonic()
    other = Thread(target=commit)
    other.start()
    changes.wait(FOR_EVER_S)
    other.join()
    assert time.monotonic() - begun < FOR_EVER_S


def test_what_was_committed_during_the_look_is_not_missed(sqlite: Mode) -> None:
    changes = Changes("default")
    get_user_model().objects.count()
    changes.wait(FOR_EVER_S)
    together(commit)
    begun = time.monotonic()
    changes.wait(FOR_EVER_S)
    assert time.monotonic() - begun < FOR_EVER_S


def test_own_commits_and_none_do_not_end_it_before_its_time(sqlite: Mode) -> None:
    changes = Changes("default")
    get_user_model().objects.count()
    changes.wait(FOR_EVER_S)
    get_user_model().objects.create(username="ann")
    begun = time.monotonic()
    changes.wait(0.2)
    assert time.monotonic() - begun >= 0.2


def test_pauses_grow_while_nothing_comes_and_begin_again_when_something_does(
    postgresql: Mode,
) -> None:
    changes, pauses = Changes("default"), Pauses()  # PostgreSQL does not tell of commits
    for _ in range(100):
        changes.wait(FOR_EVER_S, pauses)
    assert pauses.taken == sorted(pauses.taken), "it asks less and less"
    assert (pauses.taken[0], pauses.taken[-1]) == (MIN_PAUSE_S, MAX_PAUSE_S)
    changes.came()
    changes.wait(FOR_EVER_S, pauses)
    assert pauses.taken[-1] == MIN_PAUSE_S


def test_pauses_grow_less_where_asking_is_cheap(sqlite: Mode) -> None:
    changes, pauses = Changes("default"), Pauses()
    get_user_model().objects.count()
    changes.wait(FOR_EVER_S)
    changes.came()
    changes.wait(0.05, pauses)
    steps = pairwise(pauses.taken[:20])
    assert all(before < after <= 1.04 * before for before, after in steps), pauses.taken[:20]


def test_a_flag_that_is_set_ends_it(sqlite: Mode) -> None:
    stop = Flag()
    stop.set()
    Changes("default").wait(FOR_EVER_S, stop)


def test_it_goes_on_where_the_connection_is_closed(sqlite: Mode) -> None:
    changes = Changes("default")
    connections["default"].close()
    begun = time.monotonic()
    changes.wait(FOR_EVER_S)
    assert time.monotonic() - begun < FOR_EVER_S


@pytest.mark.parametrize("at_most_s", [0.0, -1.0])
def test_no_time_is_no_error(sqlite: Mode, at_most_s: float) -> None:
    Changes("default").wait(at_most_s)


def test_who_waits_with_a_token_looks_again_only_after_a_commit(
    sqlite: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[UUID] = []

    def counted(projection: Projection, stream_id: UUID) -> int:
        looks.append(stream_id)
        return live_version(projection, stream_id)

    monkeypatch.setattr(waiting, "live_version", counted)
    monkeypatch.setattr(waiting, "MAX_WAIT_S", 0.3)
    with pytest.raises(ReadSideBehind):
        waiting.wait_for(posts, [Position("post", uuid4(), 1)])
    assert len(looks) <= 3, "at first, with the first mark, and at the end"
