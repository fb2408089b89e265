"""Acts that aim at one moment: a freeze inside a transaction, or in the middle of a clean-up."""

import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import psycopg2

from dev.server import Server
from messaging.testing.waiting import wait_until
from tests.faults.history.acts import _ask_for_rebuilds, _postgres, act, start_again
from tests.faults.history.client import Away, Client
from tests.faults.history.facts import Probe
from tests.faults.history.stack import STAFF, End, Part, PostgresStack, Stack, signal_all

FROZEN_S = 40.0
WAITING = (
    "SELECT application_name FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
    "AND usename = 'app' AND query LIKE '%{}%'"
)


@contextmanager
def locked_rows(stack: PostgresStack, database: str, sql: str) -> Iterator[None]:
    """Hold locks in a session of our own, so that others wait inside their transactions."""
    with closing(psycopg2.connect(stack.postgres.url(database))) as connection:
        with connection.cursor() as cursor:
            cursor.execute(sql)
        yield
        connection.rollback()


def waiting(stack: PostgresStack, query: str) -> set[str]:
    """The names of the parts that wait for a lock in such a statement."""
    return {name for (name,) in stack.execute(WAITING.format(query))}


def probe(stack: Stack, what: str, done: Callable[[], bool], most_s: float) -> None:
    """Record how long it takes until something that others do is done."""
    begun = time.monotonic()
    with suppress(AssertionError):
        wait_until(done, what, FROZEN_S)
    stack.recorder.write(Probe(what, time.monotonic() - begun, most_s))


@act("postgresql", lasts_s=(1, 2))
def freeze_web_in_a_transaction(stack: Stack, chance: random.Random) -> End | None:
    """One server holds the row of a hot post; the other has to go on answering, also about it."""
    found = _postgres(stack)
    frozen, healthy = chance.sample(stack.of("web"), 2)
    hot = "SELECT stream_id FROM messaging_stream ORDER BY version DESC LIMIT 1"
    with stack.aiming():
        wait_until(lambda: count(stack), "there is a post", 30)
    posts = stack.write.rows(hot)
    if not posts:
        return None
    with locked_rows(found, "write", f"{hot} FOR UPDATE"), stack.aiming():
        wait_until(
            lambda: frozen.name in waiting(found, "postlog_load"), "its command waits for a row", 20
        )
        signal_all(frozen.pids(), signal.SIGSTOP)
    client = Client("probe", [healthy.port], stack.tokens[STAFF])
    for _ in range(5):
        probe(stack, "the health of the server that is not frozen", lambda: is_alive(client), 20)
        time.sleep(1)
    # An edit by somebody else is refused, once the post could be loaded.
    edit = {"post_id": str(posts[0][0]), "message": "not by its author"}
    probe(stack, "a command on what a frozen server holds", lambda: is_refused(client, edit), 25)
    client.close()
    return lambda: signal_all(frozen.pids(), signal.SIGCONT)


def is_refused(client: Client, edit: dict[str, str]) -> bool:
    with suppress(Away):
        return client.send("edit-message", edit).code == "not_author"
    return False


def is_alive(client: Client) -> bool:
    with suppress(Away):
        return client.request("GET", "/health/live", None, {}).status == 200
    return False


@act("postgresql", lasts_s=(1, 2))
def freeze_a_consumer_in_a_transaction(stack: Stack, chance: random.Random) -> End:
    """It holds the checkpoints of its partitions; another one has to take them over."""
    found = _postgres(stack)
    for part in stack.of("consumer"):
        part.start()
    frozen = chance.choice(stack.of("consumer"))
    sql = "SELECT 1 FROM queries_app_post FOR UPDATE"
    with locked_rows(found, "read", sql), stack.aiming():
        wait_until(lambda: frozen.name in waiting(found, "queries_app_post"), "its batch waits", 20)
        signal_all(frozen.pids(), signal.SIGSTOP)
    ends = stack.ends()
    probe(stack, "consuming what a frozen consumer held", lambda: reached(stack, ends), 35)
    return lambda: signal_all(frozen.pids(), signal.SIGCONT)


def reached(stack: Stack, ends: dict[int, int]) -> bool:
    """Whether the posts have been consumed up to these offsets."""
    rows = stack.read.rows(
        'SELECT "partition", max("offset") FROM messaging_checkpoint '
        "WHERE projection = 'posts' GROUP BY 1"
    )
    at = dict(rows)
    return all(at.get(partition, 0) >= end for partition, end in ends.items())


