"""A database of a release that this one has no migrations from."""

from django.db import connections
from django.db.migrations.recorder import MigrationRecorder

from tests.support.modes import Mode
from tests.support.processes import manage


def test_a_database_from_before_the_labels_changed_is_refused_with_a_way_out(
    database: Mode,
) -> None:
    MigrationRecorder(connections["default"]).record_applied("eventstore", "0001_initial")
    done = manage(database.env, "migrate", "--verbosity", "0")
    assert done.returncode == 1
    assert "made by a release before 0.2" in done.stderr
    assert "delete it" in done.stderr
    assert str(connections["default"].settings_dict["NAME"]) in done.stderr
