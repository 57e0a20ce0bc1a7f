-- Who is told that a customer waits. Everything is looked up when it is needed: what is not true any more is told to nobody.

-- name: hear
-- The newest event of each kind in the wait this conversation is in, for every outlet that asked for it. Asked again, it adds
-- nothing. An administrator hears of what nobody took; the one who caused it does not hear of it.
INSERT INTO prosa_desk_notice (outlet_id, conversation_id, kind, source, happened_at)
SELECT o.id, c.id, e.kind, e.id, e.created_at
FROM prosa_conversations_conversation c
JOIN LATERAL (
    SELECT DISTINCT ON (v.kind) v.id, v.kind, v.actor, v.created_at FROM prosa_conversations_event v
    WHERE v.conversation_id = c.id AND v.kind IN ('handed_off', 'assigned', 'escalated') AND v.created_at >= c.state_at
    ORDER BY v.kind, v.id DESC
) e ON true
JOIN prosa_desk_outlet o ON o.business_id = c.business_id AND o.active
    AND CASE e.kind WHEN 'handed_off' THEN o.handed_off WHEN 'assigned' THEN o.assigned ELSE o.escalated END
LEFT JOIN prosa_business_membership m ON m.id = o.member_id
WHERE c.id = %(conversation_id)s AND c.state = 'awaiting_agent'
  AND CASE
      WHEN o.team_id IS NOT NULL THEN c.team_id = o.team_id
      WHEN o.member_id IS NULL THEN true
      WHEN m.left_at IS NOT NULL OR m.role = 'viewer' OR m.id = ANY(%(off)s::bigint[]) OR e.actor = 'user:' || m.user_id THEN false
      WHEN e.kind = 'escalated' THEN m.role IN ('owner', 'admin')
      WHEN c.assignee_id IS NOT NULL THEN c.assignee_id = m.id
      WHEN c.team_id IS NOT NULL THEN EXISTS (
          SELECT FROM prosa_business_team_members t WHERE t.team_id = c.team_id AND t.membership_id = m.id)
      ELSE e.kind <> 'assigned' END
ON CONFLICT (outlet_id, kind, source) DO NOTHING

-- name: hear_asked
-- The question the assistant waits for an answer to: when it was asked, and at every reminder. Of a team's, the team hears.
INSERT INTO prosa_desk_notice (outlet_id, conversation_id, kind, source, happened_at)
SELECT o.id, q.conversation_id, 'asked', e.id, e.created_at
FROM prosa_conversations_case q
JOIN LATERAL (
    SELECT v.id, v.created_at FROM prosa_conversations_event v
    WHERE v.conversation_id = q.conversation_id AND v.kind IN ('case_asked', 'case_reminded') AND v.created_at >= q.created_at
    ORDER BY v.id DESC LIMIT 1
) e ON true
JOIN prosa_desk_outlet o ON o.business_id = q.business_id AND o.active AND o.asked
LEFT JOIN prosa_business_membership m ON m.id = o.member_id
WHERE q.conversation_id = %(conversation_id)s AND q.state = 'open'
  AND CASE
      WHEN o.team_id IS NOT NULL THEN q.team_id = o.team_id
      WHEN o.member_id IS NULL THEN true
      WHEN m.left_at IS NOT NULL OR m.role = 'viewer' OR m.id = ANY(%(off)s::bigint[]) THEN false
      WHEN q.team_id IS NOT NULL AND EXISTS (
          SELECT FROM prosa_business_team_members t JOIN prosa_business_membership here ON here.id = t.membership_id
          WHERE t.team_id = q.team_id AND here.left_at IS NULL)
      THEN EXISTS (SELECT FROM prosa_business_team_members t WHERE t.team_id = q.team_id AND t.membership_id = m.id)
      ELSE true END
ON CONFLICT (outlet_id, kind, source) DO NOTHING

