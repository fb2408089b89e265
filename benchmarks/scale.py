"""Does anything slow down with what is stored? Ten thousand events against a million."""

import os
import statistics
import time
from collections.abc import Callable, Iterator

from benchmarks.measure import Result, rate
from benchmarks.rebuild import fill, publish_everything
from benchmarks.write import like_all, new_posts

FEW, MANY = 10_000, int(os.environ.get("BENCH_EVENTS", "1000000"))
ROUNDS = 5
POSTS = 400
PAGES = 200


def results() -> Iterator[Result]:
    few = measured_at(FEW)
    many = measured_at(MANY)
    for name, unit in (
        ("append", "commands/s"),
        ("relay", "events/s"),
        ("consume", "events/s"),
        ("first page", "pages/s"),
        ("a page further on", "pages/s"),
    ):
        yield Result(
            name=f"{name} at {MANY:,} events",
            workload=f"median of {ROUNDS}",
            ours=many[name],
            limit=few[name],
            against=f"at {FEW:,} events",
            unit=unit,
            target=0.75,
        )


def measured_at(events: int) -> dict[str, float]:
    """Every part once a round, on a stack with so many events, all published and applied."""
    from messaging.eventstore.models import Event

    fill((events - Event.objects.count()) // 10, 10)
    publish_everything()
    rebuild_from_store()
    rounds = [one_round(number) for number in range(ROUNDS)]
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def one_round(number: int) -> dict[str, float]:
    from messaging.relay import outbox

    posts = new_posts(POSTS)
    found = {"append": like_all(posts, f"person-{number}")}
    for more in range(9):
        like_all(posts, f"person-{number}-{more}")
    count = outbox.waiting()
    found["relay"] = count / seconds(relay_all)
    found["consume"] = count / seconds(consume_all)
    return found | pages()


def pages() -> dict[str, float]:
    from messaging import mediator
    from queries_app.queries import FindAllPosts

    cursor = None
    for _ in range(20):
        cursor = mediator.ask(FindAllPosts(cursor=cursor, page_size=20)).next or cursor
    return {
        "first page": rate(lambda: mediator.ask(FindAllPosts(page_size=20)), PAGES),
        "a page further on": rate(
            lambda: mediator.ask(FindAllPosts(cursor=cursor, page_size=20)), PAGES
        ),
    }


def relay_all() -> None:
    from messaging.bus import current_bus
    from messaging.relay.relay import Relay

    relay = Relay(current_bus())
    while relay.run_once():
        pass
    relay.close()


def consume_all() -> None:
    """As a consumer does, but outside its group, which takes seconds to join."""
    from functools import partial

    from messaging.bus import current_bus
    from messaging.projections.consuming import checkpoints
    from messaging.projections.consuming.breaker import Breaker
    from messaging.projections.consuming.transaction import consume, consume_all
    from messaging.rebuilding.from_log import log_tail
    from queries_app.projections import posts

    generation = checkpoints.live_generation("posts")
    bus = current_bus()
    one = partial(consume, posts, generation, Breaker())
    with log_tail(posts, generation, bus) as tail:
        for records, _ in tail.read_to(bus.end_offsets(), lambda: None):
            consume_all(posts, generation, records, one)


def rebuild_from_store() -> None:
    from threading import Event as Flag

    from django.db import connections

    from messaging.bus import current_bus
    from messaging.rebuilding import requests
    from messaging.rebuilding.worker import RebuildWorker

    RebuildWorker(current_bus()).build(requests.ask("posts", "store", "bench"), Flag())
    for alias, tables in (("default", "messaging_event"), ("read", "queries_app_post")):
        with connections[alias].cursor() as cursor:
            cursor.execute(f"ANALYZE {tables}")


def seconds(work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
