"""Fills ``ApprovedAnswer.search``. The functions fold stored texts and questions alike; extensions are not needed."""

from django.db import migrations

# Extensions such as unaccent are not in the embedded PostgreSQL. Portuguese plurals its stemmer does not undo
# (cartão/cartões, papel/papéis) are undone before it, for the Portuguese vector only.
FORWARD = r"""
CREATE FUNCTION prosa_fold(given text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT translate(lower(normalize(given, NFC)), 'áàâãäåéèêëíìîïóòôõöúùûüçñý', 'aaaaaaeeeeiiiiooooouuuucny')
$$;
CREATE FUNCTION prosa_fold_pt(folded text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT regexp_replace(regexp_replace(folded, '[oa]es\M', 'ao', 'g'), '([aeou])is\M', '\1l', 'g')
$$;
CREATE FUNCTION prosa_vector(given text) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT to_tsvector('pg_catalog.portuguese', prosa_fold_pt(folded)) || to_tsvector('pg_catalog.spanish', folded)
        || to_tsvector('pg_catalog.english', folded) || to_tsvector('pg_catalog.simple', folded)
    FROM (SELECT prosa_fold(given) AS folded) AS once
$$;
CREATE FUNCTION prosa_query(term text, forms text, label text) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT to_tsquery('pg_catalog.portuguese', prosa_fold_pt(term) || label) || to_tsquery('pg_catalog.spanish', term || label)
        || to_tsquery('pg_catalog.english', term || label)
        || to_tsquery('pg_catalog.simple', replace(forms, ' ', label || ' | ') || label)
$$;
CREATE FUNCTION prosa_answer_search() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.search := setweight(prosa_vector(NEW.question), 'A') || setweight(prosa_vector(NEW.answer), 'B');
    RETURN NEW;
END
$$;
CREATE TRIGGER prosa_answer_search BEFORE INSERT OR UPDATE ON prosa_knowledge_approvedanswer
    FOR EACH ROW EXECUTE FUNCTION prosa_answer_search();
UPDATE prosa_knowledge_approvedanswer SET question = question;
"""
BACKWARD = """
DROP TRIGGER prosa_answer_search ON prosa_knowledge_approvedanswer;
DROP FUNCTION prosa_answer_search();
DROP FUNCTION prosa_query(text, text, text);
DROP FUNCTION prosa_vector(text);
DROP FUNCTION prosa_fold_pt(text);
DROP FUNCTION prosa_fold(text);
"""


class Migration(migrations.Migration):
    dependencies = [("prosa_knowledge", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
