"""Every action leaves the page around it as it was, with and without JavaScript."""

import json
import re
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Locator, Page, expect

from messaging.testing.waiting import wait_until
from tests.e2e.conftest import PASSWORD, People, Person

SCRIPTS = pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
UNSEEN = "\u200b"  # a text that is refused

NESTED = "article article, li li, main main, form form, header + header"
TWICE = """() => {
    const ids = [...document.querySelectorAll("[id]")].map(one => one.id);
    return ids.filter((id, at) => ids.indexOf(id) !== at);
}"""


def command(person: Person, name: str, **body: str) -> dict[str, Any]:
    """Send a command as the person, and wait until pages show what it did."""
    token = next(c["value"] for c in person.context.cookies() if c["name"] == "csrftoken")
    api = f"{person.site.url}/api/v1"
    headers = {"X-CSRFToken": str(token)}
    answer = person.context.request.post(f"{api}/commands/{name}/", data=body, headers=headers)
    assert answer.ok, answer.text()
    done: dict[str, Any] = json.loads(answer.body())
    query = f"{api}/queries/find-post-by-id/?post_id={done['post_id']}"
    seen = {"Consistency-Token": str(done["consistency_token"])}
    wait_until(lambda: person.context.request.get(query, headers=seen).ok, "pages show it")
    return done


def a_discussion(person: Person, comments: int = 3) -> str:
    """The id of a new post of the person with comments of theirs."""
    if not any(cookie["name"] == "csrftoken" for cookie in person.context.cookies()):
        person.open()
    post_id = str(command(person, "new-post", message=f"Post {uuid4()}")["post_id"])
    for number in range(comments):
        command(person, "add-comment", post_id=post_id, text=f"Comment {number}")
    return post_id


def sound(page: Page, path: str, articles: int = 1, comments: int = 3) -> None:
    """Nothing lies in itself, and all else of the page is there."""
    expect(page.locator("article[id]")).to_have_count(articles)
    expect(page.locator("ol.comments > li[id]")).to_have_count(comments)
    assert page.locator(NESTED).count() == 0
    assert page.locator("main > article, main > li, body > article, body > li").count() == 0
    assert page.evaluate(TWICE) == []
    assert page.locator("main").count() == 1
    assert page.url.split("#")[0].split("?")[0].endswith(path)


def save(form: Locator, text: str) -> None:
    form.get_by_label("Text").fill(text)
    form.get_by_role("button", name="Save").click()


def test_each_action_on_the_page_of_a_post_leaves_all_else_alone(people: People) -> None:
    alice = people("alice")
    post_id = a_discussion(alice)
    path = f"/posts/{post_id}/"
    page = alice.open(path)
    page.get_by_label("Write a comment").fill("Half written")
    post, second = page.locator(f"#post-{post_id}"), page.locator("ol.comments > li").nth(1)

    def nothing_else_changed() -> None:
        sound(page, path)
        expect(page.get_by_label("Write a comment")).to_have_value("Half written")
        expect(page.locator("ol.comments > li").nth(0)).to_contain_text("Comment 0")
        expect(page.locator("ol.comments > li").nth(2)).to_contain_text("Comment 2")

    for part, text in ((post, "A better post"), (second, "A better comment")):
        part.get_by_role("link", name="Edit").click()
        expect(part.get_by_label("Text")).to_be_visible()
        nothing_else_changed()
        save(part, UNSEEN)
        expect(part.get_by_role("alert")).to_be_visible()
        expect(part.get_by_label("Text")).to_have_value(UNSEEN)
        nothing_else_changed()
        save(part, text)
        expect(part.locator("> .text")).to_have_text(text)
        expect(part.get_by_role("link", name="edited")).to_be_visible()
        nothing_else_changed()
    for likes in (1, 0):
        post.get_by_role("button", name="Like").click()
        expect(post.get_by_role("button", name=f"Like, {likes} so far")).to_be_visible()
        nothing_else_changed()
    page.reload()
    expect(post.locator("> .text")).to_have_text("A better post")
    expect(second.locator("> .text")).to_have_text("A better comment")


