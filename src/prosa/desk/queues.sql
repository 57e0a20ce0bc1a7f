-- The left pane. Constants are bound by the client, so that each queue is planned for itself.

-- name: page
-- One page of a queue, in its order; what is shown of each row is looked up only for the rows of the page.
WITH page AS MATERIALIZED (
    SELECT c.id, CASE WHEN %(oldest_first)s THEN c.state_at ELSE coalesce(c.last_inbound_at, c.created_at) END AS at
    FROM prosa_conversations_conversation c
    WHERE c.business_id = %(business_id)s
      AND CASE %(queue)s
          WHEN 'waiting' THEN c.state = 'awaiting_agent'
          WHEN 'mine' THEN c.state IN ('awaiting_agent', 'agent_active') AND c.assignee_id = %(member_id)s AND NOT (c.snoozed_until > now() AND c.last_inbound_id <= c.snoozed_from)
          WHEN 'team' THEN c.state IN ('awaiting_agent', 'agent_active') AND c.team_id = ANY(%(teams)s::bigint[])
          WHEN 'people' THEN c.state = 'agent_active' AND NOT (c.snoozed_until > now() AND c.last_inbound_id <= c.snoozed_from)
          WHEN 'snoozed' THEN c.state IN ('awaiting_agent', 'agent_active') AND c.snoozed_until > now() AND c.last_inbound_id <= c.snoozed_from
          WHEN 'questions' THEN c.id = ANY(ARRAY(SELECT q.conversation_id FROM prosa_conversations_case q WHERE q.business_id = %(business_id)s AND q.state = 'open'))
          WHEN 'bot' THEN c.state = 'bot'
          WHEN 'resolved' THEN c.state = 'resolved'
          ELSE true END
      AND (%(inbox_id)s::bigint IS NULL OR c.inbox_id = %(inbox_id)s)
      AND (%(assignee_id)s::bigint IS NULL OR c.assignee_id = %(assignee_id)s)
      AND (%(team_id)s::bigint IS NULL OR c.team_id = %(team_id)s)
      AND (%(label_id)s::bigint IS NULL OR EXISTS (
          SELECT FROM prosa_conversations_conversation_labels l WHERE l.conversation_id = c.id AND l.label_id = %(label_id)s))
      AND (%(ids)s::bigint[] IS NULL OR c.id = ANY(%(ids)s::bigint[]))
      AND (%(after_id)s::bigint IS NULL
           OR CASE WHEN %(oldest_first)s THEN (c.state_at, c.id) > (%(after_at)s::timestamptz, %(after_id)s)
              ELSE (coalesce(c.last_inbound_at, c.created_at), c.id) < (%(after_at)s::timestamptz, %(after_id)s) END)
    ORDER BY CASE WHEN %(oldest_first)s THEN c.state_at END ASC NULLS LAST,
             CASE WHEN NOT %(oldest_first)s THEN coalesce(c.last_inbound_at, c.created_at) END DESC NULLS LAST,
             CASE WHEN %(oldest_first)s THEN c.id ELSE -c.id END
    LIMIT %(most)s
)
SELECT c.id, c.state, c.state_at, page.at, c.epoch, c.snoozed_until > now() AND c.last_inbound_id <= c.snoozed_from, c.snoozed_until,
       ct.name, (SELECT CASE WHEN i.key LIKE 'phone:%%' THEN '+' || split_part(i.key, ':', 2) ELSE coalesce(nullif(i.address, ''), split_part(i.key, ':', 2)) END FROM prosa_contacts_identity i WHERE i.contact_id = c.contact_id ORDER BY i.id LIMIT 1),
       ib.name, ib.kind, c.assignee_id, c.team_id, m.author, m.kind, left(m.text, 160), m.created_at, m.status,
       coalesce(c.last_inbound_id > coalesce(p.read_id, 0), false), c.unread,
       (SELECT array_agg(ARRAY[l.name, l.colour, l.id::text] ORDER BY l.name) FROM prosa_conversations_conversation_labels cl
        JOIN prosa_conversations_label l ON l.id = cl.label_id WHERE cl.conversation_id = c.id),
       c.inbox_id, c.last_inbound_id,
       c.state = 'awaiting_agent' AND EXISTS (
           SELECT FROM prosa_conversations_event e
           WHERE e.conversation_id = c.id AND e.kind = 'escalated' AND e.created_at >= c.state_at),
       asked.created_at, asked.team_id
FROM page
JOIN prosa_conversations_conversation c ON c.id = page.id
JOIN prosa_contacts_contact ct ON ct.id = c.contact_id
JOIN prosa_channels_inbox ib ON ib.id = c.inbox_id
LEFT JOIN prosa_conversations_case asked ON asked.conversation_id = c.id AND asked.state = 'open'
LEFT JOIN prosa_desk_place p ON p.conversation_id = c.id AND p.member_id = %(member_id)s
LEFT JOIN LATERAL (
    SELECT author, kind, text, created_at, status FROM prosa_conversations_message
    WHERE conversation_id = c.id AND kind NOT IN ('reaction', 'system') ORDER BY id DESC LIMIT 1) m ON true
ORDER BY CASE WHEN %(oldest_first)s THEN page.at END ASC NULLS LAST, CASE WHEN NOT %(oldest_first)s THEN page.at END DESC NULLS LAST,
         CASE WHEN %(oldest_first)s THEN c.id ELSE -c.id END

-- name: counts
-- How many are in each queue that asks for people. The rest is not counted: nobody acts on 40,000 resolved ones.
SELECT count(*) FILTER (WHERE state = 'awaiting_agent'),
       count(*) FILTER (WHERE assignee_id = %(member_id)s AND NOT asleep),
       count(*) FILTER (WHERE team_id = ANY(%(teams)s::bigint[])),
       count(*) FILTER (WHERE state = 'agent_active' AND NOT asleep),
       count(*) FILTER (WHERE asleep),
       min(state_at) FILTER (WHERE state = 'awaiting_agent'),
       (SELECT count(*) FROM prosa_conversations_case q WHERE q.business_id = %(business_id)s AND q.state = 'open')
FROM (SELECT state, assignee_id, team_id, state_at, coalesce(snoozed_until > now() AND last_inbound_id <= snoozed_from, false) AS asleep
      FROM prosa_conversations_conversation
      WHERE business_id = %(business_id)s AND state IN ('awaiting_agent', 'agent_active')) c
