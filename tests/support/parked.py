"""Records that are parked, and the dead letters that they become."""

from uuid import UUID, uuid4

from contracts.posts import (
    CommentUpdated,
    MessageUpdated,
    PostCreated,
)
from messaging.bus.base import Message
from messaging.projections.models import DeadLetter
from queries_app.models import Post
from tests.support.records import record_of


def created(post_id: UUID) -> Message:
    return record_of(post_id, 1, PostCreated(post_id=post_id, author="alice", message="first"))


def edited(post_id: UUID, version: int) -> Message:
    return record_of(post_id, version, MessageUpdated(post_id=post_id, message=f"v{version}"))


def poison(post_id: UUID, version: int) -> Message:
    """An edit of a comment that never was: the projection's function raises."""
    event = CommentUpdated(post_id=post_id, comment_id=uuid4(), text="?")
    return record_of(post_id, version, event)


def version_of(post_id: UUID) -> int:
    return Post.objects.get(stream_id=post_id).version


def parked() -> list[tuple[int | None, str]]:
    return list(DeadLetter.objects.order_by("version").values_list("version", "code"))
