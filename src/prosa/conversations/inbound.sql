-- What the door writes. Arrays are columns: e_* one element per webhook, m_* one per message, in order of arrival.
-- Lock order everywhere: conversation, then dispatch.

-- name: receive
-- Stores webhooks with their messages, wakes the lanes, and notifies once. A webhook with a message of someone not
-- known yet (or without an open conversation) is left out whole and its ordinal returned: see introduce and converse.
-- e_id is NULL for a new webhook and its id when it is stored already (replay).
WITH e AS MATERIALIZED (
    SELECT coalesce(x.given_id, nextval('prosa_conversations_webhookevent_id_seq')) AS id, x.*
    FROM unnest(%(e_id)s::bigint[], %(e_inbox)s::bigint[], %(e_kind)s::text[], %(e_body)s::bytea[], %(e_type)s::text[], %(e_outcome)s::text[], %(e_error)s::text[], %(e_receipts)s::boolean[])
        WITH ORDINALITY AS x(given_id, inbox_id, kind, body, content_type, outcome, error, receipts, ord)
), m AS MATERIALIZED (
    SELECT x.*, c.id AS conversation_id, coalesce(i1.origin_id, i1.contact_id) AS writer_id, i1.id IS NOT NULL AND (x.key2 IS NULL OR i2.id IS NOT NULL) AS known
    FROM unnest(%(m_event)s::int[], %(m_business)s::bigint[], %(m_inbox)s::bigint[], %(m_key1)s::text[], %(m_key2)s::text[], %(m_provider_id)s::text[], %(m_kind)s::text[], %(m_text)s::text[],
                %(m_payload)s::text[], %(m_reply_to)s::text[], %(m_sent_at)s::float8[], %(m_wakes)s::boolean[], %(m_quiet)s::int[], %(m_max_quiet)s::int[], %(m_files)s::text[])
        WITH ORDINALITY AS x(event, business_id, inbox_id, key1, key2, provider_id, kind, text,
                             payload, reply_to, sent_at, wakes, quiet, max_quiet, files, ord)
    LEFT JOIN prosa_contacts_identity i1 ON i1.business_id = x.business_id AND i1.key = x.key1
    LEFT JOIN prosa_contacts_identity i2 ON i2.business_id = x.business_id AND i2.key = x.key2
    LEFT JOIN prosa_conversations_conversation c
        ON c.inbox_id = x.inbox_id AND c.contact_id = i1.contact_id AND c.state <> 'resolved'
), locked AS MATERIALIZED (
    -- Before anything is written: what was ended or deleted meanwhile falls out here, and nothing can be deleted below its
    -- new messages. A foreign key would look up the same rows once more (messages have none, see models.Message).
    SELECT c.id FROM prosa_conversations_conversation c
    WHERE c.id IN (SELECT conversation_id FROM m) AND c.state <> 'resolved'
    ORDER BY c.id FOR NO KEY UPDATE
), strangers AS MATERIALIZED (
    SELECT DISTINCT event FROM m WHERE NOT known OR conversation_id IS NULL OR conversation_id NOT IN (SELECT id FROM locked)
), stored AS (
    INSERT INTO prosa_conversations_webhookevent (id, inbox_id, kind, body, content_type, outcome, error, receipts)
    SELECT id, inbox_id, kind, body, content_type, outcome, error, receipts FROM e
    WHERE given_id IS NULL AND ord NOT IN (SELECT event FROM strangers)
), fresh AS (
    INSERT INTO prosa_conversations_message
        (conversation_id, business_id, inbox_id, event_id, direction, author, kind, text, payload, provider_id, reply_to, pending, sent_at)
    SELECT m.conversation_id, m.business_id, m.inbox_id, e.id, 'in', 'customer', m.kind, m.text, m.payload::jsonb,
           m.provider_id, m.reply_to, m.wakes, to_timestamp(m.sent_at)
    FROM m JOIN e ON e.ord = m.event
    WHERE m.event NOT IN (SELECT event FROM strangers)
    ORDER BY m.ord
    ON CONFLICT (inbox_id, provider_id) DO NOTHING
    RETURNING id, conversation_id, inbox_id, provider_id, pending, sent_at
), files AS (
    INSERT INTO prosa_conversations_attachment (message_id, kind, ref, url, mime_type, filename, sha256, size, voice)
    SELECT fresh.id, f.kind, f.ref, f.url, f.mime_type, f.filename, f.sha256, f.size, f.voice
    FROM m
    JOIN fresh USING (inbox_id, provider_id)
    CROSS JOIN LATERAL jsonb_to_recordset(m.files::jsonb)
        AS f(kind text, ref text, url text, mime_type text, filename text, sha256 text, size bigint, voice boolean)
    WHERE m.files IS NOT NULL
    RETURNING message_id
), news AS MATERIALIZED (
    SELECT fresh.conversation_id, count(*) AS messages, max(fresh.id) AS last_id, least(max(fresh.sent_at), now()) AS last_at,
           bool_or(fresh.pending) AS wakes, bool_or(m.files IS NOT NULL) AS files,
           (array_agg(m.writer_id ORDER BY fresh.id DESC))[1] AS writer_id, now() + max(m.quiet) * interval '1 ms' AS quiet_until, now() + max(m.max_quiet) * interval '1 ms' AS burst_until
    FROM fresh JOIN m USING (inbox_id, provider_id)
    GROUP BY fresh.conversation_id
), touched AS (
    -- RETURNING hands on what the lanes need: joining CTEs again would compare every row with every other. The conversation
    -- may have changed its contact (a merge) since the identity was looked up: whose it is is judged by the row that is locked.
    UPDATE prosa_conversations_conversation c
    SET unread = c.unread + l.messages, last_inbound_id = greatest(c.last_inbound_id, l.last_id),
        last_inbound_at = greatest(c.last_inbound_at, l.last_at), writer_id = nullif(l.writer_id, c.contact_id)
    FROM news l
    WHERE c.id = l.conversation_id
    RETURNING c.id, c.state, l.wakes, l.quiet_until, l.burst_until
), work AS (
    INSERT INTO prosa_conversations_dispatch AS d (conversation_id, lane, run_at, burst_until)
    SELECT w.* FROM (
        SELECT id, 1::smallint AS lane, least(quiet_until, burst_until), burst_until
        FROM touched WHERE wakes AND state IN ('bot', 'awaiting_agent')
        UNION ALL
        SELECT conversation_id, 0::smallint, now(), NULL FROM news WHERE files
    ) w ORDER BY 1, 2
    ON CONFLICT (conversation_id, lane) DO UPDATE SET
        run_at = least(excluded.run_at, coalesce(d.burst_until, excluded.burst_until)),
        burst_until = coalesce(d.burst_until, excluded.burst_until),
        attempts = CASE WHEN d.dead_at IS NULL THEN d.attempts ELSE 0 END,
        dead_at = NULL
    RETURNING d.conversation_id, d.lane, d.owner
)
SELECT (SELECT array_agg(event) FROM strangers) AS strangers,
       (SELECT pg_notify('prosa_dispatch', CASE WHEN length(ids) < 7900 THEN ids ELSE '' END)
        FROM (SELECT string_agg(conversation_id::text, ',') FILTER (WHERE owner IS NOT NULL AND lane = 1) AS ids FROM work HAVING count(*) > 0) busy),
       (SELECT pg_notify('prosa_realtime', 'conversation:' || CASE WHEN length(ids) < 7900 THEN ids ELSE regexp_replace(left(ids, 7900), ',\d*$', '') END)
        FROM (SELECT string_agg(id::text, ',') AS ids FROM touched HAVING count(*) > 0) told)

