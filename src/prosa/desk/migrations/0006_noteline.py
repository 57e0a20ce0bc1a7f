"""Notes become searchable."""

from __future__ import annotations

import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("prosa_desk", "0005_look"),
    ]

    operations = [
        migrations.CreateModel(
            name="NoteLine",
            fields=[
                ("note", models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name="+", serialize=False, to="prosa_desk.note")),
                ("words", django.contrib.postgres.search.SearchVectorField()),
                ("business", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="prosa_business.business")),
                ("conversation", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="prosa_conversations.conversation")),
            ],
            options={
                "verbose_name": "searchable note",
                "verbose_name_plural": "searchable notes",
                "indexes": [django.contrib.postgres.indexes.GinIndex(fields=["words"], name="prosa_noteline_words")],
            },
        ),
    ]  # fmt: skip
