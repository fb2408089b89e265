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
from messaging import Appended, Repository, UnitOfWork, handles, rebuilds_result

# Raise the number when `evolve` changes what events mean: older snapshots are ignored then.
posts: Repository[Post, PostEvent] = Repository(
    STREAM_TYPE, evolve, Post, schema=1, before_snapshot=Post.pack
)


@handles(NewPost, creates=True)
def new_post(command: NewPost, uow: UnitOfWork) -> Appended:
    found = posts.new(uow) if command.post_id is None else posts.load(uow, command.post_id)
    at = uow.context.at
    events = post.new_post(found.state, found.stream_id, uow.actor, command.message, at)
    return posts.save(uow, found, events)


@handles(EditMessage)
def edit_message(command: EditMessage, uow: UnitOfWork) -> Appended:
    found = posts.load(uow, command.post_id)
    replaces, at = uow.context.if_text, uow.context.at
    events = post.edit_message(found.state, uow.actor, command.message, replaces, at)
    return posts.save(uow, found, events)


@handles(LikePost)
def like_post(command: LikePost, uow: UnitOfWork) -> Appended:
    found = posts.load(uow, command.post_id)
    events = post.like_post(found.state, uow.actor)
    return posts.save(uow, found, events)


@handles(UnlikePost)
def unlike_post(command: UnlikePost, uow: UnitOfWork) -> Appended:
    found = posts.load(uow, command.post_id)
    events = post.unlike_post(found.state, uow.actor)
    return posts.save(uow, found, events)


@handles(AddComment, creates=True)
def add_comment(command: AddComment, uow: UnitOfWork) -> Appended:
    comment_id = command.comment_id or uow.new_id()
    found = posts.load(uow, command.post_id)
    at = uow.context.at
    events = post.add_comment(found.state, comment_id, uow.actor, command.text, at)
    return posts.save(uow, found, events)


@handles(EditComment)
def edit_comment(command: EditComment, uow: UnitOfWork) -> Appended:
    found = posts.load(uow, command.post_id)
    replaces, at = uow.context.if_text, uow.context.at
    comment_id, text = command.comment_id, command.text
    events = post.edit_comment(found.state, comment_id, uow.actor, text, replaces, at)
    return posts.save(uow, found, events)


@handles(RemoveComment)
def remove_comment(command: RemoveComment, uow: UnitOfWork) -> Appended:
    found = posts.load(uow, command.post_id)
    events = post.remove_comment(found.state, command.comment_id, uow.actor)
    return posts.save(uow, found, events)


@handles(DeletePost)
def delete_post(command: DeletePost, uow: UnitOfWork) -> Appended:
    found = posts.load(uow, command.post_id)
    events = post.delete_post(found.state, uow.actor)
    return posts.save(uow, found, events)


@rebuilds_result(STREAM_TYPE)
def result_of(events: Sequence[PostEvent]) -> tuple[dict[str, UUID], bool]:
    """Tell from a command's events the ids of its result, and whether it created something."""
    event = events[-1]
    ids = {"post_id": event.post_id}
    if isinstance(event, CommentAdded | CommentUpdated | CommentRemoved):
        ids["comment_id"] = event.comment_id
    return ids, isinstance(event, PostCreated | CommentAdded)
