"""The search: what is found, in which order, and with which marks."""

from collections.abc import Callable
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
    NewPost,
    RemoveComment,
)
from contracts.posts import CommentAdded, PostCreated
from messaging import mediator
from messaging.exceptions import Invalid, ReadSideBehind
from messaging.message import Context
from messaging.projections.models import DeadLetter
from messaging.projections.registry import PROJECTIONS
from messaging.projections.serving import paging
from messaging.testing import deliver_all
from queries_app.models import SearchedText
from queries_app.projections import search
from queries_app.queries import FindMostLikedPosts, FindPosts, FoundPost
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.rebuilding import rebuild, some_posts
from tests.support.records import publish, record_of
from tests.support.relaying import publish_all


def send(command: Any, actor: str = "alice") -> Any:
    return mediator.send(command, Context(actor=actor)).ids


def found(q: str, **more: Any) -> list[str]:
    return [post.message for post in mediator.ask(FindPosts(q=q, **more)).results]


def marked(post: FoundPost) -> list[str]:
    """The excerpts, with each hit in brackets."""
    return [
        "".join(f"[{one.text}]" if one.hit else one.text for one in hit.excerpt)
        for hit in post.hits
    ]


def test_a_post_is_found_by_its_words_and_by_those_of_its_comments(database: Mode) -> None:
    tomatoes = send(NewPost(message="The first Tomatoes are ripe"))["post_id"]
    beans = send(NewPost(message="Beans in März, and a café"), "bob")["post_id"]
    send(AddComment(post_id=beans, text="no tomato there?"), "carol")
    send(AddComment(post_id=beans, text="Tomato, tomato!"), "dora")
    send(NewPost(message="post_id in messaging/rows.py"))
    deliver_all()
    assert found("tomato") == ["Beans in März, and a café", "The first Tomatoes are ripe"]
    first, second = mediator.ask(FindPosts(q="TOMATOES")).results
    assert (first.post_id, second.post_id) == (beans, tomatoes), "newest first"
    assert marked(first) == ["no [tomato] there?", "[Tomato], [tomato]!"]
    assert [hit.author for hit in first.hits] == ["carol", "dora"]
    assert marked(second) == ["The first [Tomatoes] are ripe"]
    assert second.hits[0].comment_id is None
    assert found("tomato", author="alice") == ["The first Tomatoes are ripe"]
    assert found("tomato", author="carol") == [], "the author of the post counts"
    assert found("cafe MARZ") == ["Beans in März, and a café"], "whatever accents and order"
    assert found("beans there") == [], "all words are in one text"
    assert found("rows id") == ["post_id in messaging/rows.py"], "words are what lies between"
    assert found("toma") == [], "whole words"
    assert found("in") == ["post_id in messaging/rows.py", "Beans in März, and a café"]


def test_what_was_edited_away_or_removed_is_no_longer_found(database: Mode) -> None:
    post_id = send(NewPost(message="apple"))["post_id"]
    comment = {
        "post_id": post_id,
        "comment_id": send(AddComment(post_id=post_id, text="pear"))["comment_id"],
    }
    deliver_all()
    assert (found("apple"), found("pear")) == (["apple"], ["apple"])
    send(EditMessage(post_id=post_id, message="quince"))
    send(EditComment(**comment, text="plum"))
    deliver_all()
    assert [found(word) for word in ("apple", "pear", "quince", "plum")] == [
        [], [], ["quince"], ["quince"]
    ]  # fmt: skip
    send(RemoveComment(**comment))
    deliver_all()
    assert SearchedText.objects.get().is_comment is False
    the_index_holds_what_the_rows_do()
    assert (found("plum"), found("quince")) == ([], ["quince"])
    send(DeletePost(post_id=post_id))
    deliver_all()
    assert found("quince") == []
    assert not SearchedText.objects.exists()


def the_index_holds_what_the_rows_do() -> None:
    """SQLite looks, if it is asked; PostgreSQL keeps its indexes by itself."""
    if connections["read"].vendor == "sqlite":
        index = "queries_app_searchedtext_index"
        with connections["read"].cursor() as cursor:
            cursor.execute(f"INSERT INTO {index} ({index}, rank) VALUES ('integrity-check', 1)")


def test_a_comment_that_the_posts_lack_is_no_hit_yet(database: Mode) -> None:
    post_id = send(NewPost(message="apple"))["post_id"]
    deliver_all()
    send(AddComment(post_id=post_id, text="pear"))
    publish_all()
    consume_all(search)
    assert (found("pear"), found("apple")) == ([], ["apple"])


def test_a_comment_may_have_the_id_of_its_post(database: Mode) -> None:
    post_id = uuid4()
    send(NewPost(message="apple", post_id=post_id))
    send(AddComment(post_id=post_id, comment_id=post_id, text="pear"))
    deliver_all()
    assert (found("apple"), found("pear")) == (["apple"], ["apple"])


OPERATORS = [
    "NEAR(x", "x AND", "x OR", "NOT x", "x* y", '"x y', "words:x", "{x y} : z", "x^2", "x:*",
    "' OR 1=1 --", "'; DROP TABLE queries_app_post; --", "x & !y | (z", "\\x", "x\\'", "%x",
    "\ud800 x", "x\0y", "\u202ex\u202c", "\ufdfa", "\u037a", "हिन्दी", "x" * 200, "the of and",
    "ß \u017f İ K",
]  # fmt: skip


def test_nothing_in_a_query_is_an_operator(unchanged: Mode) -> None:
    for q in OPERATORS:
        assert found(q) == [], ascii(q)


