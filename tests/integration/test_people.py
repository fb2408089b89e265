# ruff: noqa: RUF001
"""One rule of names, wherever an account is made; and a page for nobody who is not there."""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import Client

from accounts.actors import AccountActors
from accounts.models import User
from accounts.web import SignUpForm
from commands_app.commands import AddComment, DeletePost, NewPost
from messaging import mediator
from messaging.eventstore.models import Event
from messaging.exceptions import Invalid
from messaging.message import Context
from tests.support.api import person
from tests.support.console import NEW, PASSWORD, signed_in, url
from tests.support.forms import arrive
from tests.support.losing import wipe_store
from tests.support.modes import Mode
from tests.support.processes import here
from tests.support.relaying import publish_all

SIGN_UP = "/accounts/sign-up/"
# With "alice", "modern" and "Éric" there:
REFUSED = {
    "аlice": "of two scripts",
    "a\u115f": "U+115F",
    "م\u0640م": "U+0640",
    "..": "a letter or a digit",
    "a/b": "U+002F",
    "ALICE": "exists already",
    "éric": "exists already",  # LOWER() of SQLite would not see it
    "aIice": "looks like",
    "a1ice": "looks like",
    "modem": "looks like",
}


@pytest.fixture
def known(database: Mode) -> None:
    for name in ("alice", "modern", "Éric"):
        person(name)


def by_form(name: str) -> str:
    body = {"username": name, "password1": PASSWORD}
    answer = Client().post(SIGN_UP, body)
    return answer.content.decode() if answer.status_code == 200 else ""


def by_the_admin(name: str) -> str:
    client = signed_in("root", is_superuser=True)
    answer = client.post(url(User, "add"), {**NEW, "username": name})
    return str(answer.content.decode()) if answer.status_code == 200 else ""


def by_createsuperuser(name: str) -> str:
    try:
        call_command("createsuperuser", username=name, email="a@example.org", interactive=False,
                     stdout=StringIO())  # fmt: skip
    except CommandError as error:
        return str(error)
    return ""


def by_an_actor(name: str) -> str:
    """Of a file of commands."""
    try:
        found = AccountActors().username(name)
    except Invalid as refused:
        return f"{refused.code}: {refused.detail}"
    return "" if found == name else "exists already"


def by_code(name: str) -> str:
    try:
        User.objects.create_user(name)
    except ValidationError as error:
        return " ".join(error.messages)
    return ""


WAYS = [by_form, by_the_admin, by_createsuperuser, by_an_actor, by_code]


@pytest.mark.parametrize("way", WAYS)
def test_one_rule_of_names_wherever_an_account_is_made(
    known: None, way: Callable[[str], str]
) -> None:
    for name, why in REFUSED.items():
        assert why in way(name).replace("already taken", "exists already"), ascii(name)
    for name in ("bob", "Иван", "山田太郎", "a.b-c_d+e@f1"):
        assert way(name) == "", ascii(name)
        assert User.objects.filter(username=name).exists()


