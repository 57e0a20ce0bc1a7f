-- name: changed
-- Which of these conversations belong to businesses somebody looks at, their newest message, and who is typing in them.
SELECT c.business_id, c.id, coalesce((SELECT max(m.id) FROM prosa_conversations_message m WHERE m.conversation_id = c.id), 0),
       (SELECT jsonb_agg(p.member_id) FROM prosa_desk_place p WHERE p.conversation_id = c.id AND p.typing_until > now())
FROM prosa_conversations_conversation c
WHERE c.id = ANY(%(ids)s::bigint[]) AND c.business_id = ANY(%(businesses)s::bigint[])
