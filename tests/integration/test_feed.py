"""The feed: what it costs, and that its cards are those of whoever looks."""

import gzip
import re
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from commands_app.commands import AddComment, EditMessage, LikePost, NewPost
from messaging import mediator
from messaging.message import Context
from queries_app.models import Comment
from queries_app.templatetags import times
from tests.support.api import person
from tests.support.forms import arrive, hidden
from tests.support.modes import Mode
from tests.support.processes import ROOT


@pytest.fixture
def post_id(sqlite: Mode) -> UUID:
    """A post of Alice's, of which she has thought well."""
    found = mediator.send(NewPost(message="Hers"), Context(actor="alice")).stream_id
    mediator.send(LikePost(post_id=found), Context(actor="alice"))
    arrive()
    return found


def signed_in(name: str) -> Client:
    client = Client()
    client.force_login(person(name))
    return client


def test_the_feed_of_a_signed_in_reader_takes_six_statements(sqlite: Mode) -> None:
    alice = signed_in("alice")
    for number in range(20):
        alice.post("/write/", {"text": f"Number {number}", "form": f"{number}"})
    arrive()
    with (
        CaptureQueriesContext(connections["default"]) as writes,
        CaptureQueriesContext(connections["read"]) as reads,
    ):
        page = alice.get("/").content.decode()
    assert page.count("<article") == 20
    # The session, the person and their changes; how far the rows are, the posts, and their likes.
    assert (len(writes), len(reads)) == (3, 3)


def test_the_page_of_a_post_asks_for_its_comments_once(post_id: UUID) -> None:
    mediator.send(AddComment(post_id=post_id, text="A comment"), Context(actor="bob"))
    arrive()
    for path, count in (("", 1), ("?at=end", 1), ("card/", 0)):
        with CaptureQueriesContext(connections["read"]) as reads:
            assert Client().get(f"/posts/{post_id}/{path}").status_code == 200
        asked = [one for one in reads if f'FROM "{Comment._meta.db_table}"' in one["sql"]]
        assert len(asked) == count, path


def test_a_card_is_that_of_whoever_looks(post_id: UUID) -> None:
    alice, bob, nobody = signed_in("alice"), signed_in("bob"), Client()
    for _ in range(2):  # kept HTML is not another's
        hers, his, theirs = (one.get("/").content.decode() for one in (alice, bob, nobody))
        assert ('aria-pressed="true"' in hers, f"/posts/{post_id}/edit/" in hers) == (True, True)
        assert ('aria-pressed="false"' in his, f"/posts/{post_id}/edit/" in his) == (True, False)
        assert 'href="/accounts/login/?next=/"' in theirs
        assert "aria-pressed" not in theirs
        assert 'login/?next=/people/alice/%3Fx%3D1"' in nobody.get("/people/alice/?x=1").text


def test_a_card_changes_with_its_post(post_id: UUID) -> None:
    bob = signed_in("bob")
    assert "Like, 1 so far" in bob.get("/").text
    mediator.send(LikePost(post_id=post_id), Context(actor="bob"))
    arrive()
    assert "Like, 2 so far" in bob.get("/").text


