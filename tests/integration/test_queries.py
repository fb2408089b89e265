"""The six queries: what they answer, how they page, and what they cost."""

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from commands_app.commands import (
    AddComment,
    DeletePost,
    EditComment,
    EditMessage,
    LikePost,
    NewPost,
    RemoveComment,
    UnlikePost,
)
from contracts.posts import CommentAdded, PostCreated, PostLiked
from messaging import mediator
from messaging.eventstore.models import Event
from messaging.exceptions import Invalid, NotFound
from messaging.message import Context, utc_now
from messaging.projections.models import ProjectionState
from messaging.projections.registry import PROJECTIONS
from messaging.projections.serving import paging
from messaging.projections.serving.paging import PAGE_SIZE, Page, encode_cursor
from queries_app.models import Post
from queries_app.queries import (
    FindAllPosts,
    FindComments,
    FindMostLikedPosts,
    FindPerson,
    FindPostById,
    FindPostsByAuthor,
    FindPostsWithComments,
    FindPostsWithLikes,
)
from queries_app.queries.history import FindPostHistory
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.records import publish, record_of
from tests.support.relaying import publish_all


def send(command: Any, actor: str = "alice") -> Any:
    return mediator.send(command, Context(actor=actor)).ids


def arrive() -> None:
    publish_all()
    for projection in PROJECTIONS.values():
        consume_all(projection)


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
    assert [(comment.author, comment.text) for comment in post.comments] == [
        ("carol", "one"),
        ("carol", "two"),
    ]
    assert (post.post_id, post.message, post.edited_at) == (three[1], "post 2", None)
    times = Event.objects.filter(stream_id=three[1]).order_by("version")
    assert post.posted_at == times[0].recorded_at
    assert [comment.commented_at for comment in post.comments] == [
        times[3].recorded_at,
        times[4].recorded_at,
    ]


def test_an_edit_shows_the_new_text_and_its_time(three: list[UUID]) -> None:
    comment = mediator.ask(FindPostById(post_id=three[1])).comments[0]
    send(EditMessage(post_id=three[1], message="better"), "bob")
    edit = EditComment(post_id=three[1], comment_id=comment.comment_id, text="uno")
    send(edit, "carol")
    arrive()
    post = mediator.ask(FindPostById(post_id=three[1]))
    times = {event.version: event.recorded_at for event in Event.objects.filter(stream_id=three[1])}
    assert (post.message, post.edited_at, post.version) == ("better", times[6], 7)
    assert (post.comments[0].text, post.comments[0].edited_at) == ("uno", times[7])
    assert (post.comments[1].text, post.comments[1].edited_at) == ("two", None)
    assert messages(mediator.ask(FindAllPosts())) == ["post 3", "better", "post 1"]


def test_a_like_that_is_taken_back_no_longer_counts(three: list[UUID]) -> None:
    send(UnlikePost(post_id=three[1]), "alice")
    arrive()
    assert mediator.ask(FindPostById(post_id=three[1])).likes == 1
    assert messages(mediator.ask(FindPostsWithLikes(min_likes=2))) == []
    send(UnlikePost(post_id=three[1]), "carol")
    arrive()
    assert messages(mediator.ask(FindPostsWithLikes())) == []


def test_of_many_comments_a_post_shows_the_first_page(three: list[UUID]) -> None:
    for n in range(PAGE_SIZE):
        send(AddComment(post_id=three[0], text=str(n)))
    send(AddComment(post_id=three[0], text="one more"))
    arrive()
    post = mediator.ask(FindPostById(post_id=three[0]))
    assert [row.text for row in post.comments] == [str(n) for n in range(PAGE_SIZE)]
    assert post.comments_count == PAGE_SIZE + 1
    page = mediator.ask(FindComments(post_id=three[0]))
    assert page.results == post.comments
    rest = mediator.ask(FindComments(post_id=three[0], cursor=page.next))
    assert [row.text for row in rest.results] == ["one more"]


