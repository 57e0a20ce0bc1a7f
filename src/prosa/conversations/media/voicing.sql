-- name: standing
-- Whose reply it is, in which language and voice, and what the business may still spend.
SELECT c.business_id, b.locale, b.voice, k.standing, prosa_conversations_spent(c.id)
FROM prosa_conversations_conversation c JOIN prosa_business_business b ON b.id = c.business_id
CROSS JOIN LATERAL prosa_costs_standing(b.id) AS k(standing)
WHERE c.id = %(conversation_id)s

-- name: attach
-- The voice note of a message; made again when its file was deleted.
WITH known AS (
    UPDATE prosa_conversations_attachment SET file = %(file)s, status = 'stored' WHERE message_id = %(message_id)s RETURNING id
)
INSERT INTO prosa_conversations_attachment (message_id, kind, mime_type, voice, status, file, transcript)
SELECT %(message_id)s, 'audio', %(mime_type)s, true, 'stored', %(file)s, %(transcript)s WHERE NOT EXISTS (SELECT FROM known)

-- name: as_text
-- What could not be spoken, or was refused as a voice note, goes out as text, once.
WITH unspoken AS (
    UPDATE prosa_conversations_message SET kind = 'text', payload = payload - 'speak', status = 'queued', status_at = now()
    WHERE id = %(message_id)s AND kind = 'audio' AND status IN ('queued', 'sending') AND payload ? 'speak' RETURNING id
)
DELETE FROM prosa_conversations_attachment a USING unspoken WHERE a.message_id = unspoken.id
