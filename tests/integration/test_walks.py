"""What docs/ shows is what happens: each page is followed as its reader would."""

import shutil
from pathlib import Path

import pytest

from tests.support.another_project import build
from tests.support.processes import ROOT
from tests.support.walk import Walk

DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"))


def test_the_tutorial_leads_from_an_empty_folder_to_its_last_line(
    wheel: Path, tmp_path: Path
) -> None:
    with Walk(tmp_path, wheel) as walk:
        for page in sorted((DOCS / "tutorial").glob("[0-9]*.md")):
            walk.follow(page)


def test_a_project_that_is_there_already_is_led_to_its_first_events(
    wheel: Path, tmp_path: Path
) -> None:
    site = Path(shutil.copytree(ROOT / "tests" / "support" / "library_site", tmp_path / "library"))
    with Walk(site, wheel) as walk:
        walk.follow(DOCS / "guides" / "existing-project.md")
        walk.follow(DOCS / "guides" / "who-may.md")
