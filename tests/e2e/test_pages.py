"""Every page: usable by all, of few bytes, under a strict policy, and looked at."""

import os
import re
from collections.abc import Callable
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Response, expect

from messaging.testing.waiting import wait_until
from tests.e2e.conftest import SHOTS, People, Person, settled, width_of

MAX_PAGE_BYTES = 100_000  # bytes on the wire, with all that it loads
WIDTHS = (360, 800, 1440)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PICTURES = "SCREENSHOTS" in os.environ  # of each page, in var/screenshots, for people to look at
OF_COLOURS = ["color-contrast", "link-in-text-block"]  # rules of axe
BACKGROUND = "one => getComputedStyle(one).backgroundColor"
FIRST_PAINT_MS = 10_000  # far above what it takes; a budget that only something gone wrong exceeds


def first_post(person: Person) -> str:
    page = person.open("/most-liked/")
    return str(page.locator("article .quiet").first.get_attribute("href"))


Where = Callable[[Person], str]

ANYBODYS: dict[str, Where] = {
    "feed": lambda _: "/",
    "most liked": lambda _: "/most-liked/",
    "with comments": lambda _: "/with-comments/",
    "search": lambda _: "/search/?q=in+October",
    "author": lambda _: "/people/alice/",
    "author without posts": lambda _: "/people/admin/",
    "post": first_post,
    "history": lambda person: first_post(person) + "history/",
    "who likes": lambda person: first_post(person) + "likes/",
    "sign in": lambda _: "/accounts/login/",
    "sign up": lambda _: "/accounts/sign-up/",
}
ALICES: dict[str, Where] = {
    "feed, signed in": lambda _: "/",
    "post, signed in": first_post,
    "edit": lambda person: first_post(person) + "edit/",
    "delete": lambda person: first_post(person) + "delete/",
    "write": lambda _: "/write/",
    "account": lambda _: "/accounts/",
    "change password": lambda _: "/accounts/password/",
}
OTHERS: dict[str, Where] = {
    "console": lambda _: "/admin/",
    "streams": lambda _: "/admin/messaging/stream/",
    "events": lambda _: "/admin/messaging/event/",
    "dead letters": lambda _: "/admin/messaging/deadletter/",
    "rebuilds": lambda _: "/admin/messaging/rebuild/",
    "api": lambda _: "/api/v1/",
    "a command": lambda _: "/api/v1/commands/new-post/",
    "a query": lambda _: "/api/v1/queries/find-all-posts/",
    "swagger": lambda _: "/api/v1/docs/",
}
PAGES = [
    *[(name, None, where) for name, where in ANYBODYS.items()],
    *[(name, "alice", where) for name, where in ALICES.items()],
]
EVERY = pytest.mark.parametrize(("name", "who", "where"), PAGES, ids=[page[0] for page in PAGES])


@EVERY
def test_axe_finds_nothing_in_light_or_dark(
    people: People, name: str, who: str | None, where: Where
) -> None:
    person = people(who)
    page = person.open(where(person))
    nothing_that_axe_finds(page, name)


def test_axe_finds_nothing_in_the_console_beside_djangos_own(people: People) -> None:
    admin = people("admin")
    for address, part in (
        ("/admin/", "#path"),
        ("/admin/console/plots/", "#plots"),
        ("/admin/messaging/event/1/trace/", "#content"),
        ("/admin/find/?q=nonsense", "#content"),
        ("/api/v1/", ".content-main"),
        ("/api/v1/events/", ".content-main"),
        ("/api/v1/errors/", ".content-main"),
    ):
        nothing_that_axe_finds(admin.open(address), address, part)


def test_a_page_is_looked_at_when_its_transitions_are_over(people: People) -> None:
    page = people().page
    page.set_content("<style>p { color: #000; transition: color 1s }</style><p>Text</p>")
    begin = """() => {
        const p = document.querySelector("p");
        const before = getComputedStyle(p).color;
        p.style.color = "#fff";
        return [before, getComputedStyle(p).color];
    }"""
    assert page.evaluate(begin) == ["rgb(0, 0, 0)", "rgb(0, 0, 0)"], "it takes a second"
    colour = settled(page).evaluate("getComputedStyle(document.querySelector('p')).color")
    assert colour == "rgb(255, 255, 255)"


CONSOLE = {"start page": "/admin/", "rebuilds": "/admin/messaging/rebuild/"}