REFUSED = {"x" * 201: "max_length", "x" * 10_000: "max_length"}
REFUSED |= dict.fromkeys(["", " \n", '"', "*", "-", ":", "%", "\0", "\ud800", "…!?_"], "blank")


@pytest.mark.parametrize(("q", "code"), REFUSED.items(), ids=lambda one: ascii(one[:10]))
def test_a_query_has_a_word_and_at_most_200_characters(q: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        mediator.ask(FindPosts(q=q))
    assert (refused.value.code, refused.value.attr) == (code, "q")


def fill(words: Callable[[int], str], count: int) -> list[UUID]:
    """So many posts, the last one newest, each with a comment that says what it says."""
    ids = [uuid4() for _ in range(count)]
    for n, i in enumerate(ids):
        author, text = ("even", "odd")[n % 2], words(n)
        publish(
            record_of(i, 1, PostCreated(post_id=i, author=author, message=text)),
            record_of(i, 2, CommentAdded(post_id=i, comment_id=uuid4(), author="b", text=text)),
        )
    for name in ("posts", "search"):
        consume_all(PROJECTIONS[name])
    return ids


def test_each_post_is_found_once_forth_and_back_whether_its_words_are_common_or_rare(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "STEP", 4)
    ids = fill(lambda n: "often" + " rare" * (n % 5 == 0) + " once" * (n == 0), 16)

    def walk(**query: Any) -> list[UUID]:
        seen: list[UUID] = []
        pages = [mediator.ask(FindPosts(page_size=2, **query))]
        while (cursor := pages[-1].next) is not None:
            pages.append(mediator.ask(FindPosts(page_size=2, cursor=cursor, **query)))
        back = [pages[-1]]
        while (cursor := back[0].previous) is not None:
            back.insert(0, mediator.ask(FindPosts(page_size=2, cursor=cursor, **query)))
        assert [page.results for page in back] == [page.results for page in pages]
        assert [len(page.results) for page in pages[:-1]] == [2] * (len(pages) - 1)
        for page in pages:
            seen += [post.post_id for post in page.results]
        return seen

    assert walk(q="often") == ids[::-1]
    assert walk(q="rare often") == ids[15::-5]
    assert walk(q="once") == ids[:1]
    assert walk(q="rare", author="odd") == ids[15::-10]
    assert walk(q="rare", author="even") == ids[10::-10]
    assert walk(q="never") == []


def test_a_rebuild_finds_the_same(database: Mode) -> None:
    some_posts()
    send(NewPost(message="quick brown fox,\tüber all"))
    deliver_all()
    assert rebuild(search, "store").state == "done"
    assert found("fox UBER") == ["quick brown fox,\tüber all"]
    assert found("tab") == ["tab\t, \\N and\nü"] * 5
    assert {row.generation for row in SearchedText.objects.all()} == {2}, "the old one is gone"


def test_a_token_waits_for_the_words_and_for_the_texts(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("messaging.projections.serving.waiting.MAX_WAIT_S", 0.01)
    result = mediator.send(NewPost(message="tomato"), Context(actor="alice"))
    publish_all()
    for projection in ("search", "likes"):
        consume_all(PROJECTIONS[projection])
    for query in (FindPosts(q="tomato"), FindMostLikedPosts()):
        assert mediator.ask(query).results == [], "what the posts lack is left out"
        with pytest.raises(ReadSideBehind):
            mediator.ask(query, result.positions)
    consume_all(PROJECTIONS["posts"])
    for query in (FindPosts(q="tomato"), FindMostLikedPosts()):
        assert len(mediator.ask(query, result.positions).results) == 1
    later = mediator.send(NewPost(message="tomato"), Context(actor="alice"))
    publish_all()
    consume_all(PROJECTIONS["posts"])
    with pytest.raises(ReadSideBehind):
        mediator.ask(FindPosts(q="tomato"), later.positions)


def test_a_search_needs_six_statements(database: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "STEP", 10)
    fill(lambda n: "common" + " rare" * (n == 0), 50)
    for q, most in (("common", 5), ("rare", 6)):
        with CaptureQueriesContext(connections["read"]) as captured:
            assert mediator.ask(FindPosts(q=q, page_size=5)).results
        assert len(captured) <= most, [one["sql"] for one in captured]


def test_posts_come_in_the_order_of_their_dates_as_in_all_lists(database: Mode) -> None:
    send(NewPost(message="apple now"))
    old = datetime(2005, 4, 7, tzinfo=UTC)
    mediator.send(NewPost(message="apple then"), Context(actor="alice", at=old))
    deliver_all()
    assert found("apple") == ["apple now", "apple then"]


def test_a_word_of_10_000_letters_holds_nothing_up_and_is_found(database: Mode) -> None:
    for letter in "xé語":
        send(NewPost(message=letter * 10_000))
    send(NewPost(message="".join(f"w{n} " for n in range(1_600)) + "last"))
    deliver_all()
    assert not DeadLetter.objects.exists()
    assert [len(found(letter * 200)) for letter in "xé語"] == [1, 1, 1]
    assert len(found("w0 w1599 last")) == 1


def test_of_many_comments_the_first_three_are_shown(database: Mode) -> None:
    post_id = send(NewPost(message="plum"))["post_id"]
    for n in range(6):
        send(AddComment(post_id=post_id, text=f"apple {n}"))
    deliver_all()
    (post,) = mediator.ask(FindPosts(q="apple")).results
    assert marked(post) == ["[apple] 0", "[apple] 1", "[apple] 2"]
