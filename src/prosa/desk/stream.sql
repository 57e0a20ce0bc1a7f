-- name: changed
-- Which of these conversations belong to businesses somebody looks at, and what their lists need to know: the newest message;
-- who is typing; who has read how far; when it was given to whom it is with, and when administrators were told that nobody
-- takes it (milliseconds, 0 for never); and a mark that changes with whatever the pane about the customer shows.
SELECT c.business_id, c.id, coalesce((SELECT max(m.id) FROM prosa_conversations_message m WHERE m.conversation_id = c.id), 0),
       p.typing, p.read,
       (extract(epoch FROM greatest(c.state_at, e.given_at)) * 1000)::bigint,
       coalesce(extract(epoch FROM CASE WHEN c.state = 'awaiting_agent' AND e.escalated_at >= c.state_at THEN e.escalated_at END) * 1000, 0)::bigint,
       md5(concat_ws('|', c.state, c.assignee_id, c.team_id, c.snoozed_until, e.last, ct::text,
           (SELECT string_agg(l.label_id::text, ',' ORDER BY l.label_id) FROM prosa_conversations_conversation_labels l WHERE l.conversation_id = c.id),
           (SELECT count(*) || '-' || max(i.id) FROM prosa_contacts_identity i WHERE i.contact_id = c.contact_id),
           (SELECT count(*) || '-' || max(f.id) FROM prosa_contacts_fact f WHERE f.contact_id = c.contact_id)))
FROM prosa_conversations_conversation c
JOIN prosa_contacts_contact ct ON ct.id = c.contact_id
LEFT JOIN LATERAL (
    SELECT max(id) AS last, max(created_at) FILTER (WHERE kind = 'assigned') AS given_at,
           max(created_at) FILTER (WHERE kind = 'escalated') AS escalated_at
    FROM prosa_conversations_event WHERE conversation_id = c.id) e ON true
LEFT JOIN LATERAL (
    SELECT array_agg(member_id) FILTER (WHERE typing_until > now()) AS typing, array_agg(ARRAY[member_id, read_id]) AS read
    FROM prosa_desk_place WHERE conversation_id = c.id) p ON true
WHERE c.id = ANY(%(ids)s::bigint[]) AND c.business_id = ANY(%(businesses)s::bigint[])
