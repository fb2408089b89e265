"""What a browser gets: descriptions, forms that work without JavaScript, a way to sign in."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client

from messaging.eventstore.models import Event
from tests.support.api import COMMANDS, FORM, HTML, QUERIES, Api, browser, some_id
from tests.support.modes import Mode

NEW_POST, EDIT = f"{COMMANDS}/new-post/", f"{COMMANDS}/edit-message/"


class Forms(HTMLParser):
    """The forms of a page, with what a browser would send from each."""

    def __init__(self, page: Any) -> None:
        super().__init__()
        self.forms: list[dict[str, Any]] = []
        self._textarea: str | None = None
        self.feed(page.content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "form":
            self.forms.append({"attrs": values, "fields": {}})
        if tag == "input" and self.forms and values.get("name"):
            self.forms[-1]["fields"][values["name"]] = values.get("value") or ""
        if tag == "textarea":
            self._textarea = values["name"] or ""
            self.forms[-1]["fields"][self._textarea] = ""

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self.forms[-1]["fields"][self._textarea] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._textarea = None


def open_page(client: Client, path: str) -> Any:
    return client.get(path, headers={"Accept": HTML})


def the_form(page: Any) -> dict[str, Any]:
    """The form of the command or query, not the one to sign out."""
    [form] = [form for form in Forms(page).forms if "next" not in form["fields"]]
    return form


def submit(client: Client, page: Any, **values: str) -> Any:
    """As a browser without JavaScript: the form's own address, encoding and hidden fields."""
    form = the_form(page)
    assert form["attrs"].get("enctype", FORM) == FORM
    fields = {**form["fields"], **values}
    assert set(values) <= set(form["fields"])
    body = "&".join(f"{name}={quoted(value)}" for name, value in fields.items())
    return client.post(form["attrs"]["action"], body, FORM, headers={"Accept": HTML})


def quoted(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.replace("\n", "\r\n").encode())


def test_the_page_of_a_command_has_its_description_and_a_form_that_works(database: Mode) -> None:
    client = browser("alice")
    page = open_page(client, NEW_POST)
    assert page.status_code == 200
    assert "Write a post. Its id may be chosen by the sender" in page.content.decode()
    answer = submit(client, page, message="Two\nlines")
    assert answer.status_code == 201
    event = Event.objects.get()
    assert (event.actor, r"Two\nlines" in event.data) == ("alice", True)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"post_id": "no-id", "message": "My <b>text</b>"}, "This is not a UUID."),
        ({"post_id": some_id(), "message": " \n "}, "Write something that can be seen."),
        ({"post_id": some_id(), "message": "y" * 10_001}, "At most 10,000 characters"),
    ],
    ids=["by the field", "by the domain: blank", "by the domain: too long"],
)
def test_after_a_mistake_the_message_stands_at_the_field_and_the_text_is_kept(
    database: Mode, values: dict[str, str], message: str
) -> None:
    client = browser("alice")
    page = submit(client, open_page(client, EDIT), **values)
    assert page.status_code == 400
    kept = the_form(page)["fields"]
    assert {name: kept[name].replace("\r\n", "\n") for name in values} == values
    assert re.search(rf'<span class="help-block">{re.escape(message)}', page.content.decode())


@pytest.mark.parametrize("case", ["404", "403", "409"])
def test_after_any_refusal_the_text_is_kept_and_the_message_shown(
    database: Mode, case: str
) -> None:
    post_id = some_id()
    if case != "404":
        Api("bob").send("new-post", message="Hello", post_id=post_id)
    if case == "409":
        Api("bob").send("delete-post", post_id=post_id)
    client = browser("alice")
    page = submit(client, open_page(client, EDIT), post_id=post_id, message="My long text")
    assert page.status_code == int(case)
    assert the_form(page)["fields"]["message"] == "My long text"
    shown = page.content.decode().split("</pre>")[-1]  # in the form and not only in the JSON
    assert re.search("There is no such post|Only the author|This post was removed", shown)


def test_a_corrected_form_is_accepted(database: Mode) -> None:
    client = browser("alice")
    page = submit(client, open_page(client, NEW_POST), message=" ")
    assert page.status_code == 400
    assert submit(client, page, message="Better").status_code == 201


def test_nobody_signed_in_sees_the_description_and_a_way_to_sign_in(sqlite: Mode) -> None:
    page = open_page(Client(), NEW_POST)
    text = page.content.decode()
    assert page.status_code == 200
    assert "Write a post." in text
    assert f'href="/accounts/login/?next={NEW_POST}"' in text
    assert open_page(Client(), f"/accounts/login/?next={NEW_POST}").status_code == 200


def test_a_query_has_a_form_for_its_parameters(sqlite: Mode) -> None:
    page = open_page(Client(), f"{QUERIES}/find-posts-by-author/")
    form = the_form(page)
    assert page.status_code == 400  # it needs an author
    assert form["attrs"]["method"] == "get"
    assert set(form["fields"]) == {"author", "cursor", "page_size"}
    filled = {**form["fields"], "author": "alice"}
    answer = Client().get(form["attrs"]["action"], filled, headers={"Accept": HTML})
    assert answer.status_code == 200
    assert the_form(answer)["fields"]["author"] == "alice"


def test_markup_in_what_was_sent_stays_text(sqlite: Mode) -> None:
    client, markup = browser("alice"), "</textarea></pre><script>alert(1)</script>"
    pages = [
        submit(client, open_page(client, EDIT), post_id=markup, message=markup),
        open_page(client, f"{QUERIES}/find-posts-by-author/?author={quoted(markup)}&{markup}=1"),
    ]
    for page in pages:
        assert page.status_code == 400
        assert "<script>alert" not in page.content.decode()


@pytest.mark.parametrize("path", ["/api/v1/", "/api/v1/docs/", "/accounts/login/"])
def test_the_other_pages_open(sqlite: Mode, path: str) -> None:
    for client in (Client(), browser("alice")):
        assert open_page(client, path).status_code == 200
