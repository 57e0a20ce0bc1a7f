-- The execution ledger: a row before the call, its result after it.

-- name: hold
-- May this worker still act here? Locked until commit, so that nobody takes the conversation over in between.
SELECT c.state = 'bot' AND c.epoch = %(epoch)s AND d.owner IS NOT DISTINCT FROM %(owner)s::int AND d.claim = %(claim)s
FROM prosa_conversations_conversation c JOIN prosa_conversations_dispatch d ON d.conversation_id = c.id
WHERE c.id = %(conversation_id)s AND d.id = %(dispatch_id)s
FOR NO KEY UPDATE OF c, d

-- name: earlier
-- The same writing for the same question, tried before.
SELECT id, key, status, result, record FROM prosa_conversations_execution
WHERE conversation_id = %(conversation_id)s AND (key = %(key)s OR (%(digest)s <> '' AND digest = %(digest)s AND messages && %(messages)s::bigint[]))
ORDER BY id DESC LIMIT 1

-- name: start
INSERT INTO prosa_conversations_execution (conversation_id, business_id, key, digest, messages, tool, risk, shown)
VALUES (%(conversation_id)s, %(business_id)s, %(key)s, %(digest)s, %(messages)s::bigint[], %(tool)s, %(risk)s, %(shown)s::jsonb)
RETURNING id

-- name: finish
WITH ended AS (
    UPDATE prosa_conversations_execution SET status = %(status)s::text, result = %(result)s, record = %(record)s::jsonb, ended_at = now()
    WHERE id = %(id)s AND status IN ('running', 'unknown')
    RETURNING id, conversation_id, business_id, tool
), settled AS (
    UPDATE prosa_conversations_pendingaction SET status = CASE WHEN %(status)s::text = 'done' THEN 'executed' ELSE 'failed' END, settled_at = now(), arguments = '{}'
    WHERE key = %(action)s AND status = 'confirmed'
)
INSERT INTO prosa_conversations_event (conversation_id, business_id, kind, actor, data)
SELECT conversation_id, business_id, %(event)s, 'bot', jsonb_build_object('tool', tool, 'execution', id) FROM ended
