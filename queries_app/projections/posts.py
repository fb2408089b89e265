"""How the events of posts change the read models. The same functions serve live
consumption, rebuilds and tests."""

from contracts.posts import (
    STREAM_TYPE,
    CommentAdded,
    CommentRemoved,
    CommentUpdated,
    MessageUpdated,
    PostCreated,
    PostLiked,
    PostRemoved,
    PostUnliked,
    date_of,
)
from messaging import Projection, Rows
from queries_app.models import Comment, Post

posts = Projection("posts", of=STREAM_TYPE, models=[Post, Comment])


@posts.on(PostCreated)
def post_created(post: Post, event: PostCreated, rows: Rows) -> None:
    post.author = event.author
    post.message = event.message
    post.posted_at = date_of(event, rows.envelope.recorded_at)
    post.visible = True


@posts.on(MessageUpdated)
def message_updated(post: Post, event: MessageUpdated, rows: Rows) -> None:
    post.message = event.message
    post.edited_at = date_of(event, rows.envelope.recorded_at)


@posts.on(PostLiked)
def post_liked(post: Post, event: PostLiked, rows: Rows) -> None:
    post.likes += 1
    post.has_likes = True


@posts.on(PostUnliked)
def post_unliked(post: Post, event: PostUnliked, rows: Rows) -> None:
    post.likes -= 1
    post.has_likes = post.likes > 0


@posts.on(CommentAdded)
def comment_added(post: Post, event: CommentAdded, rows: Rows) -> None:
    post.comments_count += 1
    post.has_comments = True
    rows.add(
        Comment(
            comment_id=event.comment_id,
            author=event.author,
            text=event.text,
            commented_at=date_of(event, rows.envelope.recorded_at),
        )
    )


@posts.on(CommentUpdated, rows=lambda event: [(Comment, event.comment_id)])
def comment_updated(post: Post, event: CommentUpdated, rows: Rows) -> None:
    comment = rows.require(Comment, event.comment_id)
    comment.text = event.text
    comment.edited_at = date_of(event, rows.envelope.recorded_at)


@posts.on(CommentRemoved, rows=lambda event: [(Comment, event.comment_id)])
def comment_removed(post: Post, event: CommentRemoved, rows: Rows) -> None:
    rows.delete(rows.require(Comment, event.comment_id))
    post.comments_count -= 1
    post.has_comments = post.comments_count > 0


@posts.on(PostRemoved)
def post_removed(post: Post, event: PostRemoved, rows: Rows) -> None:
    """The row stays as the stream's progress, without what it said."""
    post.visible = False
    post.message = ""
    post.likes = post.comments_count = 0
    post.has_likes = post.has_comments = False
    rows.delete_all(Comment)
