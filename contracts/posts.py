"""The events of posts: what the write side says and the read side hears.

The stream is the post. Standard library and messaging.event only.

A text that came from elsewhere says when its author wrote it (`written_at`); without it, that is
when the event was recorded.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from uuid import UUID

from messaging import event

STREAM_TYPE = "post"


@event("posts.post_created.v1", stream=STREAM_TYPE, id_field="post_id", usernames=("author",))
@dataclass(frozen=True, slots=True, kw_only=True)
class PostCreated:
    """A post was written."""

    post_id: UUID
    author: str
    message: str
    written_at: datetime | None = None


@event("posts.message_updated.v1", stream=STREAM_TYPE, id_field="post_id")
@dataclass(frozen=True, slots=True, kw_only=True)
class MessageUpdated:
    """The author changed the text of the post."""

    post_id: UUID
    message: str
    written_at: datetime | None = None


@event("posts.post_liked.v1", stream=STREAM_TYPE, id_field="post_id", usernames=("username",))
@dataclass(frozen=True, slots=True, kw_only=True)
class PostLiked:
    """A person who did not like the post now does."""

    post_id: UUID
    username: str


@event("posts.post_unliked.v1", stream=STREAM_TYPE, id_field="post_id", usernames=("username",))
@dataclass(frozen=True, slots=True, kw_only=True)
class PostUnliked:
    """A person who liked the post no longer does."""

    post_id: UUID
    username: str


@event("posts.comment_added.v1", stream=STREAM_TYPE, id_field="post_id", usernames=("author",))
@dataclass(frozen=True, slots=True, kw_only=True)
class CommentAdded:
    """A person commented on the post."""

    post_id: UUID
    comment_id: UUID
    author: str
    text: str
    written_at: datetime | None = None


@event("posts.comment_updated.v1", stream=STREAM_TYPE, id_field="post_id")
@dataclass(frozen=True, slots=True, kw_only=True)
class CommentUpdated:
    """The comment's author changed its text."""

    post_id: UUID
    comment_id: UUID
    text: str
    written_at: datetime | None = None


@event("posts.comment_removed.v1", stream=STREAM_TYPE, id_field="post_id")
@dataclass(frozen=True, slots=True, kw_only=True)
class CommentRemoved:
    """The comment's author took it back."""

    post_id: UUID
    comment_id: UUID


@event("posts.post_removed.v1", stream=STREAM_TYPE, id_field="post_id")
@dataclass(frozen=True, slots=True, kw_only=True)
class PostRemoved:
    """The author deleted the post. Nothing happens to it after this."""

    post_id: UUID


PostEvent = (
    PostCreated
    | MessageUpdated
    | PostLiked
    | PostUnliked
    | CommentAdded
    | CommentUpdated
    | CommentRemoved
    | PostRemoved
)


Written = PostCreated | MessageUpdated | CommentAdded | CommentUpdated  # what says a text


def date_of(event: Written, recorded_at: datetime) -> datetime:
    """When a text was written. Never after it was recorded, whatever the event says: a date in the
    future would keep a post on top of all lists."""
    if event.written_at is None:
        return recorded_at
    return min(event.written_at, recorded_at).astimezone(UTC)


def fingerprint(text: str) -> int:
    """64 bits that differ, for all that matters, where texts do. A form carries it from the
    read side to the write side: which text it changes."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())