def test_a_card_that_is_kept_says_how_long_ago_it_is_now(
    post_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    mediator.send(EditMessage(post_id=post_id, message="Better"), Context(actor="alice"))
    arrive()
    page = Client().get("/").text
    assert re.findall("([a-z0-9 ]+)</time>", page) == ["just now", "just now"]
    written, edited = re.findall('<time datetime="([^"]+)"', page)
    assert datetime.fromisoformat(edited) > datetime.fromisoformat(written)
    later = now() + timedelta(minutes=5, seconds=1)
    monkeypatch.setattr(times, "now", lambda: later)
    assert re.findall("([a-z0-9 ]+)</time>", Client().get("/").text) == ["5 min ago"] * 2
    assert "edited <time" in page


def test_a_like_without_javascript_leads_back_to_the_list(post_id: UUID) -> None:
    bob = signed_in("bob")
    page = bob.get("/most-liked/").text
    button = re.findall(r'<button form="(\w+)" formaction="([^"]+)"', page)
    assert button == [("likes", f"/posts/{post_id}/like/")]
    assert '<form id="likes" method="post">' in page
    sent = bob.post(button[0][1], hidden(page.partition('<form id="likes"')[2]))
    assert sent["Location"] == f"/most-liked/#post-{post_id}"


# --- 304 where nothing changed ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "alice", "bob"])
@pytest.mark.parametrize("path", ["/", "/most-liked/", "/people/alice/", "post", "history"])
def test_a_page_is_sent_once_until_it_changes(post_id: UUID, path: str, name: str) -> None:
    reader = signed_in(name) if name else Client()
    address = {"post": "", "history": "history/"}.get(path)
    path = path if address is None else f"/posts/{post_id}/{address}"
    first = reader.get(path)
    assert (first.status_code, first["Cache-Control"]) == (200, "private, no-cache")
    assert {"Cookie", "HX-Request"} <= set(first["Vary"].split(", "))
    same = reader.get(path, headers={"if-none-match": first["ETag"]})
    assert (same.status_code, same.content, same["ETag"]) == (304, b"", first["ETag"])
    mediator.send(LikePost(post_id=post_id), Context(actor="carol"))
    arrive()
    assert reader.get(path, headers={"if-none-match": first["ETag"]}).status_code == 200


def test_a_page_is_not_that_of_another_reader(post_id: UUID) -> None:
    tags = [one.get("/")["ETag"] for one in (signed_in("alice"), signed_in("bob"), Client())]
    assert len(set(tags)) == 3


def test_the_forms_of_a_page_that_did_not_change_still_work(post_id: UUID) -> None:
    bob = Client(enforce_csrf_checks=True)
    bob.force_login(person("bob"))
    page = bob.get("/")
    assert bob.get("/", headers={"if-none-match": page["ETag"]}).status_code == 304
    answer = bob.post("/write/", {**hidden(page.text), "text": "Bob's"})
    assert answer.status_code == 302


def test_a_page_of_an_earlier_session_is_made_again(post_id: UUID) -> None:
    bob = signed_in("bob")
    page = bob.get("/")
    bob.cookies["csrftoken"] = "b" * 32  # as a sign-in in another tab rotates it
    again = bob.get("/", headers={"if-none-match": page["ETag"]})
    assert again.status_code == 200


def test_what_is_written_a_second_time_on_the_same_page_is_a_second_text(post_id: UUID) -> None:
    """Its form has another id, although the page shows what it showed before."""
    bob = signed_in("bob")
    page = bob.get("/")
    written = bob.post("/write/", {**hidden(page.text), "text": "Once more"})
    bob.post(f"{written['Location']}delete/")
    arrive()
    again = bob.get("/", headers={"if-none-match": page["ETag"]})
    assert (again.status_code, "Once more" in again.text) == (200, False)
    second = bob.post("/write/", {**hidden(again.text), "text": "Once more"})
    assert second["Location"] != written["Location"]


def test_a_form_that_belongs_to_no_page_of_changes_is_made_each_time(sqlite: Mode) -> None:
    assert "ETag" not in signed_in("alice").get("/write/").headers


# --- what is sent -------------------------------------------------------------------------------

PROSE = "\n\n".join(path.read_text() for path in sorted((ROOT / "docs").rglob("*.md")))
GZIP = {"accept-encoding": "br;q=0.9, gzip"}


def test_a_feed_of_long_posts_is_of_few_bytes(sqlite: Mode) -> None:
    """Texts such as people write them: links, lists, code."""
    for number in range(20):
        text = PROSE[number * 9_000 : (number + 1) * 9_000]
        assert len(text) == 9_000
        mediator.send(NewPost(message=text), Context(actor=f"author{number}"))
    arrive()
    alice = signed_in("alice")
    for reader in (alice, Client()):
        plain, packed = reader.get("/"), reader.get("/", headers=GZIP)
        assert plain.text.count("<article") == 20
        assert len(plain.content) <= 100_000
        assert len(packed.content) <= 40_000


@pytest.mark.parametrize("path", ["/", "post", "/people/alice/", "/newest.atom", "/sitemap.xml"])
def test_a_page_is_compressed_for_who_takes_it_and_still_sent_once(
    post_id: UUID, path: str
) -> None:
    path = f"/posts/{post_id}/" if path == "post" else path
    bob = signed_in("bob")
    packed, plain = bob.get(path, headers=GZIP), bob.get(path)
    assert (packed["Content-Encoding"], plain.has_header("Content-Encoding")) == ("gzip", False)
    assert int(packed["Content-Length"]) == len(packed.content) < len(plain.content)
    assert b"</" in gzip.decompress(packed.content)
    assert packed["ETag"] == plain["ETag"], "the same page in another form"
    assert packed["ETag"].startswith('W/"')
    for taken in (GZIP, {}):
        same = bob.get(path, headers={"if-none-match": packed["ETag"], **taken})
        assert (same.status_code, same.content, same["ETag"]) == (304, b"", packed["ETag"])
        assert not same.has_header("Content-Encoding")
        assert "Accept-Encoding" in same["Vary"]


def test_the_size_of_a_compressed_page_tells_nothing(post_id: UUID) -> None:
    """As in BREACH: its token is masked each time, and padding has a random length."""
    same = [Client().get("/", headers=GZIP).content for _ in range(8)]
    assert len({gzip.decompress(one) for one in same}) == 1
    assert len(set(map(len, same))) > 1
    bob = signed_in("bob")
    pages = [gzip.decompress(bob.get("/", headers=GZIP).content).decode() for _ in range(2)]
    tokens = {re.findall('name="csrfmiddlewaretoken" value="([^"]+)"', one)[0] for one in pages}
    assert len(tokens) == 2


def test_what_has_secrets_that_stay_or_strong_etags_is_not_compressed(post_id: UUID) -> None:
    alice = signed_in("alice")
    found = f"/api/v1/queries/find-post-by-id/?post_id={post_id}"
    for path in ("/accounts/", "/accounts/login/", found, "/api/v1/queries/find-all-posts/"):
        answer = alice.get(path, headers=GZIP)
        assert (answer.status_code, answer.has_header("Content-Encoding")) == (200, False), path
    etag = alice.get(found, headers=GZIP)["ETag"]
    assert re.fullmatch('"v[0-9]+"', etag), "as If-Match takes it"
