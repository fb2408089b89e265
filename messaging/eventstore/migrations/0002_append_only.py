from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from messaging.eventstore import triggers

# The relay deletes as fast as writers append: dead rows must not pile up in its table.
SHARP_AUTOVACUUM = (
    "ALTER TABLE eventstore_outbox SET (autovacuum_vacuum_scale_factor = 0, "
    "autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0, "
    "autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 10000)"
)


def guard(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    triggers.create_triggers(editor.connection)
    if editor.connection.vendor == "postgresql":
        editor.execute(SHARP_AUTOVACUUM)


def unguard(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    triggers.drop_triggers(editor.connection)


class Migration(migrations.Migration):
    dependencies = [("eventstore", "0001_initial")]
    operations = [migrations.RunPython(guard, unguard)]
