"""Writers at work while relay and consumer are killed: every event takes effect once."""

import random
import sys
from pathlib import Path

import pytest

from commands_app.commands import LikePost, NewPost
from messaging import mediator
from messaging.eventstore.models import Event
from messaging.eventstore.unit_of_work import unit_of_work
from messaging.message import Context
from messaging.monitoring.status import current_status
from messaging.projections.models import DeadLetter
from messaging.testing.waiting import wait_until
from tests.support.fold import assert_read_models_equal_the_fold
from tests.support.load import stream
from tests.support.modes import Mode
from tests.support.processes import Worker
from tests.support.topic import assert_the_log_tells_the_store


def test_every_committed_event_takes_effect_once_though_workers_are_killed(
    mode: Mode, tmp_path: Path
) -> None:
    writers = 3 if mode.vendor == "postgresql" else 2
    under_fire(mode, tmp_path, writers=writers, streams=40, commands=200, kills=3)


@pytest.mark.soak
@pytest.mark.timeout(3000)
def test_twenty_thousand_commands_of_eight_writers(mode: Mode, tmp_path: Path) -> None:
    writers = 8 if mode.vendor == "postgresql" else 3
    under_fire(mode, tmp_path, writers=writers, streams=200, commands=20_000 // writers, kills=8)


def under_fire(
    mode: Mode, folder: Path, *, writers: int, streams: int, commands: int, kills: int
) -> None:
    author = Context(actor="author")
    for number in range(streams):
        mediator.send(NewPost(post_id=stream(number), message="first"), author)
    logs = [folder / f"writer{seed}.log" for seed in range(writers)]
    load = [
        Worker(
            mode.env,
            *(str(seed), str(streams), str(commands), str(logs[seed])),
            program=[sys.executable, "-m", "tests.support.load"],
        )
        for seed in range(writers)
    ]
    chance = random.Random(len(mode.vendor))
    relay, consumer = Worker(mode.env, "runrelay"), Worker(mode.env, "runconsumer", "--no-relay")
    try:
        total = writers * commands
        for kill in range(1, kills + 1):
            wait_until(
                lambda at=total * kill // (kills + 1): lines(logs) >= at, "the writers go on", 900
            )
            if kill == 1:
                commit_late(stream(0))
            if chance.random() < 0.7:
                relay.kill()
                relay = Worker(mode.env, "runrelay")
            if chance.random() < 0.7 or kill == kills:
                consumer.kill()
                consumer = Worker(mode.env, "runconsumer", "--no-relay")
        for writer in load:
            assert writer.wait(900) == 0, writer.output()[-3000:]
        wait_until(is_drained, "outbox and lag are empty", 120)
        assert (relay.stop(), consumer.stop()) == (0, 0)
    except BaseException:
        print(relay.output()[-2000:], consumer.output()[-2000:])  # noqa: T201
        raise
    finally:
        for worker in (relay, consumer, *load):
            worker.kill()
    assert "refused" in "".join(log.read_text() for log in logs), "some were rolled back"
    assert Event.objects.count() > total / 2
    assert not DeadLetter.objects.exists()
    assert_the_log_tells_the_store()
    assert assert_read_models_equal_the_fold() == streams


def commit_late(post_id: object) -> None:
    """A transaction that took its id early, by writing elsewhere, and appends last."""
    from django.contrib.auth import get_user_model

    from commands_app.handlers import posts
    from commands_app.post import like_post

    with unit_of_work(Context(actor="late")) as uow:
        get_user_model().objects.create(username="early")
        for number in range(1, 6):
            # Others append and are published meanwhile (on SQLite they wait).
            in_other_thread(
                lambda n=number: mediator.send(LikePost(post_id=stream(n)), Context(actor="late"))
            )
        found = posts.load(uow, post_id)
        posts.save(uow, found, like_post(found.state, "late"))


def in_other_thread(work: object) -> None:
    from threading import Thread

    from django.db import connection, connections

    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    if connection.vendor == "postgresql":  # on SQLite there is one writer at a time
        thread = Thread(target=run)
        thread.start()
        thread.join()


def lines(logs: list[Path]) -> int:
    return sum(log.read_text().count("\n") for log in logs if log.exists())


def is_drained() -> bool:
    found = current_status()
    return found.outbox == 0 and found.lag == 0
