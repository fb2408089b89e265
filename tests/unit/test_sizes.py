"""Functions and modules stay as long as one can read at once."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "accounts", "benchmarks", "commands_app", "config", "contracts", "dev", "messaging",
    "queries_app", "web",
)  # fmt: skip
MAX_OF_A_MODULE, MAX_OF_A_FUNCTION = 300, 40  # lines: fewer than these


def modules() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if "migrations" not in path.parts:
                yield str(path.relative_to(ROOT)), path.read_text()


def lengths(source: str) -> Iterator[tuple[str, int]]:
    """Of each function, from `def` to its last line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or 0) - node.lineno + 1


def test_no_module_is_longer() -> None:
    long = {name: len(source.splitlines()) for name, source in modules()}
    assert len(long) > 200
    assert {name: n for name, n in long.items() if n >= MAX_OF_A_MODULE} == {}


def test_no_function_is_longer() -> None:
    long = [
        (module, *found)
        for module, source in modules()
        for found in lengths(source)
        if found[1] >= MAX_OF_A_FUNCTION
    ]
    assert long == []


def test_every_package_is_looked_at() -> None:
    there = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert there - {"tests"} == set(PACKAGES)
