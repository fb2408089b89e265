"""Who likes which post, and which posts are liked most.

A projection of its own: the index by likes changes with every like, which would make the
rows of the posts expensive to update (docs/decisions/0003-visible-flags-for-partial-indexes.md).
"""

from contracts.posts import (
    STREAM_TYPE,
    PostCreated,
    PostLiked,
    PostRemoved,
    PostUnliked,
)
from messaging import Projection, Rows
from queries_app.models import Like, Likes

likes = Projection("likes", of=STREAM_TYPE, models=[Likes, Like])


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
