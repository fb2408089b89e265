"""What helps while somebody writes: drafts, keys, a box that grows and a counter."""

from playwright.sync_api import Locator, Page, expect

from messaging.testing.waiting import wait_until
from tests.e2e.conftest import PASSWORD, Held, People
from tests.support.writing import a_post

DRAFTS = "Object.keys(localStorage).filter(key => key.startsWith('draft '))"
FOCUSED = "document.activeElement.id"
# In the next task after an answer is put in: sooner than anybody can press a key.
CANCELS_AT_ONCE = """document.addEventListener("htmx:afterSwap", () => {
  setTimeout(() => document.querySelector(".cancel").click(), 0);
}, { once: true })"""
# Of the post itself, up to the frame after it, in which browsers take the focus from what has
# ceased to be focusable.
NEWER_POST = """async (address) => {
  await new Promise((settled) => {
    document.addEventListener("htmx:afterSettle", settled, { once: true });
    htmx.ajax("get", address, { target: "article", swap: "outerHTML" });
  });
  await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
}"""


def no_draft_is_left(page: Page) -> None:
    """What the server stored is on the page before the script that forgets its draft has run."""
    wait_until(lambda: page.evaluate(DRAFTS) == [], "the draft is forgotten")


def box(page: Page) -> Locator:
    return page.get_by_label("Write a comment")


def edit(page: Page) -> Locator:
    page.locator("article").get_by_role("link", name="Edit", exact=True).click()
    return page.get_by_label("Text")


def test_a_draft_is_kept_by_person_and_form_until_its_text_is_stored(people: People) -> None:
    alice = people("alice")
    path, other = (a_post(alice.context, alice.site.url) for _ in range(2))
    page = alice.open(path)
    box(page).fill("Half written\nby Alice")
    page.goto(f"{alice.site.url}{path}?quote={path.split('/')[2]}")
    assert box(page).input_value().startswith("Half written\nby Alice\n\n@alice wrote:\n> Post ")
    alice.open(other)
    expect(box(page)).to_have_value("")
    alice.open(path)
    expect(box(page)).to_have_value("Half written\nby Alice")

    cookies = alice.context.cookies()  # another person on the same browser
    alice.context.clear_cookies()
    page = alice.open(f"/accounts/login/?next={path}")
    page.get_by_label("Username").fill("bob")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(box(page)).to_have_value("")
    page.wait_for_load_state()  # drafts would come back by now
    expect(box(page)).to_have_value("")
    assert "Half written" not in page.content()
    box(page).fill("Bob's")
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator(".toast")).to_contain_text("Signed out.")
    page.wait_for_load_state()  # the toast is there before the scripts that read it
    assert page.evaluate(DRAFTS) == [f'draft ["alice","{path}comments/"]']

    alice.context.clear_cookies()
    alice.context.add_cookies(cookies)
    page = alice.open(path)
    expect(box(page)).to_have_value("Half written\nby Alice")
    box(page).press("Control+Enter")
    expect(page.locator("ol.comments .text")).to_contain_text("by Alice")
    expect(box(page)).to_have_value("")
    no_draft_is_left(page)
    page.go_back()
    expect(box(page)).to_have_value("")


def type_at_once(page: Page, address: str, label: str, text: str) -> Locator:
    """Type before the script is there."""
    scripts = Held(page, "**/writing*.js")
    page.goto(address, wait_until="commit")
    page.get_by_label(label).fill(text)
    scripts.wait()
    scripts.let_go()
    page.wait_for_load_state()
    return page.get_by_label(label)


def test_what_is_typed_before_the_scripts_are_there_is_kept(people: People) -> None:
    alice = people("alice")
    address = alice.site.url + a_post(alice.context, alice.site.url)
    comment = type_at_once(alice.page, address, "Write a comment", "Typed at once")
    alice.page.goto(address)
    expect(comment).to_have_value("Typed at once")
    part_of_it = "at once"
    comment = type_at_once(alice.page, address, "Write a comment", part_of_it)
    expect(comment).to_have_value(f"Typed at once\n\n{part_of_it}")
    alice.page.goto(address)
    expect(comment).to_have_value(f"Typed at once\n\n{part_of_it}")


def test_an_older_draft_is_offered_to_who_types_before_the_scripts_are_there(
    people: People,
) -> None:
    alice = people("alice")
    address = f"{alice.site.url}{a_post(alice.context, alice.site.url)}edit/"
    alice.page.goto(address)
    alice.page.get_by_label("Text").fill("A draft from before")
    text = type_at_once(alice.page, address, "Text", "Typed at once")
    expect(text).to_have_value("Typed at once")
    alice.page.get_by_role("button", name="Use it").click()
    expect(text).to_have_value("A draft from before")


def test_a_form_can_be_used_as_soon_as_it_is_there(people: People) -> None:
    alice = people("alice")
    page = alice.open(a_post(alice.context, alice.site.url))
    page.evaluate(CANCELS_AT_ONCE)
    page.evaluate("window.loadedOnce = true")
    edit(page)
    expect(page.locator("article")).to_be_focused()
    assert page.evaluate("window.loadedOnce")


