"""Names of people in texts are links to them; what nobody is called stays text."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from commands_app.commands import AddComment, EditComment, NewPost
from messaging import mediator
from messaging.message import Context
from tests.support.api import person
from tests.support.forms import arrive
from tests.support.modes import Mode

TEXT = "A title\n\nAsk @bob, @nobody, or use @property."
LINK = '<a href="/people/bob/">@bob</a>, @nobody, or use @property.'


@pytest.fixture
def post_id(sqlite: Mode) -> UUID:
    """One of two posts with such texts, and with two such comments of Bob's."""
    person("bob")
    mediator.send(NewPost(message=TEXT), Context(actor="alice"))
    found = mediator.send(NewPost(message=TEXT), Context(actor="alice")).stream_id
    bob = Context(actor="bob")
    for _ in range(2):
        added = mediator.send(AddComment(post_id=found, text=TEXT), bob)
    edited = {"post_id": found, "comment_id": added.ids["comment_id"]}
    mediator.send(EditComment(**edited, text=f"{TEXT} So!"), bob)
    arrive()
    return found


PAGES = {"/": 2, "/people/alice/": 2, "/posts/{}/": 3, "/posts/{}/history/": 3, "/newest.atom": 2}


@contextmanager
def away(table: str) -> Iterator[None]:
    def asked(execute: Callable[..., Any], sql: str, *rest: object) -> Any:
        if table in sql:
            raise OperationalError("disk I/O error")
        return execute(sql, *rest)

    with connections["default"].execute_wrapper(asked):
        yield


@pytest.mark.parametrize(("path", "texts"), PAGES.items(), ids=list(PAGES))
def test_who_has_an_account_is_linked_by_one_query_a_list(
    post_id: UUID, path: str, texts: int
) -> None:
    reader = Client()
    for _ in range(2):  # what is kept of lists is the same
        with CaptureQueriesContext(connections["default"]) as queries:
            page = reader.get(path.format(post_id)).text.replace("&lt;", "<").replace("&gt;", ">")
        assert page.count(LINK) == texts
    asked = [one for one in queries if User._meta.db_table in one["sql"]]
    assert len(asked) == (2 if path == "/posts/{}/" else 1), "the post, and its comments"
    with away(User._meta.db_table):
        page = reader.get(path.format(post_id)).text
    assert len(re.findall(r"/people/nobody/", page)) == texts, "readers need no accounts"


def test_no_name_no_query(sqlite: Mode) -> None:
    mediator.send(NewPost(message="alice@example.org"), Context(actor="alice"))
    arrive()
    with CaptureQueriesContext(connections["default"]) as queries:
        assert "alice@example.org" in Client().get("/").text
    assert len(queries) == 0


def test_who_signs_up_later_is_linked_from_then_on(post_id: UUID) -> None:
    assert Client().get("/").text.count("/people/nobody/") == 0
    person("nobody")
    assert Client().get("/").text.count("/people/nobody/") == 2
