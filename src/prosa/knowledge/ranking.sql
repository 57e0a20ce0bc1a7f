-- name: counts
-- How often the terms of a question occur in a business, and how much it has. One row per known term; chunks and words repeat.
SELECT t.term, t.chunks, e.chunks, e.words
FROM prosa_knowledge_extent e JOIN prosa_knowledge_termcount t ON t.business_id = e.business_id
WHERE e.business_id = %(business_id)s AND t.term = ANY(%(terms)s::int[]) AND t.chunks > 0
-- name: candidates
-- The chunks that hold the most of the terms walked by, by the weight of those they hold, and those found otherwise. A walk of the
-- index goes along the chunks that hold both of its terms, often one and the same.
SELECT c.id, c.document_id, array_send(c.terms), c.counts, c.length
FROM (
    (
        SELECT found.id FROM unnest(%(terms)s::int[], %(others)s::int[], %(weights)s::float8[]) AS t (term, other, weight)
        CROSS JOIN LATERAL (
            SELECT id FROM prosa_knowledge_chunk WHERE terms @> ARRAY[t.term, t.other] AND business_id = %(business_id)s
        ) AS found
        GROUP BY found.id ORDER BY sum(t.weight) DESC, found.id LIMIT %(limit)s
    )
    UNION SELECT unnest(%(also)s::bigint[])
) AS best JOIN prosa_knowledge_chunk c ON c.id = best.id AND c.business_id = %(business_id)s
-- name: passages
SELECT c.id, d.title, c.section, c.text, d.url, coalesce(d.dated_at, d.updated_at), coalesce(nullif(c.language, ''), d.language), d.external_id
FROM prosa_knowledge_chunk c JOIN prosa_knowledge_document d ON d.id = c.document_id
WHERE c.business_id = %(business_id)s AND c.id = ANY(%(ids)s::bigint[])
-- name: names
SELECT id, external_id FROM prosa_knowledge_document WHERE business_id = %(business_id)s AND id = ANY(%(ids)s::bigint[])
