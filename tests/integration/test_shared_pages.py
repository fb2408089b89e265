"""What others see of the site: search engines, chats, readers of feeds. Without a browser."""

import json
import re
import struct
from html import unescape
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from xml.etree import ElementTree

import pytest
from django.contrib.staticfiles import finders
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from commands_app.commands import EditMessage, NewPost
from messaging import mediator
from messaging.message import Context
from queries_app import sitemap
from tests.support.api import person
from tests.support.forms import arrive
from tests.support.modes import Mode

ATOM = "{http://www.w3.org/2005/Atom}"
TEXT = 'A first line & "more"\n\nSee https://example.org/ and <b>@bob</b>.'


def written(*texts: str, author: str = "alice") -> list[UUID]:
    context = Context(actor=author)
    found = [mediator.send(NewPost(message=text), context).stream_id for text in texts]
    arrive()
    return found


def told(page: str) -> dict[str, str]:
    """The meta elements of a page, and where its links of the head lead."""
    metas = re.findall(r'<meta (?:name|property)="([^"]+)" content="([^"]*)">', page)
    links = re.findall(r'<link rel="([^"]+)"[^>]* href="([^"]*)"', page)
    return {name: unescape(value) for name, value in [*links, *metas]}


# --- the head of a page -----------------------------------------------------------------------


def test_a_page_of_a_post_says_what_it_is_about_to_whoever_shares_it(sqlite: Mode) -> None:
    [post_id] = written(TEXT)
    address = f"http://testserver/posts/{post_id}/"
    for path in ("", "?at=end", f"?quote={post_id}"):
        page = told(Client().get(f"/posts/{post_id}/{path}").text)
        assert page["canonical"] == page["og:url"] == address
        assert page["og:type"] == "article"
        assert page["og:title"] == 'alice: A first line & "more"'
        assert page["description"] == page["og:description"] == " ".join(TEXT.split())
        assert page["article:published_time"].endswith("+00:00")
        assert "robots" not in page


def test_what_marks_code_is_not_told_of_a_post(sqlite: Mode) -> None:
    [post_id] = written("```py\npass\n```\nIs this all?")
    page = told(Client().get(f"/posts/{post_id}/").text)
    assert page["description"] == "pass Is this all?"
    assert page["og:title"] == "alice: pass Is this all?"


@pytest.mark.parametrize(
    "text", ["x" * 10_000, "</title>\n<script>", "```\n```", "a\x0bb\x1b\u202e"]
)
def test_any_text_can_be_shared(sqlite: Mode, text: str) -> None:
    [post_id] = written(text)
    answer = Client().get(f"/posts/{post_id}/")
    assert answer.status_code == 200
    assert 0 < len(told(answer.text)["description"]) <= 200
    assert "</title>\n" in answer.text
    assert "<script>\n" not in answer.text


def test_lists_and_people_are_shared_by_their_first_page_alone(sqlite: Mode) -> None:
    written(*[f"Number {number}" for number in range(21)])
    for path, kind, atom in (
        ("/", "website", "/newest.atom"),
        ("/most-liked/", "website", None),
        ("/people/alice/", "profile", "/people/alice/posts.atom"),
    ):
        page = Client().get(path).text
        found = told(page)
        assert found["canonical"] == f"http://testserver{path}"
        assert (found["og:type"], found.get("alternate")) == (kind, atom)
        assert "description" in found
        [older] = re.findall('rel="next" href="([^"]+)"', page)
        behind = told(Client().get(path + older).text)
        assert (behind["robots"], "canonical" in behind) == ("noindex", False)
    person_page = told(Client().get("/people/alice/").text)
    assert re.fullmatch(r"21 posts on Postlog since \d+ \w+ \d{4}\.", person_page["description"])


def test_what_is_nobody_elses_is_in_no_index(sqlite: Mode) -> None:
    [post_id] = written("x")
    alice = Client()
    alice.force_login(person("alice"))
    for path in ("/accounts/", "/write/", f"/posts/{post_id}/edit/", f"/posts/{post_id}/history/",
                 f"/posts/{post_id}/likes/", "/accounts/login/"):  # fmt: skip
        assert told(alice.get(path).text).get("robots") == "noindex", path


def test_icons_are_there_in_the_sizes_that_are_told(sqlite: Mode) -> None:
    page = told(Client().get("/").text)
    answer = Client().get(page["manifest"])
    assert answer["Content-Type"] == "application/manifest+json"
    icons = {one["src"]: one["sizes"] for one in json.loads(answer.text)["icons"]}
    icons[page["apple-touch-icon"]] = "180x180"
    icons[page["og:image"].removeprefix("http://testserver")] = "512x512"
    icons[Client().get("/favicon.ico")["Location"]] = "192x192"
    pngs = {name: size for name, size in icons.items() if name.endswith(".png")}
    assert len(pngs) == 3
    for name, size in pngs.items():
        found = finders.find(name.removeprefix("/static/"))
        data = Path(str(found)).read_bytes()
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        assert "{}x{}".format(*struct.unpack(">II", data[16:24])) == size
    policy = Client().get("/")["Content-Security-Policy"]
    assert "manifest-src 'self'" in policy


# --- Atom -------------------------------------------------------------------------------------


def entries(path: str) -> list[ElementTree.Element]:
    answer = Client().get(path)
    assert (answer.status_code, answer["Content-Type"]) == (
        200, "application/atom+xml; charset=utf-8",
    )  # fmt: skip
    return ElementTree.fromstring(answer.content).findall(f"{ATOM}entry")


