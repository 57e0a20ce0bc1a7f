-- The rota. away: an interval, how long ago a desk that counts as open was seen.

-- name: next
-- Whose turn it is: there, allowed to answer, of the team (everybody where the team has nobody), and not full. Who was given
-- something longest ago comes first.
SELECT m.id FROM prosa_business_membership m
WHERE m.business_id = %(business_id)s AND m.left_at IS NULL AND m.available AND m.role IN ('owner', 'admin', 'agent')
  AND m.seen_at > now() - %(away)s::interval AND m.id <> ALL(%(without)s::bigint[])
  AND (%(team_id)s::bigint IS NULL
       OR EXISTS (SELECT FROM prosa_business_team_members t WHERE t.team_id = %(team_id)s::bigint AND t.membership_id = m.id)
       OR NOT EXISTS (
           SELECT FROM prosa_business_team_members t JOIN prosa_business_membership o ON o.id = t.membership_id
           WHERE t.team_id = %(team_id)s::bigint AND o.left_at IS NULL))
  AND m.capacity > (
      SELECT count(*) FROM prosa_conversations_conversation c
      WHERE c.assignee_id = m.id AND c.state IN ('awaiting_agent', 'agent_active')
        AND NOT coalesce(c.snoozed_until > now() AND c.last_inbound_id <= c.snoozed_from, false))
ORDER BY m.offered_at NULLS FIRST, m.id LIMIT 1

-- name: businesses
-- Where somebody has, or waits for, a person.
SELECT b.id FROM prosa_business_business b
WHERE EXISTS (SELECT FROM prosa_conversations_conversation c WHERE c.business_id = b.id AND c.state IN ('awaiting_agent', 'agent_active'))

-- name: stuck
-- Named and not taken: whoever the rota named is away, or the business's minutes are over (take; zero is for ever). And
-- taken, but its person is away while the customer waits for an answer; by night they are let go home. Whoever has left, or may
-- only look, has nothing. only: this conversation, NULL for all.
SELECT c.id, CASE WHEN x.away THEN 'away' ELSE 'not_taken' END
FROM prosa_conversations_conversation c
JOIN prosa_business_membership m ON m.id = c.assignee_id
CROSS JOIN LATERAL (SELECT m.left_at IS NOT NULL OR m.role = 'viewer' AS gone) g
CROSS JOIN LATERAL (SELECT g.gone OR NOT m.available OR coalesce(m.seen_at < now() - %(away)s::interval, true) AS away) x
LEFT JOIN LATERAL (
    SELECT e.created_at, e.actor FROM prosa_conversations_event e
    WHERE e.conversation_id = c.id AND e.kind = 'assigned' ORDER BY e.id DESC LIMIT 1) a ON true
WHERE c.business_id = %(business_id)s AND c.state IN ('awaiting_agent', 'agent_active') AND (%(only)s::bigint IS NULL OR c.id = %(only)s)
  AND (g.gone OR CASE c.state
      WHEN 'awaiting_agent' THEN
          x.away AND a.actor = 'system'
          OR %(take)s::interval > interval '0' AND coalesce(a.created_at, c.state_at) < now() - %(take)s::interval
      ELSE x.away AND %(open)s AND %(take)s::interval > interval '0' AND c.last_inbound_at < now() - %(take)s::interval AND c.state_at < now() - %(take)s::interval
          AND NOT coalesce(c.snoozed_until > now() AND c.last_inbound_id <= c.snoozed_from, false)
          AND EXISTS (SELECT FROM prosa_conversations_message p WHERE p.conversation_id = c.id AND p.pending) END)
ORDER BY c.state_at

-- name: hands
-- Is there anybody with room?
SELECT 1 FROM prosa_business_membership m
WHERE m.business_id = %(business_id)s AND m.left_at IS NULL AND m.available AND m.role IN ('owner', 'admin', 'agent')
  AND m.seen_at > now() - %(away)s::interval AND m.capacity > 0 LIMIT 1

-- name: forgotten
-- Waiting so long that somebody must be told, once for each time they began to wait.
SELECT c.id FROM prosa_conversations_conversation c
WHERE c.business_id = %(business_id)s AND c.state = 'awaiting_agent' AND c.state_at < now() - %(patience)s::interval
  AND (%(only)s::bigint IS NULL OR c.id = %(only)s)
  AND NOT EXISTS (
      SELECT FROM prosa_conversations_event e
      WHERE e.conversation_id = c.id AND e.kind = 'escalated' AND e.created_at >= c.state_at)
ORDER BY c.state_at LIMIT %(most)s
