-- A trial's stage. Everything here happens in a transaction that is rolled back before anybody thinks.

-- name: stage
-- A customer and a conversation of theirs that nobody will ever see; nothing when there is no such business.
WITH contact AS (
    INSERT INTO prosa_contacts_contact (business_id, name) SELECT id, '' FROM prosa_business_business WHERE id = %(business_id)s
    RETURNING id, business_id
)
INSERT INTO prosa_conversations_conversation (business_id, inbox_id, contact_id, specialist)
SELECT business_id, 0, id, %(specialist)s::text FROM contact
RETURNING id

-- name: rehearse
-- The draft as if it were in force; nothing when there is none.
UPDATE prosa_business_guideline g SET text = d.text, rules = d.rules
FROM prosa_business_guidelinedraft d WHERE d.guideline_id = g.id AND g.business_id = %(business_id)s
RETURNING d.revision

-- name: speak
-- What was said, oldest first; the last line is the question.
INSERT INTO prosa_conversations_message (conversation_id, business_id, inbox_id, direction, author, text, status, pending)
SELECT %(conversation_id)s::bigint, %(business_id)s::bigint, 0, CASE WHEN l.author = 'customer' THEN 'in' ELSE 'out' END, l.author, l.text,
       CASE WHEN l.author = 'customer' THEN 'received' ELSE 'sent' END, l.ord = cardinality(%(texts)s::text[])
FROM unnest(%(authors)s::text[], %(texts)s::text[]) WITH ORDINALITY AS l(author, text, ord) ORDER BY l.ord
