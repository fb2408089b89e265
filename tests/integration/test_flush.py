"""Test runners may empty the event store between tests; nobody else may."""

from pathlib import Path

import pytest
from django.db import connection

from commands_app.commands import NewPost
from messaging import mediator
from messaging.eventstore.models import Event
from messaging.eventstore.triggers import missing_triggers
from messaging.message import Context
from tests.support.modes import Mode
from tests.support.processes import manage

TESTS = """
from django.db import DatabaseError, connection, transaction
from django.test import TransactionTestCase

from commands_app.commands import NewPost
from messaging import mediator
from messaging.eventstore.models import Event
from messaging.eventstore.triggers import missing_triggers
from messaging.message import Context


class Emptied(TransactionTestCase):
    databases = {"default", "read"}

    def emptied_and_guarded(self):
        self.assertEqual(Event.objects.count(), 0)
        mediator.send(NewPost(message="Hi"), Context(actor="alice"))
        self.assertEqual(missing_triggers(connection), [])
        with self.assertRaisesMessage(DatabaseError, "append-only"), transaction.atomic():
            connection.cursor().execute("DELETE FROM messaging_event")
        self.assertEqual(Event.objects.count(), 1)

    def test_first(self):
        self.emptied_and_guarded()

    def test_second(self):
        connection.close()  # the next one is wrapped too
        self.emptied_and_guarded()

    def test_third(self):
        self.emptied_and_guarded()
"""


def test_a_transaction_test_case_of_a_project_passes(database: Mode, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "test_emptied.py").write_text(TESTS)
    done = manage(database.env, "test", str(folder), "--no-input")
    assert done.returncode == 0, done.stderr
    assert "Ran 3 tests" in done.stderr


def test_a_database_in_use_is_not_flushed(database: Mode) -> None:
    mediator.send(NewPost(message="Hi"), Context(actor="alice"))
    done = manage(database.env, "flush", "--no-input", "--traceback")
    assert (done.returncode, "append-only" in done.stderr) == (1, True), done.stderr
    assert Event.objects.count() == 1


def test_a_flush_that_fails_leaves_the_triggers(database: Mode) -> None:
    mediator.send(NewPost(message="Hi"), Context(actor="alice"))
    with pytest.raises(Exception, match="no_such_table"):
        connection.ops.execute_sql_flush(
            ["DELETE FROM messaging_event", "DELETE FROM no_such_table"]
        )
    assert missing_triggers(connection) == []
    assert Event.objects.count() == 1