def test_readers_see_the_live_generation_alone(three: list[UUID]) -> None:
    other = Post(generation=2, stream_id=uuid4(), message="new", visible=True, posted_at=utc_now())
    other.save()
    assert messages(mediator.ask(FindAllPosts())) == ["post 3", "post 2", "post 1"]
    with pytest.raises(NotFound):
        mediator.ask(FindPostById(post_id=other.stream_id))
    ProjectionState.objects.filter(name="posts").update(live_generation=2)
    assert messages(mediator.ask(FindAllPosts())) == ["new"]
    assert mediator.ask(FindPostById(post_id=other.stream_id)).message == "new"


def test_before_the_first_event_there_is_nothing(database: Mode) -> None:
    assert mediator.ask(FindAllPosts()) == Page(next=None, previous=None, results=[])
    with pytest.raises(NotFound):
        mediator.ask(FindPostById(post_id=uuid4()))


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


def test_a_person_is_told_by_how_many_posts_they_have_written_and_since_when(
    three: list[UUID],
) -> None:
    alice = mediator.ask(FindPerson(username="alice"))
    first = mediator.ask(FindPostsByAuthor(author="alice")).results[-1]
    assert (alice.username, alice.posts, alice.since) == ("alice", 2, first.posted_at)
    send(DeletePost(post_id=three[0]), "alice")
    arrive()
    assert mediator.ask(FindPerson(username="alice")) == replace(alice, posts=1)
    with pytest.raises(NotFound) as unknown:
        mediator.ask(FindPerson(username="nobody"))
    assert unknown.value.code == "person_not_found"


def test_a_removed_post_is_seen_nowhere(three: list[UUID]) -> None:
    send(DeletePost(post_id=three[1]), "bob")
    arrive()
    assert messages(mediator.ask(FindAllPosts())) == ["post 3", "post 1"]
    assert mediator.ask(FindPostsByAuthor(author="bob")).results == []
    assert mediator.ask(FindPostsWithComments()).results == []
    assert mediator.ask(FindPostsWithLikes()).results == []
    assert len(mediator.ask(FindPostsWithLikes(min_likes=0)).results) == 2
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


LISTS: dict[str, Callable[[UUID, str | None], Any]] = {
    "all": lambda _, cursor: FindAllPosts(cursor=cursor, page_size=2),
    "by author": lambda _, cursor: FindPostsByAuthor(author="bob", cursor=cursor, page_size=2),
    "with comments": lambda _, cursor: FindPostsWithComments(cursor=cursor, page_size=2),
    "with likes": lambda _, cursor: FindPostsWithLikes(cursor=cursor, page_size=2),
    "most liked": lambda _, cursor: FindMostLikedPosts(cursor=cursor, page_size=2),
    "comments": lambda post_id, cursor: FindComments(post_id=post_id, cursor=cursor, page_size=2),
}


def test_every_list_is_walked_forth_and_back_without_gap_or_repetition(database: Mode) -> None:
    for n in range(5):
        post_id = send(NewPost(message=str(n)), "bob")["post_id"]
        send(LikePost(post_id=post_id))
        send(AddComment(post_id=post_id, text="0"))
        send(NewPost(message="of no interest to most"))
    for n in range(1, 5):
        send(AddComment(post_id=post_id, text=str(n)))
    arrive()
    for name, query in LISTS.items():
        pages = [mediator.ask(query(post_id, None))]
        while (cursor := pages[-1].next) is not None:
            pages.append(mediator.ask(query(post_id, cursor)))
        back = [pages[-1]]
        while (cursor := back[0].previous) is not None:
            back.insert(0, mediator.ask(query(post_id, cursor)))
        shown = [
            [row.text if name == "comments" else row.message for row in p.results] for p in pages
        ]
        assert [page.results for page in back] == [page.results for page in pages], name
        assert [len(page) for page in shown][:-1] == [2] * (len(shown) - 1), name
        flat = [text for page in shown for text in page if len(text) == 1]
        assert flat == (list("01234") if name == "comments" else list("43210")), name
        assert sum(map(len, shown)) == (10 if name in ("all", "most liked") else 5), name


def test_a_new_post_is_on_the_page_before_the_first(database: Mode) -> None:
    for n in range(4):
        send(NewPost(message=str(n)))
    arrive()
    first = mediator.ask(FindAllPosts(page_size=2))
    second = mediator.ask(FindAllPosts(page_size=2, cursor=first.next))
    send(NewPost(message="new"))
    arrive()
    back = mediator.ask(FindAllPosts(page_size=2, cursor=second.previous))
    assert messages(back) == ["3", "2"]
    assert messages(mediator.ask(FindAllPosts(page_size=2, cursor=back.previous))) == ["new"]


