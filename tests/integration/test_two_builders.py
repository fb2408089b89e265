"""Two builders of one rebuild: one ends it, however long its steps take, and the other leaves."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
from django.db import connections

from messaging.bus import current_bus
from messaging.dialect import sessions
from messaging.projections.consuming import checkpoints
from messaging.projections.models import Rebuild
from messaging.rebuilding import builder, from_log, from_store, requests
from messaging.rebuilding.builder import Builder
from messaging.rebuilding.requests import BuilderReplaced
from messaging.testing.waiting import wait_until
from messaging.workers import leadership
from queries_app.models import Post
from queries_app.projections import posts
from tests.support.consuming import consume_all
from tests.support.fold import assert_read_models_equal_the_fold
from tests.support.modes import Mode, fresh_mode
from tests.support.rebuilding import at_step, rebuild, some_posts
from tests.support.relaying import publish_all

POSTS = 3


@pytest.fixture
def server(django_db_blocker: Any, tmp_path: Path) -> Iterator[Any]:
    """PostgreSQL with the embedded log, and a connection that sees what others do."""
    with django_db_blocker.unblock(), fresh_mode("postgresql", "embedded", tmp_path):
        consumed()
        params = sessions.parameters(connections["read"].settings_dict)
        with closing(sessions.connect(params)) as connection:
            yield connection


def consumed() -> None:
    some_posts(POSTS)
    publish_all()
    consume_all(posts)


def built_by(asked: Rebuild, held: Callable[[], bool] = lambda: True) -> Builder:
    return Builder(Rebuild.objects.get(id=asked.id), current_bus(), held)


def test_whoever_takes_over_during_the_switch_waits_and_finds_it_done(
    server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Else the switch is rolled back, and two builders whose switch takes long never end."""
    asked = requests.ask("posts", "log", "test")

    def run() -> None:
        built_by(asked).run(Flag())
        connections.close_all()

    other = Thread(target=run)

    def take_over() -> None:
        first = Rebuild.objects.get(id=asked.id).builder
        other.start()
        waits = (
            "SELECT (SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
            "AND datname = current_database()) "
            "+ (SELECT count(*) FROM messaging_rebuild WHERE builder <> %s)"
        )
        wait_until(lambda: sessions.answer(server, waits, [str(first)]), "it takes over, or waits")

    with at_step("level with the live generation", take_over) as step:
        built_by(asked).run(Flag())
        other.join()
    assert step.reached
    assert caplog.text.count("level with the live generation") == 1, "one has switched"
    assert Rebuild.objects.get(id=asked.id).state == "done"
    assert assert_read_models_equal_the_fold(2) == POSTS


def test_a_builder_that_lost_its_lock_stops_and_the_next_one_resumes(
    database: Mode, caplog: pytest.LogCaptureFixture
) -> None:
    consumed()
    asked = requests.ask("posts", "store", "test")
    built_by(asked, lambda: False).run(Flag())
    assert Rebuild.objects.get(id=asked.id).state == "filling"
    assert not Post.objects.filter(generation=2).exists()
    assert "rebuild of posts: its lock was lost" in caplog.text
    built_by(asked).run(Flag())
    assert assert_read_models_equal_the_fold(2) == POSTS


LONG = {
    "count": (from_store, "count"),
    "scan": (from_store, "stored_events"),
    "comparison": (builder.generations, "first_regressed_stream"),
}


@pytest.mark.parametrize("step", LONG)
def test_a_builder_keeps_its_lock_while_a_statement_takes_long(
    server: Any, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(leadership, "BEAT_EVERY_S", 0.05)
    at, name = LONG[step]
    statement = getattr(at, name)
    heard: list[object] = []

    def is_heard_again() -> bool:
        """Whether the server has heard three times from the session that has the lock."""
        last = sessions.answer(
            server,
            "SELECT max(query_start) FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = 'postlog rebuild-posts lock'",
        )
        if last not in heard:
            heard.append(last)
        return len(heard) == 3

    def takes_long(*args: Any) -> Any:
        wait_until(is_heard_again, "the lock's session is heard meanwhile", 10)
        return statement(*args)

    monkeypatch.setattr(at, name, takes_long)
    assert rebuild(posts, "store").state == "done"
    assert len(heard) == 3


def test_a_builder_that_wakes_behind_another_ends_without_an_error(database: Mode) -> None:
    """It learns that its time is over before it looks at the checkpoints, which have moved."""
    consumed()
    asked = requests.ask("posts", "log", "test")
    slept: list[bool] = []

    def held() -> bool:
        """As one that was frozen sees it: the lock was held when it looked last."""
        if not slept and Rebuild.objects.get(id=asked.id).state == "catching up":
            slept.append(True)
            built_by(asked).run(Flag())
        return True

    built_by(asked, held).run(Flag())
    assert slept
    assert Rebuild.objects.get(id=asked.id).state == "done"
    assert checkpoints.live_generation("posts") == 2
    assert assert_read_models_equal_the_fold(2) == POSTS


def test_it_learns_so_too_before_it_passes_over_offsets_without_a_record(sqlite: Mode) -> None:
    consumed()
    asked = requests.ask("posts", "log", "test")
    Rebuild.objects.filter(id=asked.id).update(builder=uuid4())  # another has taken it over
    moved_by_another = from_log.LogTail(current_bus().reader({}), {3: 7}, "")
    with pytest.raises(BuilderReplaced):
        built_by(asked)._pass_over(moved_by_another, {3: 8})
