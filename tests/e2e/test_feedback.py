"""What a page says while and after somebody does something, and that no text is lost."""

from playwright.sync_api import expect

from tests.e2e.conftest import Held, People
from tests.support.writing import a_post


def test_a_heart_turns_at_once_and_back_if_it_was_not_to_be(people: People) -> None:
    alice = people("alice")
    page = alice.open(a_post(alice.context, alice.site.url))
    heart, toasts = page.locator(".like"), page.locator("#toasts")
    likes = Held(page, "**/like/")
    heart.click()
    expect(heart).to_have_attribute("aria-label", "Like, 1 so far")
    expect(heart).to_have_text("♥ 1")
    expect(heart).to_have_attribute("aria-pressed", "true")
    expect(heart).to_have_attribute("aria-busy", "true")
    heart.click(force=True)
    likes.wait()
    likes.let_go(status=503)
    expect(heart).to_have_text("♡ 0")
    expect(heart).to_have_attribute("aria-label", "Like, 0 so far")
    expect(heart).not_to_have_attribute("aria-busy", "true")
    expect(toasts).to_contain_text("The site cannot answer now. Try again in a moment.")
    assert len(likes.routes) == 1, "pressed twice it counts once"
    alice.context.set_offline(True)
    heart.click()
    expect(toasts).to_contain_text("The site cannot be reached.")
    expect(heart).to_have_text("♡ 0")
    alice.context.set_offline(False)
    heart.click()
    expect(page.get_by_role("button", name="Like, 1 so far")).to_be_visible()
    expect(toasts.locator(".error")).to_have_count(0)
    alice.complaints.clear()  # the browser and htmx tell of the requests that failed


def test_what_was_done_is_said_wherever_one_has_scrolled_and_goes_by_itself(
    people: People,
) -> None:
    alice = people("alice")
    path = a_post(alice.context, alice.site.url, comments=12)
    alice.page.clock.install()
    page = alice.open(path)
    last, toast = page.locator("ol.comments > li").last, page.locator(".toast")
    for text in ("A better comment", "A still better comment"):
        last.get_by_role("link", name="Edit", exact=True).click()
        last.get_by_label("Text").fill(text)
        last.get_by_role("button", name="Save").click()
        expect(last.locator("> .text")).to_have_text(text)
        expect(toast).to_contain_text("Saved.")
    assert page.evaluate("scrollY") > 0
    expect(toast).to_be_in_viewport()
    expect(page.locator("#toasts")).to_have_role("status")
    toast.get_by_role("button", name="Dismiss").hover()
    page.clock.run_for(60_000)
    expect(toast).to_be_visible()
    page.mouse.move(0, 0)
    toast.get_by_role("button", name="Dismiss").focus()
    page.clock.run_for(60_000)
    expect(toast).to_be_visible()
    toast.get_by_role("button", name="Dismiss").blur()
    page.clock.run_for(60_000)
    expect(toast).to_have_count(0)


def test_comments_written_one_after_the_other_are_seen_each(people: People) -> None:
    alice = people("alice")
    page = alice.open(f"{a_post(alice.context, alice.site.url)}?at=end")
    for number in (1, 2):
        page.get_by_label("Write a comment").fill(f"Number {number}")
        page.get_by_role("button", name="Comment", exact=True).click()
        expect(page.locator("ol.comments .text")).to_have_count(number)
        expect(page.locator(".toast")).to_contain_text("Comment added.")


def test_a_form_at_work_shows_it_and_can_be_used_again(people: People) -> None:
    alice = people("alice")
    page = alice.open()
    box, button = page.get_by_label("Write a post"), page.get_by_role("button", name="Post").first
    for status in (500, None):
        sent = Held(page, "**/write/")
        box.fill("Sent while the site is slow")
        button.click()
        expect(button).to_have_attribute("aria-disabled", "true")
        box.press("Control+Enter")
        sent.wait()
        sent.let_go(status)
        if status:
            expect(page.locator(".toast")).to_contain_text("Your text is still here.")
            expect(box).to_have_value("Sent while the site is slow")
            expect(button).not_to_have_attribute("aria-disabled", "true")
        else:
            page.wait_for_url("**/posts/*/")
        assert len(sent.routes) == 1
    expect(page.locator(".toast")).to_contain_text("Posted.")
    alice.complaints.clear()  # the browser and htmx tell of the request that failed
    page.get_by_role("link", name="Delete").click()
    button = page.get_by_role("button", name="Delete post")
    expect(button).to_be_visible()
    page.wait_for_load_state()  # with the script that marks a form as sent
    page.evaluate("addEventListener('submit', event => event.preventDefault(), {once: true})")
    button.click()  # a form without htmx, which leads nowhere
    expect(button).to_have_attribute("aria-busy", "true")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    assert button.get_attribute("aria-busy") is None, "at once, not after a while"
    alice.context.set_offline(True)
    button.click()
    expect(page.locator(".toast", has_text="Nothing was sent")).to_be_visible()
    alice.context.set_offline(False)
    button.click()
    expect(page.locator(".toast")).to_contain_text("Post deleted.")


def test_comments_of_others_are_announced_where_somebody_looks(people: People) -> None:
    alice, bob = people("alice"), people("bob")
    path = a_post(alice.context, alice.site.url, comments=1)
    asked: list[str] = []
    alice.page.on("request", lambda request: asked.append(request.url))
    alice.page.clock.install()
    page = alice.open(path)
    page.get_by_label("Write a comment").fill("Half written")
    there = bob.open(path)
    there.get_by_label("Write a comment").fill("From Bob")
    there.get_by_role("button", name="Comment", exact=True).click()
    expect(there.locator(".toast")).to_contain_text("Comment added.")
    polls = page.locator("#new-comments")
    expect(polls).to_have_role("status")
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    asked.clear()
    page.clock.run_for(120_000)
    assert not any("new-comments" in url for url in asked), "nobody looks at the tab"
    page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    notice = page.get_by_role("link", name="1 new comment")
    expect(notice).to_be_visible()
    notice.click()
    expect(page.locator("ol.comments .text").last).to_have_text("From Bob")
    expect(page.get_by_label("Write a comment")).to_have_value("Half written")


def test_without_scripts_it_stands_on_the_page(people: People) -> None:
    alice = people("alice", java_script_enabled=False)
    page = alice.open()
    page.get_by_label("Write a post").fill("Without a script")
    page.get_by_role("button", name="Post", exact=True).click()
    toast = alice.page.locator(".toast")
    expect(toast).to_have_text("Posted.")
    page.wait_for_load_state()  # with the style sheets
    above, below = toast.bounding_box(), alice.page.locator("main").bounding_box()
    assert above is not None
    assert below is not None
    assert above["y"] + above["height"] + 8 <= below["y"], "it hides and touches nothing"
    alice.page.reload()
    expect(toast).to_have_count(0)
