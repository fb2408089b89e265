"""Each token that is made or revoked, and each change of what somebody may do, is one line."""

from base64 import b64encode

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client
from knox.models import AuthToken

from accounts.models import User
from tests.support.api import person
from tests.support.console import PASSWORD, PROFILE, signed_in, url
from tests.support.modes import Mode

HERE = "address=127.0.0.1"


@pytest.fixture
def alice(sqlite: Mode) -> Client:
    user = person("alice")
    user.set_password(PASSWORD)
    user.save()
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


@pytest.fixture
def root(alice: Client) -> Client:
    return signed_in("root", is_superuser=True)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [one.getMessage() for one in caplog.records if one.name == "postlog.security"]
    caplog.clear()
    return found


def test_ones_own_tokens(alice: Client, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        alice.post("/accounts/")
    assert lines(caplog) == [f'token made: {HERE} name="alice"'] * 3
    first = AuthToken.objects.first()
    assert first is not None
    for _ in range(2):
        alice.post("/accounts/tokens/revoke/", {"token": first.digest})
    assert lines(caplog) == [f'tokens revoked: {HERE} name="alice" count=1'], "it was there once"
    alice.post("/accounts/tokens/revoke-all/")
    assert lines(caplog) == [f'tokens revoked: {HERE} name="alice" count=2']
    assert not AuthToken.objects.exists()


def test_a_token_for_a_password(alice: Client, caplog: pytest.LogCaptureFixture) -> None:
    credentials = b64encode(f"alice:{PASSWORD}".encode()).decode()
    answer = Client().post("/api/v1/auth/token/", headers={"Authorization": f"Basic {credentials}"})
    (line,) = lines(caplog)
    assert line == f'token made: {HERE} name="alice"'
    assert answer.json()["token"] not in line


def test_a_password_that_was_changed(alice: Client, caplog: pytest.LogCaptureFixture) -> None:
    new = {"old_password": PASSWORD, "new_password1": "other" + PASSWORD}
    alice.post("/accounts/password/", {**new, "new_password2": "other" + PASSWORD})
    assert lines(caplog) == [f'password changed: {HERE} name="alice" tokens="kept"']
    new = {"old_password": "other" + PASSWORD, "new_password1": PASSWORD, "end_tokens": "on"}
    alice.post("/accounts/password/", {**new, "new_password2": PASSWORD})
    assert lines(caplog) == [f'password changed: {HERE} name="alice" tokens="ended"']


def test_tokens_of_others_in_the_admin(root: Client, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("alice", "alice", "bob"):
        root.post(url(AuthToken, "add"), {"user": str(person(name).pk)})
    assert lines(caplog) == [
        f'token made: {HERE} name="{name}" by="root"' for name in ("alice", "alice", "bob")
    ]
    one = AuthToken.objects.filter(user__username="alice").first()
    assert one is not None
    root.post(url(AuthToken, one.pk, "delete"), {"post": "yes"})
    assert lines(caplog) == [f'tokens revoked: {HERE} name="alice" count=1']
    rest = [token.pk for token in AuthToken.objects.all()]
    action = {"action": "delete_selected", "_selected_action": rest, "post": "yes"}
    root.post(url(AuthToken), action)
    assert lines(caplog) == [
        f'tokens revoked: {HERE} name="{name}" count=1' for name in ("alice", "bob")
    ]
    assert not AuthToken.objects.exists()


def test_rights_of_a_person(root: Client, caplog: pytest.LogCaptureFixture) -> None:
    alice = User.objects.get(username="alice")
    group = Group.objects.create(name="moderators")
    page = url(User, alice.pk, "change")
    root.post(page, {**PROFILE, "first_name": "Alice"})
    assert lines(caplog) == [], "a name gives no rights"
    permission = str(Permission.objects.get(codename="change_user").pk)
    root.post(page, {**PROFILE, "is_staff": "on", "groups": [str(group.pk)]})
    root.post(page, {**PROFILE, "is_active": "", "user_permissions": [permission]})
    assert lines(caplog) == [
        f'permissions changed: {HERE} of="alice" fields="{fields}" by="root"'
        for fields in (
            "is_staff,groups",
            "is_active,is_staff,groups,user_permissions",
        )
    ]


def test_a_password_that_an_admin_sets(root: Client, caplog: pytest.LogCaptureFixture) -> None:
    alice = User.objects.get(username="alice")
    new = {"password1": "x" + PASSWORD, "password2": "x" + PASSWORD, "usable_password": "true"}
    root.post(url(User, alice.pk, "password"), new)
    assert lines(caplog) == [f'permissions changed: {HERE} of="alice" fields="password" by="root"']


def test_rights_of_a_group(root: Client, caplog: pytest.LogCaptureFixture) -> None:
    permission = str(Permission.objects.get(codename="change_user").pk)
    root.post(url(Group, "add"), {"name": "g", "permissions": [permission]})
    root.post(url(Group, Group.objects.get().pk, "change"), {"name": "h"})
    root.post(url(Group, Group.objects.get().pk, "delete"), {"post": "yes"})
    assert lines(caplog) == [
        f'permissions changed: {HERE} of="{name}" fields="{fields}" by="root"'
        for name, fields in (("g", "permissions"), ("h", "permissions"), ("h", "deleted"))
    ]
    assert not Group.objects.exists()
    root.post(url(Group, "add"), {"name": "i"})
    action = {"action": "delete_selected", "_selected_action": [Group.objects.get().pk]}
    root.post(url(Group), {**action, "post": "yes"})
    assert lines(caplog) == [f'permissions changed: {HERE} of="i" fields="deleted" by="root"']
