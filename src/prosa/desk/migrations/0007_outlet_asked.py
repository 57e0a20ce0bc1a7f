from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("prosa_desk", "0006_noteline"),
    ]

    operations = [
        migrations.AddField(
            model_name="outlet",
            name="asked",
            field=models.BooleanField(
                db_default=True, default=True, verbose_name="The assistant asks the team a question"
            ),
        ),
    ]
