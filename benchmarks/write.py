"""mediator.send: load a stream and append one event."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg2

from benchmarks.measure import Result, medians, rate

COUNT = 400  # commands a round
ROUNDS = 5
WRITERS = 8
PEER = Path(__file__).resolve().parents[1] / "var" / "peer"
BARE_TABLE = (
    "CREATE TABLE IF NOT EXISTS bare "
    "(id bigserial PRIMARY KEY, stream uuid, version int, data text)"
)
BARE_INSERT = "INSERT INTO bare (stream, version, data) VALUES (%s, %s, %s)"
PAYLOAD = '{"post_id": "01a2084c-b5aa-7614-b018-85022fcc8c04", "username": "somebody"}'


def results() -> Iterator[Result]:
    posts = new_posts(COUNT)
    likers = iter(range(1_000_000))
    single, bare, peer = medians(
        ROUNDS,
        lambda: like_all(posts, f"person{next(likers)}"),
        bare_inserts,
        peer_appends,
    )
    workload = f"a like on each of {COUNT} posts, one event appended; {ROUNDS} rounds"
    common: dict[str, Any] = {"workload": workload, "unit": "commands/s", "ours": single}
    yield Result(
        name="send, 1 writer",
        against="bare psycopg2 insert and commit",
        limit=bare,
        target=0.33,
        **common,
    )
    yield Result(
        name="send, 1 writer", against="eventsourcing 9.5.6", limit=peer, target=2.5, **common
    )
    many, locked = medians(3, lambda: together(_send_likes), lambda: together(_locked_appends))
    yield Result(
        name=f"send, {WRITERS} writers",
        workload=f"{WRITERS} processes, {COUNT} likes each, each on posts of its own",
        ours=many,
        limit=locked,
        against="the same append under LOCK TABLE ... EXCLUSIVE",
        unit="commands/s",
        target=1.8,
    )


def new_posts(count: int) -> list[UUID]:
    from commands_app.commands import NewPost
    from messaging import mediator
    from messaging.message import Context

    author = Context(actor="author")
    return [mediator.send(NewPost(message="Hi " * 20), author).stream_id for _ in range(count)]


def like_all(posts: list[UUID], actor: str) -> float:
    from commands_app.commands import LikePost
    from messaging import mediator
    from messaging.message import Context

    context, following = Context(actor=actor), iter(posts)
    return rate(lambda: mediator.send(LikePost(post_id=next(following)), context), len(posts))


def bare_connection() -> Any:
    connection = psycopg2.connect(os.environ["WRITE_DATABASE_URL"])
    with connection, connection.cursor() as cursor:
        cursor.execute(BARE_TABLE)
    return connection


def bare_inserts() -> float:
    connection, stream = bare_connection(), str(uuid4())
    cursor = connection.cursor()

    def insert() -> None:
        cursor.execute(BARE_INSERT, [stream, 1, PAYLOAD])
        connection.commit()

    found = rate(insert, COUNT)
    connection.close()
    return found


def peer_appends() -> float:
    """In an environment of its own: it brings psycopg 3, which Django would prefer."""
    if not PEER.exists():
        requirements = Path(__file__).parent / "requirements-peer.txt"
        options = ["--quiet", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run(
            [sys.executable, "-m", "pip", "install", *options, "-r", requirements, "-t", PEER],
            check=True,
        )
    program = Path(__file__).parent / "peer.py"
    done = subprocess.run(
        [sys.executable, program, str(COUNT)],
        env={**os.environ, "PYTHONPATH": str(PEER)},
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout)


def together(work: Callable[[Any, Any], None]) -> float:
    """Commands a second of all writers together."""
    context = get_context("spawn")
    ready, go = context.Semaphore(0), context.Event()
    writers = [context.Process(target=work, args=(ready, go)) for _ in range(WRITERS)]
    for writer in writers:
        writer.start()
    for _ in writers:
        ready.acquire()
    go.set()
    begun = time.perf_counter()
    for writer in writers:
        writer.join()
    return WRITERS * COUNT / (time.perf_counter() - begun)


def _send_likes(ready: Any, go: Any) -> None:
    import django

    django.setup()
    posts = new_posts(COUNT)
    ready.release()
    go.wait()
    like_all(posts, "somebody")


def _locked_appends(ready: Any, go: Any) -> None:
    """The same command, but with the table locked from the load to the commit."""
    import django

    django.setup()
    from django.db import connection

    posts = new_posts(COUNT)
    load, lock = "EXECUTE postlog_load", "LOCK TABLE messaging_event IN EXCLUSIVE MODE"

    def with_lock(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        return execute(sql.replace(load, f"{lock};{load}"), params, many, context)

    ready.release()
    go.wait()
    with connection.execute_wrapper(with_lock):
        like_all(posts, "somebody")
