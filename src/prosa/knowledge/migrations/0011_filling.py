"""How far a business's chunks have vectors, and what deletes the vectors of deleted chunks."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

# Vectors in PostgreSQL go with their chunks. For another server a row says what is to be deleted there; it is written only
# where that server was used. A business that goes takes its fillings first, so these tell of all its vectors at once.
FORWARD = """
CREATE INDEX prosa_chunk_walk ON prosa_knowledge_chunk (business_id, id);
CREATE FUNCTION prosa_chunks_forgotten() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_regclass('prosa_knowledge_vector') IS NOT NULL THEN
        -- By EXECUTE, because the table may come to be only later.
        EXECUTE 'DELETE FROM prosa_knowledge_vector v USING removed r, prosa_knowledge_filling f
            WHERE f.business_id = r.business_id AND f.store = ''pgvector''
            AND v.business_id = r.business_id AND v.model = f.model AND v.chunk_id = r.id';
    END IF;
    INSERT INTO prosa_knowledge_forgotten (business_id, chunk_id)
    SELECT r.business_id, r.id FROM removed r
    WHERE EXISTS (SELECT FROM prosa_knowledge_filling f WHERE f.business_id = r.business_id AND f.store <> 'pgvector');
    RETURN NULL;
END
$$;
CREATE TRIGGER prosa_chunks_forgotten AFTER DELETE ON prosa_knowledge_chunk
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION prosa_chunks_forgotten();
CREATE FUNCTION prosa_fillings_forgotten() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO prosa_knowledge_forgotten (business_id, model)
    SELECT business_id, model FROM removed WHERE store <> 'pgvector';
    RETURN NULL;
END
$$;
CREATE TRIGGER prosa_fillings_forgotten AFTER DELETE ON prosa_knowledge_filling
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION prosa_fillings_forgotten();
"""
BACKWARD = """
DROP TRIGGER prosa_fillings_forgotten ON prosa_knowledge_filling;
DROP TRIGGER prosa_chunks_forgotten ON prosa_knowledge_chunk;
DROP FUNCTION prosa_fillings_forgotten();
DROP FUNCTION prosa_chunks_forgotten();
DROP INDEX prosa_chunk_walk;
"""


class Migration(migrations.Migration):
    dependencies = [("prosa_knowledge", "0010_vectors")]

    operations = [
        migrations.CreateModel(
            name="Filling",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("store", models.CharField(max_length=20)),
                ("model", models.CharField(max_length=150)),
                ("upto", models.BigIntegerField(db_default=0)),
                ("complete_at", models.DateTimeField(null=True)),
                ("problem", models.TextField(db_default="")),
                ("updated_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("business", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="prosa_business.business")),
            ],
            options={
                "db_table": "prosa_knowledge_filling",
                "constraints": [models.UniqueConstraint(fields=("business", "store", "model"), name="prosa_filling_once")],
            },
        ),
        migrations.CreateModel(
            name="Forgotten",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("business_id", models.BigIntegerField()),
                ("chunk_id", models.BigIntegerField(null=True)),
                ("model", models.CharField(db_default="", max_length=150)),
            ],
            options={"db_table": "prosa_knowledge_forgotten"},
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
