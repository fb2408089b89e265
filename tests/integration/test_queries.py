"""The six queries: what they answer, how they page, and what they cost."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from commands_app.commands import AddComment, DeletePost, LikePost, NewPost, RemoveComment
from messaging import mediator
from messaging.contracts.posts import CommentAdded, PostCreated, PostLiked
from messaging.exceptions import Invalid, NotFound
from messaging.message import Context
from messaging.projections.paging import Page
from queries_app.queries import (
    FindAllPosts,
    FindComments,
    FindPostById,
    FindPostsByAuthor,
    FindPostsWithComments,
    FindPostsWithLikes,
)
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.records import publish, record_of
from tests.support.relaying import publish_all


def send(command: Any, actor: str = "alice") -> Any:
    return mediator.send(command, Context(actor=actor)).ids


def arrive() -> None:
    publish_all()
    consume_all()


def messages(page: Page[Any]) -> list[str]:
    return [row.message for row in page.results]


@pytest.fixture
def three(database: Mode) -> list[UUID]:
    """Three posts, of which the second is bob's, liked twice and commented."""
    ids = [
        send(NewPost(message=f"post {n}"), "bob" if n == 2 else "alice")["post_id"]
        for n in (1, 2, 3)
    ]
    for actor in ("alice", "carol"):
        send(LikePost(post_id=ids[1]), actor)
    for text in ("one", "two"):
        send(AddComment(post_id=ids[1], text=text), "carol")
    arrive()
    return ids


def test_a_post_is_found_with_its_comments(three: list[UUID]) -> None:
    post = mediator.ask(FindPostById(post_id=three[1]))
    assert (post.author, post.likes, post.comments_count, post.version) == ("bob", 2, 2, 5)
    assert [comment.text for comment in post.comments] == ["one", "two"]


def test_a_post_that_is_not_there_is_not_found(three: list[UUID]) -> None:
    for query in (FindPostById(post_id=uuid4()), FindComments(post_id=uuid4())):
        with pytest.raises(NotFound):
            mediator.ask(query)


def test_lists_are_newest_first_and_filtered(three: list[UUID]) -> None:
    assert messages(mediator.ask(FindAllPosts())) == ["post 3", "post 2", "post 1"]
    assert messages(mediator.ask(FindPostsByAuthor(author="alice"))) == ["post 3", "post 1"]
    assert messages(mediator.ask(FindPostsWithComments())) == ["post 2"]
    assert messages(mediator.ask(FindPostsWithLikes())) == ["post 2"]
    assert messages(mediator.ask(FindPostsWithLikes(min_likes=3))) == []
    assert len(mediator.ask(FindPostsWithLikes(min_likes=0)).results) == 3


def test_a_removed_post_is_seen_nowhere(three: list[UUID]) -> None:
    send(DeletePost(post_id=three[1]), "bob")
    arrive()
    assert messages(mediator.ask(FindAllPosts())) == ["post 3", "post 1"]
    assert mediator.ask(FindPostsWithComments()).results == []
    for query in (FindPostById(post_id=three[1]), FindComments(post_id=three[1])):
        with pytest.raises(NotFound):
            mediator.ask(query)


def test_a_removed_comment_is_gone(three: list[UUID]) -> None:
    first = mediator.ask(FindComments(post_id=three[1])).results[0]
    send(RemoveComment(post_id=three[1], comment_id=first.comment_id), "carol")
    arrive()
    assert [row.text for row in mediator.ask(FindComments(post_id=three[1])).results] == ["two"]


def test_pages_lead_forth_and_back(database: Mode) -> None:
    for n in range(5):
        send(NewPost(message=str(n)))
    arrive()
    first = mediator.ask(FindAllPosts(page_size=2))
    second = mediator.ask(FindAllPosts(page_size=2, cursor=first.next))
    third = mediator.ask(FindAllPosts(page_size=2, cursor=second.next))
    assert [messages(page) for page in (first, second, third)] == [["4", "3"], ["2", "1"], ["0"]]
    assert (first.previous, third.next) == (None, None)
    back = mediator.ask(FindAllPosts(page_size=2, cursor=third.previous))
    assert messages(back) == ["2", "1"]
    assert messages(mediator.ask(FindAllPosts(page_size=2, cursor=back.previous))) == ["4", "3"]


