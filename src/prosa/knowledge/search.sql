-- name: approved
-- The share of the question's terms each answer covers: whole when its question has the term, 0.6 when only its text does.
-- A term matches by its stem in any of the three languages, or as it is, with and without the ending of a plural ("forms").
-- Of equal scores the shorter question wins: it is about less else. Dates are days of the business's time zone.
WITH term AS MATERIALIZED (
    SELECT prosa_query(t.term, t.forms, '') AS anywhere, prosa_query(t.term, t.forms, ':A') AS in_question
    FROM unnest(%(terms)s::text[], %(forms)s::text[]) AS t (term, forms)
), found AS (
    SELECT a.id, a.question, a.answer,
           sum(CASE WHEN a.search @@ t.in_question THEN 1 WHEN a.search @@ t.anywhere THEN 0.6 ELSE 0 END) / cardinality(%(terms)s::text[]) AS score
    FROM prosa_knowledge_approvedanswer a CROSS JOIN term t
    WHERE a.business_id = %(business_id)s AND a.active AND a.search @@ t.anywhere
      AND (a.valid_from IS NULL AND a.valid_to IS NULL OR EXISTS (
          SELECT FROM prosa_business_business b
          WHERE b.id = a.business_id
            AND (now() AT TIME ZONE b.timezone)::date BETWEEN coalesce(a.valid_from, '-infinity') AND coalesce(a.valid_to, 'infinity')
      ))
    GROUP BY a.id, a.question, a.answer
)
SELECT id, question, answer, score::float8 FROM found ORDER BY score DESC, length(question), id LIMIT %(limit)s
