"""What people may ask about posts, and what they get. Each query is an endpoint."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from messaging import (
    PAGE_SIZE,
    Asker,
    Page,
    Query,
    SortKey,
    answers,
    anyone,
    live,
    live_root,
    page_of,
    query,
)
from queries_app.fields import COUNT, CURSOR, NAME, SIZE, USERNAME, post_not_found
from queries_app.models import Likes, Post
from queries_app.projections.likes import likes
from queries_app.projections.posts import posts
from queries_app.queries.comments import CommentView, page_of_comments
from queries_app.queries.visible import visible_post, visible_posts

NEWEST_FIRST = SortKey(Post, "posted_at", "stream_id", descending=True)
MOST_LIKED_FIRST = SortKey(Likes, "count", "stream_id", descending=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostView:
    post_id: UUID
    author: str = field(metadata=NAME)
    message: str = field(metadata={"example": "The first tomatoes are red."})
    posted_at: datetime
    edited_at: datetime | None
    likes: int
    comments_count: int
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PostDetail(PostView):
    comments: list[CommentView]  # the first page; find-comments has the others


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPosts:
    count: int  # 20 stands for more as well


@query(who=anyone)
@dataclass(frozen=True, slots=True, kw_only=True)
class FindPostById(Query[PostDetail]):
    """A post, with its first page of comments."""

    post_id: UUID


@query(who=anyone)
@dataclass(frozen=True, slots=True, kw_only=True)
class FindAllPosts(Query[Page[PostView]]):
    """All posts, newest first."""

    cursor: str | None = field(default=None, metadata=CURSOR)
    page_size: int = field(default=PAGE_SIZE, metadata=SIZE)


@query(who=anyone)
@dataclass(frozen=True, slots=True, kw_only=True)
class FindPostsByAuthor(Query[Page[PostView]]):
    """The posts of one author, newest first."""

    author: str = field(metadata=USERNAME)
    cursor: str | None = field(default=None, metadata=CURSOR)
    page_size: int = field(default=PAGE_SIZE, metadata=SIZE)


@query
@dataclass(frozen=True, slots=True, kw_only=True)
class FindMyPosts(Query[Page[PostView]]):
    """The posts of whoever asks, newest first."""

    cursor: str | None = field(default=None, metadata=CURSOR)
    page_size: int = field(default=PAGE_SIZE, metadata=SIZE)


@query(who=anyone)
@dataclass(frozen=True, slots=True, kw_only=True)
class FindPostsWithComments(Query[Page[PostView]]):
    """The posts that have comments, newest first."""

    cursor: str | None = field(default=None, metadata=CURSOR)
    page_size: int = field(default=PAGE_SIZE, metadata=SIZE)


@query(who=anyone)
@dataclass(frozen=True, slots=True, kw_only=True)
class FindPostsWithLikes(Query[Page[PostView]]):
    """The posts with at least so many likes, newest first.

    With `min_likes` above 1 a page looks at 5,000 posts that have likes, so it may have fewer than
    `page_size` of them, or none, and yet a `next`.
    """

    min_likes: int = field(default=1, metadata=COUNT)
    cursor: str | None = field(default=None, metadata=CURSOR)
    page_size: int = field(default=PAGE_SIZE, metadata=SIZE)


@query(who=anyone)
@dataclass(frozen=True, slots=True, kw_only=True)
class FindMostLikedPosts(Query[Page[PostView]]):
    """All posts, those with the most likes first."""

    cursor: str | None = field(default=None, metadata=CURSOR)
    page_size: int = field(default=PAGE_SIZE, metadata=SIZE)


@query(who=anyone)
@dataclass(frozen=True, slots=True, kw_only=True)
class CountNewPosts(Query[NewPosts]):
    """How many posts are newer than this one; counted up to 20."""

    post_id: UUID


@answers(FindPostById, posts)
def find_post_by_id(query: FindPostById) -> PostDetail:
    post = visible_post(query.post_id)
    comments = page_of_comments(query.post_id, None, PAGE_SIZE).results if post.has_comments else []
    return PostDetail(**summary(post), comments=comments)


def one_post(post_id: UUID) -> PostView:
    """A post without its comments: pages ask for those that they show."""
    return PostView(**summary(visible_post(post_id)))


@answers(FindAllPosts, posts)
def find_all_posts(query: FindAllPosts) -> Page[PostView]:
    return page_of_posts(visible_posts(), query.cursor, query.page_size)


@answers(FindPostsByAuthor, posts)
def find_posts_by_author(query: FindPostsByAuthor) -> Page[PostView]:
    rows = visible_posts().filter(author=query.author)
    return page_of_posts(rows, query.cursor, query.page_size)


@answers(FindMyPosts, posts)
def find_my_posts(query: FindMyPosts, asker: Asker) -> Page[PostView]:
    rows = visible_posts().filter(author=asker.get_username())
    return page_of_posts(rows, query.cursor, query.page_size)


@answers(FindPostsWithComments, posts)
def find_posts_with_comments(query: FindPostsWithComments) -> Page[PostView]:
    rows = visible_posts().filter(has_comments=True)
    return page_of_posts(rows, query.cursor, query.page_size)


@answers(FindPostsWithLikes, posts)
def find_posts_with_likes(query: FindPostsWithLikes) -> Page[PostView]:
    rows = visible_posts()
    if query.min_likes > 0:
        rows = rows.filter(has_likes=True)
    only = Q(likes__gte=query.min_likes) if query.min_likes > 1 else None
    return page_of_posts(rows, query.cursor, query.page_size, only)


@answers(FindMostLikedPosts, likes, posts)
def find_most_liked_posts(query: FindMostLikedPosts) -> Page[PostView]:
    page = page_of(
        live(likes, Likes).filter(visible=True),
        sort=MOST_LIKED_FIRST,
        cursor=query.cursor,
        page_size=query.page_size,
        to_result=lambda row: row.stream_id,
    )
    rows = {post.stream_id: post for post in visible_posts().filter(stream_id__in=page.results)}
    views = [PostView(**summary(rows[post_id])) for post_id in page.results if post_id in rows]
    return Page(next=page.next, previous=page.previous, results=views)


@answers(CountNewPosts, posts)
def count_new_posts(query: CountNewPosts) -> NewPosts:
    """Of a post that was removed meanwhile the time is still known."""
    post: Post | None = live_root(posts, query.post_id)
    if post is None or post.posted_at is None:
        raise post_not_found()
    newer = visible_posts().filter(posted_at__gt=post.posted_at)
    return NewPosts(count=newer.order_by()[:PAGE_SIZE].count())


def page_of_posts(
    rows: QuerySet[Post], cursor: str | None, page_size: int, only: Q | None = None
) -> Page[PostView]:
    return page_of(
        rows,
        sort=NEWEST_FIRST,
        cursor=cursor,
        page_size=page_size,
        to_result=lambda post: PostView(**summary(post)),
        only=only,
    )


def summary(post: Post) -> dict[str, Any]:
    """The fields of a PostView."""
    return {
        "post_id": post.stream_id,
        "author": post.author,
        "message": post.message,
        "posted_at": post.posted_at,
        "edited_at": post.edited_at,
        "likes": post.likes,
        "comments_count": post.comments_count,
        "version": post.version,
    }


def newest_changes(limit: int) -> list[tuple[UUID, datetime]]:
    """The ids of the newest posts, and when each was written or last edited."""
    rows = visible_posts().order_by("-posted_at", "-stream_id")
    found = rows.values_list("stream_id", "posted_at", "edited_at")[:limit]
    return [(post_id, edited or posted) for post_id, posted, edited in found if posted]
