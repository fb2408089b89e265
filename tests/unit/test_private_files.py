"""What stands in var/ is for the user whose processes write it."""

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from config import env
from tests.support.processes import manage


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


def test_what_commands_write_is_for_their_user_only(tmp_path: Path) -> None:
    """Also where the folder is open and the shell's umask is usual."""
    databases = {
        f"{name}_DATABASE_URL": f"sqlite:///{tmp_path}/{name}.sqlite3" for name in ("WRITE", "READ")
    }
    done = manage(databases, "migrate", "--verbosity", "0", "contenttypes")
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(tmp_path / "WRITE.sqlite3") as connection:
        assert connection.execute("SELECT count(*) FROM django_migrations").fetchone() > (0,)
    made = list(tmp_path.iterdir())
    assert made
    assert {mode(path) for path in made} == {0o600}
