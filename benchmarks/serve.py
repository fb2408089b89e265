"""HTTP: a command and a query, against the least that Django can do, and against REST framework.

Besides requests a second, in which the client, the clients' turns and PostgreSQL have their part,
the CPU that the server's own processes use for each request: on a busy machine that is the
figure to go by. Where the rest goes: docs/decisions/0050-figures-that-fall-short.md
"""

import json
from collections.abc import Callable, Iterator
from typing import NamedTuple
from uuid import UUID

from benchmarks.http import CLIENTS, SITE, Requests, cpu_s, granian, raw_throughput
from benchmarks.measure import Result, medians
from benchmarks.write import bare_connection, bare_inserts, new_posts

COUNT = 1_500  # requests a round
ROUNDS = 5
MINIMAL, BY_HAND = "minimal Django view", "hand-written views: REST framework, knox"


class Rate(NamedTuple):
    rate: float  # requests a second
    cpu_ms: float  # of the server's processes, for a request


class Served(NamedTuple):
    """Of each site, its median."""

    ours: Rate
    minimal: Rate
    by_hand: Rate


def results() -> Iterator[Result]:
    bare_connection().close()
    bare_inserts()  # a row to read
    posts = new_posts(COUNT)
    project_all()
    tokens = [{"Authorization": f"Token {sign_in(f'reader{n}')}"} for n in range(ROUNDS)]
    with (
        granian(SITE) as ours,
        granian("benchmarks.bare_site:application") as minimal,
        granian("benchmarks.drf_site:application") as by_hand,
    ):
        each = iter(tokens)
        likes = served(
            lambda: measured(ours, likes_of("/api/v1/commands/like-post/", posts), next(each)),
            lambda: measured(minimal, likes_of("/insert", posts), {}),
            lambda: measured(by_hand, likes_of("/like/", posts), tokens[0]),
        )
        path = "/api/v1/queries/find-post-by-id/?post_id="
        finds = served(
            lambda: measured(ours, [("GET", f"{path}{one}", None) for one in posts], {}),
            lambda: measured(minimal, [("GET", "/read", None)] * COUNT, {}),
            lambda: measured(by_hand, [("GET", f"/posts/{one}/", None) for one in posts], {}),
        )
    yield from compared("POST like-post", likes, "that inserts one row", 0.50, 0.50)
    yield from compared("GET find-post-by-id", finds, "that reads one row", 0.70, 0.25)


def measured(port: int, requests: Requests, headers: dict[str, str]) -> Rate:
    before = cpu_s(port)
    rate = raw_throughput(port, requests, headers)
    return Rate(rate, (cpu_s(port) - before) * 1_000 / len(requests))


def served(*parts: Callable[[], Rate]) -> Served:
    """In rounds in which all take their turn."""
    seen: list[list[Rate]] = [[] for _ in parts]

    def rate(part: int) -> float:
        seen[part].append(parts[part]())
        return seen[part][-1].rate

    rates = medians(ROUNDS, *(lambda n=n: rate(n) for n in range(len(parts))))
    cpu = [sorted(one.cpu_ms for one in rounds)[ROUNDS // 2] for rounds in seen]
    return Served(*(Rate(*pair) for pair in zip(rates, cpu, strict=True)))


def compared(
    name: str, served: Served, what: str, of_minimal: float, cpu_ms: float
) -> Iterator[Result]:
    workload = f"granian, 2 workers, {CLIENTS} connections, {COUNT:,} requests"
    for against, other, target in (
        (f"{MINIMAL} {what}", served.minimal, of_minimal),
        (BY_HAND, served.by_hand, 1.5),
    ):
        yield Result(
            name=name,
            workload=workload,
            ours=served.ours.rate,
            limit=other.rate,
            against=against,
            unit="requests/s",
            target=target,
        )
        yield Result(
            name=f"{name}: CPU of the server",
            workload=workload,
            ours=1_000 / served.ours.cpu_ms,
            limit=1_000 / other.cpu_ms,
            against=against,
            unit="requests/CPU second",
            target=target,
        )
    yield Result(
        name=f"{name}: CPU of the server",
        workload=workload,
        ours=served.ours.cpu_ms,
        limit=cpu_ms,
        against="the figure asked for",
        unit="ms",
        target=1.0,
        higher_is_better=False,
    )


def likes_of(path: str, posts: list[UUID]) -> Requests:
    return [command(path, post_id) for post_id in posts]


def command(path: str, post_id: UUID) -> tuple[str, str, str | None]:
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
