"""The console over time, as an operator has it on a telephone the morning after."""

import json
import sqlite3

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from messaging.testing.waiting import wait_until
from tests.e2e.conftest import People, Site, settled, width_of

ERROR = f"consumer near 1 could not work: posts: could not extend {'x' * 130}: disk full"


def mark_the_samples(site: Site) -> bool:
    """As if a disk had been full all the time; whether there are any."""
    path = site.env["WRITE_DATABASE_URL"].removeprefix("sqlite:///")
    with sqlite3.connect(path, timeout=30) as connection:
        done = connection.execute(
            "UPDATE messaging_sample SET figures = json_set(figures, '$.errors', json(?))",
            [json.dumps([ERROR])],
        )
    connection.close()
    return done.rowcount > 0


@pytest.mark.parametrize("width", [390, 800])
def test_what_was_wrong_is_told_and_is_not_wider_than_the_window(
    site: Site, people: People, width: int
) -> None:
    wait_until(lambda: mark_the_samples(site), "a worker has taken a sample")
    page = people("admin").open("/admin/console/plots/")
    page.set_viewport_size({"width": width, "height": 800})
    expect(page.get_by_role("cell", name=ERROR).first).to_be_visible()
    assert width_of(page) <= width


def test_the_line_that_says_what_is_over_can_be_read_in_light_and_dark(
    site: Site, people: People
) -> None:
    wait_until(lambda: mark_the_samples(site), "a worker has taken a sample")
    page = people("admin").open("/admin/")
    expect(page.get_by_role("link", name="the last hour")).to_be_visible()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(settled(page), context="#verdict").response["violations"]
        assert [one["id"] for one in found] == [], scheme
