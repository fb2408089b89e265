"""Queries over HTTP: open to all, strict about parameters, never stale without saying so."""

import logging
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.db import connections

from messaging.message import QUERIES as REGISTERED
from messaging.message import Position
from messaging.projections.serving import consistency_token
from messaging.testing.waiting import wait_until
from tests.support.api import QUERIES, Api, errors, some_id
from tests.support.modes import Mode, use
from tests.support.processes import Worker


@pytest.fixture
def served(database: Mode) -> Iterator[Mode]:
    """With a consumer that feeds the read models."""
    with Worker(database.env, "runconsumer"):
        yield database


def shown(query: str, token: str, **params: Any) -> Any:
    """The answer once the read side has reached the token."""

    def found() -> Any:
        answer = Api().ask(query, headers={"Consistency-Token": token}, **params)
        return answer if answer.status_code != 503 else None

    return wait_until(found, f"{query} shows what was done")


def test_a_query_with_the_token_of_a_command_shows_what_it_did(served: Mode) -> None:
    alice = Api("alice")
    sent = alice.send("new-post", message="Hello").json()
    alice.send("add-comment", post_id=sent["post_id"], text="Hi")
    liked = alice.send("like-post", post_id=sent["post_id"]).json()
    post = shown("find-post-by-id", liked["consistency_token"], post_id=sent["post_id"]).json()
    [comment] = post.pop("comments")
    assert set(comment) == {"comment_id", "author", "text", "commented_at", "edited_at"}
    assert {**post, "posted_at": ""} == {
        "post_id": sent["post_id"],
        "author": "alice",
        "message": "Hello",
        "posted_at": "",
        "edited_at": None,
        "likes": 1,
        "comments_count": 1,
        "version": 3,
    }


def test_pages_follow_each_other_by_their_links_and_keep_the_other_parameters(
    served: Mode,
) -> None:
    alice = Api("alice")
    for number in range(5):
        sent = alice.send("new-post", message=f"Post {number}").json()
    token = sent["consistency_token"]
    wait_until(
        lambda: len(Api().ask("find-all-posts").json()["results"]) == 5, "all posts are there"
    )
    page = shown("find-posts-by-author", token, author="alice", page_size=2)
    seen, links = [], []
    while True:
        seen += [post["message"] for post in page.json()["results"]]
        links.append(page.json()["previous"])
        if page.json()["next"] is None:
            break
        assert page.json()["next"].startswith(f"http://testserver{QUERIES}/find-posts-by-author/?")
        page = Api().client.get(page.json()["next"])
    assert seen == [f"Post {number}" for number in (4, 3, 2, 1, 0)]
    back = Api().client.get(links[-1]).json()
    assert [post["message"] for post in back["results"]] == ["Post 2", "Post 1"]


def test_every_query_answers_all_when_there_is_nothing(database: Mode) -> None:
    for query in ("find-all-posts", "find-posts-with-comments", "find-posts-with-likes"):
        assert Api().ask(query).json() == {"next": None, "previous": None, "results": []}
    assert Api().ask("find-posts-by-author", author="nobody").json()["results"] == []


def test_what_is_not_there_is_404(database: Mode) -> None:
    for query in ("find-post-by-id", "find-comments"):
        answer = Api().ask(query, post_id=some_id())
        assert (answer.status_code, errors(answer)) == (404, [("post_not_found", "post_id")])


def only_line(caplog: pytest.LogCaptureFixture) -> str:
    """What the one request has logged."""
    (record,) = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert record.exc_info is None, "no traceback"
    caplog.clear()
    return record.getMessage()


def test_a_503_that_is_meant_is_one_line_in_the_log(
    sqlite: Mode, caplog: pytest.LogCaptureFixture
) -> None:
    token = consistency_token.mint([Position("post", uuid4(), 1)])
    Api().ask("find-all-posts", consistency_token=token)
    assert "/api/v1/queries/find-all-posts/: " in (line := only_line(caplog))
    assert "version 1" in line
    before = {alias: connections.settings[alias] for alias in connections}
    use({alias: {**config, "NAME": "/dev/null/at/all"} for alias, config in before.items()})
    try:
        Api().ask("find-all-posts")
        assert "/api/v1/queries/find-all-posts/: " in only_line(caplog)
        assert Api().client.get("/most-liked/").status_code == 503
        assert only_line(caplog) == "Service Unavailable: /most-liked/"
    finally:
        use(before)


def test_a_fault_of_the_server_is_logged_with_its_traceback(
    sqlite: Mode, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: object) -> None:
        raise ZeroDivisionError("no")

    with connections["read"].execute_wrapper(fail):
        assert Api().ask("find-all-posts").status_code == 500
    assert [one.exc_info for one in caplog.records if one.exc_info]


def test_a_token_that_the_read_side_does_not_reach_is_503(sqlite: Mode) -> None:
    token = consistency_token.mint([Position("post", uuid4(), 1)])
    for answer in (
        Api().ask("find-all-posts", headers={"Consistency-Token": token}),
        Api().ask("find-all-posts", consistency_token=token),
    ):
        assert (answer.status_code, errors(answer)) == (503, [("read_side_behind", None)])
        assert answer.headers["Retry-After"] == "1"


def test_a_database_that_does_not_answer_is_503(sqlite: Mode) -> None:
    alice = Api("alice")
    before = {alias: connections.settings[alias] for alias in connections}
    use({alias: {**config, "NAME": "/dev/null/at/all"} for alias, config in before.items()})
    try:
        answers = [Api().ask("find-all-posts"), alice.send("new-post", message="Hello")]
    finally:
        use(before)
    for answer in answers:
        assert (answer.status_code, errors(answer)) == (503, [("unavailable", None)])
        assert answer.headers["Retry-After"] == "1"


def test_a_query_answers_get_only(sqlite: Mode) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE"):
        answer = Api().client.generic(method, f"{QUERIES}/find-all-posts/")
        assert answer.status_code == 405


def test_every_registered_query_is_an_endpoint(sqlite: Mode) -> None:
    listed = Api().client.get("/api/v1/").json()["queries"]
    assert len(listed) == len(REGISTERED)
    alice = Api("alice")
    for address in listed.values():
        assert alice.client.get(address, headers=alice.headers).status_code in (200, 400)
