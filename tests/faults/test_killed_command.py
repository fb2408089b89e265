"""SIGKILL between any two statements of a command leaves all of it, or nothing."""

import signal
import sys
from uuid import uuid4

import pytest

from commands_app.commands import NewPost
from messaging import mediator
from messaging.eventstore.models import Event, Outbox, Receipt, Stream
from messaging.message import Context
from tests.support.modes import Mode
from tests.support.processes import Worker

MAX_STATEMENTS = 10  # more than a command has


@pytest.mark.parametrize("at", range(MAX_STATEMENTS))
def test_a_killed_command_is_stored_whole_or_not_at_all(database: Mode, at: int) -> None:
    post_id, command_id = uuid4(), uuid4()
    mediator.send(NewPost(post_id=post_id, message="Hi"), Context(actor="alice"))
    program = [sys.executable, "-m", "tests.support.dying"]
    with Worker(database.env, str(post_id), str(command_id), str(at), program=program) as worker:
        code = worker.wait()
        assert code in (0, -signal.SIGKILL), worker.output()
    stored = Event.objects.filter(stream_id=post_id, version=2).count()
    assert stored == (1 if code == 0 else 0)
    assert Stream.objects.get(stream_id=post_id).version == 1 + stored
    assert Outbox.objects.count() == 1 + stored
    assert Receipt.objects.filter(command_id=command_id).count() == stored


def test_a_command_is_killed_at_every_one_of_its_statements(database: Mode) -> None:
    """So that the test above cannot pass by never killing."""
    post_id = uuid4()
    mediator.send(NewPost(post_id=post_id, message="Hi"), Context(actor="alice"))
    program = [sys.executable, "-m", "tests.support.dying"]
    codes = []
    for at in (1, 4):
        with Worker(database.env, str(post_id), str(uuid4()), str(at), program=program) as worker:
            codes.append(worker.wait())
    assert codes == [-signal.SIGKILL] * 2
