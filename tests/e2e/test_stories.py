"""What people do in the browser, with and without JavaScript."""

import re
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from messaging.testing.waiting import wait_until
from tests.e2e.conftest import PASSWORD, People, Person, width_of

SCRIPTS = pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])


def write(page: Page, text: str) -> None:
    page.get_by_label("Write a post").fill(text)
    page.get_by_role("button", name="Post", exact=True).click()
    see_it_alone(page, text)


def see_it_alone(page: Page, text: str) -> None:
    """On the page of the post: what stands on the feed has texts of others as well."""
    expect(page).to_have_url(re.compile("/posts/"))
    expect(page.locator("article[id] > .text")).to_have_text(text)


def a_post(person: Person, text: str = "") -> str:
    """The path of a new post of the person."""
    write(person.open(), text or f"Post {uuid4()}")
    return person.page.url.removeprefix(person.site.url)


def test_the_longest_name_fits_each_page_that_shows_it(people: People) -> None:
    person = people(viewport={"width": 360, "height": 740})
    page, name = person.open("/accounts/sign-up/"), uuid4().hex[:8].ljust(150, "n")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password:", exact=True).fill("correct horse battery")
    page.get_by_role("button", name="Sign up").click()
    path = a_post(person)
    page.get_by_role("button", name="Like").click()
    like = page.get_by_role("button", name="Like, 1 so far")
    expect(like).to_be_visible()
    expect(like).not_to_have_attribute("aria-busy", "true")
    for where in ("/", f"/people/{name}/", path, f"{path}likes/", f"{path}history/", "/accounts/"):
        page = person.open(where)
        expect(page.locator("main").get_by_text(name).first).to_be_visible()
        assert width_of(page) <= 360, where


@SCRIPTS
def test_a_stranger_signs_up_writes_edits_likes_comments_and_deletes(
    people: People, scripts: bool
) -> None:
    stranger = people(java_script_enabled=scripts)
    page, name = stranger.open(), f"dora{uuid4().hex[:8]}"
    page.get_by_role("link", name="Sign up", exact=True).click()
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password:", exact=True).fill("correct horse battery")
    if scripts:
        page.get_by_role("button", name="Show password").click()
        expect(page.get_by_label("Password:", exact=True)).to_have_attribute("type", "text")
    page.get_by_role("button", name="Sign up").click()
    write(page, "My first words, with <b>no</b> markup")

    page.get_by_role("link", name="Edit").click()
    box = page.get_by_label("Text")
    expect(box).to_have_value("My first words, with <b>no</b> markup")
    box.fill("My better words")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("article[id] > .text")).to_have_text("My better words")
    expect(page.get_by_role("link", name="edited")).to_be_visible()

    page.get_by_role("button", name="Like").click()
    expect(page.get_by_role("button", name="Like, 1 so far")).to_have_attribute(
        "aria-pressed", "true"
    )
    page.get_by_role("button", name="Like").click()
    expect(page.get_by_role("button", name="Like, 0 so far")).to_have_attribute(
        "aria-pressed", "false"
    )

    page.get_by_label("Write a comment").fill("A remark")
    page.get_by_role("button", name="Comment", exact=True).click()
    comment = page.locator(".comment")
    expect(comment.locator("> .text")).to_have_text("A remark")
    comment.get_by_role("link", name="Edit").click()
    page.get_by_label("Text").fill("A better remark")
    page.get_by_role("button", name="Save").click()
    expect(comment.locator("> .text")).to_have_text("A better remark")
    comment.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete comment").click()
    expect(page.get_by_text("Nobody has commented yet.")).to_be_visible()

    page.get_by_role("link", name="edited").click()
    expect(page.locator(".history li")).to_have_count(7)
    edit = page.locator(".edited").first
    expect(edit.locator("del").first).to_have_text("first")
    expect(edit.locator("ins").first).to_have_text("better")
    page.go_back()
    page.get_by_role("link", name="Delete").click()
    expect(page.locator("blockquote")).to_have_text("My better words")
    page.get_by_role("button", name="Delete post").click()
    expect(page.get_by_text("My better words")).to_have_count(0)
    page.goto(f"{stranger.site.url}/people/{name}/")
    expect(page.get_by_text(f"There are no posts by {name}.")).to_be_visible()


@SCRIPTS
def test_a_refused_text_stays_and_the_reason_stands_beside_it(
    people: People, scripts: bool
) -> None:
    alice = people("alice", java_script_enabled=scripts)
    path = a_post(alice)
    page = alice.page
    before = page.locator("article[id] > .text").inner_text()
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Text").fill("\u200b \n")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("Text")).to_have_value("\u200b \n")
    expect(page.get_by_label("Text")).to_have_attribute("aria-invalid", "true")
    page.get_by_role("link", name="Cancel").click()
    expect(page.locator("article[id] > .text")).to_have_text(before)
    assert path in page.url


def test_ones_own_change_is_seen_at_once_on_another_tab_too(people: People) -> None:
    alice = people("alice")
    other = alice.context.new_page()
    for _ in range(5):
        text = f"Post {uuid4()}"
        page = alice.open()
        page.get_by_label("Write a post").fill(text)
        with page.expect_response(lambda answer: answer.request.method == "POST"):
            page.get_by_role("button", name="Post", exact=True).click()
        other.goto(alice.site.url)
        is_said = other.locator("#list > .behind").count() > 0
        assert is_said or other.locator("article .title").first.inner_text() == text