@pytest.mark.parametrize("where", CONSOLE.values(), ids=list(CONSOLE))
def test_a_console_that_cannot_refresh_says_so_and_shows_no_sign_in(
    people: People, where: str
) -> None:
    admin = people("admin")
    page = admin.open(where)
    note, refreshes = page.locator("#not-refreshed"), page.locator("[hx-trigger]")
    expect(refreshes).to_be_attached()
    admin.context.set_offline(True)
    expect(note).to_contain_text("The server cannot be reached")
    expect(refreshes).to_be_attached()
    admin.context.set_offline(False)
    expect(note).to_have_count(0)
    cookies = admin.context.cookies()
    admin.context.clear_cookies(name="sessionid")
    expect(note).to_contain_text("Your session has ended")
    expect(page.get_by_label("Username")).to_have_count(0)
    expect(refreshes).to_be_attached()
    nothing_that_axe_finds(page, where, "#not-refreshed")
    admin.context.add_cookies(cookies)  # signed in again, in another tab
    expect(note).to_have_count(0)
    admin.context.clear_cookies(name="sessionid")
    note.get_by_role("link", name="Sign in again").click()
    expect(page.get_by_label("Username")).to_be_visible()
    admin.complaints.clear()  # htmx and the browser tell of the requests that failed


@pytest.mark.parametrize("width", [360, 1280])
def test_the_console_fits_its_window(people: People, width: int) -> None:
    page = people("admin").open("/admin/")
    page.set_viewport_size({"width": width, "height": 740})
    for where in (".path", ".projections"):
        room, needed = page.evaluate(
            "where => (one => [one.clientWidth, one.scrollWidth])(document.querySelector(where))",
            where,
        )
        assert needed <= room <= width, where
    page.goto(f"{page.url}console/plots/?span=7d")
    expect(page.locator(".plots figure")).to_have_count(10)
    assert width_of(page) <= width


def test_the_first_commands_tried_in_swagger_work(people: People) -> None:
    page = people("alice").open("/api/v1/docs/")
    for operation, status in (("NewPost", "201"), ("FindAllPosts", "200")):
        block = page.locator(f"[id$='-{operation}']")
        block.locator(".opblock-summary-control").click()
        block.get_by_role("button", name="Try it out").click()
        block.get_by_role("button", name="Execute").click()
        answered = block.locator(".live-responses-table tbody .response-col_status").first
        expect(answered).to_contain_text(status)


def test_breadcrumbs_name_only_what_is_there(people: People) -> None:
    alice = people("alice")
    page = alice.open("/api/v1/auth/token/")
    expect(page.locator(".breadcrumb li")).to_have_text(["Postlog", "Token"])
    alice.complaints.clear()  # 401: this address takes a password, not a session


def test_breadcrumbs_can_be_followed_in_a_narrow_window(people: People) -> None:
    page = people("alice", viewport={"width": 360, "height": 740}).open(
        "/api/v1/commands/new-post/"
    )
    page.locator(".breadcrumb").get_by_role("link", name="Postlog").click()  # nothing lies over it
    expect(page.get_by_role("heading", name="Commands")).to_be_visible()
    assert width_of(page) <= 360


def test_what_an_error_code_means_can_be_read_in_a_narrow_window(people: People) -> None:
    page = people(viewport={"width": 360, "height": 740}).open("/api/v1/errors/")
    table = settled(page).get_by_role("region", name="Error codes")
    assert table.evaluate("one => one.scrollWidth <= one.clientWidth")


def test_the_pages_of_the_api_follow_the_preference_for_dark(people: People) -> None:
    page = people("alice").open("/api/v1/queries/find-all-posts/")
    for part in (page.locator("body"), page.locator(".response-info pre"), page.locator(".well")):
        page.emulate_media(color_scheme="light")
        light = part.evaluate(BACKGROUND)
        page.emulate_media(color_scheme="dark")
        dark = part.evaluate(BACKGROUND)
        assert dark != light
        assert re.fullmatch(r"rgb\((\d{1,2}, ){2}\d{1,2}\)", dark), dark


def nothing_that_axe_finds(page: Page, name: str, part: str | None = None) -> None:
    """In light and dark, where only colours are others, on the whole page or a part of it."""
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        options = {"resultTypes": ["violations"]}
        if scheme == "dark":
            options["runOnly"] = OF_COLOURS
        found = Axe().run(settled(page), context=part, options=options).response["violations"]
        told = [(one["id"], one["help"], one["nodes"][0]["html"]) for one in found]
        assert told == [], f"{name}, {scheme}"


