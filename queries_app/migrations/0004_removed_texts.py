"""Who did what when stays in the history of a removed post: a rebuild brings it back for those that
were removed before. Their texts are seen with a permission."""

from django.db import migrations

from messaging.rebuilding.migration_operation import AskForRebuild


class Migration(migrations.Migration):

    dependencies = [
        ('queries_app', '0003_likes'),
        ('projections', '0007_letters_parked_by_the_databases_clock'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='historyentry',
            options={'permissions': [('view_removed_text', "Can view removed texts (one's own; staff: all)")], 'verbose_name_plural': 'history entries'},
        ),
        AskForRebuild("history"),
    ]