def test_a_page_whose_last_post_was_removed_leads_on_from_where_it_was(database: Mode) -> None:
    ids = [send(NewPost(message=str(n)))["post_id"] for n in range(4)]
    arrive()
    first = mediator.ask(FindAllPosts(page_size=2))
    send(DeletePost(post_id=ids[2]))
    arrive()
    assert messages(mediator.ask(FindAllPosts(page_size=2, cursor=first.next))) == ["1", "0"]


def test_a_page_stays_what_it_was_while_new_posts_arrive(database: Mode) -> None:
    for n in range(4):
        send(NewPost(message=str(n)))
    arrive()
    first = mediator.ask(FindAllPosts(page_size=2))
    send(NewPost(message="new"))
    arrive()
    assert messages(mediator.ask(FindAllPosts(page_size=2, cursor=first.next))) == ["1", "0"]


def test_posts_of_the_same_moment_are_all_shown_once(database: Mode) -> None:
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


@pytest.mark.parametrize(
    "cursor",
    ["x", "W10", "WzEsMiwzXQ", "\ud800", "é", "\0", " ", "A" * 200, "W" * 100_000],
    ids=lambda cursor: ascii(cursor[:10]),
)
def test_a_cursor_made_by_hand_is_refused(sqlite: Mode, cursor: str) -> None:
    with pytest.raises(Invalid) as refused:
        mediator.ask(FindAllPosts(cursor=cursor))
    assert (refused.value.code, refused.value.attr) == ("invalid_cursor", "cursor")


def test_an_empty_cursor_is_the_first_page(three: list[UUID]) -> None:
    assert mediator.ask(FindAllPosts(cursor="")) == mediator.ask(FindAllPosts())


@pytest.mark.parametrize("time", [datetime.min, datetime.max], ids=["first", "last"])
def test_a_cursor_at_either_end_of_time_is_a_place_as_any_other(
    three: list[UUID], time: datetime
) -> None:
    for backwards in (False, True):
        cursor = encode_cursor(backwards, time.replace(tzinfo=UTC), UUID(int=0))
        page = mediator.ask(FindAllPosts(cursor=cursor))
        assert len(page.results) == (3 if backwards == (time == datetime.min) else 0)


def test_a_cursor_of_another_time_zone_is_refused(sqlite: Mode) -> None:
    for time in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01T00:00:00"):
        raw = f'[false,"{time}","{UUID(int=0)}"]'.encode()
        with pytest.raises(Invalid):
            mediator.ask(FindAllPosts(cursor=base64.urlsafe_b64encode(raw).decode()))


MANY, SOME = 2_000, 400  # SQLite's plans do not ask how many there are
QUERIES: dict[str, Callable[[UUID, str | None], Any]] = {
    "by id": lambda post_id, _: FindPostById(post_id=post_id),
    "all": lambda _, cursor: FindAllPosts(cursor=cursor),
    "by author": lambda _, cursor: FindPostsByAuthor(author="author1", cursor=cursor),
    "with comments": lambda _, cursor: FindPostsWithComments(cursor=cursor),
    "with likes": lambda _, cursor: FindPostsWithLikes(cursor=cursor),
    "most liked": lambda _, cursor: FindMostLikedPosts(cursor=cursor),
    "comments": lambda post_id, cursor: FindComments(post_id=post_id, cursor=cursor),
    "history": lambda post_id, cursor: FindPostHistory(post_id=post_id, cursor=cursor),
}


def with_likes(*counts: int) -> list[UUID]:
    """Posts with so many likes, the last one newest."""
    ids = [uuid4() for _ in counts]
    for i, count in zip(ids, counts, strict=True):
        publish(record_of(i, 1, PostCreated(post_id=i, author="a", message="Hi")))
        likes = range(2, count + 2)
        publish(*[record_of(i, v, PostLiked(post_id=i, username=f"p{v}")) for v in likes])
    consume_all()
    return ids


