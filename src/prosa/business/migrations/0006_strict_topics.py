from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("prosa_business", "0005_memory")]
    operations = [
        migrations.AddField(
            "business",
            "strict_topics",
            models.TextField(
                "only approved answers on",
                blank=True,
                db_default="",
                default="",
                help_text="One topic a line, other wordings of it after semicolons: refund; money back. On these the assistant says approved answers word by word or offers a person; no model words an answer.",
            ),
        )
    ]
