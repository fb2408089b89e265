import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("projections", "0003_letters_tried_by")]

    operations = [
        migrations.AddField(
            model_name="checkpoint",
            name="checked_at",
            field=models.DateTimeField(
                db_default=django.db.models.functions.datetime.Now(),
                help_text="When it moved last, or was found level with the log.",
            ),
        ),
    ]