def test_a_page_of_much_liked_posts_looks_at_so_many_posts_and_no_more(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "STEP", 4)
    ids = with_likes(5, 5, *[1] * 9, 5, 0, 5, 0, 0, 1)
    much_liked = [ids[13], ids[11], ids[1], ids[0]]

    def page(cursor: str | None = None) -> Any:
        return mediator.ask(FindPostsWithLikes(min_likes=5, cursor=cursor, page_size=2))

    first = page()
    assert [post.post_id for post in first.results] == much_liked[:2]
    second = page(first.next)
    assert (second.results, second.previous) == ([], None), "four posts with too few likes"
    assert second.next is not None
    third = page(second.next)
    assert third.results == []
    last = page(third.next)
    assert [post.post_id for post in last.results] == much_liked[2:]
    assert last.next is None
    back, seen = last.previous, []
    while back is not None:
        found = page(back)
        seen = [post.post_id for post in found.results] + seen
        back = found.previous
    assert seen == much_liked[:2], "and the other way round"
    assert page(first.next).next == second.next


def test_no_query_scans_or_sorts_a_table_and_none_needs_more_than_three_statements(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [uuid4() for _ in range(MANY if database.vendor == "postgresql" else SOME)]
    batch = []
    for n, i in enumerate(ids):
        batch.append(record_of(i, 1, PostCreated(post_id=i, author=f"author{n % 5}", message="Hi")))
        if n % 2 == 0:  # of few rows PostgreSQL rightly thinks that sorting them is cheaper
            batch += [record_of(i, v, PostLiked(post_id=i, username=f"p{v}")) for v in range(2, 5)]
            batch += [
                record_of(i, v, CommentAdded(post_id=i, comment_id=uuid4(), author="b", text="x"))
                for v in range(5, 35 if n % 10 == 0 else 6)
            ]
    publish(*batch)
    for projection in PROJECTIONS.values():
        consume_all(projection)
    with connections["read"].cursor() as cursor:
        cursor.execute("ANALYZE")
    for name, query in QUERIES.items():
        cursors: list[str | None] = [None]
        if name != "by id":
            first = mediator.ask(query(ids[0], None))
            assert first.next, f"{name}: too few rows to page"
            cursors += [first.next, far_end(name)]
        for at in cursors:
            with CaptureQueriesContext(connections["read"]) as captured:
                mediator.ask(query(ids[0], at))
            # A connection makes a plan once, and keeps it.
            asked = [one["sql"] for one in captured if not one["sql"].startswith("PREPARE ")]
            assert 1 <= len(asked) <= 3, name
            for sql in asked:
                assert_uses_indexes(name, sql)
    monkeypatch.setattr(paging, "STEP", 100)  # of the 1,000 posts that have likes
    with CaptureQueriesContext(connections["read"]) as captured:
        mediator.ask(FindPostsWithLikes(min_likes=2))
    assert len(captured) == 2
    for statement in captured:
        assert "posts_with_likes" in plan_of(statement["sql"])


def far_end(name: str) -> str:
    """Back from there: with many rows in front of it, as in the middle of a list."""
    if name == "history":
        return encode_cursor(True, 2**31 - 1)
    if name == "most liked":
        return encode_cursor(True, -1, UUID(int=0))
    end = datetime.max if name == "comments" else datetime.min
    return encode_cursor(True, end.replace(tzinfo=UTC), UUID(int=0))


def assert_uses_indexes(name: str, sql: str) -> None:
    plan = plan_of(sql)
    if connections["read"].vendor == "postgresql":
        assert "Seq Scan on queries_app" not in plan, f"{name}: {plan}\n{sql}"
        assert "Sort" not in plan, f"{name}: {plan}\n{sql}"
    else:
        assert "SCAN queries_app" not in plan, f"{name}: {plan}\n{sql}"
        assert "TEMP B-TREE" not in plan, f"{name}: {plan}\n{sql}"


def plan_of(sql: str) -> str:
    explain, column = (
        ("EXPLAIN ", 0)
        if connections["read"].vendor == "postgresql"
        else ("EXPLAIN QUERY PLAN ", 3)
    )
    with connections["read"].cursor() as cursor:
        cursor.execute(explain + sql)
        return "\n".join(str(row[column]) for row in cursor.fetchall())