def test_two_forms_open_at_once_do_not_disturb_each_other(people: People) -> None:
    alice = people("alice")
    post_id = a_discussion(alice)
    page = alice.open(f"/posts/{post_id}/")
    post, first = page.locator(f"#post-{post_id}"), page.locator("ol.comments > li").nth(0)
    post.get_by_role("link", name="Edit").click()
    post.get_by_label("Text").fill("Of the post")
    first.get_by_role("link", name="Edit").click()
    save(first, "Of the comment")
    expect(first.locator("> .text")).to_have_text("Of the comment")
    expect(post.get_by_label("Text")).to_have_value("Of the post")
    sound(page, f"/posts/{post_id}/")


@pytest.mark.parametrize("where", ["/", "/most-liked/", "/with-comments/", "/people/alice/"])
def test_each_action_on_a_list_leaves_all_else_alone(people: People, where: str) -> None:
    alice = people("alice")
    post_id = a_discussion(alice, comments=1)
    command(alice, "like-post", post_id=post_id)
    page = alice.open(where)
    post = page.locator(f"#post-{post_id}")
    expect(post).to_be_visible()
    count = page.locator("article").count()
    post.get_by_role("link", name="Edit").click()
    expect(post.get_by_label("Text")).to_be_visible()
    sound(page, where, count, 0)
    save(post, UNSEEN)
    expect(post.get_by_role("alert")).to_be_visible()
    sound(page, where, count, 0)
    save(post, "Better")
    expect(post.locator(".title")).to_have_text("Better")
    sound(page, where, count, 0)
    post.get_by_role("button", name="Like").click()
    expect(post.get_by_role("button", name="Like, 0 so far")).to_be_visible()
    sound(page, where, count, 0)
    if where != "/people/alice/":
        expect(page.get_by_label("Write a post")).to_be_visible()


@SCRIPTS
def test_a_whole_page_of_a_form_leads_back_to_the_post(people: People, scripts: bool) -> None:
    alice = people("alice", java_script_enabled=scripts)
    post_id = a_discussion(alice, comments=1)
    path = f"/posts/{post_id}/"
    comment = alice.open(path).locator("ol.comments > li").get_attribute("id") or ""
    comment_path = f"{path}comments/{comment.removeprefix('comment-')}/"
    page = alice.open(f"{comment_path}edit/")
    for address, part, text in (
        (f"{comment_path}edit/", page.locator(f"#{comment}"), "A better comment"),
        (f"{path}edit/", page.locator(f"#post-{post_id}"), "A better post"),
    ):
        alice.open(address)
        assert "hx-" not in page.locator("main").inner_html()
        save(page.locator("main"), UNSEEN)
        expect(page.get_by_role("alert")).to_be_visible()
        expect(page.get_by_label("Text")).to_have_value(UNSEEN)
        assert page.url.endswith(address)
        assert "hx-" not in page.locator("main").inner_html()
        save(page.locator("main"), text)
        expect(part.locator("> .text")).to_have_text(text)
        if scripts:
            expect(page).to_have_url(re.compile(re.escape(path)))
        assert page.url.split("#")[0].endswith(path)
        page.reload()
        expect(part.locator("> .text")).to_have_text(text)
    alice.open(f"{comment_path}remove/").get_by_role("button", name="Delete comment").click()
    expect(page.get_by_text("Nobody has commented yet.")).to_be_visible()
    assert page.url.endswith(path)
    alice.open(f"{path}delete/").get_by_role("button", name="Delete post").click()
    expect(page.get_by_label("Write a post")).to_be_visible()
    assert page.url == f"{alice.site.url}/"


def test_without_scripts_each_action_leads_to_a_whole_page(people: People) -> None:
    alice = people("alice", java_script_enabled=False)
    post_id = a_discussion(alice)
    path = f"/posts/{post_id}/"
    page = alice.open(path)
    post, second = page.locator(f"#post-{post_id}"), page.locator("ol.comments > li").nth(1)
    for part, text in ((post, "A better post"), (second, "A better comment")):
        part.get_by_role("link", name="Edit").click()
        save(page.locator("main"), text)
        expect(part.locator("> .text")).to_have_text(text)
        page.goto(page.url)
        assert page.locator(NESTED).count() == 0
        expect(page.locator("ol.comments > li")).to_have_count(3)
        expect(page.get_by_label("Write a comment")).to_be_visible()
    post.get_by_role("button", name="Like").click()
    expect(post.get_by_role("button", name="Like, 1 so far")).to_be_visible()
    assert page.url.split("#")[0].endswith(path)


