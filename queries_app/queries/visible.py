"""The posts that readers see. A removed one stays as a tombstone."""

from uuid import UUID

from django.db.models import QuerySet

from messaging import live, live_root
from queries_app.fields import post_not_found
from queries_app.models import Post
from queries_app.projections.posts import posts


def visible_posts() -> QuerySet[Post]:
    return live(posts, Post).filter(visible=True)


def visible_post(post_id: UUID) -> Post:
    post: Post | None = live_root(posts, post_id)
    if post is None or not post.visible:
        raise post_not_found()
    return post
