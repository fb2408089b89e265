"""Names in one case, and what they look like: unique for new ones. Of existing names that are the
same the oldest has the key, and the others have none: they stay valid, and no new one resembles them."""

from django.db import migrations, models

from accounts import names

AT_ONCE = 1_000


def fill(apps, schema_editor):
    people = apps.get_model("accounts", "User").objects.using(schema_editor.connection.alias)
    taken = {names.casefolded: set(), names.skeleton: set()}
    last = 0
    while chunk := list(people.filter(pk__gt=last).order_by("pk").only("username")[:AT_ONCE]):
        last = chunk[-1].pk
        for person in chunk:
            for key, seen in taken.items():
                value = key(person.username)
                setattr(person, key.__name__, None if value in seen else value)
                seen.add(value)
        people.bulk_update(chunk, ["casefolded", "skeleton"])


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0001_initial'),
    ]

    operations = [
        migrations.AlterField(
            model_name='user',
            name='username',
            field=models.CharField(error_messages={'unique': 'A person with that name exists already.'}, help_text='A name is made of letters of one script, digits and . _ - + @; at most 150.', max_length=150, unique=True, validators=[names.check]),
        ),
        migrations.AddField(
            model_name='user',
            name='casefolded',
            field=models.CharField(editable=False, max_length=600, null=True),
        ),
        migrations.AddField(
            model_name='user',
            name='skeleton',
            field=models.CharField(editable=False, max_length=600, null=True),
        ),
        migrations.AddConstraint(
            model_name='user',
            constraint=models.UniqueConstraint(fields=['casefolded'], name='one_name_in_any_case'),
        ),
        migrations.AddConstraint(
            model_name='user',
            constraint=models.UniqueConstraint(fields=['skeleton'], name='no_two_names_look_the_same'),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