def test_a_text_reads_as_it_was_meant_on_any_screen(people: People) -> None:
    alice = people("alice")
    alice.open()
    cookies = {str(one["name"]): str(one["value"]) for one in alice.context.cookies()}

    def send(name: str, **data: str) -> str:
        url, headers = f"{alice.site.url}/api/v1/", {"X-CSRFToken": cookies["csrftoken"]}
        answer = alice.page.request.post(f"{url}commands/{name}/", data=data, headers=headers)
        assert answer.ok, answer.text()
        post_id, shown = answer.json()["post_id"], answer.json()["consistency_token"]
        for query in ("find-post-by-id", "find-post-history"):
            params = {"post_id": post_id, "consistency_token": shown}
            wait_until(
                lambda: alice.page.request.get(f"{url}queries/{query}/", params=params).ok,  # noqa: B023
                "it is shown",
            )
        return f"/posts/{post_id}/"

    links, elements = "http://a.example/b " * 520, "\u202e" + "<b>x " * 900
    for text in ("x" * 10_000, links, elements, "```\n" * 900):
        send("new-post", message=text)
    rest = f"```\n{'a_long_line_of_code_' * 20}\n```\n\n\u05e9\u05dc\u05d5\u05dd http://x.org"
    path = send("new-post", message=f"A title\n\nAsk @bob\n\n{rest}")
    page = alice.open("/people/alice/")
    page.set_viewport_size({"width": 360, "height": 740})
    expect(page.get_by_role("heading", name="A title")).to_be_visible()
    expect(page.locator(".behind")).to_have_count(0)  # nothing is swapped while axe looks
    assert width_of(page) <= 360
    nothing_that_axe_finds(page, "excerpts", "#list")
    page.get_by_role("link", name="more: A title").click()
    expect(page).to_have_url(alice.site.url + path)
    expect(page.get_by_role("link", name="http://x.org")).to_have_attribute("rel", "nofollow")
    block = page.locator(".text pre")
    page.wait_for_load_state()  # without style sheets nothing scrolls
    block.focus()
    page.keyboard.press("ArrowRight")
    scrolled = "document.querySelector('.text pre').scrollLeft"
    wait_until(lambda: page.evaluate(scrolled) > 0, "the code scrolls")
    page.emulate_media(media="print")
    assert block.evaluate("one => one.scrollWidth <= one.clientWidth"), "nothing scrolls on paper"
    page.emulate_media(media="screen")
    assert width_of(page) <= 360
    send("edit-message", post_id=path.split("/")[2], message=f"A title\n\nAsk @carol\n\n{rest}")
    page = alice.open(f"{path}history/")
    expect(page.locator(".edited ins")).to_have_text("carol")
    page.get_by_text("2 paragraphs unchanged").click()
    expect(page.locator(".edited").get_by_text("a_long_line_of_code").first).to_be_visible()
    assert width_of(page) <= 360
    nothing_that_axe_finds(page, "edit", "#history")
    page.goto(alice.site.url + path)
    page.get_by_role("link", name="@carol").click()
    expect(page).to_have_url(f"{alice.site.url}/people/carol/")


@EVERY
def test_a_page_is_small_and_paints_soon(
    people: People, name: str, who: str | None, where: Where
) -> None:
    person = people(who)
    path = where(person)
    sizes: list[int] = []

    def listen(answer: Response) -> None:
        sizes.append(answer.request.sizes()["responseBodySize"])

    person.page.close()
    person.page = person.context.new_page()
    person.page.on("requestfinished", lambda request: listen(request.response()))
    page = person.open(path)
    page.wait_for_load_state("networkidle")
    assert sum(sizes) <= MAX_PAGE_BYTES, f"{name}: {sum(sizes):,} bytes"
    assert len(sizes) <= 7, "the page, a style sheet, four scripts and an icon"
    first = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
    assert wait_until(lambda: page.evaluate(first), "it has painted") < FIRST_PAINT_MS


@pytest.mark.parametrize(("name", "where"), OTHERS.items(), ids=list(OTHERS))
def test_pages_for_programmers_and_operators_work_under_the_policy(
    people: People, name: str, where: Where
) -> None:
    admin = people("admin")
    asked: list[str] = []
    admin.page.on("request", lambda request: asked.append(request.url))
    page = admin.open(where(admin))
    page.wait_for_load_state("networkidle")
    if name == "swagger":
        page.locator(".opblock").first.wait_for()
    foreign = [url for url in asked if not url.startswith((admin.site.url, "data:", "blob:"))]
    assert foreign == []


def fits(page: Page, name: str) -> None:
    """In each width, whatever the scheme."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert width_of(page) <= width, f"{name}, {width}"
        if PICTURES:
            take_pictures(page, f"{name} {width}".replace(", ", "-").replace(" ", "-"))


def take_pictures(page: Page, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        settled(page).screenshot(path=SHOTS / f"{name}-{scheme}.png", full_page=True)


def test_nothing_is_wider_than_the_window(people: People) -> None:
    persons: dict[str | None, Person] = {who: people(who) for who in (None, "alice")}
    for name, who, where in PAGES:
        fits(persons[who].open(where(persons[who])), name)
    root = people("admin")
    for name in ("console", "rebuilds", "a command"):
        page = root.open(OTHERS[name](root))
        page.wait_for_load_state("networkidle")
        fits(page, name)
