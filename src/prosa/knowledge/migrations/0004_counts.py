"""Keeps ``TermCount`` and ``Extent`` true whoever changes chunks: index, admin, cascade."""

from django.db import migrations

# The extent's row is taken first: writers of one business wait for each other there instead of deadlocking on terms.
# What is deleted only updates: when a whole business goes, its rows may be gone already and must not come back.
FORWARD = """
CREATE FUNCTION prosa_chunks_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO prosa_knowledge_extent AS e (business_id, chunks, words)
    SELECT business_id, count(*), sum(length) FROM added GROUP BY 1 ORDER BY 1
    ON CONFLICT (business_id) DO UPDATE SET chunks = e.chunks + excluded.chunks, words = e.words + excluded.words;
    INSERT INTO prosa_knowledge_termcount AS t (business_id, term, chunks)
    SELECT business_id, term, count(*) FROM added, unnest(terms) AS term GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (business_id, term) DO UPDATE SET chunks = t.chunks + excluded.chunks;
    RETURN NULL;
END
$$;
CREATE FUNCTION prosa_chunks_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE prosa_knowledge_extent e SET chunks = e.chunks - r.chunks, words = e.words - r.words
    FROM (SELECT business_id, count(*) AS chunks, sum(length) AS words FROM removed GROUP BY 1) r
    WHERE e.business_id = r.business_id;
    UPDATE prosa_knowledge_termcount t SET chunks = t.chunks - r.chunks
    FROM (SELECT business_id, term, count(*) AS chunks FROM removed, unnest(terms) AS term GROUP BY 1, 2) r
    WHERE t.business_id = r.business_id AND t.term = r.term;
    RETURN NULL;
END
$$;
CREATE TRIGGER prosa_chunks_added AFTER INSERT ON prosa_knowledge_chunk
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION prosa_chunks_added();
CREATE TRIGGER prosa_chunks_removed AFTER DELETE ON prosa_knowledge_chunk
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION prosa_chunks_removed();
"""
BACKWARD = """
DROP TRIGGER prosa_chunks_added ON prosa_knowledge_chunk;
DROP TRIGGER prosa_chunks_removed ON prosa_knowledge_chunk;
DROP FUNCTION prosa_chunks_added();
DROP FUNCTION prosa_chunks_removed();
"""


class Migration(migrations.Migration):
    dependencies = [("prosa_knowledge", "0003_chunks")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
