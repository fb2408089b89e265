"""Stored events are published again, whole streams in their order, and change nothing twice."""

from uuid import uuid4

import pytest

from commands_app.commands import EditMessage, NewPost
from messaging import mediator
from messaging.bus import current_bus
from messaging.eventstore.models import Event, Outbox
from messaging.message import Context
from messaging.monitoring.models import OperatorAction
from messaging.projections.models import DeadLetter
from messaging.recovery import republish
from messaging.relay import outbox
from messaging.testing.waiting import wait_until
from queries_app.projections import posts
from tests.support.consuming import consume_all
from tests.support.fold import assert_read_models_equal_the_fold
from tests.support.modes import Mode
from tests.support.processes import Worker, here, manage
from tests.support.rebuilding import some_posts
from tests.support.relaying import publish_all

ALICE = Context(actor="alice")


def test_a_gap_is_healed_by_republishing_its_stream(database: Mode) -> None:
    post_id = mediator.send(NewPost(message="first"), ALICE).stream_id
    publish_all()
    consume_all(posts)
    mediator.send(EditMessage(post_id=post_id, message="lost"), ALICE)
    Outbox.objects.all().delete()
    mediator.send(EditMessage(post_id=post_id, message="third"), ALICE)
    publish_all()
    consume_all(posts)
    dead_letter = DeadLetter.objects.get()
    assert (dead_letter.code, dead_letter.version) == ("gap", 3)
    command = dead_letter.reason.split("`manage.py ")[1].split("`")[0]
    done = here(*command.split())
    assert (done.returncode, done.stdout) == (0, "3 events wait in the outbox for a relay.\n")
    publish_all()
    consume_all(posts)
    assert not DeadLetter.objects.exists()
    assert assert_read_models_equal_the_fold() == 1


def test_everything_published_again_changes_nothing(mode: Mode) -> None:
    some_posts()
    publish_all()
    consume_all(posts)
    before = sum(current_bus().end_offsets().values())
    assert republish.republish_all() == Event.objects.count()
    assert republish.republish_all() == 0, "what waits already waits once"
    publish_all()
    assert sum(current_bus().end_offsets().values()) == 2 * before
    consume_all(posts)
    assert not DeadLetter.objects.exists()
    assert_read_models_equal_the_fold()


def test_unknown_streams_and_wrong_usage_are_refused(database: Mode) -> None:
    known, unknown = mediator.send(NewPost(message="a"), ALICE).stream_id, uuid4()
    publish_all()
    with pytest.raises(republish.UnknownStreams, match=str(unknown)):
        republish.republish([known, unknown])
    assert outbox.waiting() == 0, "nothing was done by halves"
    refused = here("republish", str(unknown))
    assert refused.returncode == 1
    assert f"The store has no stream {unknown}" in refused.stderr
    for wrong in ([], ["no-uuid"], [str(known), "--all"], [str(known), "--accept-new-log"]):
        assert manage(database.env, "republish", *wrong).returncode == 2
    assert OperatorAction.objects.get().action == "republish"


def test_a_relay_goes_on_with_a_log_that_was_accepted(sqlite: Mode) -> None:
    from tests.support.losing import recreate_topic

    mediator.send(NewPost(message="first"), ALICE)
    with Worker(sqlite.env, "runrelay") as relay:
        wait_until(lambda: outbox.waiting() == 0, "it is published")
        assert relay.stop() == 0
    recreate_topic(sqlite)
    done = here("republish", "--all", "--accept-new-log")
    assert done.returncode == 0, done.stderr
    with Worker(sqlite.env, "runrelay") as relay:
        wait_until(lambda: outbox.waiting() == 0, "it is published again")
        assert relay.stop() == 0
    assert sum(current_bus().end_offsets().values()) == 1
