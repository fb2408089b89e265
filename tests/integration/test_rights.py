"""What staff who are no superusers may do about the rights of people: nothing."""

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client
from knox.models import AuthToken

from accounts.models import User
from tests.support.api import person
from tests.support.console import NEW, PASSWORD, PROFILE, signed_in, url
from tests.support.modes import Mode


def clerk(*codenames: str) -> Client:
    """Staff, no superuser, with these permissions."""
    client = signed_in("clerk")
    person("clerk").user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return client


def test_staff_give_nobody_rights(sqlite: Mode) -> None:
    staff, dora = clerk("add_user", "change_user", "view_user"), person("dora")
    rights = {
        "is_superuser": "on",
        "is_staff": "on",
        "user_permissions": [str(Permission.objects.get(codename="change_user").pk)],
        "groups": [str(Group.objects.create(name="g").pk)],
    }
    assert staff.post(url(User, dora.pk, "change"), {**PROFILE, **rights}).status_code == 302
    assert staff.post(url(User, "add"), {**NEW, "username": "eve", **rights}).status_code == 302
    dora.refresh_from_db()
    assert dora.email == "d@example.org", "the rest of the form is taken"
    for one in (dora, User.objects.get(username="eve")):
        assert (one.is_superuser, one.is_staff) == (False, False)
        assert not one.user_permissions.exists()
        assert not one.groups.exists()


@pytest.mark.parametrize("kind", ["superuser", "staff", "permission", "group", "clerk"])
def test_staff_change_nobody_who_has_rights(sqlite: Mode, kind: str) -> None:
    """Whoever sets the password of somebody with more rights has these rights."""
    staff = clerk("change_user", "view_user")
    other = person("clerk" if kind == "clerk" else "boss")
    match kind:
        case "superuser":
            User.objects.filter(pk=other.pk).update(is_superuser=True)
        case "staff":
            User.objects.filter(pk=other.pk).update(is_staff=True, is_active=False)
        case "permission":
            other.user_permissions.add(Permission.objects.get(codename="change_user"))
        case "group":
            other.groups.add(Group.objects.create(name="g"))
    new = {"password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    assert staff.post(url(User, other.pk, "password"), new).status_code == 403
    assert staff.post(url(User, other.pk, "change"), PROFILE).status_code == 403
    other.refresh_from_db()
    assert (other.check_password(PASSWORD), other.email) == (False, "")
    assert staff.post(url(User, person("dora").pk, "password"), new).status_code == 302


def test_staff_change_no_group_and_make_no_token(sqlite: Mode) -> None:
    staff = clerk(*(f"{act}_{of}" for act in ("add", "change", "delete", "view")
                    for of in ("group", "authtoken")))  # fmt: skip
    group = Group.objects.create(name="g")
    group.user_set.add(person("clerk"))
    every = [str(one.pk) for one in Permission.objects.all()]
    for action in ("change", "delete"):
        body = {"name": "g", "permissions": every, "post": "yes"}
        assert staff.post(url(Group, group.pk, action), body).status_code == 403
    assert staff.post(url(Group, "add"), {"name": "h", "permissions": every}).status_code == 403
    assert staff.get(url(Group)).status_code == 200
    assert not group.permissions.exists()

    alice = person("alice")
    assert staff.post(url(AuthToken, "add"), {"user": str(alice.pk)}).status_code == 403
    token = AuthToken.objects.create(person("clerk"))[0]
    changed = {"digest": token.digest, "token_key": token.token_key, "user": str(alice.pk)}
    for client in (staff, signed_in("root", is_superuser=True)):
        answer = client.post(url(AuthToken, token.pk, "change"), changed)
        assert answer.status_code == 403
    assert not AuthToken.objects.filter(user=alice).exists()
