"""What people may ask about likes."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from messaging import (
    PAGE_SIZE,
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
from queries_app.fields import NAME, SIZE, post_not_found
from queries_app.models import Like, Likes
from queries_app.projections.likes import likes

BY_NAME = SortKey(Like, "username")
CURSOR_OF_NAMES = {"serializer_kwargs": {"max_length": 1_000}}  # 150 characters of 4 bytes, encoded


@dataclass(frozen=True, slots=True, kw_only=True)
class LikeView:
    username: str = field(metadata=NAME)


@query(who=anyone)
@dataclass(frozen=True, slots=True, kw_only=True)
class FindLikes(Query[Page[LikeView]]):
    """The people who like a post, by name."""

    post_id: UUID
    cursor: str | None = field(default=None, metadata=CURSOR_OF_NAMES)
    page_size: int = field(default=PAGE_SIZE, metadata=SIZE)


@answers(FindLikes, likes)
def find_likes(query: FindLikes) -> Page[LikeView]:
    post: Likes | None = live_root(likes, query.post_id)
    if post is None or not post.visible:
        raise post_not_found()
    return page_of(
        live(likes, Like).filter(stream_id=query.post_id),
        sort=BY_NAME,
        cursor=query.cursor,
        page_size=query.page_size,
        to_result=lambda like: LikeView(username=like.username),
    )


def liked_by(username: str, post_ids: Iterable[UUID]) -> set[UUID]:
    """Those of the posts that the person likes."""
    rows = live(likes, Like).filter(username=username, stream_id__in=list(post_ids))
    return set(rows.values_list("stream_id", flat=True))


def some_who_like(post_id: UUID, limit: int) -> list[str]:
    """The first of their names."""
    rows = live(likes, Like).filter(stream_id=post_id).order_by("username")
    return list(rows.values_list("username", flat=True)[:limit])