def test_the_feed_says_that_others_wrote_and_shows_it_on_demand(people: People) -> None:
    reader, writer = people(), people("bob")
    reader.page.clock.install()
    page = reader.open()
    text = f"Post {uuid4()}"
    write(writer.open(), text)
    page.clock.run_for(31_000)
    notice = page.get_by_role("link", name=re.compile("new post"))
    expect(notice).to_be_visible()
    expect(page.get_by_text(text)).to_have_count(0)
    notice.click()
    expect(page.get_by_text(text)).to_be_visible()


def test_a_like_moves_nothing_but_its_button(people: People) -> None:
    path = a_post(people("alice"))
    bob = people("bob")
    page = bob.open()
    page.evaluate("window.same = true")
    article = page.locator(f"#post-{path.split('/')[2]}")
    article.get_by_role("button", name="Like").click()
    expect(article.get_by_role("button", name="Like, 1 so far")).to_be_visible()
    assert page.evaluate("window.same"), "the page was not loaded again"
    page = bob.open("/most-liked/")
    expect(page.locator("article").first).to_be_visible()


def test_who_is_not_signed_in_is_led_to_it_and_back(people: People) -> None:
    path = a_post(people("alice"))
    stranger = people()
    page = stranger.open(path)
    page.get_by_role("link", name="Sign in to like").click()
    page.get_by_label("Username").fill("carol")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Like").click()
    expect(page.get_by_role("button", name="Like, 1 so far")).to_be_visible()
    assert path in page.url


def test_what_was_deleted_meanwhile_is_said_without_losing_the_page(people: People) -> None:
    alice = people("alice")
    path = a_post(alice)
    bob = people("bob")
    page = bob.open(path)
    alice.open(f"{path}delete/").get_by_role("button", name="Delete post").click()
    bob.complaints.clear()
    page.get_by_role("button", name="Like").click()
    expect(page.locator("#toasts")).to_contain_text("This post is gone")
    expect(page.locator("article")).to_be_visible()
    bob.complaints = [one for one in bob.complaints if "409" not in one]


def test_a_double_click_posts_once(people: People) -> None:
    alice, text = people("alice"), f"Post {uuid4()}"
    page = alice.open()
    page.get_by_label("Write a post").fill(text)
    page.get_by_role("button", name="Post", exact=True).dblclick()
    see_it_alone(page, text)
    page = alice.open("/people/alice/")
    expect(page.get_by_text(text)).to_have_count(1)


def test_long_lists_are_paged_and_a_new_post_moves_nothing(people: People) -> None:
    alice = people("alice")
    for number in range(22):
        alice.page.request.post(
            f"{alice.site.url}/api/v1/commands/new-post/",
            data={"message": f"Filling {number}"},
            headers={"X-CSRFToken": csrf(alice)},
        )
    shown = f"{alice.site.url}/api/v1/queries/find-my-posts/?page_size=22"
    wait_until(lambda: alice.page.request.get(shown).text().count('"Filling ') == 22, "they arrive")
    page = alice.open()
    last = page.locator("article .title").last.inner_text()
    page.get_by_role("link", name="Older").click()
    first = page.locator("article .title").first.inner_text()
    assert first != last
    a_post(people("bob"))
    page.reload()
    expect(page.locator("article .title").first).to_have_text(first)
    page.get_by_role("link", name="Newer").click()
    expect(page.locator("article .title").last).to_have_text(last)


def csrf(person: Person) -> str:
    return next(str(c["value"]) for c in person.context.cookies() if c["name"] == "csrftoken")


def test_a_password_is_changed(people: People) -> None:
    person = people()
    page, name = person.open("/accounts/sign-up/"), f"eve{uuid4().hex[:8]}"
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password:", exact=True).fill("short")
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_text("This password is too short")).to_be_visible()
    expect(page.get_by_label("Username")).to_have_value(name)
    page.get_by_label("Password:", exact=True).fill("correct horse battery")
    page.get_by_role("button", name="Sign up").click()
    page.get_by_role("link", name="Account").click()
    page.get_by_role("link", name="Change the password").click()
    page.get_by_label("Old password").fill("correct horse battery")
    page.get_by_label("New password:", exact=True).fill("battery horse correct")
    page.get_by_label("New password confirmation").fill("battery horse correct")
    page.get_by_role("button", name="Change it").click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()


def test_a_token_is_made_used_and_revoked(people: People) -> None:
    alice = people("alice")
    page = alice.open("/accounts/")
    page.get_by_role("button", name="Make a token").click()
    token = page.locator(".token").inner_text()
    api = people().context.request
    command = f"{alice.site.url}/api/v1/commands/new-post/"
    sent = {"data": {"message": "by token"}, "headers": {"Authorization": f"Token {token}"}}
    assert api.post(command, **sent).status == 201
    page.reload()
    page.set_viewport_size({"width": 360, "height": 740})
    in_one_line = "one => one.getClientRects().length === 1"
    assert page.locator("td code", has_text=token[:8]).evaluate(in_one_line)
    assert width_of(page) <= 360
    page.get_by_role("button", name=f"Revoke {token[:8]}").click()
    expect(page.get_by_text(token[:8])).to_have_count(0)
    assert api.post(command, **sent).status == 401


def test_everything_is_reached_by_keyboard(people: People) -> None:
    alice = people("alice")
    page = alice.open()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Write a post")).to_be_focused()
    text = f"Typed {uuid4()}"
    page.keyboard.type(text)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    see_it_alone(page, text)
