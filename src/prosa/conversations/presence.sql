-- Who is writing. Nothing of it is stored.

-- name: tell
-- The newest conversation on this inbox of whoever is known by one of these is said to be written in.
SELECT pg_notify('prosa_realtime', 'types:' || talk.id)
FROM (
    SELECT c.id FROM prosa_contacts_identity i
    JOIN prosa_conversations_conversation c ON c.contact_id = i.contact_id AND c.inbox_id = %(inbox_id)s
    WHERE i.business_id = %(business_id)s AND i.key = ANY(%(keys)s)
    ORDER BY c.id DESC LIMIT 1
) AS talk
