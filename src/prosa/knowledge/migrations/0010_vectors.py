"""The tables of vectors. A server without pgvector goes without: search then has its words alone, and the vector store says so.

``prosa_vectors()`` makes extension and table, and may be called again once the extension is installed. Businesses take
their vectors along by the foreign key itself, since Django cannot know whether the table is there.
"""

import django.db.models.deletion
import prosa.knowledge.vectors
from django.db import migrations, models

FORWARD = """
CREATE FUNCTION prosa_vectors() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS vector;
    -- By EXECUTE, because the type may come to be only here.
    EXECUTE 'CREATE TABLE IF NOT EXISTS prosa_knowledge_vector (
        business_id bigint NOT NULL REFERENCES prosa_business_business (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
        model varchar(150) NOT NULL,
        chunk_id bigint NOT NULL,
        vector vector NOT NULL,
        PRIMARY KEY (business_id, model, chunk_id)
    )';
    CREATE INDEX IF NOT EXISTS prosa_vector_model ON prosa_knowledge_vector (model);
END
$$;
DO $$
BEGIN
    PERFORM prosa_vectors();
EXCEPTION WHEN undefined_file OR feature_not_supported OR insufficient_privilege THEN
    RAISE WARNING 'No pgvector (%). Knowledge is searched by words alone.', SQLERRM;
END
$$;
"""
BACKWARD = """
DROP TABLE IF EXISTS prosa_knowledge_vector;
DROP FUNCTION prosa_vectors();
"""


class Migration(migrations.Migration):
    dependencies = [("prosa_knowledge", "0004_counts")]

    operations = [
        migrations.CreateModel(
            name="Embedding",
            fields=[
                ("key", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("value", models.BinaryField()),
                ("expires_at", models.DateTimeField(db_index=True)),
            ],
            options={"db_table": "prosa_knowledge_embedding"},
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(FORWARD, BACKWARD)],
            state_operations=[
                migrations.CreateModel(
                    name="Vector",
                    fields=[
                        ("pk", models.CompositePrimaryKey("business_id", "model", "chunk_id", blank=True, editable=False, primary_key=True, serialize=False)),
                        ("model", models.CharField(max_length=150)),
                        ("chunk_id", models.BigIntegerField()),
                        ("vector", prosa.knowledge.vectors.VectorField()),
                        ("business", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name="+", to="prosa_business.business")),
                    ],
                    options={
                        "db_table": "prosa_knowledge_vector",
                        "indexes": [models.Index(fields=["model"], name="prosa_vector_model")],
                    },
                ),
            ],
        ),
    ]
