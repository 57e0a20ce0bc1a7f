-- What the REST API asks the database. Everything starts from the inbox of the caller's key.

-- name: key
SELECT id, inbox_id, digest FROM prosa_channels_apikey WHERE digest = %(digest)s AND revoked_at IS NULL

-- name: asked
-- A message of this inbox by the id its request gave it, and the fingerprint of that request.
SELECT id, conversation_id, payload->>'request' FROM prosa_conversations_message WHERE inbox_id = %(inbox_id)s AND provider_id = %(provider_id)s

-- name: turn
-- A turn of this inbox as the table has it, with the messages it read and wrote.
SELECT to_jsonb(t) - 'cost' - 'started_at' - 'finished_at', t.cost, t.started_at, t.finished_at,
       (SELECT jsonb_agg(jsonb_build_object('id', m.id, 'direction', m.direction, 'author', m.author, 'kind', m.kind, 'text', m.text,
            'status', m.status, 'error_code', m.error_code, 'at', m.sent_at) ORDER BY m.id)
        FROM prosa_conversations_message m
        WHERE m.conversation_id = t.conversation_id AND (m.turn_id = t.id OR t.trace->'asked' @> to_jsonb(m.id))),
       (SELECT jsonb_object_agg(f.id, f.text) FROM prosa_contacts_fact f
        WHERE f.business_id = t.business_id AND f.contact_id = c.contact_id AND t.trace->'memory'->'facts' @> to_jsonb(f.id))
FROM prosa_conversations_turn t JOIN prosa_conversations_conversation c ON c.id = t.conversation_id
WHERE t.id = %(turn_id)s AND c.inbox_id = %(inbox_id)s

-- name: answer
-- One row per reply, or one with NULLs. What answers a message is the turn it was part of; while there is none, what
-- people wrote since and the notices that they will come.
SELECT m.conversation_id, m.turn_id, m.pending, c.state, r.id, r.author, r.kind, r.text, r.payload, r.status
FROM prosa_conversations_message m
JOIN prosa_conversations_conversation c ON c.id = m.conversation_id
LEFT JOIN LATERAL (
    (SELECT * FROM prosa_conversations_message t WHERE t.turn_id = m.turn_id AND t.direction = 'out' ORDER BY t.id)
    UNION ALL
    (SELECT * FROM prosa_conversations_message s
     WHERE m.turn_id IS NULL AND s.conversation_id = m.conversation_id AND s.id > m.id AND s.direction = 'out'
       AND s.author IN ('agent', 'owner_phone', 'system') AND s.status <> 'queued'
     ORDER BY s.id LIMIT 100)
) r ON true
WHERE m.id = %(message_id)s AND m.inbox_id = %(inbox_id)s AND m.direction = 'in'
ORDER BY r.id
