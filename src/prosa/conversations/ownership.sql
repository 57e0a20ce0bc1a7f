-- Who answers. One statement moves a conversation along the table in states.py. The door alone writes a state beside it: the
-- one arrow of the same table that opens again what was resolved (inbound.sql, converse).

-- name: hold
-- Before a move, in a statement of its own: whoever waits for the row here sees afterwards what the other one wrote. In one
-- statement with the move, the messages of before the wait would be settled or woken, and the newest overlooked.
SELECT FROM prosa_conversations_conversation WHERE id = %(conversation_id)s FOR NO KEY UPDATE

-- name: move
-- froms/tos: the transitions of one event. Withdraws automatic messages that have not left, settles or wakes what
-- waits for an answer, and writes the timeline. A turn that is being thought about is not interrupted: its draft is kept for
-- the person as a suggestion. assignee and team: NULL leaves who has it, 0 makes it nobody's. known_epoch: what the mover
-- had seen, NULL for whoever need not look; it is not asked of the one who has it (mover, a membership). known_inbound: the newest
-- message they had seen; what came after it refuses the move. snooze: seconds, NULL for none. quiet: for the bot nothing changes (it waits
-- for people before and after), so what it said about that still leaves, and the epoch stays.
-- Nothing is changed when the event does not apply, or the mover saw too little; the row says what is true then.
-- A lock of another table that a way back to the bot must clear is one more branch here, FROM moved WHERE state = 'bot'.
WITH held AS MATERIALIZED (
    SELECT c.id, c.state, c.epoch, c.assignee_id, c.team_id, c.last_inbound_id, t.to_state,
           c.epoch <> %(known_epoch)s::int AND NOT coalesce(c.state = 'agent_active' AND c.assignee_id = %(mover)s::bigint, false) AS overtaken,
           c.last_inbound_id > %(known_inbound)s::bigint AND EXISTS (  -- what was erased meanwhile is nobody's to read
               SELECT FROM prosa_conversations_message m
               WHERE m.conversation_id = c.id AND m.id > %(known_inbound)s::bigint AND m.direction = 'in') AS unread
    FROM prosa_conversations_conversation c
    LEFT JOIN unnest(%(froms)s::text[], %(tos)s::text[]) AS t(from_state, to_state) ON t.from_state = c.state
    WHERE c.id = %(conversation_id)s FOR NO KEY UPDATE OF c
), moved AS (
    UPDATE prosa_conversations_conversation c
    SET state = held.to_state, epoch = c.epoch + CASE WHEN %(quiet)s AND c.state = held.to_state THEN 0 ELSE 1 END,
        state_at = CASE WHEN c.state = held.to_state THEN c.state_at ELSE now() END,
        unread = CASE WHEN %(settles)s THEN 0 ELSE c.unread END,
        wait_notice_at = CASE WHEN held.to_state = 'awaiting_agent' THEN c.wait_notice_at END,
        assignee_id = CASE WHEN %(assignee)s::bigint IS NULL THEN c.assignee_id ELSE nullif(%(assignee)s, 0) END,
        team_id = CASE WHEN %(team)s::bigint IS NULL THEN c.team_id ELSE nullif(%(team)s, 0) END,
        snoozed_until = now() + %(snooze)s::float8 * interval '1 second',
        snoozed_from = CASE WHEN %(snooze)s::float8 IS NULL THEN 0 ELSE c.last_inbound_id END
    FROM held
    WHERE c.id = held.id AND held.to_state IS NOT NULL
      AND held.overtaken IS NOT TRUE AND held.unread IS NOT TRUE
    RETURNING c.id, c.business_id, held.state AS from_state, c.state, c.epoch, c.assignee_id, c.team_id
), withdrawn AS (
    UPDATE prosa_conversations_message m SET status = 'withdrawn', status_at = now()
    FROM moved WHERE m.conversation_id = moved.id AND m.status = 'queued' AND m.author IN ('bot', 'system')
      AND NOT (%(quiet)s AND moved.from_state = moved.state)
    RETURNING m.id
), settled AS (
    UPDATE prosa_conversations_message m SET pending = false
    FROM moved WHERE m.conversation_id = moved.id AND m.pending AND %(settles)s
), cased AS (
    -- A question to people ends with every move: who has the conversation now answers, or nobody needs it any more.
    UPDATE prosa_conversations_case q
    SET state = CASE WHEN moved.state IN ('awaiting_agent', 'agent_active') THEN 'handed_off' ELSE 'closed' END, ended_at = now()
    FROM moved WHERE q.conversation_id = moved.id AND q.state IN ('open', 'answered')
    RETURNING q.id
), asked AS (
    -- A reply that failed answered nothing: given back, what it was for asks again. (It had been settled when it was written.)
    UPDATE prosa_conversations_message m SET pending = true
    FROM moved
    WHERE %(event)s = 'given_back' AND m.conversation_id = moved.id AND m.direction = 'in' AND NOT m.pending AND m.turn_id IS NULL
      AND m.kind NOT IN ('reaction', 'system', 'revoke')
      AND m.id < (SELECT max(f.id) FROM prosa_conversations_message f
                  WHERE f.conversation_id = %(conversation_id)s AND f.author = 'agent' AND f.status = 'failed')
      AND m.id > coalesce((
          SELECT max(r.id) FROM prosa_conversations_message r
          WHERE r.conversation_id = %(conversation_id)s AND r.author IN ('bot', 'agent', 'owner_phone')
            AND r.status NOT IN ('withdrawn', 'failed') AND coalesce(r.key, '') NOT LIKE 'scheduled:%%'), 0)
    RETURNING 1
), noted AS (
    INSERT INTO prosa_conversations_event (conversation_id, business_id, kind, actor, data)
    SELECT id, business_id, %(event)s, %(actor)s,
           %(data)s::jsonb || jsonb_build_object('from', from_state, 'to', state)
               || CASE WHEN n.count > 0 THEN jsonb_build_object('withdrawn', n.count) ELSE '{}' END
               || coalesce((SELECT jsonb_build_object('case', cased.id) FROM cased), '{}')
    FROM moved, (SELECT count(*) FROM withdrawn) n
), work AS (
    INSERT INTO prosa_conversations_dispatch AS d (conversation_id, lane, run_at)
    SELECT moved.id, 1, now() FROM moved
    WHERE moved.state = 'bot' AND (EXISTS (SELECT FROM asked)
        OR EXISTS (SELECT FROM prosa_conversations_message m WHERE m.conversation_id = moved.id AND m.pending))
    ON CONFLICT (conversation_id, lane) DO UPDATE SET run_at = now(), attempts = 0, dead_at = NULL
    RETURNING 1
)
SELECT moved.id IS NOT NULL, coalesce(moved.state, held.state), coalesce(moved.epoch, held.epoch), held.assignee_id, held.state,
       coalesce(held.overtaken, false), coalesce(held.unread, false),
       CASE WHEN moved.id IS NOT NULL THEN pg_notify('prosa_realtime', 'conversation:' || moved.id) END,
       CASE WHEN moved.id IS NOT NULL THEN pg_notify('prosa_dispatch', '') END
