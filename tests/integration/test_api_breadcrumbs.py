"""The trail at the top of a browsable page."""

from django.test import Client

from tests.support.modes import Mode


def test_the_trail_names_only_pages_that_are_there(sqlite: Mode, client: Client) -> None:
    page = client.get("/api/v1/commands/new-post/", headers={"Accept": "text/html"})
    assert page.status_code == 200
    trail = page.content.decode().split('class="breadcrumb"')[1].split("</ul>")[0]
    assert "Postlog" in trail
    assert "Not Found" not in trail