@act("postgresql", lasts_s=(3, 5), weight=0)
def put_the_log_back(stack: Stack, chance: random.Random) -> None:
    """To an earlier copy of the broker's disk, beyond which consumers have read; new records
    then take the offsets of lost ones. Whoever says so gets the cure that the message names."""
    found = _postgres(stack)
    workers = [*stack.of("relay"), *stack.of("consumer")]
    with stack.aiming():
        with stack.quiet():
            copy_disk(found.kafka, "copy")
        time.sleep(4)  # of records that will be lost
        with stack.quiet():
            seen = stack.ends()
            stack.may_end = {"relay", "consumer"}
            for part in stack.of("consumer"):
                part.kill()
            found.kafka.kill()
            put_back_disk(found.kafka, "copy")
        wait_until(lambda: passed(stack, seen) or halted(workers), "the log is filled again", 40)
        for part in stack.of("consumer"):
            part.start()
        wait_until(lambda: halted(workers), "somebody says so", 30)
        for part in workers:
            part.stop()
        stack.run("manage.py", "republish", "--all", "--accept-new-log")
        stack.run("manage.py", "rebuild", "--from", "store")
    for part in workers:
        part.start()
    stack.may_end = set()


def copy_disk(server: Server, name: str) -> None:
    server.stop()
    shutil.copytree(server.folder / "data", server.folder / name)
    start_again(server.start)


def put_back_disk(server: Server, name: str) -> None:
    shutil.rmtree(server.folder / "data")
    shutil.copytree(server.folder / name, server.folder / "data")
    start_again(server.start)


def passed(stack: Stack, ends: dict[int, int]) -> bool:
    """Whether some partition has grown beyond where it had ended."""
    return any(end > ends.get(partition, 0) for partition, end in stack.ends().items())


def halted(parts: list[Part]) -> bool:
    return any("lost its tail" in part.last_words for part in parts)


@act("postgresql", lasts_s=(3, 5))
def freeze_a_builder_in_its_clean_up(stack: Stack, chance: random.Random) -> None:
    """Another builder ends the clean-up and leads on to the next generation; then it wakes."""
    found = _postgres(stack)
    for part in stack.of("consumer"):
        part.start()
    live = "(SELECT live_generation FROM messaging_projectionstate WHERE name = 'posts')"
    sql = (
        f"SELECT 1 FROM queries_app_post WHERE generation = {live} ORDER BY version LIMIT 1 "
        "FOR UPDATE"
    )
    with stack.aiming():
        wait_until(lambda: count(stack) >= 40, "there are some posts", 30)
    slow = found.proxies["postgresql of consumer"]
    with stack.aiming(), stack.quiet():
        try:
            with locked_rows(found, "read", sql):
                _ask_for_rebuilds(stack, "posts")
                deleting = wait_until(
                    lambda: waiting(found, "DELETE FROM queries_app_post"), "it is deleted", 60
                )
                slow.slow(0.2)
            frozen = stack.parts[deleting.pop()]
            wait_until(lambda: froze_between_chunks(found, frozen), "it is between two chunks", 30)
            slow.heal()
            wait_until(lambda: not stack.rebuilds_under_way(), "another one cleans up", 60)
            _ask_for_rebuilds(stack, "posts")
            wait_until(lambda: not stack.rebuilds_under_way(), "another generation is live", 60)
        finally:
            slow.heal()
            for part in stack.of("consumer"):
                signal_all(part.pids(), signal.SIGCONT)


def froze_between_chunks(stack: PostgresStack, part: Part) -> bool:
    """Freeze it, and let it go on if that was inside a transaction or after its clean-up."""
    signal_all(part.pids(), signal.SIGSTOP)
    time.sleep(0.5)  # what it had sent arrives
    sessions = stack.execute(
        "SELECT state FROM pg_stat_activity WHERE datname = 'read' AND usename = 'app' "
        f"AND application_name = '{part.name}'"
    )
    if stack.rebuilds_under_way() and {state for (state,) in sessions} <= {"idle"}:
        return True
    signal_all(part.pids(), signal.SIGCONT)
    time.sleep(0.1)
    return False


def count(stack: Stack) -> int:
    """Of posts."""
    return int(stack.write.rows("SELECT count(*) FROM messaging_stream")[0][0])