-- name: unanswered
-- Customers whose first message since a person wrote last (or took the conversation) is older than an outlet's patience.
-- What never arrived is no answer, nor what was written before the question. unread counts what came since a person's reply, so
-- that most conversations are passed over with hardly a look at their messages.
INSERT INTO prosa_desk_notice (outlet_id, conversation_id, kind, source, happened_at)
SELECT o.id, c.id, 'unanswered', first.id, first.at
FROM prosa_conversations_conversation c
JOIN LATERAL (
    SELECT m.id, greatest(m.created_at, c.state_at) AS at FROM prosa_conversations_message m
    WHERE m.conversation_id = c.id AND m.direction = 'in' AND m.kind NOT IN ('reaction', 'system') AND m.id > coalesce((
        SELECT max(r.id) FROM prosa_conversations_message r
        WHERE r.conversation_id = c.id AND r.direction = 'out' AND r.author IN ('agent', 'owner_phone')
          AND r.status NOT IN ('withdrawn', 'failed') AND coalesce(r.key, '') NOT LIKE 'scheduled:%%'), 0)
    ORDER BY m.id LIMIT 1
) first ON first.at > now() - interval '1 day'
JOIN prosa_desk_outlet o ON o.business_id = c.business_id AND o.active AND o.unanswered
    AND first.at <= now() - o.unanswered_minutes * interval '1 minute'
LEFT JOIN prosa_business_membership m ON m.id = o.member_id
WHERE c.state = 'agent_active'
  AND (c.unread > 0 OR EXISTS (
      SELECT FROM prosa_conversations_message f WHERE f.conversation_id = c.id AND f.id > c.last_inbound_id AND f.status = 'failed'))
  AND c.last_inbound_at > now() - interval '1 day'
  AND NOT coalesce(c.snoozed_until > now() AND c.last_inbound_id <= c.snoozed_from, false)
  AND CASE
      WHEN o.team_id IS NOT NULL THEN c.team_id = o.team_id
      WHEN o.member_id IS NULL THEN true
      ELSE c.assignee_id = m.id AND m.left_at IS NULL AND m.role <> 'viewer' AND m.id <> ALL(%(off)s::bigint[]) END
ON CONFLICT (outlet_id, kind, source) DO NOTHING

-- name: ripe
-- Outlets with something to tell that was gathered long enough and may go out now: one digest per gathering, and to one person
-- at most one mail per pause, whatever business it is about. Quiet hours are the caller's to judge.
SELECT o.id, o.way, coalesce(m.user_id, 0), b.timezone, o.quiet_from, o.quiet_to
FROM prosa_desk_outlet o
JOIN prosa_business_business b ON b.id = o.business_id
LEFT JOIN prosa_business_membership m ON m.id = o.member_id
WHERE o.active AND coalesce(o.next_at <= now(), true)
  AND (o.member_id IS NULL OR (m.left_at IS NULL AND m.role <> 'viewer' AND m.id <> ALL(%(off)s::bigint[])))
  AND (%(outlet_id)s::bigint IS NULL OR o.id = %(outlet_id)s)
  AND EXISTS (SELECT FROM prosa_desk_notice n WHERE n.outlet_id = o.id AND n.status = 'waiting'
              AND n.created_at <= now() - %(gather)s * interval '1 second')
  AND (o.way <> 'email' OR NOT EXISTS (
      SELECT FROM prosa_desk_outlet other JOIN prosa_business_membership same ON same.id = other.member_id
      WHERE same.user_id = m.user_id AND other.way = 'email' AND other.sent_at > now() - %(pause)s * interval '1 second'))
ORDER BY o.id

