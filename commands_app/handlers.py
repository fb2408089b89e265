"""One function a command: load, decide, append. The rules are in post.py."""

from collections.abc import Sequence
from uuid import UUID

from commands_app import post
from commands_app.commands import (
    AddComment,
    DeletePost,
    EditComment,
    EditMessage,
    LikePost,
    NewPost,
    RemoveComment,
    UnlikePost,
)
from commands_app.post import Post, evolve
from contracts.posts import (
    STREAM_TYPE,
    CommentAdded,
    CommentRemoved,
    CommentUpdated,
    PostCreated,
    PostEvent,
)
from messaging.eventstore.repository import Repository
from messaging.eventstore.unit_of_work import UnitOfWork
from messaging.mediator import handles
from messaging.message import Result
from messaging.recovery.restore import answers_again

# Raise the number when evolve gives events another meaning: older snapshots are left alone then.
posts: Repository[Post, PostEvent] = Repository(
    STREAM_TYPE, evolve, Post, schema=1, before_snapshot=Post.pack
)


@handles(NewPost)
def new_post(command: NewPost, unit: UnitOfWork) -> Result:
    if command.post_id is None:
        found = posts.new(unit.new_id())
    else:
        found = posts.load(unit, command.post_id)
    events = post.new_post(found.state, found.stream_id, unit.actor, command.message)
    return posts.save(unit, found, events, ids={"post_id": found.stream_id}, created=True)


@handles(EditMessage)
def edit_message(command: EditMessage, unit: UnitOfWork) -> Result:
    found = posts.load(unit, command.post_id)
    replaces = unit.context.if_text
    events = post.edit_message(found.state, unit.actor, command.message, replaces)
    return posts.save(unit, found, events, ids={"post_id": command.post_id})


@handles(LikePost)
def like_post(command: LikePost, unit: UnitOfWork) -> Result:
    found = posts.load(unit, command.post_id)
    events = post.like_post(found.state, unit.actor)
    return posts.save(unit, found, events, ids={"post_id": command.post_id})


@handles(UnlikePost)
def unlike_post(command: UnlikePost, unit: UnitOfWork) -> Result:
    found = posts.load(unit, command.post_id)
    events = post.unlike_post(found.state, unit.actor)
    return posts.save(unit, found, events, ids={"post_id": command.post_id})


@handles(AddComment)
def add_comment(command: AddComment, unit: UnitOfWork) -> Result:
    comment_id = command.comment_id or unit.new_id()
    found = posts.load(unit, command.post_id)
    events = post.add_comment(found.state, comment_id, unit.actor, command.text)
    ids = comment_ids(command.post_id, comment_id)
    return posts.save(unit, found, events, ids=ids, created=True)


@handles(EditComment)
def edit_comment(command: EditComment, unit: UnitOfWork) -> Result:
    found = posts.load(unit, command.post_id)
    replaces = unit.context.if_text
    events = post.edit_comment(found.state, command.comment_id, unit.actor, command.text, replaces)
    return posts.save(unit, found, events, ids=comment_ids(command.post_id, command.comment_id))


@handles(RemoveComment)
def remove_comment(command: RemoveComment, unit: UnitOfWork) -> Result:
    found = posts.load(unit, command.post_id)
    events = post.remove_comment(found.state, command.comment_id, unit.actor)
    return posts.save(unit, found, events, ids=comment_ids(command.post_id, command.comment_id))


@handles(DeletePost)
def delete_post(command: DeletePost, unit: UnitOfWork) -> Result:
    found = posts.load(unit, command.post_id)
    events = post.delete_post(found.state, unit.actor)
    return posts.save(unit, found, events, ids={"post_id": command.post_id})


def comment_ids(post_id: UUID, comment_id: UUID) -> dict[str, UUID]:
    return {"post_id": post_id, "comment_id": comment_id}


@answers_again(STREAM_TYPE)
def answer_of(events: Sequence[PostEvent]) -> tuple[dict[str, UUID], bool]:
    """The ids that the answer to the command named, and whether it created something."""
    event = events[-1]
    if isinstance(event, CommentAdded | CommentUpdated | CommentRemoved):
        ids = comment_ids(event.post_id, event.comment_id)
    else:
        ids = {"post_id": event.post_id}
    return ids, isinstance(event, PostCreated | CommentAdded)
