"""Who may do what: one rule for the API, for pages and for files of commands."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.management import call_command
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from accounts.models import User
from messaging import ANONYMOUS, Forbidden, context_of, mediator
from messaging.eventstore.models import Event
from messaging.message import Context
from tests.support.api import HTML, Api, browser, errors, person
from tests.support.forms import arrive
from tests.support.modes import Mode
from tests.support.rules import (
    ASKS,
    INTERNAL,
    MAY,
    RULES,
    SENTENCES,
    WRITES,
    make_people,
    rules,
    status,
)

EACH = [(who, rule) for who in MAY for rule in RULES]


@pytest.fixture
def ruled(database: Mode) -> Iterator[Mode]:
    with rules():
        yield database


def apis() -> dict[str, Api]:
    make_people()
    return {who: Api(None if who == "nobody" else who) for who in MAY}


def test_a_command_is_carried_out_for_whoever_its_rule_permits(ruled: Mode) -> None:
    people = apis()
    sent = {
        (who, rule): people[who].post(f"/write/{rule}/", '{"message": "a"}') for who, rule in EACH
    }
    assert {one: answer.status_code for one, answer in sent.items()} == {
        (who, rule): status(who, rule, 201) for who, rule in EACH
    }
    actors = sorted(Event.objects.values_list("actor", flat=True))
    assert actors == sorted("-" if who == "nobody" else who for who in MAY for _ in MAY[who])


def test_a_query_is_answered_to_whoever_its_rule_permits_and_knows_who_asks(ruled: Mode) -> None:
    people = apis()
    for who, rule in EACH:
        found = people[who].client.get(f"/ask/{rule}/", headers=people[who].headers)
        assert found.status_code == status(who, rule, 200), (who, rule)
        if found.status_code == 200:
            assert found.json() == {"name": "" if who == "nobody" else who}
            assert found.headers["Cache-Control"] == "private"
            assert {"Authorization", "Cookie"} <= set(found.headers["Vary"].split(", "))


def test_a_form_that_asks_nobody_is_refused_by_the_same_rule(ruled: Mode) -> None:
    make_people()
    for who, rule in EACH:
        client = Client(raise_request_exception=False)
        if who != "nobody":
            client.force_login(person(who))
        answer = client.post(f"/form/{rule}/", {"text": "a"})
        assert answer.status_code == status(who, rule, 200), (who, rule)
    assert Event.objects.count() == sum(map(len, MAY.values()))


def test_a_line_of_a_file_is_sent_for_whoever_its_rule_permits(ruled: Mode, tmp_path: Path) -> None:
    make_people()
    pairs = [(who, rule) for who, rule in EACH if who != "nobody"]
    lines = [
        json.dumps({"command": f"WriteBy{rule}", "actor": who, "message": "a"})
        for who, rule in pairs
    ]
    (tmp_path / "in").write_text("\n".join(lines))
    call_command("sendcommands", str(tmp_path / "in"), rejects=str(tmp_path / "out"))
    rejects = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    refused = [number for number, (who, rule) in enumerate(pairs, 1) if rule not in MAY[who]]
    assert [one["line"] for one in rejects] == refused
    assert {one["code"] for one in rejects} == {"permission_denied"}
    assert Event.objects.count() == len(pairs) - len(refused)


def test_a_right_that_is_given_later_lets_the_same_line_through(
    ruled: Mode, tmp_path: Path
) -> None:
    """Who may is no outcome of the command, so it is not remembered as one."""
    line = json.dumps({"command": "WriteByStaff", "actor": "carol", "message": "a"})
    (tmp_path / "in").write_text(line)
    call_command("sendcommands", str(tmp_path / "in"))
    assert Event.objects.count() == 0
    carol = person("carol")
    carol.is_staff = True
    carol.save()
    call_command("sendcommands", str(tmp_path / "in"))
    call_command("sendcommands", str(tmp_path / "in"))
    assert Event.objects.count() == 1


def test_who_may_not_is_told_so_before_the_body_is_read(ruled: Mode) -> None:
    make_people()
    for body in ("{", '{"message": 5}', "[" * 10_000):
        nobody, bob = Api().post("/write/Staff/", body), Api("bob").post("/write/Staff/", body)
        assert (nobody.status_code, errors(nobody)) == (401, [("not_authenticated", None)])
        assert (bob.status_code, errors(bob)) == (403, [("permission_denied", None)])
        assert bob.json()["errors"][0]["detail"] == "You may not do this. Who may: Staff."


def test_staff_that_are_locked_out_are_none(ruled: Mode) -> None:
    make_people()
    clerk = person("clerk")
    clerk.is_active = False
    clerk.save()
    with pytest.raises(Exception, match="You may not do this"):
        mediator.send(WRITES["Staff"](message="a"), Context(actor="clerk", asker=clerk))


def test_an_actor_of_whom_the_name_alone_is_known_has_no_rights(ruled: Mode) -> None:
    """Code that does not say who asks gets no more than who is signed in."""
    make_people()
    for rule, cls in WRITES.items():
        context = Context(actor="root")
        if rule in ("Anyone", "SignedIn"):
            mediator.send(cls(message="a"), context)
        else:
            with pytest.raises(Exception, match="You may not do this"):
                mediator.send(cls(message="a"), context)


def test_nobody_writes_under_the_name_that_stands_for_nobody(ruled: Mode) -> None:
    """Django's own user model allows it."""
    dash = User(username=ANONYMOUS)
    for command in (WRITES["Anyone"](message="a"), WRITES["SignedIn"](message="a")):
        with pytest.raises(Forbidden, match="stands for nobody") as refused:
            mediator.send(command, context_of({}, dash))
        assert refused.value.code == "reserved_name"
    mediator.send(WRITES["Anyone"](message="a"), context_of({}, AnonymousUser()))
    assert Event.objects.count() == 1


