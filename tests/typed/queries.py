"""A query says what answers it."""

from typing import assert_type
from uuid import UUID

from commands_app.commands import LikePost
from messaging import Asker, Page, answers, ask
from queries_app.projections import history, posts
from queries_app.queries import (
    CommentView,
    FindComment,
    FindComments,
    FindPostById,
    FindPostHistory,
    HistoryEntryView,
    PostDetail,
)

ID = UUID(int=1)


def what_is_asked_has_the_type_of_its_answer() -> None:
    assert_type(ask(FindPostById(post_id=ID)), PostDetail)
    assert_type(ask(FindComments(post_id=ID)), Page[CommentView])
    assert_type(ask(FindPostHistory(post_id=ID)), Page[HistoryEntryView])


def a_command_cannot_be_asked() -> None:
    ask(LikePost(post_id=ID))  # type: ignore[arg-type]


def a_handler_returns_what_its_query_declares() -> None:
    @answers(FindPostById, posts)  # type: ignore[arg-type]
    def another_answer(query: FindPostById) -> CommentView:
        raise NotImplementedError

    @answers(FindPostHistory, history)  # type: ignore[arg-type]
    def another_page(query: FindPostHistory, asker: Asker) -> Page[CommentView]:
        raise NotImplementedError


def a_handler_takes_the_query_that_it_answers() -> None:
    @answers(FindComment, posts)  # type: ignore[arg-type]
    def another_query(query: FindPostById) -> CommentView:
        raise NotImplementedError
