"""The search over many posts, against the plainest statement that finds the same, and what its
projection costs a consumer. BENCH_POSTS=1000000 for a million posts.

The words are drawn as texts have them: the n-th word is 1/n as frequent as the first.
"""

import itertools
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from django.db import connections

from benchmarks.measure import Result, medians

POSTS = int(os.environ.get("BENCH_POSTS") or 100_000)
COMMENTED = 4  # of so many posts one has a comment
VOCABULARY, WORDS = 50_000, 60  # words that there are; of a text
AUTHORS = 1_000
QUERIES = 30  # of each kind
EVENTS = 24_000  # for the consumer
ROUNDS = 3
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
# Two words that half of the posts have, and no post has both.
NEVER_TOGETHER = ("zzeven", "zzodd")

BARE = (
    "SELECT DISTINCT posted_at, stream_id FROM queries_app_searchedtext "
    "WHERE generation = 1 AND words @@ %s::tsquery ORDER BY posted_at DESC, stream_id DESC LIMIT 21"
)

random.seed(1)
_ALL = [f"w{n}" for n in range(VOCABULARY)]
_WEIGHTS = list(itertools.accumulate(1 / n for n in range(1, VOCABULARY + 1)))


def results() -> Iterator[Result]:
    fill()
    times: list[tuple[float, float]] = []
    for kind, queries in kinds().items():
        asked = [(ms(lambda q=q: ask(**q)), ms(lambda q=q: bare(q["q"]))) for q in queries]  # type: ignore[misc]
        yield compared(kind, asked)
        times += asked
    yield compared("all of these", times)
    yield Result(
        name="find-posts, p95",
        workload=f"{POSTS:,} posts; all of these",
        ours=p95(ours for ours, _ in times),
        limit=50.0,
        against="the figure asked for",
        unit="ms",
        target=1.0,
        higher_is_better=False,
    )
    ours, others = medians(ROUNDS, lambda: consumed("search"), lambda: consumed("posts"))
    yield Result(
        name="consumer",
        workload=f"{EVENTS:,} events: posts of {WORDS} words, two comments and three likes on each",
        ours=ours,
        limit=others,
        against="the projection of the posts, the same records",
        unit="µs of CPU an event",
        target=2.5,
        higher_is_better=False,
    )


def compared(kind: str, asked: list[tuple[float, float]]) -> Result:
    return Result(
        name="find-posts, p95",
        workload=f"{POSTS:,} posts; {kind}",
        ours=p95(ours for ours, _ in asked),
        limit=p95(plain for _, plain in asked),
        against="one bare statement",
        unit="ms",
        target=10.0,
        higher_is_better=False,
    )


def kinds() -> dict[str, list[dict[str, Any]]]:
    """By ranks of words."""

    def words(*ranks: tuple[int, int]) -> list[dict[str, Any]]:
        return [
            {"q": " ".join(_ALL[random.randrange(*rank)] for rank in ranks)} for _ in range(QUERIES)
        ]

    common, middle, rare = (0, 50), (300, 3_000), (20_000, VOCABULARY)
    return {
        "a frequent word": words(common),
        "a word of the middle": words(middle),
        "a rare word": words(rare),
        "two frequent words": words(common, common),
        "a frequent one and one of the middle": words(common, middle),
        "three words": words(common, middle, middle),
        "a frequent word, by one author": [
            {**one, "author": f"author{random.randrange(AUTHORS)}"} for one in words(common)
        ],
        "frequent words that never stand together": [{"q": " ".join(NEVER_TOGETHER)}] * 5,
    }


def ask(**query: Any) -> None:
    from messaging import mediator
    from queries_app.queries import FindPosts

    mediator.ask(FindPosts(**query))


def bare(q: str) -> None:
    with connections["read"].cursor() as cursor:
        cursor.execute(BARE, [" & ".join(q.split())])
        cursor.fetchall()


def ms(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


def p95(values: Iterator[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def text() -> str:
    return " ".join(random.choices(_ALL, cum_weights=_WEIGHTS, k=WORDS))


def fill() -> None:
    """The rows that the two projections would have written, by COPY; the index at the end."""
    from messaging.projections import bulk_sql
    from queries_app.models import Comment, Post, SearchedText
    from queries_app.wordindex import create_index, drop_index

    connection = connections["read"]
    with connection.schema_editor() as editor:
        drop_index(SearchedText, editor)
    for begin in range(0, POSTS, 10_000):
        numbers = range(begin, min(begin + 10_000, POSTS))
        rows = [rows_of(number) for number in numbers]
        flat = [row for each in rows for row in each]
        for model in (Post, Comment, SearchedText):
            bulk_sql.insert(model, [row for row in flat if isinstance(row, model)])
    with connection.schema_editor() as editor:
        create_index(SearchedText, "words", editor)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def rows_of(number: int) -> list[Any]:
    from queries_app.models import Comment, Post, SearchedText
    from queries_app.words import words_of

    post_id, at = uuid4(), BEGUN + timedelta(seconds=number)
    message = f"{text()} {NEVER_TOGETHER[number % 2]}"
    author = f"author{random.randrange(AUTHORS)}"
    every = {"generation": 1, "stream_id": post_id}
    shown = {"author": author, "posted_at": at}
    found: list[Any] = [
        Post(**every, **shown, version=1, event_id=post_id, message=message, visible=True)
    ]
    texts = [(False, post_id, message)]
    if number % COMMENTED == 0:
        comment_id, remark = uuid4(), text()
        texts.append((True, comment_id, remark))
        found.append(
            Comment(**every, comment_id=comment_id, author="a", text=remark, commented_at=at)
        )
    for is_comment, text_id, written in texts:
        words = words_of(written)
        found.append(
            SearchedText(
                **every, **shown, is_comment=is_comment, text_id=text_id, written_at=at, words=words
            )
        )
    return found


def consumed(name: str) -> float:
    """Microseconds of this process's CPU for an event, in the order in which they happened."""
    from messaging.bus import current_bus
    from messaging.projections.consuming import checkpoints
    from messaging.projections.consuming.consumer import Consumer
    from messaging.projections.registry import PROJECTIONS

    bus = current_bus()
    bus.ensure_topic()
    consumer = Consumer(PROJECTIONS[name], bus)
    consumer._start()
    for partition, end in bus.end_offsets().items():
        checkpoints.halt(name, 1, partition, end, "")
    publish()
    subscription = bus.subscribe(f"bench.{uuid4()}")
    while not consumer._positions:
        consumer._step(subscription)
    ends = bus.end_offsets()
    begun = time.process_time()
    while consumer._positions != ends:
        consumer._step(subscription)
    found = (time.process_time() - begun) / EVENTS * 1_000_000
    subscription.close()
    return found


def publish() -> None:
    from benchmarks.consume import signed
    from contracts.posts import CommentAdded, PostCreated, PostLiked
    from messaging.bus import current_bus
    from tests.support.records import record_of

    publisher = current_bus().publisher()
    for post_id in (uuid4() for _ in range(EVENTS // 6)):
        events: list[Any] = [PostCreated(post_id=post_id, author="a", message=text())]
        events += [
            CommentAdded(post_id=post_id, comment_id=uuid4(), author="b", text=text())
            for _ in range(2)
        ]
        events += [PostLiked(post_id=post_id, username=f"person{n}") for n in range(3)]
        numbered = enumerate(events, 1)
        publisher.publish([signed(record_of(post_id, version, one)) for version, one in numbered])
    publisher.close()