def test_the_newest_posts_are_there_as_atom(sqlite: Mode) -> None:
    bobs, [hers] = written("Bob's", author="bob"), written(TEXT)
    mediator.send(EditMessage(post_id=bobs[0], message="Better"), Context(actor="bob"))
    arrive()
    first, second = entries("/newest.atom")
    assert first.findtext(f"{ATOM}id") == f"urn:uuid:{hers}"
    assert first.findtext(f"{ATOM}title") == 'alice: A first line & "more"'
    assert first.find(f"{ATOM}link").get("href") == f"http://testserver/posts/{hers}/"  # type: ignore[union-attr]
    assert first.findtext(f"{ATOM}author/{ATOM}name") == "alice"
    summary = first.findtext(f"{ATOM}summary") or ""
    assert '<a href="https://example.org/" rel="nofollow">' in summary
    assert "&lt;b&gt;" in summary
    written_at, updated = (second.findtext(f"{ATOM}{name}") for name in ("published", "updated"))
    assert str(written_at) < str(updated)
    assert [one.findtext(f"{ATOM}title") for one in entries("/people/bob/posts.atom")] == [
        "bob: Better"
    ]


def test_a_feed_is_sent_once_until_it_changes_and_costs_one_page(database: Mode) -> None:
    written(*["x" * 10_000] * 21)
    for path in ("/newest.atom", "/people/alice/posts.atom"):
        with (
            CaptureQueriesContext(connections["default"]) as writes,
            CaptureQueriesContext(connections["read"]) as reads,
        ):
            first = Client().get(path)
        assert (len(writes), len(reads)) == (0, 1)
        assert first.text.count("<entry>") == 20
        assert len(first.content) <= 100_000
        same = Client().get(path, headers={"if-none-match": first["ETag"]})
        assert (same.status_code, same.content) == (304, b"")
    written("One more")
    assert Client().get(path, headers={"if-none-match": first["ETag"]}).status_code == 200


def test_a_person_without_posts_has_a_feed_that_never_changes_and_nobody_has_none(
    sqlite: Mode,
) -> None:
    person("lurker")
    first = Client().get("/people/lurker/posts.atom")
    assert (first.status_code, first.text.count("<entry>")) == (200, 0)
    assert Client().get("/people/lurker/posts.atom")["ETag"] == first["ETag"]
    assert Client().get("/people/nobody/posts.atom").status_code == 404
    assert Client().post("/newest.atom").status_code == 405


@pytest.mark.parametrize(
    "text", ["a\x01\x0b\x1f\ufffe\uffffb", "]]><x>&\u202e", "```\n" + "<" * 9_000], ids=ascii
)
def test_any_text_fits_into_a_feed(sqlite: Mode, text: str) -> None:
    written(text)
    [entry] = entries("/newest.atom")
    assert entry.findtext(f"{ATOM}summary")


# --- crawlers -----------------------------------------------------------------------------------


def test_a_sitemap_names_the_lists_and_the_newest_posts_by_one_statement(
    sqlite: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sitemap, "POSTS", 2)
    ids = written("one", "two", "three")
    with CaptureQueriesContext(connections["read"]) as reads:
        answer = Client().get("/sitemap.xml")
    assert len(reads) == 1
    assert answer["Content-Type"] == "application/xml"
    found = [one.text or "" for one in ElementTree.fromstring(answer.content).iter() if
             one.tag.endswith("loc")]  # fmt: skip
    posts = [f"http://testserver/posts/{one}/" for one in (ids[2], ids[1])]
    assert (
        found
        == [f"http://testserver{one}" for one in ("/", "/most-liked/", "/with-comments/")] + posts
    )
    same = Client().get("/sitemap.xml", headers={"if-none-match": answer["ETag"]})
    assert same.status_code == 304
    assert [Client().get(f"/sitemap.xml?p={page}").status_code for page in ("2", "x")] == [404, 404]


def test_crawlers_are_told_where_the_sitemap_is_and_what_is_not_for_them(sqlite: Mode) -> None:
    answer = Client().get("/robots.txt")
    assert answer["Content-Type"].startswith("text/plain")
    lines = answer.text.splitlines()
    assert lines[0] == "User-agent: *"
    assert lines[-1] == "Sitemap: http://testserver/sitemap.xml"
    kept_out = [re.compile(re.escape(line.partition(": ")[2]).replace(r"\*", ".*"))
                for line in lines[1:-1]]  # fmt: skip
    assert len(kept_out) > 8
    for path, crawled in (
        ("/", True), ("/people/alice/", True), (f"/posts/{uuid4()}/", True),
        (f"/posts/{uuid4()}/edit/", False), (f"/posts/{uuid4()}/?quote=x", False),
        ("/api/v1/", False), ("/accounts/login/?next=/", False),
    ):  # fmt: skip
        assert any(one.match(path) for one in kept_out) is not crawled, path


def test_all_that_others_are_told_is_at_the_site_s_own_address(sqlite: Mode, settings: Any) -> None:
    settings.SITE_URL = "https://postlog.example"
    [post_id] = written("One")
    pages = ("/", "/people/alice/", f"/posts/{post_id}/", "/newest.atom",
             "/people/alice/posts.atom", "/sitemap.xml", "/robots.txt")  # fmt: skip
    for path in pages:
        page = Client().get(path).text
        assert page.count("https://postlog.example/") >= 1, path
        assert "http://testserver" not in page, path
    assert told(Client().get("/").text)["og:image"].startswith("https://postlog.example/static/")
