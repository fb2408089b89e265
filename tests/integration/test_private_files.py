"""What commands write is for the user who runs them."""

import sqlite3
import stat
from pathlib import Path

from tests.support.processes import manage


def test_databases_are_made_for_their_user_only(tmp_path: Path) -> None:
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
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}
