"""The project's code in a folder of its own."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.server import temporary_folder
from tests.support.processes import ROOT

LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "var", "tests", "*.pyc.*", "*_cache")


@contextmanager
def fresh_clone() -> Iterator[Path]:
    """Without anything that a run leaves but bytecode, which takes a second to compile again."""
    tree = temporary_folder("clone")
    shutil.copytree(ROOT, tree, ignore=LEFT_OUT, dirs_exist_ok=True)
    yield tree
    shutil.rmtree(tree)
