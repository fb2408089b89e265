from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0003_own_change")]

    operations = [
        migrations.AddField(
            model_name="heartbeat",
            name="error",
            field=models.TextField(
                blank=True,
                default="",
                db_default="",
                help_text="Why it cannot work now; it tries again.",
            ),
        ),
    ]