def test_a_file_makes_no_account_of_the_name_that_stands_for_nobody(
    sqlite: Mode, tmp_path: Path
) -> None:
    (tmp_path / "in").write_text('{"command": "NewPost", "actor": "-", "message": "a"}')
    call_command("sendcommands", str(tmp_path / "in"), rejects=str(tmp_path / "out"))
    assert json.loads((tmp_path / "out").read_text())["code"] == "invalid_actor"
    assert not User.objects.exists()


def test_code_that_does_not_say_who_asks_is_answered_what_anyone_may_ask(ruled: Mode) -> None:
    assert mediator.ask(ASKS["Anyone"]()).name == ""
    for rule in RULES.keys() - {"Anyone"}:
        with pytest.raises(Exception, match="Sign in"):
            mediator.ask(ASKS[rule]())


def test_an_internal_command_has_no_endpoint_and_no_line_and_is_sent_by_code(
    ruled: Mode, tmp_path: Path
) -> None:
    call_command("sendcommands", "/dev/null")
    line = json.dumps({"command": "WriteInside", "actor": "alice", "message": "a"})
    (tmp_path / "in").write_text(line)
    call_command("sendcommands", str(tmp_path / "in"), rejects=str(tmp_path / "out"))
    assert json.loads((tmp_path / "out").read_text())["code"] == "unknown_command"
    assert "WriteInside" not in json.loads((tmp_path / "out").read_text())["reason"]
    assert "write-inside" not in Api("alice").client.get("/api/v1/").content.decode()
    assert mediator.send(INTERNAL(message="a"), Context(actor="nightly-job")).version == 1


@pytest.mark.parametrize("rule", RULES)
def test_the_browsable_page_says_who_may(sqlite: Mode, rule: str) -> None:
    make_people()
    with rules():
        for address in (f"/write/{rule}/", f"/ask/{rule}/"):
            for client in (Client(), browser("bob"), browser("root")):
                shown = client.get(address, headers={"Accept": HTML}).content.decode()
                assert f"<p>Who may: {SENTENCES[rule]}</p>" in shown


def test_the_form_of_a_command_is_shown_to_whoever_may_send_it(sqlite: Mode) -> None:
    make_people()
    with rules():
        for who, rule in EACH:
            client = Client() if who == "nobody" else browser(who)
            shown = client.get(f"/write/{rule}/", headers={"Accept": HTML}).content.decode()
            assert ('name="message"' in shown) == (rule in MAY[who]), (who, rule)


def test_the_document_says_by_operation_who_may_and_what_refusals_are(sqlite: Mode) -> None:
    with rules():
        from tests.support.rules import urlpatterns

        document: Any = SchemaGenerator(patterns=urlpatterns).get_schema(public=True)  # type: ignore[no-untyped-call]
    for rule, sentence in SENTENCES.items():
        write = document["paths"][f"/write/{rule}/"]["post"]
        ask = document["paths"][f"/ask/{rule}/"]["get"]
        assert {"401", "403"} <= set(write["responses"])
        assert "401" in ask["responses"], "credentials that are none"
        assert ("403" in ask["responses"]) == (rule not in ("Anyone", "SignedIn"))
        for operation in (write, ask):
            assert operation["description"].endswith(f"\n\nWho may: {sentence}")
            assert ({} in operation["security"]) == (rule == "Anyone"), "by nobody"


# --- in Postlog --------------------------------------------------------------------------------


def test_my_posts_are_the_posts_of_whoever_asks(database: Mode) -> None:
    alice, bob = Api("alice"), Api("bob")
    for message in ("one", "two"):
        last = alice.send("new-post", message=message)
    bob.send("new-post", message="bob's")
    arrive()
    seen = {"Consistency-Token": last.json()["consistency_token"]}
    mine = alice.ask("find-my-posts", headers=seen, page_size=1)
    assert [one["message"] for one in mine.json()["results"]] == ["two"]
    following = alice.client.get(mine.json()["next"], headers=alice.headers).json()["results"]
    assert [one["message"] for one in following] == ["one"]
    assert mine.headers["Cache-Control"] == "private"
    assert [one["author"] for one in bob.ask("find-my-posts").json()["results"]] == ["bob"]
    nobody = Api().ask("find-my-posts")
    assert (nobody.status_code, errors(nobody)) == (401, [("not_authenticated", None)])


def test_the_others_stay_open_to_all(database: Mode) -> None:
    post = Api("alice").send("new-post", message="one").json()["post_id"]
    arrive()
    for name, params in {
        "find-all-posts": {},
        "find-person": {"username": "alice"},
        "find-posts": {"q": "one"},
        "find-posts-by-author": {"author": "alice"},
        "find-posts-with-comments": {},
        "find-posts-with-likes": {},
        "find-most-liked-posts": {},
        "find-post-by-id": {"post_id": post},
        "find-comments": {"post_id": post},
        "find-likes": {"post_id": post},
        "count-new-posts": {"post_id": post},
        "find-post-history": {"post_id": post},
    }.items():
        assert Api().ask(name, **params).status_code == 200, name
    assert Api().ask("find-comment", post_id=post, comment_id=str(uuid4())).status_code == 404
