-- What a turn leaves behind, in one transaction.

-- name: hold
-- The conversation and our claim on it, locked until commit. run_at set = something newer waits.
SELECT c.state, c.epoch, d.owner IS NOT DISTINCT FROM %(owner)s::int AND d.claim = %(claim)s, d.run_at IS NOT NULL
FROM prosa_conversations_conversation c JOIN prosa_conversations_dispatch d ON d.conversation_id = c.id
WHERE c.id = %(conversation_id)s AND d.id = %(dispatch_id)s
FOR NO KEY UPDATE OF c, d

-- name: finish
-- What it used goes to the ledger; the turn, its bubbles in order, the messages it answered, the delivery's wake-up, and
-- the end of our claim. Nothing of it, unless `hold` was asked before (held), or finds now that nothing changed meanwhile.
WITH held AS MATERIALIZED (
    SELECT c.id FROM prosa_conversations_conversation c JOIN prosa_conversations_dispatch d ON d.conversation_id = c.id
    WHERE c.id = %(conversation_id)s AND d.id = %(dispatch_id)s AND (%(held)s
        OR c.state = 'bot' AND c.epoch = %(epoch)s AND d.owner = %(owner)s::int AND d.claim = %(claim)s AND (d.run_at IS NULL OR %(regardless)s))
    FOR NO KEY UPDATE OF c, d
), booked AS MATERIALIZED (
    SELECT prosa_costs_book(%(business_id)s, %(day)s, %(conversation_id)s, %(used)s::jsonb) AS cost FROM held
), turn AS (
    INSERT INTO prosa_conversations_turn
        (conversation_id, business_id, outcome, started_at, model, input_tokens, output_tokens, requests, cost, guideline_version,
         stages, trace, draft, error)
    SELECT held.id, %(business_id)s, %(outcome)s, %(started_at)s, %(model)s, %(input_tokens)s, %(output_tokens)s,
           %(requests)s, coalesce((SELECT booked.cost FROM booked), %(cost)s), %(guideline_version)s, %(stages)s::jsonb, %(trace)s::jsonb, %(draft)s, %(error)s
    FROM held
    RETURNING id
), said AS (
    INSERT INTO prosa_conversations_message
        (conversation_id, business_id, inbox_id, direction, author, kind, text, payload, status, epoch, turn_id)
    SELECT %(conversation_id)s, %(business_id)s, %(inbox_id)s, 'out', %(author)s, b.kind, b.text, b.payload::jsonb, 'queued', %(epoch)s, turn.id
    FROM unnest(%(kinds)s::text[], %(texts)s::text[], %(payloads)s::text[]) WITH ORDINALITY AS b(kind, text, payload, ord), turn
    ORDER BY b.ord
    RETURNING id
), answered AS (
    UPDATE prosa_conversations_message m SET pending = false, turn_id = turn.id
    FROM turn WHERE m.conversation_id = %(conversation_id)s AND m.pending AND m.id = ANY(%(answers)s)
), delivery AS (
    INSERT INTO prosa_conversations_dispatch AS d (conversation_id, lane, run_at)
    SELECT %(conversation_id)s, 2, now() FROM said LIMIT 1
    ON CONFLICT (conversation_id, lane) DO UPDATE SET run_at = now(), dead_at = NULL,
        attempts = CASE WHEN d.dead_at IS NULL THEN d.attempts ELSE 0 END
), released AS (
    UPDATE prosa_conversations_dispatch d
    SET owner = NULL, attempts = 0, superseded = 0, last_error = '', run_at = coalesce(d.run_at, CASE WHEN %(more)s THEN now() END)
    FROM turn WHERE d.id = %(dispatch_id)s AND %(release)s
)
SELECT turn.id, pg_notify('prosa_realtime', 'conversation:' || %(conversation_id)s::text), (SELECT max(id) FROM said) FROM turn

-- name: station
-- Who has the conversation from now on, with the line about it, and the customer's language. NULL = as before, and no line.
WITH stationed AS (
    UPDATE prosa_conversations_conversation SET specialist = coalesce(%(specialist)s::text, specialist), language = coalesce(%(language)s::text, language)
    WHERE id = %(conversation_id)s AND (%(specialist)s::text IS NOT NULL OR %(language)s::text IS NOT NULL)
)
INSERT INTO prosa_conversations_event (conversation_id, business_id, kind, actor, data)
SELECT %(conversation_id)s, %(business_id)s, 'passed_on', 'bot', %(transfer)s::jsonb WHERE %(transfer)s::jsonb IS NOT NULL

-- name: noticed
UPDATE prosa_conversations_conversation SET wait_notice_at = now() WHERE id = %(conversation_id)s
