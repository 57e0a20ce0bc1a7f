-- Actions that wait for the customer's yes.

-- name: waiting
-- What the customer has not heard the end of, whether we asked last and the question left, and what the unanswered messages say.
SELECT a.id, a.key, a.tool, a.identity, a.arguments, a.shown, a.question, a.status, a.after, a.expires_at <= now(), a.contact_id = c.contact_id,
       a.asked = coalesce((SELECT m.turn_id FROM prosa_conversations_message m
                           WHERE m.conversation_id = c.id AND m.direction = 'out' AND m.status NOT IN ('withdrawn', 'failed') AND m.kind <> 'reaction'
                           ORDER BY m.id DESC LIMIT 1), 0)
       AND EXISTS (SELECT FROM prosa_conversations_message m WHERE m.conversation_id = c.id AND m.turn_id = a.asked AND m.direction = 'out'
                   AND m.status NOT IN ('queued', 'withdrawn', 'failed')),
       (SELECT jsonb_agg(jsonb_build_array(m.id, m.kind, coalesce(m.payload ->> 'id', '')) ORDER BY m.id) FROM prosa_conversations_message m
        WHERE m.conversation_id = c.id AND m.id = ANY(%(messages)s::bigint[]))
FROM prosa_conversations_pendingaction a JOIN prosa_conversations_conversation c ON c.id = a.conversation_id
WHERE a.conversation_id = %(conversation_id)s AND a.told_at IS NULL
ORDER BY (a.status = 'proposed') DESC, a.id DESC LIMIT 1

-- name: confirm
-- Once, in time, by the customer it belongs to, while nobody else has the conversation.
WITH held AS MATERIALIZED (
    SELECT c.id, c.contact_id FROM prosa_conversations_conversation c
    WHERE c.id = %(conversation_id)s AND c.state = 'bot' AND c.epoch = %(epoch)s FOR NO KEY UPDATE
), confirmed AS (
    UPDATE prosa_conversations_pendingaction a SET status = 'confirmed', settled_at = now()
    FROM held WHERE a.id = %(id)s AND a.conversation_id = held.id AND a.contact_id = held.contact_id AND a.status = 'proposed' AND a.expires_at > now()
    RETURNING a.id, a.conversation_id, a.business_id, a.tool
)
INSERT INTO prosa_conversations_event (conversation_id, business_id, kind, actor, data)
SELECT conversation_id, business_id, 'action_confirmed', 'customer', jsonb_build_object('tool', tool, 'action', id, 'message', %(message)s::bigint) FROM confirmed
RETURNING id

-- name: end
-- Refused by the customer, replaced by another, out of time, or impossible.
WITH ended AS (
    UPDATE prosa_conversations_pendingaction SET status = %(status)s, settled_at = now(), arguments = '{}'
    WHERE id = %(id)s AND conversation_id = %(conversation_id)s AND status IN ('proposed', 'confirmed')
    RETURNING id, conversation_id, business_id, tool
)
INSERT INTO prosa_conversations_event (conversation_id, business_id, kind, actor, data)
SELECT conversation_id, business_id, %(event)s, %(actor)s, jsonb_build_object('tool', tool, 'action', id) FROM ended
RETURNING id

-- name: told
UPDATE prosa_conversations_pendingaction SET told_at = now() WHERE conversation_id = %(conversation_id)s AND id = ANY(%(ids)s::bigint[]) AND status <> 'proposed'

-- name: asked
UPDATE prosa_conversations_pendingaction SET asked = %(turn_id)s, after = %(bubble_id)s
WHERE conversation_id = %(conversation_id)s AND key = %(key)s AND status = 'proposed'

-- name: propose
-- One at a time: what waited before is given up.
WITH replaced AS (
    UPDATE prosa_conversations_pendingaction SET status = 'refused', settled_at = now(), told_at = now(), arguments = '{}'
    WHERE conversation_id = %(conversation_id)s AND status = 'proposed'
    RETURNING id, tool
), gone AS (
    INSERT INTO prosa_conversations_event (conversation_id, business_id, kind, actor, data)
    SELECT %(conversation_id)s, %(business_id)s, 'action_replaced', 'bot', jsonb_build_object('tool', tool, 'action', id) FROM replaced
)
SELECT count(*) FROM replaced

-- name: keep
WITH made AS (
    INSERT INTO prosa_conversations_pendingaction
        (conversation_id, business_id, contact_id, key, tool, identity, arguments, shown, question, asked, after, expires_at)
    VALUES (%(conversation_id)s, %(business_id)s, %(contact_id)s, %(key)s, %(tool)s, %(identity)s, %(arguments)s::jsonb, %(shown)s::jsonb, %(question)s,
            %(turn_id)s, %(bubble_id)s, now() + %(minutes)s * interval '1 minute')
    RETURNING id, conversation_id, business_id, tool
)
INSERT INTO prosa_conversations_event (conversation_id, business_id, kind, actor, data)
SELECT conversation_id, business_id, 'action_proposed', 'bot', jsonb_build_object('tool', tool, 'action', id) FROM made

-- name: expire
WITH late AS (
    SELECT id FROM prosa_conversations_pendingaction WHERE status = 'proposed' AND expires_at <= now() ORDER BY expires_at LIMIT %(most)s FOR UPDATE SKIP LOCKED
), ended AS (
    UPDATE prosa_conversations_pendingaction a SET status = 'expired', settled_at = now(), arguments = '{}'
    FROM late WHERE a.id = late.id RETURNING a.id, a.conversation_id, a.business_id, a.tool
)
INSERT INTO prosa_conversations_event (conversation_id, business_id, kind, actor, data)
SELECT conversation_id, business_id, 'action_expired', 'system', jsonb_build_object('tool', tool, 'action', id) FROM ended
RETURNING id
