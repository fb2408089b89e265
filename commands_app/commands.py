"""The commands on a post. Each is an endpoint, a form and a line of `sendcommands`.

A command holds only what its sender may send; who sends it travels in the context.
The rules for texts are in post.py.
"""

from dataclasses import dataclass, field
from uuid import UUID

from commands_app.post import MAX_TEXT
from messaging import command

TEXTAREA = {"serializer_kwargs": {"style": {"base_template": "textarea.html", "rows": 4}}}
# For the OpenAPI document. The rule itself is in post.py, and knows more about what can be seen.
SEEN = {
    "schema": {
        "minLength": 1,
        "maxLength": MAX_TEXT,
        "pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$",
    }
}
MESSAGE = {**TEXTAREA, **SEEN, "example": "The first tomatoes are red."}
REMARK = {**TEXTAREA, **SEEN, "example": "In October?"}


@command(dated=True)
@dataclass(frozen=True, slots=True, kw_only=True)
class NewPost:
    """Write a post. Its id may be chosen by the sender; one is made when it is left out."""

    message: str = field(metadata=MESSAGE)
    post_id: UUID | None = None


@command(dated=True)
@dataclass(frozen=True, slots=True, kw_only=True)
class EditMessage:
    """Change the text of one's own post."""

    post_id: UUID
    message: str = field(metadata=MESSAGE)


@command
@dataclass(frozen=True, slots=True, kw_only=True)
class LikePost:
    """Like a post. A second like by the same person changes nothing."""

    post_id: UUID


@command
@dataclass(frozen=True, slots=True, kw_only=True)
class UnlikePost:
    """Take one's like back. Without a like it changes nothing."""

    post_id: UUID


@command(dated=True)
@dataclass(frozen=True, slots=True, kw_only=True)
class AddComment:
    """Comment on a post. The comment's id may be chosen by the sender."""

    post_id: UUID
    text: str = field(metadata=REMARK)
    comment_id: UUID | None = None


@command(dated=True)
@dataclass(frozen=True, slots=True, kw_only=True)
class EditComment:
    """Change the text of one's own comment."""

    post_id: UUID
    comment_id: UUID
    text: str = field(metadata=REMARK)


@command
@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveComment:
    """Remove one's own comment."""

    post_id: UUID
    comment_id: UUID


@command
@dataclass(frozen=True, slots=True, kw_only=True)
class DeletePost:
    """Delete one's own post, with its comments and likes."""

    post_id: UUID
