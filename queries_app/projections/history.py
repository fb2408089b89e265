"""The history of each post: who did what when, and what the text was before and after.

A projection of its own: it lags, fails and is rebuilt without the posts.
"""

from typing import Any
from uuid import UUID

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
    Written,
    date_of,
)
from messaging import Projection, Rows
from queries_app.models import CommentText, History, HistoryEntry

history = Projection(
    "history", of=STREAM_TYPE, models=[History, HistoryEntry, CommentText], version=2
)


def text_of(event: CommentUpdated | CommentRemoved) -> list[tuple[type[CommentText], UUID]]:
    return [(CommentText, event.comment_id)]


@history.on(PostCreated)
def post_created(post: History, event: PostCreated, rows: Rows) -> None:
    post.message = event.message
    post.visible = True
    enter(rows, "post_created", event, new_text=event.message)


@history.on(MessageUpdated)
def message_updated(post: History, event: MessageUpdated, rows: Rows) -> None:
    enter(rows, "message_updated", event, old_text=post.message, new_text=event.message)
    post.message = event.message


@history.on(PostLiked)
def post_liked(post: History, event: PostLiked, rows: Rows) -> None:
    enter(rows, "post_liked")


@history.on(PostUnliked)
def post_unliked(post: History, event: PostUnliked, rows: Rows) -> None:
    enter(rows, "post_unliked")


@history.on(CommentAdded)
def comment_added(post: History, event: CommentAdded, rows: Rows) -> None:
    rows.add(CommentText(comment_id=event.comment_id, text=event.text))
    enter(rows, "comment_added", event, comment_id=event.comment_id, new_text=event.text)


@history.on(CommentUpdated, rows=text_of)
def comment_updated(post: History, event: CommentUpdated, rows: Rows) -> None:
    comment = rows.require(CommentText, event.comment_id)
    texts = {"old_text": comment.text, "new_text": event.text}
    enter(rows, "comment_updated", event, comment_id=event.comment_id, **texts)
    comment.text = event.text


@history.on(CommentRemoved, rows=text_of)
def comment_removed(post: History, event: CommentRemoved, rows: Rows) -> None:
    comment = rows.require(CommentText, event.comment_id)
    enter(rows, "comment_removed", comment_id=event.comment_id, old_text=comment.text)
    rows.delete(comment)


@history.on(PostRemoved)
def post_removed(post: History, event: PostRemoved, rows: Rows) -> None:
    """Who did what when stays, and the texts too, for the few who may see them
    (history_query.py)."""
    post.visible = False
    post.message = ""
    rows.delete_all(CommentText)
    enter(rows, "post_removed")


def enter(rows: Rows, what: str, written: Written | None = None, **values: Any) -> None:
    """Enter what happened: at the time at which its text was written, or else was recorded."""
    envelope = rows.envelope
    at = envelope.recorded_at
    rows.add(
        HistoryEntry(
            position=envelope.version,
            what=what,
            actor=envelope.actor,
            at=date_of(written, at) if written is not None else at,
            **values,
        )
    )
