"""One command, the whole way: store, relay, log, consumer, read models, query."""

from commands_app.commands import AddComment, EditMessage, LikePost, NewPost
from messaging import mediator
from messaging.message import Context
from messaging.testing.waiting import wait_until
from queries_app.queries import FindPostById
from tests.support.fold import assert_read_models_equal_the_fold
from tests.support.modes import Mode
from tests.support.processes import Worker


def test_a_command_travels_from_the_mediator_to_the_query(mode: Mode) -> None:
    alice, bob = Context(actor="alice"), Context(actor="bob")
    with Worker(mode.env, "runconsumer") as consumer:
        post_id = mediator.send(NewPost(message="Hello"), alice).ids["post_id"]
        mediator.send(EditMessage(post_id=post_id, message="Hello, all"), alice)
        mediator.send(LikePost(post_id=post_id), bob)
        result = mediator.send(AddComment(post_id=post_id, text="Hi"), bob)

        def arrived() -> bool:
            from messaging.projections.serving.live import live
            from queries_app.models import Post
            from queries_app.projections import posts

            return live(posts, Post).filter(stream_id=post_id, version=result.version).exists()

        wait_until(arrived, "the comment is in the read model")
        post = mediator.ask(FindPostById(post_id=post_id))
        assert consumer.stop() == 0
    assert (post.author, post.message, post.likes, post.comments_count) == (
        "alice",
        "Hello, all",
        1,
        1,
    )
    assert [comment.text for comment in post.comments] == ["Hi"]
    assert assert_read_models_equal_the_fold() == 1
