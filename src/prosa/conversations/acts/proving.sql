-- How customers prove who they are. The contact's lock makes attempts wait for each other, so that nobody tries twice at once.

-- name: lock
SELECT c.contact_id, c.business_id,
       (SELECT array_agg(i.key ORDER BY i.key) FROM prosa_contacts_identity i
        WHERE i.contact_id = c.contact_id AND i.origin_id IS NOT DISTINCT FROM c.writer_id),
       (SELECT i.key FROM prosa_contacts_identity i
        WHERE i.contact_id = c.contact_id AND i.key LIKE 'email:%%' AND i.created_at < c.created_at ORDER BY i.id LIMIT 1),
       (SELECT count(*) FROM prosa_conversations_identityproof p
        WHERE p.business_id = c.business_id AND p.contact_id = c.contact_id AND p.created_at > now() - interval '1 day' AND p.way = 'email_code'),
       (SELECT coalesce(sum(p.tries), 0) FROM prosa_conversations_identityproof p
        WHERE p.business_id = c.business_id AND p.contact_id = c.contact_id AND p.created_at > now() - interval '1 day' AND p.status <> 'proved')
FROM prosa_conversations_conversation c JOIN prosa_contacts_contact ct ON ct.id = c.contact_id
WHERE c.id = %(conversation_id)s AND c.business_id = %(business_id)s
FOR NO KEY UPDATE OF ct

-- name: begin
INSERT INTO prosa_conversations_identityproof (conversation_id, business_id, contact_id, identities, way, secret, tries, status, expires_at)
VALUES (%(conversation_id)s, %(business_id)s, %(contact_id)s, %(identities)s::text[], %(way)s, %(secret)s, %(tries)s, %(status)s, now() + %(minutes)s * interval '1 minute')
RETURNING id

-- name: code
-- The code that was sent last here, while it may still be tried.
SELECT id, secret, tries FROM prosa_conversations_identityproof
WHERE conversation_id = %(conversation_id)s AND contact_id = %(contact_id)s AND way = 'email_code' AND status = 'asked' AND expires_at > now()
ORDER BY id DESC LIMIT 1

-- name: tried
UPDATE prosa_conversations_identityproof SET tries = tries + 1, status = CASE WHEN tries + 1 >= %(most)s THEN 'failed' ELSE status END
WHERE id = %(id)s

-- name: end
WITH ended AS (
    UPDATE prosa_conversations_identityproof p
    SET status = %(status)s::text, secret = '', expires_at = CASE WHEN %(status)s::text = 'proved' THEN now() + %(minutes)s * interval '1 minute' ELSE p.expires_at END
    WHERE p.id = %(id)s RETURNING p.conversation_id, p.business_id, p.way
)
INSERT INTO prosa_conversations_event (conversation_id, business_id, kind, actor, data)
SELECT conversation_id, business_id, %(event)s, 'customer', jsonb_build_object('way', way) FROM ended
