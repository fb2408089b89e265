"""What stands in var/ is for the user whose processes write it."""

import os
import stat
from pathlib import Path

import pytest

from config import env


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(env, "VAR_DIR", tmp_path / "var")
    return tmp_path / "var"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_var_is_made_for_its_owner_only(var: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        env.private_folder(var)
    finally:
        os.umask(before)
    assert mode(var) == 0o700


def test_a_var_that_was_open_to_others_is_closed(var: Path) -> None:
    var.mkdir(mode=0o755)
    env.private_folder(var)
    assert mode(var) == 0o700


def test_another_folder_stays_as_its_owner_has_it(var: Path, tmp_path: Path) -> None:
    """A database may lie in a folder that is shared on purpose."""
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    env.database_of(f"sqlite:///{shared}/write.sqlite3")
    assert mode(shared) == 0o755
