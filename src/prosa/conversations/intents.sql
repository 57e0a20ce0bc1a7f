-- Wishes of an agent, carried out.

-- name: remembered
INSERT INTO prosa_conversations_event (conversation_id, business_id, kind, actor, data)
VALUES (%(conversation_id)s, %(business_id)s, 'remembered', 'bot', jsonb_build_object('turn', %(turn_id)s::bigint, 'facts', %(count)s::int))

-- name: plan_closing
-- The bubble after which the conversation is resolved, and what was settled.
WITH planned AS (
    UPDATE prosa_conversations_conversation SET closing_id = %(bubble_id)s
    WHERE id = %(conversation_id)s AND business_id = %(business_id)s RETURNING id, business_id
)
INSERT INTO prosa_conversations_summary AS s (conversation_id, business_id, purpose, text, through_id, model)
SELECT id, business_id, 'closing', %(summary)s, %(bubble_id)s, %(model)s FROM planned
ON CONFLICT (conversation_id, purpose) DO UPDATE
SET text = excluded.text, through_id = excluded.through_id, model = excluded.model, written_at = now()

-- name: closing
-- What was settled, when the planned closing is due: its bubble left, nobody took over, the customer wrote nothing since.
SELECT s.text
FROM prosa_conversations_conversation c
JOIN prosa_conversations_message m ON m.id = c.closing_id AND m.conversation_id = c.id
JOIN prosa_conversations_summary s ON s.conversation_id = c.id AND s.purpose = 'closing' AND s.through_id = c.closing_id
WHERE c.id = %(conversation_id)s AND c.state = 'bot' AND c.epoch = m.epoch AND c.last_inbound_id < c.closing_id
  AND m.status IN ('sent', 'delivered', 'read', 'played')
  AND NOT EXISTS (SELECT FROM prosa_conversations_message p WHERE p.conversation_id = c.id AND p.pending)
FOR NO KEY UPDATE OF c
