"""What the database says while read-model rows are written reaches the consumer as Django's."""

from uuid import uuid4

import psycopg2
import pytest
from django.db import DataError, InterfaceError, OperationalError, connections, transaction

from contracts.posts import PostCreated
from messaging import plausible
from messaging.projections import bulk_sql
from messaging.projections.models import DeadLetter
from queries_app.models import Post
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.records import publish, record_of


def row(author: str) -> Post:
    return Post(generation=1, stream_id=uuid4(), version=1, author=author)


def test_a_value_that_is_too_long_is_an_error_of_djangos(postgresql: Mode) -> None:
    with pytest.raises(DataError), transaction.atomic(using="read"):
        bulk_sql.upsert(Post, [row("a" * 151)])


def test_a_connection_that_breaks_is_an_error_after_which_the_consumer_tries_again(
    postgresql: Mode,
) -> None:
    with connections["read"].cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    other = psycopg2.connect(postgresql.env["READ_DATABASE_URL"])
    other.autocommit = True
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
    other.close()
    with pytest.raises((OperationalError, InterfaceError)):
        bulk_sql.upsert(Post, [row("alice")])
    connections["read"].close()


def test_an_event_whose_value_is_too_long_is_parked_and_others_go_on(
    postgresql: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plausible, "is_username", lambda _: True)  # another contract may have text
    bad, good = uuid4(), uuid4()
    publish(
        *(
            record_of(i, 1, PostCreated(post_id=i, author=author, message="Hi"))
            for i, author in ((bad, "a" * 151), (good, "alice"))
        )
    )
    consume_all()
    assert [post.stream_id for post in Post.objects.all()] == [good]
    assert [
        (dead_letter.stream_id, dead_letter.code) for dead_letter in DeadLetter.objects.all()
    ] == [(bad, "poison")]
