"""The post: its state, its rules and its decisions. Pure: no Django, no clock, no new ids.

`evolve` says what an event means. A decision takes the state and returns the events that a
command leads to (none if nothing changes), or refuses. These rules stand nowhere else. `at` is
when the author wrote a text that comes from elsewhere.
"""

import unicodedata
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, assert_never
from uuid import UUID

from commands_app.packed import Packed
from contracts.posts import (
    CommentAdded,
    CommentRemoved,
    CommentUpdated,
    MessageUpdated,
    PostCreated,
    PostEvent,
    PostLiked,
    PostRemoved,
    PostUnliked,
    fingerprint,
)
from messaging import DomainError, Forbidden, Invalid, NotFound, PreconditionFailed

MAX_TEXT = 10_000  # code points, after line ends became \n
# Each command on a post loads all of them. A post that has more already keeps them.
MAX_COMMENTS = 10_000  # removed ones included: their ids are kept
MAX_LIKES = 10_000


class Comment(NamedTuple):
    """A comment without its text: a fingerprint is enough to tell whether an edit changes it.

    Posts with thousands of comments are loaded and kept as snapshots.
    docs/decisions/0007-comments-as-fingerprints-in-the-write-model.md
    """

    author: str
    fingerprint: int  # of the text

    def packed(self) -> str:
        return f"{short(self.fingerprint.to_bytes(8))} {self.author}"


@dataclass(slots=True, kw_only=True)
class Post:
    """What the decisions need to know about a post."""

    post_id: UUID
    author: str
    message: str
    likers: Packed = field(default_factory=Packed)  # by name
    comments: Packed = field(default_factory=Packed)  # by id
    removed_comments: Packed = field(default_factory=Packed)  # by id, which is not used again
    removed: bool = False

    def comment(self, comment_id: UUID) -> Comment | None:
        packed = self.comments.get(key_of(comment_id))
        if packed is None:
            return None
        number, _, author = packed.partition(" ")
        return Comment(author, int.from_bytes(urlsafe_b64decode(f"{number}=")))

    def pack(self) -> None:
        """Prepare for a snapshot."""
        for part in (self.likers, self.comments, self.removed_comments):
            part.pack()


def evolve(post: Post | None, event: PostEvent) -> Post:
    """Return the post after an event. Takes `post` over, and changes it in place."""
    if isinstance(event, PostCreated):
        return Post(post_id=event.post_id, author=event.author, message=event.message)
    assert post is not None, "the first event of a post is PostCreated"
    match event:
        case MessageUpdated():
            post.message = event.message
        case PostLiked():
            post.likers.add(event.username)
        case PostUnliked():
            post.likers.remove(event.username)
        case CommentAdded():
            added = Comment(event.author, fingerprint(event.text))
            post.comments.add(key_of(event.comment_id), added.packed())
        case CommentUpdated():
            comment = post.comment(event.comment_id)
            assert comment is not None, "a comment is added before it is changed"
            changed = Comment(comment.author, fingerprint(event.text))
            post.comments.change(key_of(event.comment_id), changed.packed())
        case CommentRemoved():
            post.comments.remove(key_of(event.comment_id))
            post.removed_comments.add(key_of(event.comment_id))
        case PostRemoved():
            post.removed = True
        case _:
            assert_never(event)
    return post


def key_of(comment_id: UUID) -> str:
    return short(comment_id.bytes)


