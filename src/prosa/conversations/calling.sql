-- Asked only when people are called, or when a turn had no answer.

-- name: failed
-- How many of the last answers in a row told the customer that we do not know. What was before the conversation last
-- changed hands or began afresh counts no more.
SELECT count(*) FROM (
    SELECT t.trace ? 'unanswered' AS lost FROM prosa_conversations_turn t
    WHERE t.conversation_id = %(conversation_id)s AND t.outcome = 'answered' AND t.started_at > now() - interval '1 day'
      AND t.started_at > coalesce((
          SELECT max(e.created_at) FROM prosa_conversations_event e
          WHERE e.conversation_id = %(conversation_id)s AND e.kind IN ('handed_off', 'given_back', 'resolved', 'reopened', 'began_afresh')), '-infinity')
    ORDER BY t.id DESC LIMIT %(most)s) x
WHERE lost

-- name: team
-- The team of this name, else that of the inbox, else the one for everything else; none when there is none of them.
SELECT t.id FROM prosa_business_team t LEFT JOIN prosa_channels_inbox i ON i.team_id = t.id AND i.id = %(inbox_id)s
WHERE t.business_id = %(business_id)s AND (t.fallback OR i.id IS NOT NULL OR lower(t.name) = lower(btrim(%(team)s)))
ORDER BY lower(t.name) = lower(btrim(%(team)s)) DESC, i.id IS NOT NULL DESC, t.id LIMIT 1

-- name: truth
-- The hours, the holidays of the month around, how many wait before in the same queue, and how long the last ones waited.
-- awaited: the conversation is in the queue already; else it would join it last, that of the team named.
WITH mine AS (
    SELECT c.id, c.business_id, c.state_at, b.hours, b.timezone, (now() AT TIME ZONE b.timezone)::date AS today,
           CASE WHEN %(awaited)s THEN c.team_id ELSE (
               SELECT t.id FROM prosa_business_team t LEFT JOIN prosa_channels_inbox i ON i.team_id = t.id AND i.id = c.inbox_id
               WHERE t.business_id = b.id AND (t.fallback OR i.id IS NOT NULL OR lower(t.name) = lower(btrim(%(team)s)))
               ORDER BY lower(t.name) = lower(btrim(%(team)s)) DESC, i.id IS NOT NULL DESC, t.id LIMIT 1) END AS team_id
    FROM prosa_conversations_conversation c JOIN prosa_business_business b ON b.id = c.business_id
    WHERE c.id = %(conversation_id)s
)
SELECT mine.hours, mine.timezone,
       (SELECT jsonb_object_agg(h.day, h.hours) FROM prosa_business_holiday h
        WHERE h.business_id = mine.business_id AND h.day BETWEEN mine.today - 1 AND mine.today + 32),
       (SELECT count(*) FROM prosa_conversations_conversation o
        WHERE o.business_id = mine.business_id AND o.state = 'awaiting_agent' AND o.id <> mine.id
          AND o.team_id IS NOT DISTINCT FROM mine.team_id AND (NOT %(awaited)s OR (o.state_at, o.id) < (mine.state_at, mine.id))),
       (SELECT jsonb_agg(jsonb_build_array(w.at, w.seconds)) FROM (
            SELECT h.created_at AS at, extract(epoch FROM taken.at - h.created_at)::float8 AS seconds
            FROM (SELECT e.id, e.conversation_id, e.created_at FROM prosa_conversations_event e
                  WHERE e.business_id = mine.business_id AND e.kind = 'handed_off' ORDER BY e.id DESC LIMIT 3 * %(last)s) h
            CROSS JOIN LATERAL (
                SELECT n.created_at AS at, n.kind FROM prosa_conversations_event n
                WHERE n.conversation_id = h.conversation_id AND n.id > h.id
                  AND n.kind IN ('taken', 'person_replied', 'given_back', 'resolved', 'handed_off')
                ORDER BY n.id LIMIT 1) taken
            WHERE taken.kind IN ('taken', 'person_replied')
            ORDER BY h.id DESC LIMIT %(last)s) w)
FROM mine

-- name: settle
-- Messages nobody needs to answer any more (too old, or of a blocked contact), with a line on the timeline.
WITH settled AS (
    UPDATE prosa_conversations_message SET pending = false
    WHERE conversation_id = %(conversation_id)s AND pending AND id = ANY(%(ids)s::bigint[]) RETURNING id
), noted AS (
    INSERT INTO prosa_conversations_event (conversation_id, business_id, kind, actor, data)
    SELECT c.id, c.business_id, 'not_answered', 'system', jsonb_build_object('reason', %(reason)s::text, 'messages', n.count)
    FROM prosa_conversations_conversation c, (SELECT count(*) FROM settled) n WHERE c.id = %(conversation_id)s AND n.count > 0
)
SELECT pg_notify('prosa_realtime', 'conversation:' || %(conversation_id)s::text) FROM settled LIMIT 1

-- name: hearer
-- In which language, and in whose words, the customer is spoken to; first: they were never answered before.
SELECT b.locale, b.handoff_text, c.language, i.kind,
       NOT EXISTS (SELECT FROM prosa_conversations_message m WHERE m.conversation_id = c.id AND m.direction = 'in' AND NOT m.pending),
       (SELECT array_agg(m.text ORDER BY m.id) FROM prosa_conversations_message m WHERE m.conversation_id = c.id AND m.pending)
FROM prosa_conversations_conversation c
JOIN prosa_business_business b ON b.id = c.business_id
JOIN prosa_channels_inbox i ON i.id = c.inbox_id
WHERE c.id = %(conversation_id)s

-- name: say
-- What Prosa says when it calls people outside of a turn: nothing to who is blocked, or where the channel's window is closed
-- (in seconds; 0 = none). It is the notice of who waits, too.
WITH held AS (
    UPDATE prosa_conversations_conversation c SET wait_notice_at = now() FROM prosa_contacts_contact p
    WHERE c.id = %(conversation_id)s AND p.id = c.contact_id AND p.blocked_at IS NULL
      AND (%(window)s::float8 = 0 OR c.last_inbound_at > now() - %(window)s::float8 * interval '1 second')
    RETURNING c.id, c.business_id, c.inbox_id, c.epoch
), said AS (
    INSERT INTO prosa_conversations_message (conversation_id, business_id, inbox_id, direction, author, text, status, status_at, epoch)
    SELECT id, business_id, inbox_id, 'out', 'system', %(text)s, 'queued', now(), epoch FROM held
    RETURNING conversation_id
), work AS (
    INSERT INTO prosa_conversations_dispatch AS d (conversation_id, lane, run_at) SELECT conversation_id, 2, now() FROM said
    ON CONFLICT (conversation_id, lane) DO UPDATE SET run_at = now(), dead_at = NULL,
        attempts = CASE WHEN d.dead_at IS NULL THEN d.attempts ELSE 0 END
)
SELECT pg_notify('prosa_dispatch', '') FROM said
