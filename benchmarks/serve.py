"""HTTP: a command and a query, against the least that Django can do."""

import json
from collections.abc import Iterator
from uuid import UUID

from benchmarks.http import CLIENTS, SITE, granian, throughput
from benchmarks.measure import Result, medians
from benchmarks.write import bare_connection, bare_inserts, new_posts

COUNT = 1_500  # requests a round
ROUNDS = 3


def results() -> Iterator[Result]:
    bare_connection().close()
    bare_inserts()  # a row to read
    posts = new_posts(COUNT)
    project_all()
    tokens = iter([sign_in(f"reader{n}") for n in range(ROUNDS)])
    with (
        granian(SITE) as ours,
        granian("benchmarks.bare_site:application") as bare,
    ):
        likes, inserts = medians(
            ROUNDS,
            lambda: throughput(
                ours,
                [command("/api/v1/commands/like-post/", post_id) for post_id in posts],
                {"Authorization": f"Token {next(tokens)}"},
            ),
            lambda: throughput(bare, [command("/insert", post_id) for post_id in posts], {}),
        )
        path = "/api/v1/queries/find-post-by-id/?post_id="
        finds, reads = medians(
            ROUNDS,
            lambda: throughput(ours, [("GET", f"{path}{post_id}", None) for post_id in posts], {}),
            lambda: throughput(bare, [("GET", "/read", None)] * COUNT, {}),
        )
    yield from compared(likes, inserts, finds, reads)


def compared(likes: float, inserts: float, finds: float, reads: float) -> Iterator[Result]:
    server = f"granian, 2 workers, {CLIENTS} connections, {COUNT:,} requests"
    yield Result(
        name="POST like-post",
        workload=f"{server}; token authentication, each on another post",
        ours=likes,
        limit=inserts,
        against="minimal Django view that inserts one row",
        unit="requests/s",
        target=0.50,
    )
    yield Result(
        name="GET find-post-by-id",
        workload=server,
        ours=finds,
        limit=reads,
        against="minimal Django view that reads one row",
        unit="requests/s",
        target=0.60,
    )


def command(path: str, post_id: UUID) -> tuple[str, str, str]:
    return "POST", path, json.dumps({"post_id": str(post_id)})


def sign_in(name: str) -> str:
    """A token of a new person."""
    from django.contrib.auth import get_user_model
    from knox.models import AuthToken

    user = get_user_model().objects.create(username=name)
    _, token = AuthToken.objects.create(user=user)
    return str(token)


def project_all() -> None:
    """What is stored so far, in the read models."""
    from tests.support.consuming import consume_all
    from tests.support.relaying import publish_all

    publish_all()
    consume_all()
