"""What the database says while read-model rows are written reaches the consumer as Django's."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import psycopg2
import pytest
from django.db import DataError, InterfaceError, OperationalError, connections, models, transaction
from django.utils.safestring import SafeString

from contracts.posts import PostCreated
from messaging import plausible
from messaging.projections import bulk_sql
from messaging.projections.models import DeadLetter
from messaging.projections.rows import RefusedRows, refusals
from queries_app.models import Post
from queries_app.projections import posts
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


ODD = "\\ \" ' %s {} \t\n \u2028 é 😀 \x01 $1"


def test_rows_are_stored_as_they_were_whatever_their_values_are(mode: Mode) -> None:
    at = datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    kept = Post(
        generation=1, stream_id=uuid4(), version=2**31 - 1, event_id=uuid4(), author="a",
        message=ODD, posted_at=at, likes=-1, visible=True,
    )  # fmt: skip
    # Not a str to an encoder of JSON, although it is one.
    marked = Post(generation=1, stream_id=uuid4(), version=1, message=SafeString(ODD))
    for _ in range(2):  # new, and there already
        with transaction.atomic(using="read"):
            bulk_sql.upsert(Post, [kept, marked])
        found = bulk_sql.load(Post, 1, [(kept.stream_id,), (marked.stream_id,)])
        for row in (kept, marked):
            stored = found[(row.stream_id,)]
            assert _values(stored) == _values(row)
        kept.message, kept.edited_at = kept.message[::-1], at


class Reversed(models.TextField):  # type: ignore[type-arg]
    """A field whose values are stored in another way, as encrypted ones are."""

    def get_prep_value(self, value: str) -> str:
        return value[::-1]

    def from_db_value(self, value: str, *_: object) -> str:
        return value[::-1]


@pytest.mark.parametrize("put", [bulk_sql.upsert, bulk_sql.insert])
def test_a_field_of_a_projects_own_says_how_its_values_are_stored(
    mode: Mode, monkeypatch: pytest.MonkeyPatch, put: Callable[..., None]
) -> None:
    monkeypatch.setattr(Post._meta.get_field("message"), "__class__", Reversed)
    monkeypatch.setattr(bulk_sql, "_columns", bulk_sql._Columns)
    kept = Post(generation=1, stream_id=uuid4(), version=1, message="abc")
    with transaction.atomic(using="read"):
        put(Post, [kept])
        with connections["read"].cursor() as cursor:
            cursor.execute("SELECT message FROM queries_app_post")
            assert cursor.fetchall() == [("cba",)]
    assert bulk_sql.load(Post, 1, [(kept.stream_id,)])[(kept.stream_id,)].message == "abc"


def _values(row: Post) -> dict[str, object]:
    left_out = ("id", "event_applied_at")  # the database's own
    names = [f.attname for f in Post._meta.fields if f.attname not in left_out]
    return {name: getattr(row, name) for name in names}


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_text_that_the_database_cannot_hold_is_an_error_about_the_value(
    postgresql: Mode, text: str
) -> None:
    with pytest.raises(RefusedRows), transaction.atomic(using="read"), refusals(posts):
        bulk_sql.upsert(Post, [Post(generation=1, stream_id=uuid4(), message=text)])
