"""What people may look for: the posts with some words in their texts, or in their comments'."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.core.validators import RegexValidator
from django.db.models import Q, Window
from django.db.models.functions import RowNumber

from messaging import (
    PAGE_SIZE,
    Invalid,
    Page,
    Query,
    SortKey,
    answers,
    anyone,
    live,
    page_of,
    query,
)
from queries_app.fields import CURSOR, NAME, SIZE, USERNAME
from queries_app.models import Comment, Post, SearchedText
from queries_app.projections.posts import posts
from queries_app.projections.search import search
from queries_app.queries.posts import PostView, summary
from queries_app.queries.visible import visible_posts
from queries_app.words import BEGIN, Piece, excerpt, words_of

MAX_QUERY = 200  # characters
MAX_HITS = 3  # of a post, in an answer
NO_WORD = "Write at least one word to look for: of letters or digits."
# For the API and its document; pages ask without it, so `wanted_words` holds the same.
WORDS = {
    "serializer_kwargs": {
        "max_length": MAX_QUERY,
        "allow_blank": False,  # else the document offers the empty text beside the pattern
        "error_messages": {"blank": NO_WORD},
        "validators": [RegexValidator(BEGIN, NO_WORD, "blank")],
    },
    "example": "ripe tomatoes",
}
NEWEST_FIRST = SortKey(SearchedText, "posted_at", "stream_id", descending=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A text of a post in which all the words are."""

    comment_id: UUID | None  # None: the post's own text
    author: str = field(metadata=NAME)  # of the text
    excerpt: list[Piece]  # of some 240 characters; the words that were looked for are pieces


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPost(PostView):
    hits: list[Hit]  # the first three: the post's own text, then comments, oldest first


@query(who=anyone)
@dataclass(frozen=True, slots=True, kw_only=True)
class FindPosts(Query[Page[FoundPost]]):
    """The posts in which these words occur, newest first; with an author, only theirs.

    All of the words are in one text: the post's own, or one of its comments. Case, accents, English
    endings ("tomatoes") and the order of words make no difference. What is neither a letter nor a
    digit separates words: there are no operators.
    """

    q: str = field(metadata=WORDS)
    author: str | None = field(default=None, metadata=USERNAME)
    cursor: str | None = field(default=None, metadata=CURSOR)
    page_size: int = field(default=PAGE_SIZE, metadata=SIZE)


@answers(FindPosts, search, posts)
def find_posts(query: FindPosts) -> Page[FoundPost]:
    words = wanted_words(query.q)
    page = page_of_ids(query, words)
    rows = {post.stream_id: post for post in visible_posts().filter(stream_id__in=page.results)}
    hits = hits_in(rows, words)
    # One projection may be ahead: what the other has not, or has no more, is left out.
    found = [FoundPost(**summary(rows[one]), hits=hits[one]) for one in page.results if one in hits]
    return Page(next=page.next, previous=page.previous, results=found)


def wanted_words(q: str) -> str:
    """The words to look for. Raises `Invalid`."""
    if len(q) > MAX_QUERY:
        detail = f"At most {MAX_QUERY} characters; these are {len(q):,}."
        raise Invalid("max_length", detail, "q")
    words = words_of(q)
    if not words:
        raise Invalid("blank", NO_WORD, "q")
    return words


def page_of_ids(query: FindPosts, words: str) -> Page[UUID]:
    """First among the newest 5,000 posts, which fill a page if the words are common; rare ones are
    found by the index, which would name half of all posts for common ones."""
    texts = live(search, SearchedText)
    if query.author is not None:
        texts = texts.filter(author=query.author)
    rows: Any = texts.values_list("posted_at", "stream_id", named=True).distinct()

    def page(rows: Any, only: Q | None = None) -> Page[UUID]:
        return page_of(
            rows,
            sort=NEWEST_FIRST,
            cursor=query.cursor,
            page_size=query.page_size,
            to_result=lambda row: row.stream_id,
            only=only,
        )

    newest = page(rows, Q(words__has=words))
    if len(newest.results) == query.page_size or not (newest.next or newest.previous):
        return newest
    return page(rows.filter(words__in_index=words))


def hits_in(found: Mapping[UUID, Post], words: str) -> dict[UUID, list[Hit]]:
    """The first hits in each of these posts that has any."""
    hits, wanted = defaultdict(list), frozenset(words.split())
    texts = first_texts(found, words)
    rows = live(posts, Comment).filter(
        stream_id__in=list(found),
        comment_id__in=[text_id for _, is_comment, text_id in texts if is_comment],
    )
    comments = {(row.stream_id, row.comment_id): row for row in rows}
    for post_id, is_comment, text_id in texts:
        if not is_comment:
            post = found[post_id]
            hit = Hit(comment_id=None, author=post.author, excerpt=excerpt(post.message, wanted))
        elif (row := comments.get((post_id, text_id))) is not None:
            hit = Hit(comment_id=text_id, author=row.author, excerpt=excerpt(row.text, wanted))
        else:
            continue
        hits[post_id].append(hit)
    return dict(hits)


def first_texts(found: Iterable[UUID], words: str) -> list[tuple[UUID, bool, UUID]]:
    """Which texts of each post have the words: (post, whether it is a comment, its id)."""
    number = Window(
        RowNumber(), partition_by="stream_id", order_by=["is_comment", "written_at", "text_id"]
    )
    rows = live(search, SearchedText).filter(stream_id__in=list(found), words__has=words)
    first = rows.annotate(number=number).filter(number__lte=MAX_HITS)
    return list(
        first.order_by("stream_id", "number").values_list("stream_id", "is_comment", "text_id")
    )
