"""Acts of others who may write to the store or to the topic: another domain, and a forger."""

import random
import re
import time
from uuid import UUID

from messaging.testing.waiting import wait_until
from tests.faults.history.acts import act
from tests.faults.history.directed import probe
from tests.faults.history.facts import Foreign, Forged
from tests.faults.history.stack import End, Stack

OTHERS = ("-m", "tests.faults.history.others")
TOO_LONG = 1_047_700  # with its envelope this is more than a broker takes
REJECT = re.compile(r"reject-record (\d+) (\d+) ([-0-9a-f]{36})")


@act(lasts_s=(2, 6))
def offer_an_id_of_another_domain(stack: Stack, chance: random.Random) -> End:
    """Writers take it for a post: each of their commands has to be refused."""
    stream = UUID(int=chance.getrandbits(128), version=4)
    stack.recorder.write(Foreign(stream, 1))
    if "stored" in _append(stack, stream, 10):
        stack.board.offer(stream)
    return lambda: stack.board.withdraw(stream)


@act(lasts_s=(1, 3))
def append_an_event_that_is_too_large(stack: Stack, chance: random.Random) -> None:
    """It may not be stored: it would stop the relay for ever."""
    stream = UUID(int=chance.getrandbits(128), version=4)
    stack.recorder.write(Foreign(stream, 0))
    _append(stack, stream, TOO_LONG)


def _append(stack: Stack, stream: UUID, size: int) -> list[str]:
    return stack.run(*OTHERS, "append", str(stream), str(size), check=False).split()


@act(lasts_s=(1, 3), weight=0)
def forge_a_record(stack: Stack, chance: random.Random) -> None:
    """With a version that its stream has had. Whoever says so gets the cure that it names."""
    with stack.aiming():
        wait_until(lambda: _grown(stack), "a post has some events", 30)
        with stack.quiet():
            forged = stack.run(*OTHERS, "forge", str(_grown(stack)[0]), "2").split()[-1]
        stack.recorder.write(Forged(UUID(forged)))
        stack.may_end = {"relay"}
        for part in stack.of("relay"):
            part.kill()
            part.start()
        probe(stack, "telling of a forged record", lambda: forged in _last_words(stack), 30)
        found = REJECT.search(_last_words(stack))
        if found is not None:
            stack.run("manage.py", "reject-record", *found.groups(), check=False)
        stack.run("manage.py", "rebuild", "posts", check=False)  # reads it again
        time.sleep(2)  # of a relay that was just ending
    stack.may_end = set()


def _last_words(stack: Stack) -> str:
    return "".join(part.last_words for part in stack.of("relay"))


def _grown(stack: Stack) -> list[UUID]:
    rows = stack.write.rows(
        "SELECT stream_id FROM messaging_stream "
        "WHERE stream_type = 'post' AND version >= 3 ORDER BY version DESC LIMIT 1"
    )
    return [UUID(str(stream)) for (stream,) in rows]
