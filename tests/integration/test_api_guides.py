"""What guides somebody who looks at the API with a browser: its list, the events, the codes of
errors, and the way from a command's answer to what it did."""

import html
import re
import shlex
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from django.db import connections
from django.test import Client

from commands_app.commands import NewPost
from messaging import mediator
from messaging.api import examples
from messaging.api.openapi import summary
from messaging.error_codes import explained
from messaging.message import COMMANDS, EVENTS, QUERIES, Context
from messaging.projections.registry import PROJECTIONS
from messaging.templatetags.codes import code_marked
from queries_app.projections import posts
from tests.support.api import FORM, HTML, Api, browser, person
from tests.support.consuming import consume_all
from tests.support.modes import Mode, use
from tests.support.relaying import publish_all

NEW_POST = "/api/v1/commands/new-post/"


def page(client: Client, address: str) -> str:
    answer = client.get(address, headers={"Accept": HTML})
    assert (answer.status_code, answer["Content-Type"][:9]) == (200, "text/html")
    return answer.content.decode()


def curls(text: str) -> list[list[str]]:
    found = re.findall(r"<pre[^>]*>(curl .*?)</pre>", text)
    return [shlex.split(html.unescape(one)) for one in found]


def carried_out(words: list[str]) -> Any:
    """As curl does, with the password that it would ask for."""
    api = Api("alice" if "-u" in words else None)
    at = urlsplit(words[-1])
    address = f"{at.path}?{at.query}"
    if "-d" not in words:
        return api.client.get(address, headers=api.headers)
    return api.post(address, words[words.index("-d") + 1], words[words.index("-H") + 1][14:])


def test_the_list_has_a_line_for_each_who_may_and_a_curl_that_works(sqlite: Mode) -> None:
    mediator.send(NewPost(message="a"), Context(actor="alice"))
    publish_all()
    for projection in PROJECTIONS.values():
        consume_all(projection)
    text = page(browser("alice"), "/api/v1/")
    for name, cls in {**COMMANDS, **QUERIES}.items():
        assert code_marked(summary(cls)) in text, name
    assert text.count("Who may: ") == len(COMMANDS) + len(QUERIES) + 1
    found = curls(text)
    assert len(found) == len(COMMANDS) + len(QUERIES) + 1
    assert all(words[words.index("-u") + 1] == "alice" for words in found if "-u" in words)
    statuses = {}
    for words in found:
        answer = carried_out(words)
        statuses[urlsplit(words[-1]).path.split("/")[-2]] = answer.status_code
    assert statuses.pop("restore-read-db") == 403
    links = re.findall(r'<dt><a href="http://testserver([^"]+/queries/[^"]+)">', text)
    assert len(links) == len(QUERIES)
    for link in map(html.unescape, links):
        status = browser("alice").get(link, headers={"Accept": HTML}).status_code
        assert status == (404 if "/find-comment/" in link else 200), link
    unknown = {"edit-comment", "remove-comment", "find-comment"}  # there is no comment
    assert {statuses.pop(name) for name in unknown & statuses.keys()} == {404}
    assert set(statuses.values()) <= {200, 201}, statuses
    staff = text.index("staff</span>")
    assert text.index("find-all-posts") < staff < text.index(">restore-read-db</a>")
    for link in re.findall(r'<li><a href="(/api/v1/[a-z]+/)">', text):
        assert Client().get(link, headers={"Accept": HTML}).status_code in (200, 406), link
    assert "-u YOUR_NAME" in page(Client(), "/api/v1/")


def test_programs_get_the_list_and_the_events_as_before(sqlite: Mode) -> None:
    root = Client().get("/api/v1/").json()
    assert set(root) == {"commands", "queries"}
    assert "restore-read-db" in root["commands"]
    for accept in ("*/*", "application/json", "application/yaml", "", "*/*, text/html;q=0.5"):
        answer = Client().get("/api/v1/events/", headers={"Accept": accept})
        assert (answer["Content-Type"], answer.json()["asyncapi"]) == ("application/json", "3.0.0")
        assert "Accept" in answer["Vary"]


def test_a_browser_gets_the_events_as_a_page(sqlite: Mode) -> None:
    text = page(Client(), "/api/v1/events/")
    for name, cls in EVENTS.items():
        section = text.partition(f'<h2 class="h4" id="{name}">')[2].partition("<h2")[0]
        assert f'href="/api/v1/events/{name}/"' in section
        for one in cls.__dataclass_fields__:
            assert f"<code>{one}</code>" in section, (name, one)
    assert "<code>streamversion</code>" in text
    assert text.count("What it is") == 1, "fields that nothing is said of have no column for it"
    tag = Client().get("/api/v1/events/", headers={"Accept": HTML})["ETag"]
    assert tag != Client().get("/api/v1/events/")["ETag"]


def test_the_answer_of_a_command_leads_to_the_queries_that_wait_for_it(sqlite: Mode) -> None:
    client = Client()
    client.force_login(person("alice"))
    answer = client.post(NEW_POST, "message=b", FORM, headers={"Accept": HTML})
    assert answer.status_code == 201
    links = re.findall(r'<li><a href="([^"]+)">([a-z-]+)</a>', answer.content.decode())
    names = [name for _, name in links]
    assert "find-post-by-id" in names
    assert "find-all-posts" not in names, "others take the id"
    assert "find-comment" not in names, "it needs more than the answer has"
    publish_all()
    consume_all(posts)
    (found,) = (url for url, name in links if name == "find-post-by-id")
    shown = client.get(html.unescape(found), headers={"Accept": HTML})
    assert (shown.status_code, "consistency_token=" in found) == (200, True)
    assert "See what it did" not in shown.content.decode()
    token = parse_qs(urlsplit(html.unescape(found)).query)["consistency_token"][0]
    kept = f'<input type="hidden" name="consistency_token" value="{token}">'
    assert kept in shown.content.decode(), "asked again, it waits again"


def test_each_code_of_an_error_leads_to_its_explanation(sqlite: Mode) -> None:
    text = page(Client(), "/api/v1/errors/")
    rows = Client().get("/api/v1/errors/").json()["errors"]
    assert len(rows) == len(explained()) > 40
    for one in rows:
        for code in one["codes"]:
            assert f'<code id="{code}">' in text
    client = browser("alice")
    wrong = client.get(
        "/api/v1/queries/find-post-by-id/?nothing=1", headers={"Accept": HTML}
    ).content.decode()
    assert '<a href="/api/v1/errors/#unknown_field">' in wrong
    gone = Client().get("/api/v1/nothing/", headers={"Accept": HTML}).content.decode()
    assert '<a href="/api/v1/errors/#not_found">' in gone
    assert "What it means" not in text


def test_the_list_is_there_while_the_read_database_is_away(sqlite: Mode) -> None:
    before = {"read": connections.settings["read"]}
    use({"read": {**before["read"], "NAME": "/dev/null/at/all"}})
    try:
        assert examples.OF_TYPE[UUID] in page(Client(), "/api/v1/")
    finally:
        use(before)
