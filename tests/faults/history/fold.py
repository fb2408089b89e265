"""What events add up to: a plain fold, written without the project's code."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from tests.faults.history.facts import Event, Row, Tables

Key = tuple[UUID, int]


@dataclass
class Post:
    """A post after some of its events."""

    version: int = 0
    event_id: UUID | None = None
    author: str = ""
    message: str = ""
    posted_at: datetime | None = None
    edited_at: datetime | None = None
    removed: bool = False
    likers: set[str] = field(default_factory=set)
    comments: dict[UUID, Row] = field(default_factory=dict)
    entries: dict[int, Row] = field(default_factory=dict)

    def shown(self) -> Row:
        """What a reader of the API sees of it."""
        return {
            "author": self.author,
            "message": self.message,
            "likes": len(self.likers),
            "comments_count": len(self.comments),
        }


class Impossible(Exception):
    """An event that cannot happen to the post as it is."""


def kind_of(event_type: str) -> str:
    """`post_liked` of posts.post_liked.v1, and of its later versions."""
    return event_type.removeprefix("posts.").rpartition(".v")[0]


def by_stream(events: Iterable[Event]) -> dict[UUID, list[Event]]:
    """The events of each stream, by version."""
    found: dict[UUID, list[Event]] = {}
    for event in sorted(events, key=lambda event: event.version):
        found.setdefault(event.stream, []).append(event)
    return found


def replay(events: list[Event]) -> Iterator[Post]:
    """The post after each event of one stream: one object, which changes."""
    post = Post()
    for event in events:
        apply(post, event)
        yield post


def apply(post: Post, event: Event) -> None:
    """Raises `Impossible`."""
    kind, data, at = kind_of(event.type), event.data, event.recorded_at
    if post.removed or (kind == "post_created") != (post.version == 0):
        raise Impossible(f"{event.type} at version {event.version}")
    comment_id = UUID(data["comment_id"]) if "comment_id" in data else None
    old: str | None = None
    try:
        old = _change(post, kind, data, at, comment_id)
    except KeyError as error:
        raise Impossible(f"{event.type} at version {event.version}: no {error}") from None
    post.version, post.event_id = event.version, event.event_id
    post.entries[event.version] = {
        "what": kind,
        "actor": event.actor,
        "at": at,
        "comment_id": comment_id,
        "old_text": old,
        "new_text": data.get("message", data.get("text")),
    }
    if post.removed:
        post.message = ""
        post.likers.clear()
        post.comments.clear()


def _change(
    post: Post, kind: str, data: dict[str, Any], at: datetime, comment_id: UUID | None
) -> str | None:
    """The text that the event replaced or took away."""
    old: str | None = None
    match kind:
        case "post_created":
            post.author, post.message, post.posted_at = data["author"], data["message"], at
        case "message_updated":
            old, post.message, post.edited_at = post.message, data["message"], at
        case "post_liked":
            if data["username"] in post.likers:
                raise Impossible(f"{data['username']} likes it already")
            post.likers.add(data["username"])
        case "post_unliked":
            post.likers.remove(data["username"])
        case "comment_added":
            if comment_id is None or comment_id in post.comments:
                raise Impossible(f"the comment {comment_id} is there already")
            row = {"author": data["author"], "text": data["text"]}
            post.comments[comment_id] = {**row, "commented_at": at, "edited_at": None}
        case "comment_updated":
            comment = post.comments[comment_id]  # type: ignore[index]
            old, comment["text"], comment["edited_at"] = comment["text"], data["text"], at
        case "comment_removed":
            old = post.comments.pop(comment_id)["text"]  # type: ignore[arg-type]
        case "post_removed":
            post.removed = True
        case _:
            raise Impossible(f"nobody knows {kind}")
    return old


def expected_tables(posts: dict[UUID, Post]) -> Tables:
    """The rows of every read model, of the posts as they are in the end."""
    tables = Tables()
    for stream, post in posts.items():
        root: Row = {"version": post.version, "event_id": post.event_id}
        visible = {"visible": not post.removed}
        tables.posts[stream] = {
            **root,
            **visible,
            **post.shown(),
            "posted_at": post.posted_at,
            "edited_at": post.edited_at,
            "has_likes": bool(post.likers),
            "has_comments": bool(post.comments),
        }
        tables.histories[stream] = {**root, **visible, "message": post.message}
        tables.likes[stream] = {**root, **visible, "count": len(post.likers)}
        tables.like |= {(stream, name): {} for name in post.likers}
        tables.entries |= {(stream, version): row for version, row in post.entries.items()}
        for comment_id, comment in post.comments.items():
            tables.comments[stream, comment_id] = dict(comment)
            tables.texts[stream, comment_id] = {"text": comment["text"]}
    return tables
