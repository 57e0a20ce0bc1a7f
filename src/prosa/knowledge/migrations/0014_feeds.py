"""What changed in tables that feed knowledge, and the triggers that note it for approved answers. See ``prosa.knowledge.triggers``."""

import django.db.models.deletion
from django.db import migrations, models

from prosa.knowledge import triggers


class Migration(migrations.Migration):
    dependencies = [
        ("prosa_business", "0007_specialists"),
        ("prosa_knowledge", "0013_learning"),
    ]

    operations = [
        migrations.AlterField(
            model_name="item",
            name="done",
            field=models.IntegerField(default=0),
        ),
        migrations.CreateModel(
            name="Change",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=20)),
                ("key", models.CharField(max_length=2000)),
                (
                    "business",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="prosa_business.business"
                    ),
                ),
            ],
        ),
        triggers.attach("prosa_knowledge_approvedanswer", triggers.ANSWERS),
    ]
