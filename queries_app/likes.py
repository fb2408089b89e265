"""Who likes which post, and which posts are liked most.

A projection of its own: the index by likes changes with every like, which would make the
rows of the posts dear to update (docs/decisions/0003-visible-flags-for-partial-indexes.md).
"""

from collections.abc import Iterable
from uuid import UUID

from contracts.posts import (
    STREAM_TYPE,
    PostCreated,
    PostLiked,
    PostRemoved,
    PostUnliked,
)
from messaging.projections.registry import Projection
from messaging.projections.rows import Rows
from messaging.projections.serving.live import live
from queries_app.models import Like, Likes

likes = Projection("likes", stream_type=STREAM_TYPE, models=[Likes, Like])


@likes.on(PostCreated)
def post_created(post: Likes, event: PostCreated, rows: Rows) -> None:
    post.visible = True


@likes.on(PostLiked)
def post_liked(post: Likes, event: PostLiked, rows: Rows) -> None:
    rows.add(Like(username=event.username))
    post.count += 1


@likes.on(PostUnliked, rows=lambda e: [(Like, e.username)])
def post_unliked(post: Likes, event: PostUnliked, rows: Rows) -> None:
    rows.delete(rows.require(Like, event.username))
    post.count -= 1


@likes.on(PostRemoved)
def post_removed(post: Likes, event: PostRemoved, rows: Rows) -> None:
    rows.delete_all(Like)
    post.count = 0
    post.visible = False


def liked_by(username: str, post_ids: Iterable[UUID]) -> set[UUID]:
    """Those of the posts that the person likes."""
    rows = live(likes, Like).filter(username=username, stream_id__in=list(post_ids))
    return set(rows.values_list("stream_id", flat=True))
