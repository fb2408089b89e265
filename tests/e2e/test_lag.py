"""When the read side is behind, pages say so, name what to start, and catch up by themselves."""

import re
import signal
from collections.abc import Iterator
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, expect

from messaging.testing.waiting import wait_until
from messaging.workers.heartbeats import DEAD_AFTER
from tests.e2e.conftest import PATIENCE_S, Held, People, Site

DEAD_S = DEAD_AFTER.total_seconds()


@pytest.fixture(scope="module")
def breakable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    found = Site(tmp_path_factory.mktemp("site"))
    yield found
    found.close()


@pytest.fixture
def site(breakable: Site) -> Iterator[Site]:
    """One whose consumer a test may kill: the next one finds one that runs."""
    yield breakable
    ended = breakable.consumer.process.poll()
    assert ended in (None, -signal.SIGKILL), breakable.consumer.output()
    if ended is not None:
        breakable.start_consumer()


@pytest.fixture
def people(site: Site, browser: Browser) -> Iterator[People]:
    found = People(site, browser)
    yield found
    found.close()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_a_killed_consumer_is_named_and_the_page_catches_up(
    site: Site, people: People, scripts: bool
) -> None:
    alice = people("alice", java_script_enabled=scripts)
    page = alice.open("/most-liked/")
    welcome = page.locator("article", has_text="Welcome to Postlog")
    site.consumer.kill()

    text = f"Post {uuid4()}"
    page = alice.open()
    page.get_by_label("Write a post").fill(text)
    page.get_by_role("button", name="Post", exact=True).click()
    expect(page.get_by_role("heading", name="Your post is on its way")).to_be_visible()
    expect(page.locator("article .text")).to_have_text(text)
    expect(page.get_by_text("This takes longer than usual")).to_be_visible(
        timeout=(DEAD_S + PATIENCE_S) * 1000
    )
    expect(page.get_by_text("manage.py")).to_have_count(0)  # for staff alone
    page = alice.open("/most-liked/")
    expect(page.get_by_text("A change of yours is stored")).to_be_visible()
    expect(welcome).to_be_visible()  # what is known is shown
    page = alice.open()

    site.start_consumer()
    expect(page.get_by_text(text)).to_be_visible(timeout=PATIENCE_S * 1000)
    expect(page.get_by_text("A change of yours is stored")).to_have_count(0)


def test_a_page_does_not_catch_up_over_what_somebody_writes(site: Site, people: People) -> None:
    alice = people("alice")
    page = alice.open("/people/alice/")
    site.consumer.kill()
    card = page.locator("article").first
    card.get_by_role("button", name="Like").click()
    expect(card.get_by_text("A change of yours is stored")).to_be_visible()  # a part says so too
    page.goto(page.url)
    expect(page.locator("#list > .behind")).to_be_visible()
    polls = Held(page, "**/people/alice/")
    page.evaluate("""() => {
        window.held = 0;
        document.addEventListener("htmx:beforeSwap", event => {
            if (!event.detail.shouldSwap) window.held += 1;
        });
    }""")
    card.get_by_role("link", name="Edit").click()
    card.get_by_label("Text").fill("Half written")
    polls.wait()
    polls.let_go()
    wait_until(lambda: page.evaluate("window.held"), "it would have caught up")
    expect(card.get_by_label("Text")).to_have_value("Half written")
    card.get_by_role("link", name="Cancel").click()
    site.start_consumer()
    expect(page.get_by_text("is stored, and not shown here yet")).to_have_count(
        0, timeout=PATIENCE_S * 1000
    )


def test_the_operator_sees_it_on_the_console(site: Site, people: People) -> None:
    root = people("admin")
    page = root.open("/admin/")
    consumers = page.locator(".path-steps li", has_text="Consumers")
    expect(consumers).to_contain_text("active")
    site.consumer.kill()
    expect(consumers).to_contain_text("none is alive", timeout=(DEAD_S + PATIENCE_S) * 1000)
    verdict = page.locator("#verdict")
    expect(verdict).to_contain_text("Act now: Readers see nothing newer since")
    expect(verdict).to_contain_text("Type manage.py runconsumer")
    expect(page).to_have_title(re.compile("^Act now: No consumer is alive"))
    expect(page.locator("#announced")).to_contain_text("No consumer is alive")
    alice = people("alice")
    alice.open().get_by_label("Write a post").fill("while it is away")
    alice.page.get_by_role("button", name="Post", exact=True).click()
    row = page.locator(".projections > tbody > tr", has_text="posts")
    lag = row.locator(".lag")
    expect(lag).to_have_text("1", timeout=PATIENCE_S * 1000)
    row.locator("summary").click()
    expect(row.locator("tr", has_text="last beat")).to_have_count(12)  # unfolded, and who is gone
    refreshed = page.get_by_text("As of").inner_text()
    expect(page.get_by_text("As of")).not_to_have_text(refreshed)
    expect(row.locator("details")).to_have_attribute("open", "")  # after a refresh, too
    site.start_consumer()
    expect(consumers).to_contain_text("active", timeout=PATIENCE_S * 1000)
    expect(lag).to_have_text("0", timeout=PATIENCE_S * 1000)
    expect(page).to_have_title("All well | Postlog")
