"""What README.md and docs/ name is there, and what is there to be set is named."""

import ast
import re
from pathlib import Path
from textwrap import dedent

import pytest
from django.core.management import get_commands

import messaging
from config import env

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
SOURCES = ("accounts", "commands_app", "config", "messaging", "queries_app", "manage.py")


def test_every_setting_stands_in_the_readme_and_in_the_example_and_no_other() -> None:
    table = README.partition("## Settings")[2].partition("\n## ")[0]
    named = {name for row in re.findall(r"^\| (`.*?) \|", table, re.M) for name in row.split(", ")}
    example = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.M))
    assert {name.strip("`") for name in named} == env.read
    assert example == env.read


def test_only_the_settings_read_the_environment() -> None:
    files = [file for source in SOURCES for file in [ROOT / source, *(ROOT / source).rglob("*.py")]]
    texts = {file: file.read_text() for file in files if file.is_file()}
    assert len(texts) > 100
    for file, text in texts.items():
        used = re.findall(r".*(?:os\.environ|getenv|from os import).*", text)
        allowed = file == ROOT / "config/env.py"
        assert allowed or all("DJANGO_SETTINGS_MODULE" in one for one in used), (file, used)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets
    assert set(re.findall(r"manage\.py ([a-z][a-z-]*[a-z])", text)) <= set(get_commands())
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (page.parent / link).exists(), link
    for path in re.findall(r"`((?:[a-z_]+/)+[a-z_0-9.-]*\.(?:py|txt|md))`", text):
        assert (ROOT / path).exists(), path


def test_each_promise_is_held_by_tests_that_are_there() -> None:
    page = (ROOT / "docs" / "guarantees.md").read_text()
    rows = [row for row in page.splitlines() if row.startswith("| ") and " promise " not in row]
    for row in rows:
        held_by = re.findall(r"`(tests/[a-z0-9_/]+\.py)::(test_\w+)`", row)
        assert held_by, row
        for path, name in held_by:
            assert f"def {name}(" in (ROOT / path).read_text(), (path, name)
    assert len(rows) > 30


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.name)
def test_the_python_of_a_page_can_be_read_and_imports_what_is_public(page: Path) -> None:
    """What a page shows as a whole is run: tests/integration/test_walks.py."""
    for block in re.findall(r"^```python.*?\n(.*?)^```$", page.read_text(), re.M | re.S):
        for node in ast.walk(ast.parse(dedent(block))):
            if isinstance(node, ast.ImportFrom) and node.module == "messaging":
                assert {one.name for one in node.names} <= set(messaging.__all__)


def test_every_runtime_dependency_is_explained() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    table = README.partition("## What it is built from")[2].partition("\n## ")[0]
    named = {
        name for row in re.findall(r"^\| ([a-z].*?) \|", table, re.M) for name in row.split(", ")
    }
    extras = project["optional-dependencies"]
    runs = {one for name in extras.keys() - {"test", "dev", "peer"} for one in extras[name]}
    needed = {re.split("[<>=[]", one)[0] for one in {*project["dependencies"], *runs}}
    assert named == needed - {"postlog"}
