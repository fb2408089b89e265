"""Who sends a command: by token, by password, by session; credentials that are none are 401."""

import base64
from datetime import datetime

import pytest
from django.http import SimpleCookie

from messaging.eventstore.models import Event
from tests.support.api import COMMANDS, FORM, HTML, Api, browser, errors, person
from tests.support.modes import Mode

TOKEN = "/api/v1/auth/token/"
NEW_POST = f"{COMMANDS}/new-post/"


def basic(credentials: bytes) -> str:
    return "Basic " + base64.b64encode(credentials).decode()


def test_a_password_buys_a_token_and_the_token_sends_commands(database: Mode) -> None:
    user = person("alice")
    user.set_password("correct horse")
    user.save()
    api = Api()
    api.headers["Authorization"] = basic(b"alice:correct horse")
    answer = api.client.post(TOKEN, headers=api.headers)
    assert (answer.status_code, set(answer.json())) == (200, {"token", "expiry"})
    assert datetime.fromisoformat(answer.json()["expiry"]).tzinfo is not None
    by_password = api.send("new-post", message="By password")
    api.headers["Authorization"] = f"Token {answer.json()['token']}"
    by_token = api.send("new-post", message="By token")
    assert (by_password.status_code, by_token.status_code) == (201, 201)
    assert {event.actor for event in Event.objects.all()} == {"alice"}


def test_a_token_does_not_buy_another(sqlite: Mode) -> None:
    alice = Api("alice")
    assert alice.client.post(TOKEN, headers=alice.headers).status_code == 401


WRONG = {
    "a wrong password": basic(b"alice:wrong"),
    "an unknown name": basic(b"nobody:x"),
    "no colon": basic(b"alice"),
    "no base64": "Basic !!!",
    "no credentials": "Basic",
    "three parts": "Basic a b",
    "NUL in the name": basic(b"al\0ice:x"),
    "NUL in the password": basic(b"alice:\0"),
    "no UTF-8": basic(b"\xff\xfe:\xff"),
    "a surrogate": basic(b"\xed\xa0\x80:x"),
    "a long name": basic(b"a" * 10_000 + b":x"),
    "an unknown token": "Token " + "0" * 64,
    "an empty token": "Token",
    "two tokens": "Token a b",
    "a token that is no UTF-8": "Token \xff\xfe",
    "a long token": "Token " + "a" * 10_000,
    "another scheme": "Bearer x",
    "nothing known": "\xff",
}


@pytest.mark.parametrize("authorization", WRONG.values(), ids=WRONG.keys())
def test_wrong_credentials_are_401_and_open_no_dialog(unchanged: Mode, authorization: str) -> None:
    person("alice")
    api = Api()
    api.headers["Authorization"] = authorization
    answers = [
        api.send("new-post", message="Hello"),
        api.post(NEW_POST, '{"message": "Hello"}', accept=HTML),
        api.client.post(TOKEN, headers=api.headers),
    ]
    for answer in answers:
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Token")
    assert Event.objects.count() == 0


def test_a_token_with_a_known_beginning_is_401(database: Mode) -> None:
    alice = Api("alice")
    known = alice.headers["Authorization"]
    for forged in (known[:30], known[:30] + "0" * 40, known[:30] + "\xff", known + "0", "Token \0"):
        alice.headers["Authorization"] = forged
        assert alice.send("new-post", message="Hello").status_code == 401


@pytest.mark.parametrize("key", ["x", "0" * 32, "0" * 5_000, '"00000000\\000"', "\xe9" * 32])
def test_a_session_that_is_none_is_401(unchanged: Mode, key: str) -> None:
    for accept in ("application/json", HTML):
        api = Api()
        api.client.cookies = SimpleCookie()
        api.headers["Cookie"] = f"sessionid={key}"
        assert api.post(NEW_POST, '{"message": "Hello"}', accept=accept).status_code == 401


def test_people_who_were_locked_out_are_401(sqlite: Mode) -> None:
    alice = Api("alice")
    user = person("alice")
    user.is_active = False
    user.save()
    assert alice.send("new-post", message="Hello").status_code == 401


@pytest.mark.parametrize(
    ("content_type", "body"), [("application/json", '{"message": "a"}'), (FORM, "message=a")]
)
def test_a_session_without_the_csrf_token_is_403(
    database: Mode, content_type: str, body: str
) -> None:
    client = browser("alice")
    answer = client.generic("POST", NEW_POST, body, content_type)
    assert (answer.status_code, errors(answer)) == (403, [("permission_denied", None)])
    assert Event.objects.count() == 0


def test_a_token_needs_no_csrf_token(sqlite: Mode) -> None:
    alice = Api("alice")
    alice.client.handler.enforce_csrf_checks = True
    assert alice.send("new-post", message="Hello").status_code == 201
