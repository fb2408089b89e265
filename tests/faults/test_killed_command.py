"""SIGKILL between any two statements of a command leaves all of it, or nothing."""

import signal
import sys
from uuid import uuid4

from commands_app.commands import NewPost
from messaging import mediator
from messaging.eventstore.models import Event, Outbox, Receipt, Stream
from messaging.message import Context
from tests.support.modes import Mode
from tests.support.processes import Worker

MAX_STATEMENTS = 20  # more than a command has


def test_a_killed_command_is_stored_whole_or_not_at_all(database: Mode) -> None:
    likes = [uuid4() for _ in range(MAX_STATEMENTS)]
    for like in likes:
        mediator.send(NewPost(post_id=like, message="Hi"), Context(actor="alice"))
    program = [sys.executable, "-m", "tests.support.dying"]
    with Worker(database.env, *map(str, likes), program=program) as worker:
        assert worker.wait(240) == 0, worker.output()
        codes = [int(code) for code in worker.output().splitlines()[-1].split()]
    killed = codes.count(-signal.SIGKILL)
    assert codes == [-signal.SIGKILL] * killed + [0] * (MAX_STATEMENTS - killed)
    assert 5 < killed < MAX_STATEMENTS, "at every one of its statements, and behind the last"
    assert Outbox.objects.count() == Event.objects.count()
    for like, code in zip(likes, codes, strict=True):
        stored = Event.objects.filter(stream_id=like, version=2).count()
        assert stored == (1 if code == 0 else 0)
        assert Stream.objects.get(stream_id=like).version == 1 + stored
        assert Receipt.objects.filter(command_id=like).count() == stored
