-- What time did.

-- name: awake
SELECT id, CASE WHEN last_inbound_id > snoozed_from THEN 'customer' ELSE 'time' END, epoch
FROM prosa_conversations_conversation
WHERE snoozed_until IS NOT NULL AND (snoozed_until <= now() OR last_inbound_id > snoozed_from) AND state = 'agent_active'
LIMIT 1000

-- name: unanswered
-- Where the customer wrote last and no person answered for so long (patience, an interval), counted from when they wrote or
-- from when people last moved it, whichever was later. What never arrived is no answer, nor what was written before the question. What is snoozed waits on purpose. only: this conversation, NULL for all.
SELECT c.id
FROM prosa_conversations_conversation c
CROSS JOIN LATERAL (
    SELECT m.id, m.created_at FROM prosa_conversations_message m
    WHERE m.conversation_id = c.id AND m.direction = 'in' AND m.kind NOT IN ('reaction', 'system', 'revoke')
    ORDER BY m.id DESC LIMIT 1) wrote
WHERE c.business_id = %(business_id)s AND c.state IN ('awaiting_agent', 'agent_active')
  AND (%(only)s::bigint IS NULL OR c.id = %(only)s)
  AND c.state_at < now() - %(patience)s::interval AND wrote.created_at < now() - %(patience)s::interval
  AND NOT coalesce(c.snoozed_until > now() AND c.last_inbound_id <= c.snoozed_from, false)
  AND NOT EXISTS (
      SELECT FROM prosa_conversations_message p
      WHERE p.conversation_id = c.id AND p.id > wrote.id AND p.author IN ('agent', 'owner_phone')
        AND p.status NOT IN ('withdrawn', 'failed') AND coalesce(p.key, '') NOT LIKE 'scheduled:%%')
  AND NOT EXISTS (
      SELECT FROM prosa_conversations_event e
      WHERE e.conversation_id = c.id AND e.created_at >= now() - %(patience)s::interval
        AND (e.kind IN ('taken', 'woken', 'snoozed', 'reopened', 'person_replied') OR e.kind = 'assigned' AND e.actor LIKE 'user:%%'))
ORDER BY c.state_at LIMIT 1000
