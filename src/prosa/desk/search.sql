-- Searching conversations. The index is a table of its own, filled off the hot path; each of its rows also holds the business
-- as a word, so that a search never walks another's rows.

-- name: mark
-- Whoever fills holds the row; the others wait for it (a search) or leave it (the chore).
SELECT position FROM prosa_knowledge_mark WHERE name = 'desk search' FOR UPDATE

-- name: mark_if_free
SELECT position FROM prosa_knowledge_mark WHERE name = 'desk search' FOR UPDATE SKIP LOCKED

-- name: moved
UPDATE prosa_knowledge_mark SET position = greatest(position, %(through)s) WHERE name = 'desk search'

-- name: ahead
-- The newest message, and the first one after the mark: numbers without messages are not gone through.
SELECT coalesce((SELECT max(id) FROM prosa_conversations_message), 0),
       coalesce((SELECT min(id) FROM prosa_conversations_message WHERE id > %(position)s), 0)

-- name: fill
-- Messages of a stretch of numbers that are not there yet.
INSERT INTO prosa_desk_line (message_id, business_id, conversation_id, heard, words)
SELECT m.id, m.business_id, m.conversation_id, spoken.text IS NOT NULL,
       to_tsvector('pg_catalog.simple', translate(prosa_fold(left(concat_ws(' ', m.text, spoken.text), 20000)), %(marks)s, %(blanks)s))
       || array_to_tsvector(ARRAY['business:' || m.business_id])
FROM prosa_conversations_message m
LEFT JOIN LATERAL (
    SELECT string_agg(nullif(concat_ws(' ', nullif(a.transcript, ''), nullif(a.filename, '')), ''), ' ') AS text
    FROM prosa_conversations_attachment a WHERE a.message_id = m.id
) AS spoken ON m.kind IN ('audio', 'image', 'document', 'video')
WHERE m.id > %(after)s AND m.id <= %(through)s AND (m.text <> '' OR spoken.text IS NOT NULL)
  AND NOT EXISTS (SELECT FROM prosa_desk_line l WHERE l.message_id = m.id)
ON CONFLICT (message_id) DO NOTHING

-- name: hear
-- What was written down of voice notes since their message was filed.
INSERT INTO prosa_desk_line (message_id, business_id, conversation_id, heard, words)
SELECT m.id, m.business_id, m.conversation_id, true,
       to_tsvector('pg_catalog.simple', translate(prosa_fold(left(m.text || ' ' || string_agg(a.transcript, ' '), 20000)), %(marks)s, %(blanks)s))
       || array_to_tsvector(ARRAY['business:' || m.business_id])
FROM prosa_conversations_attachment a JOIN prosa_conversations_message m ON m.id = a.message_id
WHERE a.message_id > %(after)s AND a.message_id <= %(through)s AND a.transcript <> ''
  AND NOT EXISTS (SELECT FROM prosa_desk_line l WHERE l.message_id = m.id AND l.heard)
GROUP BY m.id
ON CONFLICT (message_id) DO UPDATE SET words = excluded.words, heard = true

-- name: notes_fill
-- Notes that are not there yet; they are few. Rows commit in another order than their numbers.
INSERT INTO prosa_desk_noteline (note_id, business_id, conversation_id, words)
SELECT n.id, n.business_id, n.conversation_id,
       to_tsvector('pg_catalog.simple', translate(prosa_fold(left(n.text, 20000)), %(marks)s, %(blanks)s))
       || array_to_tsvector(ARRAY['business:' || n.business_id])
FROM prosa_desk_note n
WHERE n.id > coalesce((SELECT max(note_id) FROM prosa_desk_noteline), 0) - 500
  AND NOT EXISTS (SELECT FROM prosa_desk_noteline l WHERE l.note_id = n.id)
ORDER BY n.id LIMIT 5000
ON CONFLICT (note_id) DO NOTHING

-- name: stems
-- The beginnings that the forms of a word share in the desk's languages.
SELECT t.word, ts_lexize('portuguese_stem', prosa_fold_pt(t.word)), ts_lexize('spanish_stem', t.word), ts_lexize('english_stem', t.word)
FROM unnest(%(words)s::text[]) AS t(word)

-- name: messages
-- The newest matching message of each of the conversations that match, the most recent first. "+ 0": sorted after matching, never
-- by walking all messages from the newest.
WITH asked AS MATERIALIZED (SELECT to_tsquery('pg_catalog.simple', %(asked)s) AS words),
hits AS MATERIALIZED (
    SELECT l.conversation_id, max(l.message_id) AS message_id
    FROM asked, prosa_desk_line l
    WHERE numnode(asked.words) > 0 AND l.words @@ (%(business)s::tsquery && asked.words)
    GROUP BY l.conversation_id ORDER BY max(l.message_id) + 0 DESC LIMIT %(most)s
)
SELECT h.conversation_id, m.id, m.created_at, m.text, (SELECT string_agg(concat_ws(' ', a.transcript, a.filename), ' ') FROM prosa_conversations_attachment a WHERE a.message_id = m.id)
FROM hits h JOIN prosa_conversations_message m ON m.id = h.message_id
JOIN prosa_conversations_conversation c ON c.id = h.conversation_id AND c.business_id = %(business_id)s
ORDER BY m.id DESC

-- name: notes
-- The same over what colleagues noted.
WITH asked AS MATERIALIZED (SELECT to_tsquery('pg_catalog.simple', %(asked)s) AS words),
hits AS MATERIALIZED (
    SELECT l.conversation_id, max(l.note_id) AS note_id
    FROM asked, prosa_desk_noteline l
    WHERE numnode(asked.words) > 0 AND l.words @@ (%(business)s::tsquery && asked.words)
    GROUP BY l.conversation_id ORDER BY max(l.note_id) + 0 DESC LIMIT %(most)s
)
SELECT h.conversation_id, n.id, n.created_at, n.text
FROM hits h JOIN prosa_desk_note n ON n.id = h.note_id
JOIN prosa_conversations_conversation c ON c.id = h.conversation_id AND c.business_id = %(business_id)s
ORDER BY n.id DESC

-- name: contacts
-- The conversations of each contact whose name, number or address is meant, the latest of all first.
WITH people AS (
    SELECT ct.id FROM prosa_contacts_contact ct
    WHERE ct.business_id = %(business_id)s AND ct.name <> '' AND prosa_fold(ct.name) LIKE ALL (%(names)s::text[])
    UNION
    SELECT i.contact_id FROM prosa_contacts_identity i
    WHERE i.business_id = %(business_id)s AND (i.key LIKE ANY (%(numbers)s::text[]) OR lower(i.key) LIKE ANY (%(keys)s::text[]))
)
SELECT c.id FROM people p
CROSS JOIN LATERAL (
    SELECT id FROM prosa_conversations_conversation c WHERE c.contact_id = p.id AND c.business_id = %(business_id)s ORDER BY id DESC LIMIT %(each)s) c
ORDER BY c.id DESC LIMIT %(most)s
