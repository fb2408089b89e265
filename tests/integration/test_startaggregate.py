"""`manage.py startaggregate` in a project that has messaging from its wheel: what it writes passes
its tests, mypy and ruff before anything is edited, and docs/generators.md shows what it says."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.another_project import build, install, run
from tests.support.processes import ROOT

SETTINGS = """
from pathlib import Path
SECRET_KEY = "x" * 40
DATABASES = {"default": {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": "db.sqlite3",
    "OPTIONS": {"transaction_mode": "IMMEDIATE"},
}}
POSTLOG = {"READ_DATABASE": "default"}
INSTALLED_APPS = ["messaging"]
if Path("orders/item").is_dir():
    INSTALLED_APPS += ["orders", "orders.item"]
"""
MYPY = """
[mypy]
strict = true
plugins = mypy_django_plugin.main
packages = orders
exclude = /migrations/
cache_dir = /dev/null
[mypy-messaging.*]
follow_imports = silent
[mypy-kafka.*,rest_framework_dataclasses.*,uuid_utils.*,drf_standardized_errors.*]
ignore_missing_imports = true
[mypy.plugins.django-stubs]
django_settings_module = settings
"""
ORDER = "Order --events OrderPlaced OrderPaid --commands PlaceOrder PayOrder"
ITEM = "Item --events ItemReceived ItemReserved ItemLost --commands ReceiveItem ReserveItem"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two aggregates: one in a new app, one within it."""
    python = install(
        build(tmp_path_factory.mktemp("wheel")), tmp_path_factory.mktemp("environment")
    )
    folder = tmp_path_factory.mktemp("project")
    (folder / "settings.py").write_text(SETTINGS)
    (folder / "said").write_text(managed(python, folder, f"startaggregate {ORDER}"))
    managed(python, folder, f"startaggregate {ITEM} --app orders")
    managed(python, folder, "makemigrations -v0")
    (folder / "tested").write_text(managed(python, folder, "test orders"))
    return folder


def managed(python: Path, folder: Path, arguments: str) -> str:
    done = run(python, folder, *arguments.split(), settings="settings", PYTHONPATH=str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def tool(project: Path, name: str, *arguments: str) -> str:
    done = subprocess.run(
        [Path(sys.executable).with_name(name), *arguments],
        cwd=project,
        env={"MYPYPATH": str(ROOT), "PYTHONPATH": f"{project}:{ROOT}", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_tests_pass(project: Path) -> None:
    assert "Ran 23 tests" in (project / "tested").read_text()


def test_it_passes_mypy_at_its_strictest(project: Path) -> None:
    (project / "mypy.ini").write_text(MYPY)
    assert "no issues found in 32 source files" in tool(project, "mypy")


@pytest.mark.parametrize("arguments", ["check", "format --diff"])
def test_it_passes_ruff_by_our_rules(project: Path, arguments: str) -> None:
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]
    rules = {key: ours["lint"][key] for key in ("select", "ignore")}
    said = "\n".join(f"{key} = {json.dumps(value)}" for key, value in rules.items())
    (project / "ruff.toml").write_text(f"extend-exclude = ['migrations']\n[lint]\n{said}\n")
    tool(project, "ruff", *arguments.split(), "--no-cache", "orders")


def test_the_page_shows_what_it_says(project: Path) -> None:
    page = (ROOT / "docs" / "generators.md").read_text()
    assert f"startaggregate {ORDER}\n" in page
    assert f"```text\n{(project / 'said').read_text()}```" in page
