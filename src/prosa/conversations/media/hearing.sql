-- name: standing
-- Whose voice note it is, the language it is likely in, and what the business may still spend.
SELECT c.business_id, b.locale, k.standing, prosa_conversations_spent(c.id)
FROM prosa_conversations_conversation c JOIN prosa_business_business b ON b.id = c.business_id
CROSS JOIN LATERAL prosa_costs_standing(b.id) AS k(standing)
WHERE c.id = %(conversation_id)s

-- name: heard
-- The words become the message's text, in the place of a description or below what was written with it; once.
WITH heard AS (
    UPDATE prosa_conversations_attachment SET hearing = 'heard', transcript = %(transcript)s, error = ''
    WHERE id = %(id)s AND hearing = 'waiting' RETURNING message_id
)
UPDATE prosa_conversations_message m
SET text = CASE WHEN m.text = '' OR m.text IN ('[audio]', '[voice message]') THEN %(transcript)s ELSE m.text || E'\n' || %(transcript)s END
FROM heard WHERE m.id = heard.message_id

-- name: unheard
UPDATE prosa_conversations_attachment SET hearing = 'unheard', error = %(error)s WHERE id = %(id)s AND hearing = 'waiting'

-- name: wake
-- A turn that was put off for files: not one in its quiet period (burst_until), and not one that failed (attempts).
WITH woken AS (
    UPDATE prosa_conversations_dispatch d SET run_at = now()
    WHERE d.conversation_id = %(conversation_id)s AND d.lane = 1 AND d.owner IS NULL AND d.run_at > now()
      AND d.burst_until IS NULL AND d.attempts = 0
      AND NOT EXISTS (
          SELECT FROM prosa_conversations_message m JOIN prosa_conversations_attachment a ON a.message_id = m.id
          WHERE m.conversation_id = d.conversation_id AND m.pending AND (a.status = 'waiting' OR a.hearing = 'waiting'))
    RETURNING d.id
)
SELECT pg_notify('prosa_dispatch', '') FROM woken
