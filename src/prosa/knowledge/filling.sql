-- Which chunks have vectors, and how far each model of a business is.

-- name: behind
-- Businesses whose chunks are not all known under this model, or that still keep another one beside it.
SELECT e.business_id FROM prosa_knowledge_extent e
LEFT JOIN prosa_knowledge_filling f ON f.business_id = e.business_id AND f.store = %(store)s AND f.model = %(model)s
WHERE e.chunks > 0 AND (
    f.complete_at IS NULL
    OR f.upto < (SELECT max(c.id) FROM prosa_knowledge_chunk c WHERE c.business_id = e.business_id)
    OR EXISTS (SELECT FROM prosa_knowledge_filling o WHERE o.business_id = e.business_id AND o.id <> f.id)
)
ORDER BY e.business_id

-- name: begin
INSERT INTO prosa_knowledge_filling (business_id, store, model) VALUES (%(business_id)s, %(store)s, %(model)s)
ON CONFLICT (business_id, store, model) DO UPDATE SET problem = ''
RETURNING id, upto

-- name: page
SELECT c.id, d.title, c.section, c.text
FROM prosa_knowledge_chunk c JOIN prosa_knowledge_document d ON d.id = c.document_id
WHERE c.business_id = %(business_id)s AND c.id > %(upto)s ORDER BY c.id LIMIT %(limit)s

-- name: advance
UPDATE prosa_knowledge_filling SET upto = %(upto)s, updated_at = now() WHERE id = %(id)s

-- name: trouble
UPDATE prosa_knowledge_filling SET problem = %(problem)s, updated_at = now()
WHERE business_id = %(business_id)s AND store = %(store)s AND model = %(model)s

-- name: complete
UPDATE prosa_knowledge_filling SET complete_at = coalesce(complete_at, now()), updated_at = now() WHERE id = %(id)s

-- name: others
SELECT id, store, model FROM prosa_knowledge_filling WHERE business_id = %(business_id)s AND id <> %(id)s ORDER BY id

-- name: dropped
DELETE FROM prosa_knowledge_filling WHERE id = %(id)s

-- name: chunks
SELECT count(*) FROM prosa_knowledge_chunk WHERE business_id = %(business_id)s AND id <= %(upto)s

-- name: serving
-- The model whose vectors are whole: the one asked for, else the one that was whole last.
SELECT model FROM prosa_knowledge_filling
WHERE business_id = %(business_id)s AND store = %(store)s AND complete_at IS NOT NULL
ORDER BY model = %(model)s DESC, complete_at DESC LIMIT 1

-- name: standing
SELECT prosa_costs_standing(%(business_id)s)

-- name: forgotten
SELECT id, business_id, chunk_id, model FROM prosa_knowledge_forgotten ORDER BY id LIMIT %(limit)s

-- name: kept
SELECT EXISTS (SELECT FROM prosa_knowledge_filling WHERE business_id = %(business_id)s AND store = %(store)s AND model = %(model)s)

-- name: drained
DELETE FROM prosa_knowledge_forgotten WHERE id = ANY(%(ids)s::bigint[])
