-- Starting afresh.

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
