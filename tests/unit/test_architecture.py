"""docs/architecture.md is the map of what is there: its rooms, and the functions on the ways."""

import re
from pathlib import Path
from pkgutil import resolve_name

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAP = (ROOT / "docs" / "architecture.md").read_text()
ROOMS = MAP.partition("## Rooms")[2].partition("\n## ")[0]
OUTSIDE, _, INSIDE = ROOMS.partition("Inside `messaging/`")
# What no one needs a map for: Django's own layout, and files that are not code.
NO_ROOMS = {"templates", "static", "migrations", "docs", "deploy", "var"}


def rooms_of(table: str) -> set[str]:
    cells = re.findall(r"^\| (`.*?) \|", table, re.M)
    return {name.strip("`").rstrip("/") for cell in cells for name in cell.split(", ")}


def there(folder: Path) -> set[str]:
    packages = {path.parent.name for path in folder.glob("*/__init__.py")}
    return packages - NO_ROOMS


def test_the_rooms_that_it_names_are_those_that_are_there() -> None:
    assert rooms_of(OUTSIDE) == there(ROOT)


def test_so_are_those_inside_messaging() -> None:
    modules = {path.name for path in (ROOT / "messaging").glob("*.py")}
    assert rooms_of(INSIDE) == there(ROOT / "messaging") | modules - {"__init__.py", "apps.py"}


@pytest.mark.parametrize(
    "name",
    sorted(set(re.findall(r"`((?:messaging|commands_app|queries_app)(?:\.\w+)+)`", MAP))),
)
def test_what_it_names_on_the_ways_can_be_imported(name: str) -> None:
    assert resolve_name(name) is not None


def test_no_test_module_imports_another() -> None:
    """What several need is in tests/support."""
    imported = {
        (path.name, found)
        for path in (ROOT / "tests").rglob("*.py")
        for found in re.findall(
            r"^\s*from (tests\.\w+\.test_\w+|tests\.test_\w+) import", path.read_text(), re.M
        )
    }
    assert imported == set()
