"""What people may ask about the comments on a post."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from messaging import (
    PAGE_SIZE,
    NotFound,
    Page,
    Query,
    SortKey,
    answers,
    anyone,
    live,
    page_of,
    query,
)
from queries_app.fields import CURSOR, NAME, SIZE
from queries_app.models import Comment
from queries_app.projections.posts import posts
from queries_app.queries.visible import visible_post

OLDEST_FIRST = SortKey(Comment, "commented_at", "comment_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentView:
    comment_id: UUID
    author: str = field(metadata=NAME)
    text: str = field(metadata={"example": "In October?"})
    commented_at: datetime
    edited_at: datetime | None


@query(who=anyone)
@dataclass(frozen=True, slots=True, kw_only=True)
class FindComments(Query[Page[CommentView]]):
    """The comments of a post, oldest first."""

    post_id: UUID
    cursor: str | None = field(default=None, metadata=CURSOR)
    page_size: int = field(default=PAGE_SIZE, metadata=SIZE)


@query(who=anyone)
@dataclass(frozen=True, slots=True, kw_only=True)
class FindComment(Query[CommentView]):
    """One comment."""

    post_id: UUID
    comment_id: UUID


@answers(FindComments, posts)
def find_comments(query: FindComments) -> Page[CommentView]:
    visible_post(query.post_id)
    return page_of_comments(query.post_id, query.cursor, query.page_size)


@answers(FindComment, posts)
def find_comment(query: FindComment) -> CommentView:
    visible_post(query.post_id)
    rows = live(posts, Comment).filter(stream_id=query.post_id, comment_id=query.comment_id)
    comment = rows.first()
    if comment is None:
        raise NotFound("comment_not_found", "There is no such comment.", "comment_id")
    return comment_view(comment)


def page_of_comments(post_id: UUID, cursor: str | None, page_size: int) -> Page[CommentView]:
    return page_of(
        live(posts, Comment).filter(stream_id=post_id),
        sort=OLDEST_FIRST,
        cursor=cursor,
        page_size=page_size,
        to_result=comment_view,
    )


def comment_view(comment: Comment) -> CommentView:
    return CommentView(
        comment_id=comment.comment_id,
        author=comment.author,
        text=comment.text,
        commented_at=comment.commented_at,
        edited_at=comment.edited_at,
    )