-- name: lock_people
-- Serialises the introduction of the same person by several processes; in order, so that nobody waits in a circle.
SELECT pg_advisory_xact_lock(hashtextextended(key, business_id))
FROM (SELECT DISTINCT business_id, key FROM unnest(%(k_business)s::bigint[], %(k_key)s::text[]) AS x(business_id, key) ORDER BY 1, 2) k

-- name: introduce
-- Makes the contacts nobody knows and links every identity to its person: the strongest known identity decides who it is.
-- k_* one element per identity (k_person: the person's ordinal, k_rank: 0 is the strongest); p_* one per person.
WITH k AS MATERIALIZED (
    SELECT x.*, i.contact_id, i.origin_id
    FROM unnest(%(k_person)s::int[], %(k_rank)s::int[], %(k_business)s::bigint[], %(k_key)s::text[], %(k_address)s::text[]) AS x(person, rank, business_id, key, address)
    LEFT JOIN prosa_contacts_identity i ON i.business_id = x.business_id AND i.key = x.key
), found AS MATERIALIZED (
    SELECT DISTINCT ON (person) person, contact_id, origin_id FROM k WHERE contact_id IS NOT NULL ORDER BY person, rank
), who AS MATERIALIZED (
    SELECT p.ord AS person, p.business_id, p.name, found.contact_id AS known_id, found.origin_id,
           coalesce(found.contact_id, nextval('prosa_contacts_contact_id_seq')) AS contact_id
    FROM unnest(%(p_business)s::bigint[], %(p_name)s::text[]) WITH ORDINALITY AS p(business_id, name, ord)
    LEFT JOIN found ON found.person = p.ord
), made AS (
    INSERT INTO prosa_contacts_contact (id, business_id, name)
    SELECT contact_id, business_id, left(name, 200) FROM who WHERE known_id IS NULL
), named AS (
    UPDATE prosa_contacts_contact c SET name = left(who.name, 200) FROM who
    WHERE c.id = who.known_id AND c.name = '' AND who.name <> ''
)
INSERT INTO prosa_contacts_identity (business_id, contact_id, origin_id, key, address)
SELECT k.business_id, who.contact_id, who.origin_id, k.key, k.address
FROM k JOIN who USING (person) WHERE k.contact_id IS NULL ORDER BY k.business_id, k.key, k.rank
ON CONFLICT (business_id, key) DO NOTHING

-- name: converse
-- An open conversation for each person: the last one re-opened if it ended recently, else a new one.
-- froms/tos: the arrow of states.py (customer_wrote) that the re-opening walks, with what ownership.sql does on it.
WITH p AS MATERIALIZED (
    SELECT DISTINCT ON (x.inbox_id, i.contact_id) x.business_id, x.inbox_id, i.contact_id, i.origin_id, x.reopen
    FROM unnest(%(c_business)s::bigint[], %(c_inbox)s::bigint[], %(c_key)s::text[], %(c_reopen)s::int[]) AS x(business_id, inbox_id, key, reopen)
    JOIN prosa_contacts_identity i ON i.business_id = x.business_id AND i.key = x.key
    WHERE NOT EXISTS (
        SELECT FROM prosa_conversations_conversation c
        WHERE c.inbox_id = x.inbox_id AND c.contact_id = i.contact_id AND c.state <> 'resolved')
    ORDER BY x.inbox_id, i.contact_id
), last AS MATERIALIZED (
    SELECT p.*, old.id
    FROM p LEFT JOIN LATERAL (
        SELECT c.id FROM prosa_conversations_conversation c
        WHERE c.inbox_id = p.inbox_id AND c.contact_id = p.contact_id AND c.state = 'resolved'
          AND c.state_at > now() - p.reopen * interval '1 second'
        ORDER BY c.id DESC LIMIT 1
    ) old ON true
), reopened AS (
    UPDATE prosa_conversations_conversation c
    SET state = t.to_state, state_at = now(), epoch = c.epoch + 1, assignee_id = NULL, team_id = NULL, snoozed_until = NULL, snoozed_from = 0
    FROM last, unnest(%(froms)s::text[], %(tos)s::text[]) AS t(from_state, to_state)
    WHERE c.id = last.id AND c.state = t.from_state RETURNING c.id, c.business_id, t.from_state, t.to_state
), opened AS (
    INSERT INTO prosa_conversations_conversation (business_id, inbox_id, contact_id, origin_id, writer_id)
    SELECT business_id, inbox_id, contact_id, origin_id, origin_id FROM last WHERE id IS NULL
    ON CONFLICT (inbox_id, contact_id) WHERE state <> 'resolved' DO NOTHING
    RETURNING id, business_id
)
INSERT INTO prosa_conversations_event (conversation_id, business_id, kind, actor, data)
SELECT id, business_id, 'reopened', 'customer', jsonb_build_object('from', from_state, 'to', to_state) FROM reopened
UNION ALL SELECT id, business_id, 'opened', 'customer', '{}' FROM opened

-- name: receipts
-- Statuses only move forward (see STATUS_RANK in models). Failures become events; a reconciled send wakes its lane.
WITH r AS MATERIALIZED (
    SELECT m.id, m.conversation_id, m.business_id, m.author, m.status AS was, max(x.provider_id) AS provider_id, max(to_timestamp(x.at)) AS at,
           (array_agg(x.status ORDER BY array_position(%(ranks)s::text[], x.status) DESC))[1] AS status,
           max(x.error_code) AS error_code, max(x.error) AS error, (array_agg(x.pricing) FILTER (WHERE x.pricing IS NOT NULL))[1]::jsonb AS pricing
    FROM unnest(%(r_inbox)s::bigint[], %(r_provider_id)s::text[], %(r_message)s::bigint[], %(r_status)s::text[], %(r_at)s::float8[], %(r_error_code)s::text[], %(r_error)s::text[], %(r_pricing)s::text[])
        AS x(inbox_id, provider_id, message_id, status, at, error_code, error, pricing)
    JOIN prosa_conversations_message m
        ON m.inbox_id = x.inbox_id AND m.direction = 'out' AND (m.provider_id = x.provider_id OR m.id = x.message_id)
    GROUP BY m.id
), locked AS MATERIALIZED (
    SELECT m.id, m.status FROM prosa_conversations_message m WHERE m.id IN (SELECT id FROM r) ORDER BY m.id FOR NO KEY UPDATE
), moved AS (
    UPDATE prosa_conversations_message m
    SET status = r.status, status_at = r.at, error_code = r.error_code, error = r.error, pricing = coalesce(r.pricing, m.pricing),
        provider_id = coalesce(m.provider_id, r.provider_id)
    FROM r JOIN locked USING (id)
    WHERE m.id = r.id
      AND coalesce(array_position(%(ranks)s::text[], m.status), 0) < array_position(%(ranks)s::text[], r.status)
    RETURNING m.id, m.conversation_id, m.business_id, m.status, m.error_code, m.error, m.author, m.inbox_id, m.kind, m.text, m.payload, m.epoch, m.turn_id
), again AS (
    -- A voice note of ours that Meta or Twilio took and then could not use goes out as text: a new bubble, so that it happens once.
    INSERT INTO prosa_conversations_message (conversation_id, business_id, inbox_id, direction, author, kind, text, status, epoch, turn_id)
    SELECT conversation_id, business_id, inbox_id, 'out', author, 'text', text, 'queued', epoch, turn_id
    FROM moved WHERE status = 'failed' AND kind = 'audio' AND error_code IN ('131051', '131052', '131053', '11200', '12300', '63005', '63019', '63021') AND payload ? 'speak'
    RETURNING conversation_id
), priced AS (
    UPDATE prosa_conversations_message m SET pricing = r.pricing
    FROM r WHERE m.id = r.id AND r.pricing IS NOT NULL AND m.id NOT IN (SELECT id FROM moved)
), failed AS (
    INSERT INTO prosa_conversations_event (conversation_id, business_id, kind, actor, data)
    SELECT conversation_id, business_id, 'delivery_failed', 'system',
           jsonb_build_object('message', id, 'code', error_code, 'error', error)
    FROM moved WHERE status = 'failed'
), woken AS (
    UPDATE prosa_conversations_dispatch d SET run_at = now()
    FROM (SELECT DISTINCT moved.conversation_id FROM moved JOIN locked USING (id) WHERE locked.status IN ('sending', 'unconfirmed')
          UNION SELECT conversation_id FROM again ORDER BY 1) w
    WHERE d.conversation_id = w.conversation_id AND d.lane = 2
    RETURNING 1
), heard AS (
    SELECT pg_notify('prosa_realtime', 'conversation:' || conversation_id) FROM (SELECT DISTINCT conversation_id FROM moved) t
)
SELECT (SELECT count(*) FROM moved), (SELECT count(*) FROM heard),
       (SELECT pg_notify('prosa_dispatch', '') FROM woken HAVING count(*) > 0)

-- name: link
-- The same person under a new identity: whoever has the old one gets the new one too, unless somebody else has it.
-- Locked, for the old identity may be on its way to another contact (a merge).
INSERT INTO prosa_contacts_identity (business_id, contact_id, origin_id, key, address)
SELECT %(business_id)s, i.contact_id, i.origin_id, x.key, x.address
FROM (SELECT contact_id, origin_id FROM prosa_contacts_identity WHERE business_id = %(business_id)s AND key = ANY(%(old)s::text[]) LIMIT 1 FOR SHARE) i
CROSS JOIN unnest(%(keys)s::text[], %(addresses)s::text[]) AS x(key, address)
ON CONFLICT (business_id, key) DO NOTHING

-- name: store
-- A webhook alone, when its content could not be stored.
INSERT INTO prosa_conversations_webhookevent (inbox_id, kind, body, content_type, outcome, error)
VALUES (%(inbox_id)s, %(kind)s, %(body)s, %(content_type)s, %(outcome)s, %(error)s)
RETURNING id

-- name: find
-- Where a message we accepted (or had before) ended up.
SELECT id, conversation_id, turn_id, pending FROM prosa_conversations_message WHERE inbox_id = %(inbox_id)s AND provider_id = %(provider_id)s

-- name: event
SELECT inbox_id, kind, body, content_type FROM prosa_conversations_webhookevent WHERE id = %(id)s

-- name: replayed
UPDATE prosa_conversations_webhookevent SET outcome = %(outcome)s, error = %(error)s, replayed_at = now() WHERE id = %(id)s