def test_a_newer_post_does_not_take_the_place_of_who_has_cancelled(people: People) -> None:
    alice = people("alice")
    page = alice.open(a_post(alice.context, alice.site.url))
    edit(page).fill("A better post")
    address = page.locator(".cancel").get_attribute("hx-get")
    page.keyboard.press("Escape")
    expect(page.locator("article")).to_be_focused()
    page.evaluate(NEWER_POST, address)
    assert page.evaluate("document.activeElement.localName") == "article"


def test_an_edit_is_cancelled_by_a_key_and_its_draft_is_offered(people: People) -> None:
    alice = people("alice")
    path = a_post(alice.context, alice.site.url)
    page = alice.open(path)
    stored = page.locator("article[id] > .text").inner_text()
    edit(page).fill("A better post")
    page.keyboard.press("Escape")
    expect(page.locator("article[id] > .text")).to_have_text(stored)
    expect(page.locator("article")).to_be_focused()
    expect(edit(page)).to_have_value("A better post")
    page.get_by_role("button", name="Discard it").click()
    expect(page.get_by_label("Text")).to_have_value(stored)
    no_draft_is_left(page)

    page.get_by_label("Text").fill("Of this tab")
    there = alice.context.new_page()
    there.goto(alice.site.url + path)
    other = edit(there)
    expect(other).to_have_value("Of this tab")  # the draft, which would come over what is typed now
    other.fill("Of the other tab")
    there.get_by_role("button", name="Save").click()
    expect(there.locator("article[id] > .text")).to_have_text("Of the other tab")
    page.get_by_label("Text").fill("Of this tab, in the end")
    page.reload()
    expect(edit(page)).to_have_value("Of this tab, in the end")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("yours is not saved")
    expect(page.locator("blockquote")).to_have_text("Of the other tab")
    expect(page.get_by_label("Your text")).to_have_value("Of this tab, in the end")
    page.get_by_role("button", name="Save mine instead").click()
    expect(page.locator("article[id] > .text")).to_have_text("Of this tab, in the end")
    no_draft_is_left(page)


def test_a_box_grows_and_counts_as_the_server_does(people: People) -> None:
    page = people("alice").open("/write/")
    text, counter = page.get_by_label("Text"), page.locator(".counter span").first
    empty = text.bounding_box()
    text.fill("A line\n" * 20)
    grown = text.bounding_box()
    assert empty is not None
    assert grown is not None
    assert grown["height"] > empty["height"] * 2
    expect(counter).to_have_count(0)
    text.fill("x" * 8_996 + "\U0001f600\n" * 2)  # four code points, six units of UTF-16
    expect(counter).to_have_text("9,000 of 10,000 characters")
    text.fill("x" * 8_995 + "\U0001f600\n" * 2)
    expect(counter).to_have_count(0)
    text.fill("x" * 9_998 + "\U0001f600\n" * 2)
    expect(counter).to_have_text("2 characters too many")
    expect(page.locator(".counter [role=status]")).to_have_text("2 characters too many")
    text.fill("x" * 10_001)
    expect(counter).to_have_text("1 character too many")
    text.fill("A line")
    expect(counter).to_have_count(0)
    written_as = "one => getComputedStyle(one).unicodeBidi"
    assert text.evaluate(written_as) == "plaintext", "also from right to left"
    text.fill("")


def test_keys_lead_through_posts_unless_somebody_types_or_has_switched_them_off(
    people: People,
) -> None:
    alice = people("alice")
    path = a_post(alice.context, alice.site.url)
    page = alice.open()
    cards = [str(one.get_attribute("id")) for one in page.locator("article").all()]
    assert cards[0] == f"post-{path.split('/')[2]}"
    for key, focused in (("j", 0), ("j", 1), ("j", 2), ("k", 1)):
        page.keyboard.press(key)
        assert page.evaluate(FOCUSED) == cards[focused]
    page.set_viewport_size({"width": 1280, "height": 40})  # the footer is higher
    page.evaluate("document.activeElement.blur(); scrollTo(0, document.body.scrollHeight)")
    page.keyboard.press("k")
    assert page.evaluate(FOCUSED) == cards[-1], "the last one above what is seen"
    page.set_viewport_size({"width": 1280, "height": 720})
    page.locator("article").nth(1).focus()
    for chord in ("Control+j", "Alt+j", "Meta+j"):
        page.keyboard.press(chord)
    assert page.evaluate(FOCUSED) == cards[1]
    page.keyboard.press("n")
    expect(page.get_by_label("Write a post")).to_be_focused()
    page.keyboard.type("jkn?/")
    expect(page.get_by_label("Write a post")).to_have_value("jkn?/")
    page.get_by_label("Write a post").fill("")
    page.locator("article").first.focus()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("searchbox")).to_have_value("?")
    page.locator("article").first.focus()

    keys = page.get_by_role("dialog", name="Keys")
    page.keyboard.press("?")
    expect(keys).to_be_visible()
    keys.get_by_label("Single letters are keys").uncheck()
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()
    page.reload()
    for key in ("?", "j", "n"):
        page.keyboard.press(key)
    expect(keys).to_be_hidden()
    assert page.evaluate(FOCUSED) == ""
    page.get_by_role("button", name="Keys").click()  # where they are switched on again
    keys.get_by_label("Single letters are keys").check()
    keys.get_by_role("button", name="Close").click()
    alice.open(path)
    page.keyboard.press("n")
    page.wait_for_url("**/write/")