def test_a_page_stays_what_it_was_while_new_posts_arrive(database: Mode) -> None:
    for n in range(4):
        send(NewPost(message=str(n)))
    arrive()
    first = mediator.ask(FindAllPosts(page_size=2))
    send(NewPost(message="new"))
    arrive()
    assert messages(mediator.ask(FindAllPosts(page_size=2, cursor=first.next))) == ["1", "0"]


def test_posts_of_the_same_moment_are_all_shown_once(database: Mode) -> None:
    from messaging.message import utc_now

    now, ids = utc_now(), [uuid4() for _ in range(7)]
    created = [PostCreated(post_id=i, author="alice", message=str(i)) for i in ids]
    publish(*(record_of(e.post_id, 1, e, recorded_at=now) for e in created))
    consume_all()
    seen: list[str] = []
    cursor = None
    while True:
        page = mediator.ask(FindAllPosts(page_size=2, cursor=cursor))
        seen += messages(page)
        if (cursor := page.next) is None:
            break
    assert sorted(seen) == sorted(map(str, ids))


@pytest.mark.parametrize("cursor", ["x", "", "W10", "WzEsMiwzXQ", "\ud800", "é", "A" * 200])
def test_a_cursor_made_by_hand_is_refused(database: Mode, cursor: str) -> None:
    if cursor == "":
        return  # no cursor at all: the first page
    with pytest.raises(Invalid) as refused:
        mediator.ask(FindAllPosts(cursor=cursor))
    assert refused.value.code == "invalid_cursor"


MANY = 2_000
QUERIES: dict[str, Callable[[UUID, str | None], Any]] = {
    "by id": lambda post_id, _: FindPostById(post_id=post_id),
    "all": lambda _, cursor: FindAllPosts(cursor=cursor),
    "by author": lambda _, cursor: FindPostsByAuthor(author="author 1", cursor=cursor),
    "with comments": lambda _, cursor: FindPostsWithComments(cursor=cursor),
    "with likes": lambda _, cursor: FindPostsWithLikes(min_likes=2, cursor=cursor),
    "comments": lambda post_id, cursor: FindComments(post_id=post_id, cursor=cursor),
}


def test_no_query_scans_or_sorts_a_table_and_none_needs_more_than_three_statements(
    database: Mode,
) -> None:
    ids = [uuid4() for _ in range(MANY)]
    batch = []
    for n, i in enumerate(ids):
        batch.append(
            record_of(i, 1, PostCreated(post_id=i, author=f"author {n % 100}", message="Hi"))
        )
        if n % 2 == 0:  # of few rows PostgreSQL rightly thinks that sorting them is cheaper
            batch += [record_of(i, v, PostLiked(post_id=i, username=f"p{v}")) for v in range(2, 5)]
            batch += [
                record_of(i, v, CommentAdded(post_id=i, comment_id=uuid4(), author="b", text="x"))
                for v in range(5, 35 if n % 10 == 0 else 6)
            ]
    publish(*batch)
    consume_all()
    with connections["read"].cursor() as cursor:
        cursor.execute("ANALYZE")
    for name, query in QUERIES.items():
        first = mediator.ask(query(ids[0], None))
        for at in {None, getattr(first, "next", None)}:
            with CaptureQueriesContext(connections["read"]) as captured:
                mediator.ask(query(ids[0], at))
            assert 1 <= len(captured) <= 3, name
            for statement in captured:
                assert_uses_indexes(name, statement["sql"])


def assert_uses_indexes(name: str, sql: str) -> None:
    with connections["read"].cursor() as cursor:
        if connections["read"].vendor == "postgresql":
            cursor.execute("EXPLAIN " + sql)
            plan = "\n".join(row[0] for row in cursor.fetchall())
            assert "Seq Scan on queries_app" not in plan, f"{name}: {plan}\n{sql}"
            assert "Sort" not in plan, f"{name}: {plan}\n{sql}"
        else:
            cursor.execute("EXPLAIN QUERY PLAN " + sql)
            plan = "\n".join(str(row[3]) for row in cursor.fetchall())
            assert "SCAN queries_app" not in plan, f"{name}: {plan}\n{sql}"
            assert "TEMP B-TREE" not in plan, f"{name}: {plan}\n{sql}"
