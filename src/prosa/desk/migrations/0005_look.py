"""Which conversation each open desk has before it."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("prosa_business", "0008_people"),
        ("prosa_conversations", "0013_handoffs"),
        ("prosa_desk", "0004_notices"),
    ]

    operations = [
        migrations.CreateModel(
            name="Look",
            fields=[
                ("tab", models.CharField(max_length=36, primary_key=True, serialize=False)),
                ("seen_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "conversation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="prosa_conversations.conversation",
                    ),
                ),
                (
                    "member",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="prosa_business.membership"
                    ),
                ),
            ],
            options={"verbose_name": "look", "verbose_name_plural": "looks"},
        ),
    ]