@SCRIPTS
@pytest.mark.parametrize("what", ["post", "comment"])
def test_of_two_tabs_the_second_sees_both_texts_and_may_save_its_own(
    people: People, scripts: bool, what: str
) -> None:
    alice = people("alice", java_script_enabled=scripts)
    post_id = a_discussion(alice, comments=1)
    path = f"/posts/{post_id}/"
    part = "article[id]" if what == "post" else "ol.comments > li"
    tabs = [alice.page, alice.context.new_page()]
    for tab in tabs:
        tab.goto(alice.site.url + path)
        tab.locator(part).get_by_role("link", name="Edit").click()
        expect(tab.get_by_label("Text")).to_be_visible()
    command(people("bob"), "like-post", post_id=post_id)  # no change of a text
    save(tabs[1].locator("main"), "Of the other tab")
    expect(tabs[1].locator(part).locator("> .text")).to_have_text("Of the other tab")

    mine = tabs[0].locator("main")
    mine.get_by_label("Text").fill("Of this tab")
    mine.get_by_role("button", name="Save").click()
    expect(mine.get_by_role("alert")).to_contain_text("yours is not saved")
    expect(mine.locator("blockquote")).to_have_text("Of the other tab")
    box = mine.get_by_label("Your text")
    expect(box).to_have_value("Of this tab")
    if scripts:
        sound(tabs[0], path, articles=1, comments=1)
    box.fill("Of both tabs")
    mine.get_by_role("button", name="Save mine instead").click()
    expect(tabs[0].locator(part).locator("> .text")).to_have_text("Of both tabs")
    assert tabs[0].url.split("#")[0].endswith(path)


@SCRIPTS
def test_a_text_sent_by_an_expired_session_is_there_after_signing_in(
    people: People, scripts: bool
) -> None:
    alice = people("alice", java_script_enabled=scripts)
    post_id = a_discussion(alice, comments=1)
    path = f"/posts/{post_id}/"
    page = alice.open(path)
    comment = page.locator("ol.comments > li")
    comment.get_by_role("link", name="Edit").click()
    expect(page.get_by_label("Text")).to_be_visible()
    alice.context.clear_cookies(name="sessionid")
    save(page.locator("main"), "Line one\nline two")
    expect(page.get_by_text("Your session has ended")).to_be_visible()
    expect(page.locator("main main")).to_have_count(0)
    page.get_by_label("Username").fill("alice")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("Text")).to_have_value("Line one\nline two")
    page.get_by_role("button", name="Save").click()
    expect(comment.locator("> .text")).to_have_text("Line one\nline two")
    assert page.url.split("#")[0].endswith(path)
    alice.complaints = [one for one in alice.complaints if "403" not in one]


@SCRIPTS
def test_a_comment_is_found_by_its_link_quoted_and_answered(people: People, scripts: bool) -> None:
    post_id = a_discussion(people("alice"), comments=12)
    page = people("bob", java_script_enabled=scripts).open(f"/posts/{post_id}/")
    page.locator("ol.comments > li").last.locator(".by a.quiet").click()
    marked = page.locator("li:target")
    expect(marked).to_contain_text("Comment 11")
    expect(marked).to_be_in_viewport()
    expect(page.locator("ol.comments > li")).to_have_count(11)
    marked.get_by_role("link", name="Quote alice").click()
    box = page.get_by_label("Write a comment")
    expect(box).to_be_focused()
    expect(box).to_have_value("@alice wrote:\n> Comment 11\n\n")
    box.fill(f"{box.input_value()}So?")
    page.get_by_role("button", name="Comment").click()
    expect(page.locator("ol.comments > li").last).to_contain_text("So?")
    page.get_by_role("button", name="Like").click()
    expect(page.locator("article")).to_contain_text("Liked by bob")
