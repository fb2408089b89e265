"""What browsers and careful clients cost: the feed, tabs left open, tokens, keys."""

import statistics
import threading
import time
from collections.abc import Iterator
from uuid import UUID

from benchmarks.http import CLIENTS, SITE, Client, cpu_s, granian, throughput
from benchmarks.measure import Result, medians
from benchmarks.serve import command, sign_in
from benchmarks.write import new_posts

COUNT = 600  # requests a round
ROUNDS = 3
TABS, EVERY_S, SECONDS = 500, 30, 12
WAITS = 40


def results() -> Iterator[Result]:
    posts = new_posts(COUNT)
    project_everything()
    yield feed()
    yield feed(signed_in="reader")
    yield tabs(posts[-1])
    yield keys(posts)
    yield from tokens(posts[0])


def feed(signed_in: str = "") -> Result:
    headers = {"Cookie": session_of(signed_in)} if signed_in else {}
    with (
        granian(SITE) as ours,
        granian("benchmarks.bare_site:application") as bare,
    ):
        pages, templates = medians(
            ROUNDS,
            lambda: throughput(ours, [("GET", "/", None)] * COUNT, headers),
            lambda: throughput(bare, [("GET", "/feed", None)] * COUNT, {}),
        )
    return Result(
        name=f"GET the feed{', signed in' if signed_in else ''}",
        workload=f"granian, 2 workers, {CLIENTS} connections; a page of 20 posts",
        ours=pages,
        limit=templates,
        against="bare Django view and template, the same rows",
        unit="requests/s",
        target=0.25 if signed_in else 0.40,
    )


def session_of(name: str) -> str:
    """The cookie of a new person's session."""
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.test import Client

    client = Client()
    client.force_login(get_user_model().objects.create(username=name))
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"


def tabs(newest: UUID) -> Result:
    """CPU of the server's processes while open feeds ask whether there is something new."""
    with granian(SITE) as port:
        client = Client(port)
        client.connection.request("GET", f"/new-posts/{newest}/", headers=client.headers)
        answer = client.connection.getresponse()
        answer.read()
        client.headers["If-None-Match"] = answer.headers["ETag"]
        asked, used = 0, cpu_s(port)
        begun = time.perf_counter()
        while (now := time.perf_counter() - begun) < SECONDS:
            if now * TABS / EVERY_S < asked:
                time.sleep(0.002)
                continue
            assert client.status("GET", f"/new-posts/{newest}/") == 304
            asked += 1
        share = (cpu_s(port) - used) / (time.perf_counter() - begun)
    return Result(
        name="feeds left open",
        workload=f"{TABS} tabs, each asks every {EVERY_S} s",
        ours=share * 100,
        limit=10.0,
        against="the figure asked for",
        unit="% of a core",
        target=1.0,
        higher_is_better=False,
    )


def keys(posts: list[UUID]) -> Result:
    """The same command with and without an Idempotency-Key, one after the other."""
    people = iter([sign_in(f"keyed{n}") for n in range(2 * ROUNDS)])
    with granian(SITE) as port:

        def each(keyed: bool) -> float:
            client = Client(port, {"Authorization": f"Token {next(people)}"})
            times = []
            for number, post_id in enumerate(posts):
                if keyed:
                    client.headers["Idempotency-Key"] = f"{number}"
                begun = time.perf_counter()
                client.ask(*command("/api/v1/commands/like-post/", post_id))
                times.append(time.perf_counter() - begun)
            return statistics.median(times) * 1000

        keyed, plain = medians(ROUNDS, lambda: each(True), lambda: each(False))
    return Result(
        name="POST like-post with an Idempotency-Key",
        workload=f"one connection, median of {COUNT}",
        ours=keyed,
        limit=plain,
        against="without",
        unit="ms",
        target=1.15,
        higher_is_better=False,
    )


def tokens(post_id: UUID) -> Iterator[Result]:
    """How long a token keeps an answer after its event is applied: long before, and just now."""
    from messaging import mediator
    from messaging.message import Position
    from queries_app.models import Post
    from queries_app.queries import FindPostById

    query = FindPostById(post_id=post_id)
    row = Post.objects.get(stream_id=post_id)

    def asked(*reached: Position) -> float:
        begun = time.perf_counter()
        mediator.ask(query, reached)
        return (time.perf_counter() - begun) * 1000

    now = Position("post", post_id, row.version)
    with_token, without = medians(200, lambda: asked(now), asked)

    def waited(version: int) -> float:
        """From the moment at which the version is there."""
        answered: list[float] = []
        wanted = [Position("post", post_id, version)]
        waiter = threading.Thread(
            target=lambda: (mediator.ask(query, wanted), answered.append(time.perf_counter()))
        )
        waiter.start()
        time.sleep(0.05)
        Post.objects.filter(pk=row.pk).update(version=version)
        applied = time.perf_counter()
        waiter.join()
        return (answered[0] - applied) * 1000 - without

    late = [waited(row.version + number) for number in range(1, WAITS + 1)]
    yield from _token_results(with_token - without, statistics.median(late))


def _token_results(before: float, just_now: float) -> Iterator[Result]:
    for name, ours in (
        ("a token whose event was applied before", before),
        ("a token whose event is applied just now", just_now),
    ):
        yield Result(
            name=name,
            workload="find-post-by-id, in process; what it adds",
            ours=ours,
            limit=5.0,
            against="the figure asked for",
            unit="ms",
            target=1.0,
            higher_is_better=False,
        )


def project_everything() -> None:
    from messaging.projections.registry import PROJECTIONS
    from tests.support.consuming import consume_all
    from tests.support.relaying import publish_all

    publish_all()
    for projection in PROJECTIONS.values():
        consume_all(projection)