FROM held LEFT JOIN moved ON true

-- name: told
WITH noted AS (
    INSERT INTO prosa_conversations_event (conversation_id, business_id, kind, actor, data)
    SELECT c.id, c.business_id, %(kind)s, %(actor)s, %(data)s::jsonb FROM prosa_conversations_conversation c
    WHERE c.id = %(conversation_id)s
    RETURNING conversation_id
)
SELECT pg_notify('prosa_realtime', 'conversation:' || conversation_id) FROM noted

-- name: system_message
-- What Prosa itself says to the customer outside of a turn.
WITH said AS (
    INSERT INTO prosa_conversations_message (conversation_id, business_id, inbox_id, direction, author, text, status, status_at, epoch)
    SELECT c.id, c.business_id, c.inbox_id, 'out', 'system', %(text)s, 'queued', now(), c.epoch
    FROM prosa_conversations_conversation c WHERE c.id = %(conversation_id)s
    RETURNING id, conversation_id
), work AS (
    INSERT INTO prosa_conversations_dispatch AS d (conversation_id, lane, run_at) SELECT conversation_id, 2, now() FROM said
    ON CONFLICT (conversation_id, lane) DO UPDATE SET run_at = now(), dead_at = NULL,
        attempts = CASE WHEN d.dead_at IS NULL THEN d.attempts ELSE 0 END
    RETURNING 1
)
SELECT said.id, pg_notify('prosa_dispatch', ''), (SELECT count(*) FROM work) FROM said

-- name: owner_message
-- A message a person of the business sent from elsewhere. Nothing when we have it already (our own echo).
INSERT INTO prosa_conversations_message
    (conversation_id, business_id, inbox_id, event_id, direction, author, kind, text, payload, provider_id, status, status_at, sent_at)
SELECT c.id, c.business_id, c.inbox_id, %(event_id)s, 'out', 'owner_phone', %(kind)s, %(text)s, %(payload)s::jsonb,
       %(provider_id)s, 'sent', to_timestamp(%(sent_at)s), to_timestamp(%(sent_at)s)
FROM prosa_contacts_identity i
JOIN prosa_conversations_conversation c ON c.contact_id = i.contact_id AND c.inbox_id = %(inbox_id)s AND c.state <> 'resolved'
WHERE i.business_id = %(business_id)s AND i.key = %(key)s
FOR KEY SHARE OF c
ON CONFLICT (inbox_id, provider_id) DO NOTHING
RETURNING id, conversation_id

-- name: owner_file
INSERT INTO prosa_conversations_attachment (message_id, kind, ref, url, mime_type, filename, sha256, size, voice)
VALUES (%(message_id)s, %(kind)s, %(ref)s, %(url)s, %(mime_type)s, %(filename)s, %(sha256)s, %(size)s, %(voice)s)

-- name: wake_media
INSERT INTO prosa_conversations_dispatch AS d (conversation_id, lane, run_at) VALUES (%(conversation_id)s, 0, now())
ON CONFLICT (conversation_id, lane) DO UPDATE SET run_at = now(), attempts = 0, dead_at = NULL

-- name: person_message
-- What a person of the business wrote in the desk, to leave in its place. The move REPLY goes before it in the same
-- transaction (not before what was written long ago and leaves only now), and the key was looked for under the lock.
WITH said AS (
    INSERT INTO prosa_conversations_message
        (conversation_id, business_id, inbox_id, direction, author, kind, text, payload, reply_to, status, status_at, epoch, sender_id, key)
    SELECT c.id, c.business_id, c.inbox_id, 'out', 'agent', %(kind)s, %(text)s, %(payload)s::jsonb, %(reply_to)s, 'queued', now(),
           c.epoch, %(sender)s, %(key)s
    FROM prosa_conversations_conversation c WHERE c.id = %(conversation_id)s
    RETURNING id, conversation_id
), work AS (
    INSERT INTO prosa_conversations_dispatch AS d (conversation_id, lane, run_at) SELECT conversation_id, 2, now() FROM said
    ON CONFLICT (conversation_id, lane) DO UPDATE SET run_at = now(), dead_at = NULL,
        attempts = CASE WHEN d.dead_at IS NULL THEN d.attempts ELSE 0 END
    RETURNING 1
)
SELECT said.id, pg_notify('prosa_dispatch', ''), (SELECT count(*) FROM work) FROM said
