"""A database of a release that this one has no migrations from."""

import pytest
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder

from messaging.management.commands.migrate import FORMER_APPS
from tests.support.modes import Mode
from tests.support.processes import manage


@pytest.mark.parametrize("app", FORMER_APPS)
def test_a_database_from_before_the_labels_changed_is_refused_with_a_way_out(
    sqlite: Mode, app: str
) -> None:
    MigrationRecorder(connections["default"]).record_applied(app, "0001_initial")
    done = manage(sqlite.env, "migrate", "--verbosity", "0")
    assert done.returncode == 1
    assert "made by a release before 0.2" in done.stderr
    assert "delete it" in done.stderr
    assert str(connections["default"].settings_dict["NAME"]) in done.stderr
