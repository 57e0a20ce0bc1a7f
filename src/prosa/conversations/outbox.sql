-- Leaving the house. A message is marked as being sent in the same statement that checks whether it may leave, under
-- the conversation's lock, which takeover takes too.

-- name: queue
-- What has not left yet, in order, and where it goes.
SELECT m.id, m.status, m.author, m.kind, m.text, m.payload, m.reply_to, m.attempts, m.resends,
       extract(epoch FROM now() - m.status_at)::float8, c.inbox_id, c.business_id, a.ref, a.url, a.mime_type, a.filename, a.voice, a.file,
       (SELECT array_agg(ARRAY[i.key, i.address] ORDER BY i.id) FROM prosa_contacts_identity i
        WHERE i.contact_id = c.contact_id AND i.origin_id IS NOT DISTINCT FROM c.writer_id)
FROM prosa_conversations_message m
JOIN prosa_conversations_conversation c ON c.id = m.conversation_id
LEFT JOIN LATERAL (SELECT * FROM prosa_conversations_attachment a WHERE a.message_id = m.id ORDER BY a.id LIMIT 1) a ON true
WHERE m.conversation_id = %(conversation_id)s AND m.status IN ('queued', 'sending', 'unconfirmed')
ORDER BY m.id LIMIT 50

-- name: begin
-- May it leave? verdict: sending, withdrawn (a person took over), or failed with a code of ours. wait: seconds until the
-- pair's pace allows it; nothing is changed then. pace and burst in seconds; 0 = no limit. window in seconds; 0 = none.
WITH c AS MATERIALIZED (
    SELECT c.id, c.epoch, c.last_inbound_at, c.pace_at, c.closing_id, ct.opted_out_at, ct.blocked_at,
           greatest(0, extract(epoch FROM c.pace_at - now())::float8 - %(burst)s) AS wait
    FROM prosa_conversations_conversation c JOIN prosa_contacts_contact ct ON ct.id = c.contact_id
    WHERE c.id = %(conversation_id)s FOR NO KEY UPDATE OF c
), verdict AS (
    SELECT c.*, CASE
        WHEN m.author IN ('bot', 'system') AND m.epoch <> c.epoch THEN 'withdrawn'
        WHEN m.kind <> 'template' AND %(window)s > 0 AND (c.last_inbound_at IS NULL OR c.last_inbound_at < now() - %(window)s * interval '1 second') THEN 'window_closed'
        WHEN m.author IN ('bot', 'system') AND c.blocked_at IS NOT NULL THEN 'blocked'
        ELSE 'sending' END AS verdict
    FROM c, prosa_conversations_message m WHERE m.id = %(message_id)s
), sent AS (
    UPDATE prosa_conversations_message m
    SET status = CASE WHEN v.verdict IN ('sending', 'withdrawn') THEN v.verdict ELSE 'failed' END,
        error_code = CASE WHEN v.verdict IN ('sending', 'withdrawn') THEN '' ELSE v.verdict END,
        attempts = m.attempts + 1, status_at = now()
    FROM verdict v
    WHERE m.id = %(message_id)s AND m.status = 'queued' AND (v.verdict <> 'sending' OR v.wait <= 0)
    RETURNING v.id, v.verdict
), paced AS (
    UPDATE prosa_conversations_conversation c SET pace_at = greatest(coalesce(c.pace_at, now()), now()) + %(pace)s * interval '1 second'
    FROM sent WHERE c.id = sent.id AND sent.verdict = 'sending' AND %(pace)s > 0
), noted AS (
    INSERT INTO prosa_conversations_event (conversation_id, business_id, kind, actor, data)
    SELECT %(conversation_id)s, %(business_id)s, 'delivery_failed', 'system', jsonb_build_object('message', %(message_id)s::bigint, 'code', verdict)
    FROM sent WHERE verdict NOT IN ('sending', 'withdrawn')
)
SELECT coalesce((SELECT verdict FROM sent), CASE WHEN v.wait > 0 THEN 'wait' ELSE 'gone' END), coalesce(v.wait, 0), v.closing_id = %(message_id)s::bigint FROM verdict v

-- name: end
-- The result of a send. A receipt may have been faster, so the status only moves forward.
WITH ended AS (
    UPDATE prosa_conversations_message m
    SET provider_id = coalesce(m.provider_id, %(provider_id)s),
        status = CASE WHEN m.status IN ('sending', 'unconfirmed') THEN %(status)s ELSE m.status END,
        status_at = now(), error_code = %(error_code)s, error = %(error)s
    WHERE m.id = %(message_id)s AND m.status NOT IN ('queued', 'withdrawn')
    RETURNING m.id, m.conversation_id, m.business_id, m.status
), noted AS (
    INSERT INTO prosa_conversations_event (conversation_id, business_id, kind, actor, data)
    SELECT conversation_id, business_id, CASE WHEN %(status)s = 'failed' THEN 'delivery_failed' ELSE 'delivery_unconfirmed' END, 'system',
           jsonb_build_object('message', id, 'code', %(error_code)s::text, 'error', %(error)s::text)
    FROM ended WHERE %(status)s IN ('failed', 'unconfirmed') AND status = %(status)s
)
SELECT status, pg_notify('prosa_realtime', 'conversation:' || conversation_id) FROM ended

-- name: requeue
UPDATE prosa_conversations_message
SET status = 'queued', status_at = now(), error_code = %(error_code)s, error = %(error)s, resends = resends + %(resends)s
WHERE id = %(message_id)s AND status IN ('sending', 'unconfirmed')

-- name: slow_pair
UPDATE prosa_conversations_conversation SET pace_at = now() + (%(burst)s::float8 + %(seconds)s::float8) * interval '1 second' WHERE id = %(conversation_id)s

-- name: book
-- Books the next slots of an inbox's sending rate for one worker; answers in how many seconds the first one comes.
INSERT INTO prosa_conversations_pace AS p (inbox_id, booked_until) VALUES (%(inbox_id)s, now() + %(seconds)s * interval '1 second')
ON CONFLICT (inbox_id) DO UPDATE SET booked_until = greatest(p.booked_until, now()) + %(seconds)s * interval '1 second'
RETURNING greatest(0, extract(epoch FROM p.booked_until - %(seconds)s * interval '1 second' - now()))::float8

-- name: slow_inbox
INSERT INTO prosa_conversations_pace AS p (inbox_id, booked_until) VALUES (%(inbox_id)s, now() + %(seconds)s * interval '1 second')
ON CONFLICT (inbox_id) DO UPDATE SET booked_until = greatest(p.booked_until, now() + %(seconds)s * interval '1 second')

-- name: statuses_flow
-- Did receipts of this inbox arrive in the last so many seconds?
SELECT EXISTS (
    SELECT FROM prosa_conversations_webhookevent
    WHERE received_at > now() - %(seconds)s * interval '1 second' AND inbox_id = %(inbox_id)s AND receipts)