def short(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


# --- decisions -------------------------------------------------------------------------------


def new_post(
    post: Post | None, post_id: UUID, actor: str, message: str, at: datetime | None = None
) -> list[PostEvent]:
    message = valid_text(message, "message")
    if post is not None and post.removed:
        raise DomainError("post_removed", "This post was removed.")
    if post is not None:
        raise DomainError("post_exists", "There is a post with this id already.", "post_id")
    return [PostCreated(post_id=post_id, author=actor, message=message, written_at=at)]


def edit_message(
    post: Post | None,
    actor: str,
    message: str,
    replaces: int | None = None,
    at: datetime | None = None,
) -> list[PostEvent]:
    message = valid_text(message, "message")
    post = own(existing(post), actor)
    if post.message == message:
        return []
    unchanged(fingerprint(post.message), replaces)
    return [MessageUpdated(post_id=post.post_id, message=message, written_at=at)]


def like_post(post: Post | None, actor: str) -> list[PostEvent]:
    post = existing(post)
    if actor in post.likers:
        return []
    if len(post.likers) >= MAX_LIKES:
        raise DomainError("too_many_likes", f"A post has at most {MAX_LIKES:,} likes.")
    return [PostLiked(post_id=post.post_id, username=actor)]


def unlike_post(post: Post | None, actor: str) -> list[PostEvent]:
    post = existing(post)
    if actor not in post.likers:
        return []
    return [PostUnliked(post_id=post.post_id, username=actor)]


def add_comment(
    post: Post | None, comment_id: UUID, actor: str, text: str, at: datetime | None = None
) -> list[PostEvent]:
    text = valid_text(text, "text")
    post = existing(post)
    if key_of(comment_id) in post.comments or key_of(comment_id) in post.removed_comments:
        raise DomainError(
            "comment_exists", "There is, or was, a comment with this id.", "comment_id"
        )
    if len(post.comments) + len(post.removed_comments) >= MAX_COMMENTS:
        most = f"A post takes at most {MAX_COMMENTS:,} comments, those that were removed included."
        raise DomainError("too_many_comments", most)
    ids = {"post_id": post.post_id, "comment_id": comment_id}
    return [CommentAdded(**ids, author=actor, text=text, written_at=at)]


def edit_comment(
    post: Post | None,
    comment_id: UUID,
    actor: str,
    text: str,
    replaces: int | None = None,
    at: datetime | None = None,
) -> list[PostEvent]:
    text = valid_text(text, "text")
    post = existing(post)
    now = own_comment(post, comment_id, actor).fingerprint
    if now == fingerprint(text):
        return []
    unchanged(now, replaces)
    ids = {"post_id": post.post_id, "comment_id": comment_id}
    return [CommentUpdated(**ids, text=text, written_at=at)]


def remove_comment(post: Post | None, comment_id: UUID, actor: str) -> list[PostEvent]:
    post = existing(post)
    own_comment(post, comment_id, actor)
    return [CommentRemoved(post_id=post.post_id, comment_id=comment_id)]


def delete_post(post: Post | None, actor: str) -> list[PostEvent]:
    post = own(existing(post), actor)
    return [PostRemoved(post_id=post.post_id)]


# --- rules ------------------------------------------------------------------------------------


def existing(post: Post | None) -> Post:
    if post is None:
        raise NotFound("post_not_found", "There is no such post.", "post_id")
    if post.removed:
        raise DomainError("post_removed", "This post was removed.")
    return post


def own(post: Post, actor: str) -> Post:
    if post.author != actor:
        raise Forbidden("not_author", "Only the author of a post may do this.")
    return post


def own_comment(post: Post, comment_id: UUID, actor: str) -> Comment:
    comment = post.comment(comment_id)
    if comment is None:
        raise NotFound("comment_not_found", "There is no such comment.", "comment_id")
    if comment.author != actor:
        raise Forbidden("not_comment_author", "Only the author of a comment may do this.")
    return comment


def unchanged(now: int, known: int | None) -> None:
    """Raise `PreconditionFailed` if the text is no longer the one that the sender has seen.

    Compares the text's fingerprint, not the stream's version: likes and comments by others
    raise the version too.
    """
    if known is not None and now != known:
        raise PreconditionFailed("text_changed", "The text was changed meanwhile.")


def valid_text(text: str, attr: str) -> str:
    """Return the text to store: as sent, with line ends as \\n. Raises `Invalid`."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        raise Invalid("null_characters_not_allowed", "Null characters are not allowed.", attr)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Invalid(
            "surrogate_characters_not_allowed", "This is not valid Unicode text.", attr
        ) from None
    if len(text) > MAX_TEXT:
        raise Invalid(
            "max_length", f"At most {MAX_TEXT:,} characters; these are {len(text):,}.", attr
        )
    if all(is_invisible(char) for char in text):
        raise Invalid("blank", "Write something that can be seen.", attr)
    return text


def is_invisible(char: str) -> bool:
    """Tell white space, control and format characters (Unicode Z*, Cc and Cf)."""
    category = unicodedata.category(char)
    return category[0] == "Z" or category in ("Cc", "Cf")