-- name: hear_unsent
-- Messages written for later that could not be sent: whoever wrote one hears of it.
INSERT INTO prosa_desk_notice (outlet_id, conversation_id, kind, source, happened_at)
SELECT o.id, s.conversation_id, 'unsent', e.id, e.created_at
FROM prosa_desk_scheduled s
JOIN LATERAL (
    SELECT v.id, v.created_at FROM prosa_conversations_event v
    WHERE v.conversation_id = s.conversation_id AND v.kind = 'unsent' AND v.data->>'scheduled' = s.id::text
    ORDER BY v.id DESC LIMIT 1
) e ON true
JOIN prosa_business_membership m ON m.id = s.member_id AND m.left_at IS NULL AND m.role <> 'viewer' AND m.id <> ALL(%(off)s::bigint[])
JOIN prosa_desk_outlet o ON o.business_id = s.business_id AND o.member_id = m.id AND o.active
WHERE s.conversation_id = %(conversation_id)s AND s.status = 'failed'
ON CONFLICT (outlet_id, kind, source) DO NOTHING

-- name: still
-- Which waiting notices of an outlet are still true, with what may be said of them.
SELECT n.id, n.kind, n.conversation_id, n.happened_at,
       -- Whoever left, only looks, or was switched off since is told nothing any more.
       (o.member_id IS NULL OR (mb.left_at IS NULL AND mb.role <> 'viewer' AND mb.id <> ALL(%(off)s::bigint[])
           AND (n.kind <> 'escalated' OR mb.role IN ('owner', 'admin'))))
       AND CASE WHEN n.kind = 'unanswered' THEN
           c.state = 'agent_active' AND (o.member_id IS NULL OR c.assignee_id = o.member_id)
           AND NOT coalesce(c.snoozed_until > now() AND c.last_inbound_id <= c.snoozed_from, false)
           AND NOT EXISTS (SELECT FROM prosa_conversations_message r WHERE r.conversation_id = c.id AND r.id > n.source
                           AND r.direction = 'out' AND r.author IN ('agent', 'owner_phone')
                           AND r.status NOT IN ('withdrawn', 'failed') AND coalesce(r.key, '') NOT LIKE 'scheduled:%%')
       WHEN n.kind = 'asked' THEN
           EXISTS (SELECT FROM prosa_conversations_case q WHERE q.conversation_id = c.id AND q.state = 'open' AND q.created_at <= n.happened_at)
       WHEN n.kind = 'unsent' THEN
           EXISTS (SELECT FROM prosa_desk_scheduled s WHERE s.conversation_id = c.id AND s.status = 'failed' AND s.id::text = e.data->>'scheduled')
       ELSE
           c.state = 'awaiting_agent' AND n.happened_at >= c.state_at
           AND (o.team_id IS NULL OR c.team_id = o.team_id)
           AND (o.member_id IS NULL OR n.kind = 'escalated' OR c.assignee_id IS NULL OR c.assignee_id = o.member_id)
           AND (o.member_id IS NULL OR n.kind = 'escalated' OR c.assignee_id IS NOT NULL OR c.team_id IS NULL OR EXISTS (
               SELECT FROM prosa_business_team_members t WHERE t.team_id = c.team_id AND t.membership_id = o.member_id))
       END,
       ct.name, ib.name, coalesce(tm.name, ''),
       coalesce(CASE WHEN n.kind = 'asked' THEN e.data->>'question' ELSE e.data->>'reason' END, ''),
       (SELECT m.text FROM prosa_conversations_message m
        WHERE m.conversation_id = c.id AND m.direction = 'in' AND m.text <> '' ORDER BY m.id DESC LIMIT 1)
FROM prosa_desk_notice n
JOIN prosa_desk_outlet o ON o.id = n.outlet_id
JOIN prosa_conversations_conversation c ON c.id = n.conversation_id
JOIN prosa_contacts_contact ct ON ct.id = c.contact_id
JOIN prosa_channels_inbox ib ON ib.id = c.inbox_id
LEFT JOIN prosa_business_membership mb ON mb.id = o.member_id
LEFT JOIN prosa_business_team tm ON tm.id = c.team_id
LEFT JOIN prosa_conversations_event e ON e.id = n.source AND n.kind <> 'unanswered' AND e.conversation_id = c.id
WHERE n.outlet_id = %(outlet_id)s AND n.status = 'waiting'
ORDER BY n.happened_at, n.id
