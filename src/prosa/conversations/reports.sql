-- Declared reports. Each starts from the business; days are of its time zone, from the first to the last, both included.

-- name: conversations
SELECT (c.created_at AT TIME ZONE %(zone)s)::date AS day, i.kind, count(*)
FROM prosa_conversations_conversation c JOIN prosa_channels_inbox i ON i.id = c.inbox_id AND i.business_id = c.business_id
WHERE c.business_id = %(business_id)s
  AND c.created_at >= %(first)s::date::timestamp AT TIME ZONE %(zone)s AND c.created_at < (%(last)s::date + 1)::timestamp AT TIME ZONE %(zone)s
GROUP BY 1, 2 ORDER BY 1, 2 LIMIT %(most)s

-- name: messages
SELECT (m.created_at AT TIME ZONE %(zone)s)::date AS day, count(*) FILTER (WHERE m.direction = 'in'),
       count(*) FILTER (WHERE m.direction = 'out' AND m.author = 'bot'),
       count(*) FILTER (WHERE m.direction = 'out' AND m.author IN ('agent', 'owner_phone'))
FROM prosa_conversations_conversation c JOIN prosa_conversations_message m ON m.conversation_id = c.id
WHERE c.business_id = %(business_id)s AND m.business_id = %(business_id)s
  AND m.created_at >= %(first)s::date::timestamp AT TIME ZONE %(zone)s AND m.created_at < (%(last)s::date + 1)::timestamp AT TIME ZONE %(zone)s
GROUP BY 1 ORDER BY 1 LIMIT %(most)s

-- name: handoffs
SELECT coalesce(nullif(left(e.data->>'reason', 200), ''), '?') AS reason, count(*)
FROM prosa_conversations_conversation c JOIN prosa_conversations_event e ON e.conversation_id = c.id
WHERE c.business_id = %(business_id)s AND e.business_id = %(business_id)s AND e.kind = 'handed_off'
  AND e.created_at >= %(first)s::date::timestamp AT TIME ZONE %(zone)s AND e.created_at < (%(last)s::date + 1)::timestamp AT TIME ZONE %(zone)s
GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %(most)s

-- name: unanswered
-- Where the assistant could only say that it does not know: the newest questions first.
SELECT (t.started_at AT TIME ZONE %(zone)s)::date AS day, q.text
FROM prosa_conversations_conversation c JOIN prosa_conversations_turn t ON t.conversation_id = c.id
CROSS JOIN LATERAL (
    SELECT left(string_agg(m.text, ' / ' ORDER BY m.id), 300) AS text
    FROM prosa_conversations_message m WHERE m.turn_id = t.id AND m.direction = 'in' AND m.business_id = %(business_id)s
) q
WHERE c.business_id = %(business_id)s AND t.business_id = %(business_id)s AND t.trace->>'offline' = 'unknown' AND q.text <> ''
  AND t.started_at >= %(first)s::date::timestamp AT TIME ZONE %(zone)s AND t.started_at < (%(last)s::date + 1)::timestamp AT TIME ZONE %(zone)s
ORDER BY t.id DESC LIMIT least(%(most)s, 100)

-- name: response_times
-- From the customer's first unanswered message to the assistant's answer, in seconds.
SELECT (t.started_at AT TIME ZONE %(zone)s)::date AS day, count(*),
       round((percentile_cont(0.5) WITHIN GROUP (ORDER BY q.seconds))::numeric, 1),
       round((percentile_cont(0.95) WITHIN GROUP (ORDER BY q.seconds))::numeric, 1)
FROM prosa_conversations_conversation c JOIN prosa_conversations_turn t ON t.conversation_id = c.id
CROSS JOIN LATERAL (
    SELECT extract(epoch FROM t.finished_at - min(m.created_at)) AS seconds
    FROM prosa_conversations_message m WHERE m.turn_id = t.id AND m.direction = 'in' AND m.business_id = %(business_id)s
) q
WHERE c.business_id = %(business_id)s AND t.business_id = %(business_id)s AND t.outcome = 'answered' AND q.seconds IS NOT NULL
  AND t.started_at >= %(first)s::date::timestamp AT TIME ZONE %(zone)s AND t.started_at < (%(last)s::date + 1)::timestamp AT TIME ZONE %(zone)s
GROUP BY 1 ORDER BY 1 LIMIT %(most)s

-- name: results
-- What became of the conversations that began: who had to answer, and how many are closed.
SELECT count(*), count(*) FILTER (WHERE NOT people.came), count(*) FILTER (WHERE people.came), count(*) FILTER (WHERE c.state = 'resolved')
FROM prosa_conversations_conversation c
CROSS JOIN LATERAL (
    SELECT EXISTS (
        SELECT FROM prosa_conversations_event e WHERE e.conversation_id = c.id AND e.business_id = %(business_id)s
          AND e.kind IN ('handed_off', 'taken', 'person_replied')) AS came
) people
WHERE c.business_id = %(business_id)s
  AND c.created_at >= %(first)s::date::timestamp AT TIME ZONE %(zone)s AND c.created_at < (%(last)s::date + 1)::timestamp AT TIME ZONE %(zone)s
LIMIT %(most)s

-- name: costs
SELECT u.day, sum(u.requests), coalesce(sum(u.cost), 0), sum(u.unpriced_requests)
FROM prosa_costs_usageday u
WHERE u.business_id = %(business_id)s AND u.day BETWEEN %(first)s::date AND %(last)s::date
GROUP BY 1 ORDER BY 1 LIMIT %(most)s

-- name: costs_by_model
SELECT u.model, sum(u.requests), sum(u.input_tokens), sum(u.output_tokens), coalesce(sum(u.cost), 0), sum(u.unpriced_requests)
FROM prosa_costs_usageday u
WHERE u.business_id = %(business_id)s AND u.day BETWEEN %(first)s::date AND %(last)s::date
GROUP BY 1 ORDER BY 5 DESC, 1 LIMIT %(most)s
