"""A process that is frozen inside a transaction holds its locks for a bounded time."""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event as Flag
from uuid import UUID

from commands_app.commands import NewPost
from messaging import mediator
from messaging.bus import current_bus
from messaging.message import Context
from messaging.projections.models import Checkpoint, DeadLetter
from messaging.projections.registry import PROJECTIONS
from messaging.testing.waiting import wait_until
from tests.support.modes import Mode
from tests.support.processes import Worker
from tests.support.relaying import publish_all
from tests.support.web import Answer, Web

ALICE = Context(actor="alice")
CONSUME = ("runconsumer", "--no-relay")
FOREVER = {"IDLE_TRANSACTION_SECONDS": "0"}


def freezing(sql: str) -> list[str]:
    return [sys.executable, "-m", "tests.support.freezing", sql]


def post() -> UUID:
    return mediator.send(NewPost(message="Hi"), ALICE).stream_id


def all_is_consumed() -> bool:
    """By every projection."""
    offsets = Checkpoint.objects.values_list("offset", flat=True)
    return sum(offsets) == len(PROJECTIONS) * sum(current_bus().end_offsets().values())


def test_another_consumer_takes_over_from_one_that_is_frozen_in_its_transaction(
    postgresql: Mode,
) -> None:
    for _ in range(20):
        post()
    publish_all()
    env = {**postgresql.env, "IDLE_TRANSACTION_SECONDS": "4"}
    freeze_while_it_holds_checkpoints = freezing("UPDATE messaging_checkpoint")
    with Worker(env, *CONSUME, program=freeze_while_it_holds_checkpoints) as frozen:
        wait_until(frozen.is_frozen, "it is frozen in its transaction")
        with Worker(env, *CONSUME) as other:
            wait_until(all_is_consumed, "the other has taken over", 60)
            frozen.thaw()
            wait_until(lambda: "Trying again" in frozen.output(), "it finds its session ended")
            post()
            publish_all()
            wait_until(all_is_consumed, "both consume", 60)
            assert (frozen.stop(), other.stop()) == (0, 0)
    assert not DeadLetter.objects.exists()


def like_until(stop: Flag, web: Web, post_id: UUID) -> list[Answer]:
    answers = []
    while not stop.is_set():
        answers.append(web.send("like-post", post_id=str(post_id)))
    return answers


def test_a_hot_post_that_is_held_by_a_frozen_process_does_not_take_all_threads(
    postgresql: Mode, tmp_path: Path
) -> None:
    hot, other = post(), post()
    line = {"command": "LikePost", "actor": "bob", "post": str(hot)}
    file = tmp_path / "commands"
    file.write_text(json.dumps(line))
    env = {**postgresql.env, "LOCK_TIMEOUT_SECONDS": "4"}
    freeze_while_it_holds_the_post = freezing("EXECUTE postlog_load")
    stop, slowest = Flag(), 0.0
    with (
        Worker(env | FOREVER, "sendcommands", str(file), program=freeze_while_it_holds_the_post)
        as frozen,
        Web(env, threads=4) as web,
        ThreadPoolExecutor(8) as pool,
    ):  # fmt: skip
        wait_until(frozen.is_frozen, "it is frozen in its transaction")
        clients = [pool.submit(like_until, stop, web, hot) for _ in range(8)]
        end = time.monotonic() + 10
        while time.monotonic() < end:  # longer than two waits for the lock
            health = web.get("/health/live")
            assert health.status == 200
            slowest = max(slowest, health.seconds)
            assert web.send("like-post", post_id=str(other)).status == 200
        stop.set()
        answers = [answer for client in clients for answer in client.result()]
        frozen.thaw()
        assert frozen.wait() == 0
        assert web.send("like-post", post_id=str(hot)).status == 200
    assert {(one.status, one.headers["Retry-After"]) for one in answers} == {(503, "1")}
    assert any(one.seconds >= 4 for one in answers)  # some have waited for the lock
    assert slowest < 4, "health checks waited for the threads that waited for the lock"
