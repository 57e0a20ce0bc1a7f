-- name: colleagues
-- Who answers customers of the business; whether they are there (available, with a desk open); what they have.
SELECT m.id, m.available AND coalesce(m.seen_at > now() - %(away)s::interval, false),
       (SELECT count(*) FROM prosa_conversations_conversation c
        WHERE c.assignee_id = m.id AND c.state IN ('awaiting_agent', 'agent_active')
          AND NOT coalesce(c.snoozed_until > now() AND c.last_inbound_id <= c.snoozed_from, false)),
       m.capacity
FROM prosa_business_membership m
WHERE m.business_id = %(business_id)s AND m.left_at IS NULL AND m.role IN ('owner', 'admin', 'agent')

-- name: read
SELECT p.member_id, p.conversation_id, p.read_id FROM prosa_desk_place p
JOIN prosa_conversations_conversation c ON c.id = p.conversation_id
JOIN prosa_business_membership m ON m.id = p.member_id AND m.business_id = c.business_id
WHERE p.conversation_id = ANY(%(ids)s::bigint[]) AND p.member_id = ANY(%(members)s::bigint[])

-- name: look
-- A desk belongs to whoever opened it: nobody moves another's.
INSERT INTO prosa_desk_look AS l (tab, member_id, conversation_id, seen_at) VALUES (%(tab)s, %(member_id)s, %(conversation_id)s, now())
ON CONFLICT (tab) DO UPDATE SET conversation_id = excluded.conversation_id, seen_at = now() WHERE l.member_id = excluded.member_id

-- name: forget
DELETE FROM prosa_desk_look WHERE seen_at < %(before)s RETURNING conversation_id
