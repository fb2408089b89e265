"""One relay works, others stand by; a frozen one loses the lock and does no harm after."""

from uuid import uuid4

from commands_app.commands import EditMessage, NewPost
from messaging import mediator
from messaging.message import Context
from messaging.relay import outbox
from messaging.testing.waiting import wait_until
from tests.support.modes import Mode
from tests.support.processes import Worker
from tests.support.topic import assert_the_log_tells_the_store

ALICE = Context(actor="alice")


def test_the_standby_takes_over_from_a_killed_relay(mode: Mode) -> None:
    with Worker(mode.env, "runrelay") as first:
        wait_until(lambda: "relay: active" in first.output(), "the first relay leads")
        with Worker(mode.env, "runrelay") as second:
            wait_until(lambda: "standing by" in second.output(), "the second stands by")
            mediator.send(NewPost(message="one"), ALICE)
            wait_until(lambda: outbox.waiting() == 0, "it is published")
            assert "relay: active" not in second.output()
            first.kill()
            mediator.send(NewPost(message="two"), ALICE)
            wait_until(lambda: outbox.waiting() == 0, "the second publishes")
            assert second.stop() == 0
    assert assert_the_log_tells_the_store() == 0


def test_a_frozen_relay_is_replaced_and_breaks_no_order_when_thawed(postgresql: Mode) -> None:
    post_id = uuid4()
    mediator.send(NewPost(post_id=post_id, message="0"), ALICE)
    with Worker(postgresql.env, "runrelay") as first, Worker(postgresql.env, "runrelay") as second:
        wait_until(lambda: outbox.waiting() == 0, "one of them leads")
        leader, other = (first, second) if "relay: active" in first.output() else (second, first)
        leader.freeze()
        mediator.send(EditMessage(post_id=post_id, message="1"), ALICE)
        wait_until(lambda: "relay: active" in other.output(), "the other takes over")
        wait_until(lambda: outbox.waiting() == 0, "it publishes")
        leader.thaw()
        for number in range(2, 30):
            mediator.send(EditMessage(post_id=post_id, message=str(number)), ALICE)
        wait_until(lambda: outbox.waiting() == 0, "all is published")
        wait_until(lambda: "standing by" in leader.output(), "the thawed one stands by")
        assert (leader.stop(), other.stop()) == (0, 0)
    assert_the_log_tells_the_store()
