"""How many tokens for the API a person may have, and when they end."""

from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core.management import call_command
from django.db import connections
from django.test import Client, RequestFactory, override_settings
from django.utils import timezone
from knox.models import AuthToken

from accounts import tokens
from accounts.models import User
from config import settings as site
from tests.support.api import errors, person
from tests.support.console import signed_in, url
from tests.support.modes import Mode

OLD, NEW = "correct horse battery", "another horse battery"
THREE = override_settings(REST_KNOX={**site.REST_KNOX, "TOKEN_LIMIT_PER_USER": 3})
RESET = {"password1": NEW, "password2": NEW, "usable_password": "true"}


def browser(name: str = "alice") -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(person(name))
    return client


def with_password(name: str, count: int = 2) -> User:
    """A person with so many tokens."""
    user = person(name)
    user.set_password(OLD)
    user.save()
    for _ in range(count):
        AuthToken.objects.create(user)
    return user


def count(name: str = "alice") -> int:
    return int(AuthToken.objects.filter(user__username=name).count())


def by_basic(name: str = "alice") -> Any:
    """A token for a password, as a program gets it."""
    credentials = b64encode(f"{name}:{OLD}".encode()).decode()
    return Client().post("/api/v1/auth/token/", headers={"Authorization": f"Basic {credentials}"})


# --- passwords -------------------------------------------------------------------------------


def test_a_new_password_ends_the_tokens_unless_the_person_says_otherwise(database: Mode) -> None:
    with_password("alice")
    with_password("bob")
    page = browser().get("/accounts/password/").content.decode()
    assert 'name="end_tokens"' in page
    assert "checked" in page.split('name="end_tokens"')[1].split(">")[0]
    kept = {"old_password": OLD, "new_password1": NEW, "new_password2": NEW}
    assert browser().post("/accounts/password/", kept).status_code == 302
    assert count() == 2
    ended = {"old_password": NEW, "new_password1": OLD, "new_password2": OLD, "end_tokens": "on"}
    wrong = {**ended, "old_password": "wrong"}
    assert browser().post("/accounts/password/", wrong).status_code == 200
    assert count() == 2
    assert browser().post("/accounts/password/", ended).status_code == 302
    assert (count(), count("bob")) == (0, 2)


def test_a_reset_by_somebody_else_always_ends_the_tokens(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_the_console() -> None:
        root = signed_in("root", is_superuser=True)
        assert root.post(url(User, person("alice").pk, "password"), RESET).status_code == 302

    def disabled_in_the_console() -> None:
        root = signed_in("root", is_superuser=True)
        body = {"usable_password": "false", "unset-password": "x"}
        assert root.post(url(User, person("alice").pk, "password"), body).status_code == 302
        assert not person("alice").has_usable_password()

    def in_the_shell() -> None:
        monkeypatch.setattr("getpass.getpass", lambda **_: NEW)
        call_command("changepassword", "alice", stdout=StringIO())

    for reset in (by_the_console, disabled_in_the_console, in_the_shell):
        with_password("alice")
        reset()
        assert count() == 0, reset


def test_a_sign_in_and_a_changed_profile_end_no_tokens(database: Mode) -> None:
    """Django renews the hash of a password at a sign-in when the hasher has changed."""
    user = with_password("alice")
    before = user.password
    hashers = ["django.contrib.auth.hashers.PBKDF2PasswordHasher",
               "django.contrib.auth.hashers.MD5PasswordHasher"]  # fmt: skip
    with override_settings(PASSWORD_HASHERS=hashers):
        assert authenticate(username="alice", password=OLD)
    user.refresh_from_db()
    assert user.password != before
    user.email = "a@example.org"
    user.save()
    assert count() == 2


# --- how many --------------------------------------------------------------------------------


@THREE
def test_a_person_has_so_many_tokens_and_is_told_in_words(database: Mode) -> None:
    with_password("alice", 2)
    assert by_basic().status_code == 200
    refused = by_basic()
    assert (refused.status_code, errors(refused)) == (403, [("too_many_tokens", None)])
    page = browser().post("/accounts/")
    assert page.status_code == 403
    assert "There are 3 tokens already" in page.content.decode()
    root = signed_in("root", is_superuser=True)
    page = root.post(url(AuthToken, "add"), {"user": str(person("alice").pk)})
    assert "There are 3 tokens already" in page.content.decode()
    assert count() == 3
    assert browser("bob").post("/accounts/").status_code == 200, "others have their own"


@THREE
def test_expired_tokens_take_no_room_and_are_deleted(database: Mode) -> None:
    user = with_password("alice", 3)
    AuthToken.objects.update(expiry=timezone.now() - timedelta(seconds=1))
    page = browser().get("/accounts/").content.decode()
    assert "You have none." in page
    for make in (by_basic, lambda: browser().post("/accounts/")):
        AuthToken.objects.update(expiry=timezone.now() - timedelta(seconds=1))
        assert make().status_code == 200
        assert count() == 1, "the new one"
    AuthToken.objects.create(user, expiry=None)
    assert tokens.valid(user).count() == 2, "one never expires"


@THREE
def test_tokens_that_are_made_at_once_are_no_more_than_that(database: Mode) -> None:
    user = with_password("alice", 1)

    def make(_: int) -> int:
        try:
            tokens.create(RequestFactory().post("/"), user)
            return 1
        except tokens.TooManyTokens:
            return 0
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(make, range(8))) == 2
    assert count() == 3


def test_all_of_ones_tokens_are_revoked_at_once(database: Mode) -> None:
    with_password("alice", 3)
    with_password("bob", 1)
    assert "Revoke all" in browser().get("/accounts/").content.decode()
    assert browser().get("/accounts/tokens/revoke-all/").status_code == 405
    assert browser().post("/accounts/tokens/revoke-all/").status_code == 302
    assert (count(), count("bob")) == (0, 1)
    assert "Revoke all" not in browser().get("/accounts/").content.decode()
    assert Client().post("/accounts/tokens/revoke-all/").status_code == 302
    assert count("bob") == 1
