-- Questions of the assistant to people. What ends them with a move of the conversation is in ownership.sql, query move.

-- name: ask
-- One at a time, and only while the assistant has the conversation. It is told to the team named, else to the one for
-- everything else, else to everybody.
WITH made AS (
    INSERT INTO prosa_conversations_case (conversation_id, business_id, question, team_id, turn_id, remind_at)
    SELECT c.id, c.business_id, %(question)s,
           (SELECT t.id FROM prosa_business_team t
            WHERE t.business_id = c.business_id AND (t.fallback OR lower(t.name) = lower(btrim(%(team)s)))
            ORDER BY lower(t.name) = lower(btrim(%(team)s)) DESC, t.id LIMIT 1),
           %(turn_id)s, now() + greatest(b.case_minutes, 1) * interval '1 minute'
    FROM prosa_conversations_conversation c JOIN prosa_business_business b ON b.id = c.business_id
    WHERE c.id = %(conversation_id)s AND c.state = 'bot'
    ON CONFLICT DO NOTHING
    RETURNING id, conversation_id, business_id, question, team_id
)
INSERT INTO prosa_conversations_event (conversation_id, business_id, kind, actor, data)
SELECT made.conversation_id, made.business_id, 'case_asked', 'bot',
       jsonb_build_object('case', made.id, 'question', made.question, 'team', coalesce(t.name, ''))
FROM made LEFT JOIN prosa_business_team t ON t.id = made.team_id
RETURNING id

-- name: relayed
-- The answer is in the bubbles of this turn. A handoff in the same transaction ended the case a moment ago: told is told.
WITH told AS (
    UPDATE prosa_conversations_case
    SET state = CASE WHEN answer = '' THEN 'closed' ELSE 'relayed' END, relay_id = %(turn_id)s, ended_at = now()
    WHERE id = %(case_id)s AND conversation_id = %(conversation_id)s AND state IN ('answered', 'handed_off')
    RETURNING id, conversation_id, business_id, state
)
INSERT INTO prosa_conversations_event (conversation_id, business_id, kind, actor, data)
SELECT conversation_id, business_id, 'case_relayed', 'bot', jsonb_build_object('case', id, 'turn', %(turn_id)s::bigint)
FROM told WHERE state = 'relayed'

-- name: wake
-- The lane of turns looks at the conversation, at once unless it will soon anyhow: there is something to say although the
-- customer wrote nothing.
WITH work AS (
    INSERT INTO prosa_conversations_dispatch AS d (conversation_id, lane, run_at) VALUES (%(conversation_id)s, 1, now())
    ON CONFLICT (conversation_id, lane) DO UPDATE SET run_at = coalesce(d.run_at, now()), attempts = 0, dead_at = NULL
    RETURNING 1
)
SELECT pg_notify('prosa_dispatch', '') FROM work

-- name: due
-- Of whom people are to be reminded now.
SELECT k.id, k.business_id FROM prosa_conversations_case k JOIN prosa_business_business b ON b.id = k.business_id
WHERE k.state = 'open' AND k.remind_at <= now() AND b.active
ORDER BY k.remind_at LIMIT %(most)s
