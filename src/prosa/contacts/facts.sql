-- What is remembered of a person.

-- name: keep
INSERT INTO prosa_contacts_fact (business_id, contact_id, text, key, conversation_id, turn_id, message_id)
SELECT %(business_id)s, %(contact_id)s, x.text, x.key, %(conversation_id)s, %(turn_id)s, %(message_id)s
FROM unnest(%(texts)s::text[], %(keys)s::text[]) WITH ORDINALITY AS x(text, key, ord) ORDER BY x.ord
ON CONFLICT (contact_id, key) DO UPDATE
SET text = excluded.text, conversation_id = excluded.conversation_id, turn_id = excluded.turn_id,
    message_id = excluded.message_id, created_at = now(), expires_at = NULL

-- name: bound
-- The oldest beyond the most give way, and whatever has expired.
DELETE FROM prosa_contacts_fact
WHERE business_id = %(business_id)s AND contact_id = %(contact_id)s AND (expires_at <= now() OR id IN (
    SELECT id FROM prosa_contacts_fact WHERE business_id = %(business_id)s AND contact_id = %(contact_id)s
    ORDER BY created_at DESC, id DESC OFFSET %(most)s))

-- name: erase
-- Under every name: of those merged into the contact too.
WITH RECURSIVE names AS (
    SELECT %(contact_id)s::bigint AS id
    UNION SELECT m.merged_id FROM names JOIN prosa_contacts_merge m ON m.kept_id = names.id AND m.undone_at IS NULL
)
DELETE FROM prosa_contacts_fact WHERE business_id = %(business_id)s AND contact_id IN (SELECT id FROM names) RETURNING id