def test_of_two_who_sign_up_at_once_one_is_told(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one comes between the look whether the name is free and the insert."""
    save = SignUpForm.save

    def second(form: Any, commit: bool = True) -> Any:
        monkeypatch.setattr(SignUpForm, "save", save)
        assert by_form("zoe") == ""
        return save(form, commit)

    for name, why in (("zoe", "exists already"), ("zOe", "exists already"), ("z0e", "looks like")):
        User.objects.all().delete()
        monkeypatch.setattr(SignUpForm, "save", second)
        page = by_form(name)
        assert why in page
        assert f'value="{name}"' in page, "the form is there again"
        assert User.objects.get().username == "zoe"


def test_an_admin_who_adds_somebody_at_the_same_moment_is_told(
    sqlite: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = signed_in("root", is_superuser=True)
    monkeypatch.setattr(User, "clean", lambda user: person("dora") if user.pk is None else None)
    answer = root.post(url(User, "add"), {**NEW, "username": "d0ra"}, follow=True)
    assert answer.status_code == 200
    assert "looks like" in answer.content.decode()
    assert not User.objects.filter(username="d0ra").exists()


def test_a_line_whose_actor_cannot_be_a_person_is_refused_with_the_reason(
    database: Mode, tmp_path: Path
) -> None:
    lines = [
        {"command": "NewPost", "actor": actor, "message": "x"}
        for actor in ("alice", "аlice", "a1ice", "a\0", "bob")
    ]
    (tmp_path / "file").write_text("\n".join(json.dumps(line) for line in lines))
    rejects = tmp_path / "rejects"
    call_command("sendcommands", str(tmp_path / "file"), rejects=str(rejects), stdout=StringIO(),
                 stderr=StringIO())  # fmt: skip
    found = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [(one["line"], one["code"]) for one in found] == [
        (2, "invalid_actor"), (3, "invalid_actor"), (4, "invalid_actor"),
    ]  # fmt: skip
    assert "CYRILLIC SMALL LETTER A" in found[0]["reason"]
    assert "looks like" in found[1]["reason"]
    assert list(Event.objects.order_by("position").values_list("actor", flat=True)) == [
        "alice", "bob",
    ]  # fmt: skip


# --- names from before there was a rule -------------------------------------------------------


@pytest.fixture
def older(database: Mode) -> list[str]:
    """Accounts whose names the rule for new ones refuses."""
    names = ["bobl", "bob1", "Éric", "a\u3164", "аlice", "..."]
    for name in names:
        User.create_existing(name)
    return names


def test_existing_names_go_on(older: list[str]) -> None:
    assert sorted(User.objects.values_list("username", flat=True)) == sorted(older)
    for name in older:
        user = User.objects.get(username=name)
        user.set_password(PASSWORD)
        user.save()
        answer = Client().post("/accounts/login/", {"username": name, "password": PASSWORD})
        assert answer.status_code == (200 if name == "a\u3164" else 302), "a form writes NFKC"
        assert AccountActors().username(name) == name
    admin = signed_in("root", is_superuser=True)
    profile = {"email": "b@example.org", "date_joined_0": "2026-01-01", "date_joined_1": "12:00"}
    for name in older:
        page = url(User, User.objects.get(username=name).pk, "change")
        assert admin.post(page, profile).status_code == 302
        assert User.objects.get(username=name).email == "b@example.org"


def test_a_new_name_is_like_no_existing_one(older: list[str]) -> None:
    for name in ("b0bl", "BOBL", "bob1", "ÉRIC", "boBl"):
        assert by_code(name), name
    assert User.objects.count() == len(older)


def keys() -> dict[str, tuple[str | None, str | None]]:
    return {one.username: (one.casefolded, one.skeleton) for one in User.objects.all()}


def test_who_has_acted_has_an_account_again_after_a_restore(older: list[str]) -> None:
    """Each of its own, with the keys that it had."""
    older += ["ı", "I"] if connection.vendor == "postgresql" else []
    for name in older:
        if name in ("ı", "I"):
            User.create_existing(name)
        mediator.send(NewPost(message="mine"), Context(actor=name))
    publish_all()
    before = keys()
    assert [one for one, (_, skeleton) in before.items() if skeleton is None], "some collide"
    wipe_store()
    assert keys() == {}
    done = here("restore-events")
    assert (done.returncode, "cannot be" in done.stdout) == (0, False), done.stderr
    assert sorted(keys()) == sorted(before) == sorted(older)
    for folded in (0, 1):
        taken = [one[folded] for one in keys().values()]
        assert {*taken} - {None} == {one[folded] for one in before.values()} - {None}
        assert taken.count(None) == [one[folded] for one in before.values()].count(None)
    assert not any(one.has_usable_password() for one in User.objects.all())
    for name in ("b0bl", "BOBL", "ÉRIC"):
        assert by_code(name), "a new name is like no existing one"
        assert by_an_actor(name) != ""


def test_an_existing_name_is_what_an_account_could_ever_have(database: Mode) -> None:
    for name in ("a/b", "", "a b", "\ud800", "x" * 151, "a\0"):
        with pytest.raises(Invalid, match="cannot be a username"):
            AccountActors(existing=True).username(name)
    assert not User.objects.exists()


def test_an_existing_name_that_somebody_has_in_another_case_is_theirs(database: Mode) -> None:
    person("alice")
    people = AccountActors(existing=True)
    assert people.username("ALICE") == "alice"
    assert (people.made, User.objects.count()) == (0, 1)


def test_a_key_that_somebody_takes_meanwhile_is_theirs(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look which keys are free and the insert."""
    atomic = transaction.atomic

    def late(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(transaction, "atomic", atomic)
        person("bob1")
        return atomic(*args, **kwargs)

    monkeypatch.setattr(transaction, "atomic", late)
    assert AccountActors(existing=True).username("bobl") == "bobl"
    assert keys() == {"bob1": ("bob1", "bobl"), "bobl": ("bobl", None)}


def test_a_user_model_without_rules_is_asked_as_django_has_it(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(User, "create_existing")
    assert AccountActors(existing=True).username("alice") == "alice"
    with pytest.raises(Invalid, match="of two scripts"):
        AccountActors(existing=True).username("аlice")


# --- pages -----------------------------------------------------------------------------------


def test_a_page_of_a_name_that_nobody_has_is_404(database: Mode) -> None:
    def status(name: str, query: str = "") -> int:
        return int(Client().get(f"/people/{name}/{query}").status_code)

    person("lurker")
    User.objects.filter(pk=person("gone").pk).update(is_active=False)
    assert (status("lurker"), status("gone")) == (200, 200)
    for name in ("nobody", "Lurker", "lurker ", "a%2Fb", "%F0%9F%98%80", "x" * 400, "%E3%85%A4"):
        assert status(name) == 404, name
    page = Client().get("/people/nobody/").text
    assert "<h1>Nothing is here</h1>" in page
    assert "Nobody has that name" in page
    # An author without an account, such as of a name that is none, after restore-events.
    ids = mediator.send(NewPost(message="x"), Context(actor="writer")).ids
    mediator.send(AddComment(text="x", **ids), Context(actor="critic"))
    arrive()
    assert (status("writer"), status("critic")) == (200, 404)
    assert "1 post since <time " in Client().get("/people/writer/").content.decode()
    mediator.send(DeletePost(**ids), Context(actor="writer"))
    arrive()
    assert status("writer") == 404
