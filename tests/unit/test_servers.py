"""Unit tests take seconds, because no server is started for them."""

import re

import pytest

from tests.conftest import running_servers, unit_tests_alone
from tests.support.processes import ROOT


@pytest.mark.parametrize(
    ("arguments", "folder", "alone"),
    [
        (["tests/unit"], ".", True),
        (["tests/unit/test_post.py::test_x[tests/e2e]"], ".", True),
        (["unit"], "tests", True),
        ([str(ROOT / "tests/unit"), "tests/unit/test_codec.py"], ".", True),
        (["tests"], ".", False),
        (["tests/unit", "tests/integration"], ".", False),
        (["tests/unit/../e2e"], ".", False),
        (["."], "tests", False),
    ],
)
def test_servers_are_started_unless_all_arguments_are_unit_tests(
    arguments: list[str], folder: str, alone: bool
) -> None:
    assert unit_tests_alone(arguments, ROOT / folder) is alone


def test_no_unit_test_starts_a_process_of_ours() -> None:
    """Each takes a second: such a test is one of tests/integration."""
    starts = re.compile(r"^from tests\.support.* import .*\b(?:manage|Worker|run)\b", re.M)
    files = sorted((ROOT / "tests" / "unit").glob("*.py"))
    assert [path.name for path in files if starts.search(path.read_text())] == []


def test_a_run_of_unit_tests_starts_no_server(pytestconfig: pytest.Config) -> None:
    """Of this very run, if it is one."""
    alone = unit_tests_alone(pytestconfig.args, pytestconfig.invocation_params.dir)
    assert running_servers == [] or not alone
