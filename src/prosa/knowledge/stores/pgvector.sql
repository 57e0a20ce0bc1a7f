-- name: length
-- Of any row: all vectors of a model are of one length.
SELECT vector_dims(vector) FROM prosa_knowledge_vector WHERE model = %(model)s LIMIT 1

-- name: put
INSERT INTO prosa_knowledge_vector (business_id, chunk_id, model, vector)
SELECT %(business_id)s, given.id, %(model)s, given.written::vector
FROM unnest(%(ids)s::bigint[], %(vectors)s::text[]) AS given (id, written) ORDER BY given.id
ON CONFLICT (business_id, model, chunk_id) DO UPDATE SET vector = excluded.vector

-- name: forget
DELETE FROM prosa_knowledge_vector WHERE business_id = %(business_id)s AND chunk_id = ANY(%(ids)s::bigint[])

-- name: similarities
SELECT chunk_id, 1 - (vector <=> %(vector)s::vector) FROM prosa_knowledge_vector
WHERE business_id = %(business_id)s AND model = %(model)s AND chunk_id = ANY(%(ids)s::bigint[])

-- name: models
SELECT model, count(*) FROM prosa_knowledge_vector WHERE business_id = %(business_id)s GROUP BY model ORDER BY model

-- name: held
SELECT chunk_id FROM prosa_knowledge_vector
WHERE business_id = %(business_id)s AND model = %(model)s AND chunk_id = ANY(%(ids)s::bigint[])

-- name: drop
DELETE FROM prosa_knowledge_vector WHERE business_id = %(business_id)s AND model = %(model)s

-- name: size
-- At most one more than asked for: whether there are many is all that matters.
SELECT count(*) FROM (SELECT FROM prosa_knowledge_vector WHERE model = %(model)s LIMIT %(most)s) AS few

-- name: index
SELECT i.indisvalid FROM pg_index i WHERE i.indexrelid = to_regclass(%(name)s)
