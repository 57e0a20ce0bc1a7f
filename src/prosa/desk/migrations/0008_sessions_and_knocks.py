"""When a session was last used, and who knocked at the door."""

from __future__ import annotations

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("prosa_desk", "0007_outlet_asked"),
    ]

    operations = [
        migrations.AddField(
            model_name="signedin",
            name="seen_at",
            field=models.DateTimeField(editable=False, null=True, verbose_name="last used"),
        ),
        migrations.CreateModel(
            name="Knock",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=64)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "verbose_name": "knock at the door",
                "verbose_name_plural": "knocks at the door",
                "indexes": [models.Index(fields=["key", "created_at"], name="prosa_knock_recent")],
            },
        ),
    ]
