from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# Compressing half a megabyte took longer than the rest of the command that writes it.
STORAGE = "ALTER TABLE eventstore_snapshot ALTER COLUMN state SET STORAGE {}"


def plain(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "postgresql":
        editor.execute(STORAGE.format("EXTERNAL"))


def compressed(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "postgresql":
        editor.execute(STORAGE.format("EXTENDED"))


class Migration(migrations.Migration):
    dependencies = [("eventstore", "0006_logs_accepted")]
    operations = [migrations.RunPython(plain, compressed)]
