"""The whole site, with its real workers, and Debian's Chromium to look at it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from dev.server import free_port
from messaging.testing.waiting import wait_until
from tests.support.modes import new_sqlite
from tests.support.processes import ROOT, Worker, manage
from tests.support.web import SERVER

# Playwright leaves a loop in its thread, in which Django then sees asynchronous code.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"

PASSWORD = "postlog-demo"
PATIENCE_S = 40  # with a page: a deadline, far above what it takes on a machine that is busy
expect.set_options(timeout=PATIENCE_S * 1000)
NAMES = ("chromium-headless-shell", "chromium", "google-chrome")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
SHOTS = ROOT / "var" / "screenshots"
MOVING = "document.getAnimations().filter(one => one.playState === 'running').length"


def settled(page: Page) -> Page:
    """The page once nothing on it moves: in the middle of a transition a colour is one that
    nobody chose, and neither axe nor a screenshot shows what people see. It waits for the style
    sheets, too: before they apply, a script measures a layout that nobody sees."""
    page.wait_for_load_state()
    wait_until(lambda: not page.evaluate(MOVING), "no transition or animation runs")
    return page


def width_of(page: Page) -> int:
    """What a reader would have to scroll over, in CSS pixels."""
    return int(settled(page).evaluate("document.documentElement.scrollWidth"))


class Held:
    """Requests to an address, which wait until the test lets them go on."""

    def __init__(self, page: Page, address: str) -> None:
        self._page, self._address = page, address
        self.routes: list[Route] = []
        page.route(address, lambda route: self.routes.append(route))

    def wait(self) -> None:
        wait_until(lambda: self._page.title() and self.routes, "the request is sent")

    def let_go(self, status: int | None = None) -> None:
        """Answer with this status, or let the server answer."""
        for route in self.routes:
            route.continue_() if status is None else route.fulfill(status=status)
        self._page.unroute(self._address)


class Site:
    """Web, relay and consumer on databases of their own, with the demo's people and posts."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.sessions: dict[str, Any] = {}
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = {**new_sqlite(folder), "DEBUG": "on", "KAFKA_BOOTSTRAP_SERVERS": ""}
        demo = manage(self.env, "demo")
        assert demo.returncode == 0, demo.stderr
        self.web = Worker(self.env, "--port", str(self.port), program=SERVER)
        self.relay = Worker(self.env, "runrelay")
        self.consumer = self.start_consumer()
        wait_until(lambda: "sourdough" in self._feed(), "the demo's posts are on the feed", 120)

    def start_consumer(self) -> Worker:
        self.consumer = Worker(self.env, "runconsumer", "--no-relay")
        return self.consumer

    def close(self) -> None:
        for worker in (self.web, self.relay, self.consumer):
            worker.__exit__(None, None, None)

    def _feed(self) -> str:
        with suppress(OSError):
            return str(urlopen(self.url).read().decode())
        return ""


@pytest.fixture(scope="package")  # its processes do not idle beside the tests that follow
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    found = Site(tmp_path_factory.mktemp("site"))
    yield found
    found.close()


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    if CHROMIUM is None:
        pytest.skip("Chromium is missing: apt-get install chromium, or name one with CHROMIUM=.")
    return {"executable_path": CHROMIUM, "args": ["--no-sandbox", "--disable-gpu"]}


class Person:
    """Somebody with a browser of their own. What the browser complains of fails the test."""

    def __init__(self, site: Site, context: BrowserContext, *, may_fail: bool = False) -> None:
        self.site = site
        self.context = context
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.may_fail = may_fail
        self.page.set_default_timeout(PATIENCE_S * 1000)
        self.page.on("console", self._listen)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _listen(self, message: Any) -> None:
        meant = any(f"status of {status}" in message.text for status in (412, 422))
        if message.type in ("error", "warning") and not meant:
            self.complaints.append(f"{message.text} ({message.location.get('url')})")

    def open(self, path: str = "/") -> Page:
        self.page.goto(self.site.url + path)
        return self.page

    def sign_in(self, name: str) -> "Person":
        """By the form the first time; then with that session's cookies, as its passwords are slow
        to check on purpose."""
        cookies = self.site.sessions.get(name)
        if cookies:
            self.context.add_cookies(cookies)
            return self
        page = self.open("/accounts/login/")
        page.get_by_label("Username").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("button", name="Sign out").wait_for()
        self.site.sessions[name] = self.context.cookies()
        return self


class People:
    """Makes persons, and looks at the end whether their browsers complained."""

    def __init__(self, site: Site, browser: Browser) -> None:
        self._site = site
        self._browser = browser
        self._all: list[Person] = []

    def __call__(self, name: str | None = None, **options: Any) -> Person:
        person = Person(self._site, self._browser.new_context(**options))
        self._all.append(person)
        return person if name is None else person.sign_in(name)

    def close(self) -> None:
        complaints = [one for person in self._all for one in person.complaints]
        for person in self._all:
            person.context.close()
        assert complaints == []


@pytest.fixture
def people(site: Site, browser: Browser) -> Iterator[People]:
    found = People(site, browser)
    yield found
    found.close()
