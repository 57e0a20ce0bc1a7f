-- What was said, in short.

-- name: subject
SELECT c.id, c.business_id, b.name, b.locale, b.timezone, b.model, b.fallback_models, b.request_deadline_s, c.context_from,
       s.text, s.through_id,
       (SELECT e.data->>'reason' FROM prosa_conversations_event e
        WHERE e.conversation_id = c.id AND e.kind = 'handed_off' ORDER BY e.id DESC LIMIT 1),
       k.standing,
       prosa_conversations_spent(c.id)
FROM prosa_conversations_conversation c
JOIN prosa_business_business b ON b.id = c.business_id
LEFT JOIN prosa_conversations_summary s ON s.conversation_id = c.id AND s.purpose = 'history'
CROSS JOIN LATERAL prosa_costs_standing(b.id) AS k(standing)
WHERE c.id = %(conversation_id)s AND (%(business_id)s::bigint IS NULL OR c.business_id = %(business_id)s)

-- name: lines
SELECT id, author, text, sent_at FROM prosa_conversations_message
WHERE business_id = %(business_id)s AND conversation_id = %(conversation_id)s AND id > %(after)s AND id <= %(through)s
  AND text <> '' AND status NOT IN ('withdrawn', 'failed') AND kind NOT IN ('reaction', 'system', 'revoke')
ORDER BY id DESC LIMIT %(most)s

-- name: store
INSERT INTO prosa_conversations_summary AS s (conversation_id, business_id, purpose, text, through_id, lines, model)
SELECT c.id, c.business_id, %(purpose)s, %(text)s, %(through)s, %(lines)s, %(model)s
FROM prosa_conversations_conversation c
WHERE c.id = %(conversation_id)s AND c.business_id = %(business_id)s AND c.context_from < %(through)s
ON CONFLICT (conversation_id, purpose) DO UPDATE
SET text = excluded.text, through_id = excluded.through_id, lines = s.lines + excluded.lines, model = excluded.model, written_at = now()
WHERE s.through_id <= excluded.through_id

-- name: stored
SELECT text, model, written_at FROM prosa_conversations_summary
WHERE business_id = %(business_id)s AND conversation_id = %(conversation_id)s AND purpose = %(purpose)s

-- name: within
SELECT 1 FROM prosa_conversations_conversation
WHERE business_id = %(business_id)s AND inbox_id = %(inbox_id)s AND id = %(conversation_id)s
