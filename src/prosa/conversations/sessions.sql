-- Starting afresh.

-- name: whose
-- The contact as it is now: it may have been merged since the turn began.
SELECT contact_id FROM prosa_conversations_conversation WHERE id = %(conversation_id)s AND business_id = %(business_id)s

-- name: begin_afresh
WITH moved AS (
    UPDATE prosa_conversations_conversation SET context_from = %(message_id)s
    WHERE id = %(conversation_id)s AND business_id = %(business_id)s AND context_from < %(message_id)s
    RETURNING id, business_id
), gone AS (
    DELETE FROM prosa_conversations_summary s USING moved WHERE s.conversation_id = moved.id AND s.purpose = 'history'
)
INSERT INTO prosa_conversations_event (conversation_id, business_id, kind, actor, data)
SELECT id, business_id, 'began_afresh', 'customer', jsonb_build_object('message', %(message_id)s::bigint, 'facts_erased', %(forgotten)s::int)
FROM moved

-- name: afresh
-- The same by a member: all that was said is read no more, but what still waits for an answer. The last summary and whoever
-- of the specialists had the conversation go with it. No row where nothing was said since the last start.
WITH wanted AS (
    SELECT max(m.id) AS id FROM prosa_conversations_message m
    WHERE m.conversation_id = %(conversation_id)s AND m.business_id = %(business_id)s AND NOT m.pending
), moved AS (
    UPDATE prosa_conversations_conversation c SET context_from = wanted.id, specialist = '' FROM wanted
    WHERE c.id = %(conversation_id)s AND c.business_id = %(business_id)s AND c.context_from < wanted.id
    RETURNING c.id, c.business_id, c.context_from
), gone AS (
    DELETE FROM prosa_conversations_summary s USING moved WHERE s.conversation_id = moved.id AND s.purpose = 'history'
), noted AS (
    INSERT INTO prosa_conversations_event (conversation_id, business_id, kind, actor, data)
    SELECT id, business_id, 'began_afresh', %(actor)s, jsonb_build_object('message', context_from) FROM moved
    RETURNING conversation_id
)
SELECT conversation_id, pg_notify('prosa_realtime', 'conversation:' || conversation_id) FROM noted
