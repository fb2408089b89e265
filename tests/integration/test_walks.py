"""What docs/ shows is what happens: each page is followed as its reader would."""

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from messaging.testing import wait_until
from tests.support.another_project import build
from tests.support.clone import fresh_clone
from tests.support.modes import postgresql
from tests.support.processes import ROOT
from tests.support.walk import Block, Walk
from tests.support.web import status_of

pytestmark = pytest.mark.timeout(1_200)  # a hundred commands, one after the other
DOCS = ROOT / "docs"
SHOP = ROOT / "examples" / "shop"
SHOPS_OWN = [
    file.relative_to(SHOP)
    for app in ("orders", "stock", "reports")
    for file in (SHOP / app).glob("*.py")
    if file.name != "__init__.py"
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def servers() -> Iterator[dict[str, str]]:
    """What the tutorial names, and what is here in its place."""
    name, server = f"t{uuid4().hex[:12]}", urlsplit(os.environ["TEST_POSTGRES"])
    postgresql(f'CREATE DATABASE "{name}"')
    yield {
        "'5432'": f"'{server.port}'",
        "'NAME': 'shop'": f"'NAME': '{name}'",
        "127.0.0.1:9092": os.environ["TEST_KAFKA"],
        "shop.events": name,
        "docker": ": docker",
    }
    postgresql(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_the_quickstart_leads_to_an_event_that_is_shown(wheel: Path, tmp_path: Path) -> None:
    with Walk(tmp_path, wheel) as walk:
        walk.follow(DOCS / "quickstart.md")


def test_the_tutorial_leads_from_an_empty_folder_to_its_last_line(
    wheel: Path, servers: dict[str, str], tmp_path: Path
) -> None:
    with Walk(tmp_path, wheel, servers) as walk:
        for page in sorted((DOCS / "tutorial").glob("[0-9]*.md")):
            walk.follow(page)
        for file in SHOPS_OWN:
            assert (walk.here / file).read_text() == (SHOP / file).read_text(), file


def test_a_project_that_is_there_already_is_led_to_its_first_events(
    wheel: Path, tmp_path: Path
) -> None:
    site = Path(shutil.copytree(ROOT / "tests" / "support" / "library_site", tmp_path / "library"))
    with Walk(site, wheel) as walk:
        walk.follow(DOCS / "guides" / "existing-project.md")
        walk.follow(DOCS / "guides" / "who-may.md")
        walk.follow(DOCS / "guides" / "importing.md")
        walk.follow(DOCS / "guides" / "totals.md")
        walk.follow(DOCS / "guides" / "strong-reads.md")
        walk.follow(DOCS / "guides" / "keys.md")


def test_its_own_tests_pass_on_postgresql_too(
    wheel: Path, servers: dict[str, str], tmp_path: Path
) -> None:
    site = Path(shutil.copytree(ROOT / "tests" / "support" / "library_site", tmp_path / "library"))
    server, name = urlsplit(os.environ["TEST_POSTGRES"]), servers["shop.events"]
    env = {
        "LIBRARY_POSTGRESQL": f"{server.hostname}:{server.port}/{name}",
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),  # the client of PostgreSQL
    }
    with Walk(site, wheel, {"[api]": "[api,postgres]"}, **env) as walk:
        walk.follow(DOCS / "guides" / "existing-project.md")


class Patient(Walk):
    """On a machine that is busy, a consumer may take longer than a query waits for it."""

    def _run(self, block: Block) -> str:
        answer = self.here / "answer.json"
        if answer.exists():
            token = json.loads(answer.read_text())["consistency_token"]
            url = f"http://127.0.0.1:{self.port}/api/v1/queries/find-all-posts/"
            headers = {"Consistency-Token": token}
            wait_until(lambda: status_of(url, **headers) == 200, "what was sent is shown", 60)
        return super()._run(block)


def test_the_readme_leads_from_its_start_to_a_command_of_ones_own() -> None:
    page = "README.md"
    with fresh_clone() as clone:
        (clone / ".venv").symlink_to(sys.prefix)
        with Patient(clone, clone) as walk:
            walk.follow(clone / page, "Start", "Five minutes with curl")
            walk.follow(clone / page, "A command, an event and a query of one's own")
            walk.restart()
            walk.follow(clone / page, "Try it")
        answers = re.findall(r'HTTP/1.1" (\d+) ', (clone / "another-shell.log").read_text())
        assert [status for status in answers if status[0] == "4"] == ["403"]  # Bob's
