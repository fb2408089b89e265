"""Commands over HTTP: what is stored, what is answered, who may."""

import json

import pytest
from django.db import connections

from messaging.eventstore.models import Event
from messaging.message import COMMANDS as REGISTERED
from tests.support.api import COMMANDS, Api, errors, some_id
from tests.support.modes import Mode


def stored() -> int:
    return Event.objects.count()


def test_a_new_post_is_201_with_its_id_version_and_token(database: Mode) -> None:
    answer = Api("alice").send("new-post", message="Hello")
    assert answer.status_code == 201
    assert set(answer.json()) == {"post_id", "version", "consistency_token"}
    assert answer.json()["version"] == 1


def test_an_id_chosen_by_the_sender_is_used(database: Mode) -> None:
    post_id = some_id()
    answer = Api("alice").send("new-post", message="Hello", post_id=post_id)
    assert (answer.status_code, answer.json()["post_id"]) == (201, post_id)


def test_every_command_of_the_interface_works_in_turn(database: Mode) -> None:
    alice, bob = Api("alice"), Api("bob")
    post_id = alice.send("new-post", message="Hello").json()["post_id"]
    comment = bob.send("add-comment", post_id=post_id, text="Hi")
    ids = {"post_id": post_id, "comment_id": comment.json()["comment_id"]}
    answers = [
        comment,
        alice.send("edit-message", post_id=post_id, message="Hello, all"),
        bob.send("like-post", post_id=post_id),
        bob.send("unlike-post", post_id=post_id),
        bob.send("edit-comment", **ids, text="Hi, Alice"),
        bob.send("remove-comment", **ids),
        alice.send("delete-post", post_id=post_id),
    ]
    assert [answer.status_code for answer in answers] == [201, *[200] * 6]
    assert [answer.json()["version"] for answer in answers] == [2, 3, 4, 5, 6, 7, 8]


def test_a_command_that_changes_nothing_is_200_with_the_version_as_it_was(database: Mode) -> None:
    alice = Api("alice")
    post_id = alice.send("new-post", message="Hello").json()["post_id"]
    first = alice.send("like-post", post_id=post_id)
    events = stored()
    second = alice.send("like-post", post_id=post_id)
    edit = alice.send("edit-message", post_id=post_id, message="Hello")
    assert [first.json()["version"], second.json()["version"], edit.json()["version"]] == [2, 2, 2]
    assert (second.status_code, edit.status_code, stored()) == (200, 200, events)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("  two spaces  ", "  two spaces  "),
        ("a\r\nb\rc\n", "a\nb\nc\n"),
        ("\U0001f600 é e\u0301 \u202eabc", "\U0001f600 é e\u0301 \u202eabc"),
        ("x" * 10_000, "x" * 10_000),
        ("12345", "12345"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
    ],
)
def test_text_is_stored_as_sent_with_plain_line_ends(database: Mode, sent: str, kept: str) -> None:
    assert Api("alice").send("new-post", message=sent).status_code == 201
    assert json.loads(Event.objects.get().data)["message"] == kept


def test_the_actor_is_the_signed_in_user_and_never_a_field(database: Mode) -> None:
    refused = Api("alice").send("new-post", message="Hello", actor="bob")
    assert (refused.status_code, errors(refused)) == (400, [("unknown_field", "actor")])
    Api("alice").send("new-post", message="Hello")
    assert Event.objects.get().actor == "alice"


def test_refusals_by_the_domain_keep_their_status_and_code(database: Mode) -> None:
    alice, bob = Api("alice"), Api("bob")
    post_id = alice.send("new-post", message="Hello").json()["post_id"]
    comment_id = alice.send("add-comment", post_id=post_id, text="Hi").json()["comment_id"]
    ids = {"post_id": post_id, "comment_id": comment_id}
    refusals = [
        bob.send("edit-message", post_id=post_id, message="Mine"),
        bob.send("edit-comment", **ids, text="Mine"),
        bob.send("like-post", post_id=some_id()),
        bob.send("remove-comment", post_id=post_id, comment_id=some_id()),
        bob.send("add-comment", **ids, text="Again"),
        bob.send("new-post", post_id=post_id, message="Again"),
        bob.send("new-post", message=" \u200b"),
    ]
    assert [(refusal.status_code, *errors(refusal)[0]) for refusal in refusals] == [
        (403, "not_author", None),
        (403, "not_comment_author", None),
        (404, "post_not_found", "post_id"),
        (404, "comment_not_found", "comment_id"),
        (409, "comment_exists", "comment_id"),
        (409, "post_exists", "post_id"),
        (400, "blank", "message"),
    ]
    types = [refusal.json()["type"] for refusal in refusals]
    assert types == [*["client_error"] * 6, "validation_error"]


def test_a_removed_post_refuses_everything(database: Mode) -> None:
    alice = Api("alice")
    post_id = alice.send("new-post", message="Hello").json()["post_id"]
    alice.send("delete-post", post_id=post_id)
    refusals = [
        alice.send("delete-post", post_id=post_id),
        alice.send("like-post", post_id=post_id),
        alice.send("new-post", post_id=post_id, message="Again"),
    ]
    assert {(answer.status_code, *errors(answer)[0]) for answer in refusals} == {
        (409, "post_removed", None)
    }


def test_nobody_signed_in_sends_nothing(database: Mode) -> None:
    for name in ("new-post", "like-post", "delete-post"):
        answer = Api().send(name, post_id=some_id(), message="Hello")
        assert (answer.status_code, errors(answer)) == (401, [("not_authenticated", None)])
        assert answer.headers["WWW-Authenticate"] == "Token"
    assert stored() == 0


def test_a_command_answers_post_only(database: Mode) -> None:
    alice = Api("alice")
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE"):
        answer = alice.client.generic(method, f"{COMMANDS}/new-post/", headers=alice.headers)
        assert answer.status_code == 405
        assert answer.headers["Allow"] == "POST, OPTIONS"


def test_every_registered_command_is_an_endpoint(database: Mode) -> None:
    listed = Api().client.get("/api/v1/").json()["commands"]
    assert listed.pop("restore-read-db"), "an operation for staff, listed beside them"
    assert len(listed) == len(REGISTERED)
    for address in listed.values():
        assert Api("alice").post(address, "{}").status_code == 400


def test_a_command_is_sent_and_a_query_answered_outside_of_atomic_requests(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project that has it on need not turn it off: a command has a transaction of its own."""
    for alias in ("default", "read"):
        monkeypatch.setitem(connections.settings[alias], "ATOMIC_REQUESTS", True)
    alice = Api("alice")
    assert alice.send("new-post", message="Hi").status_code == 201
    assert alice.ask("find-all-posts").status_code == 200
