-- What a day's talk teaches. Both walk the primary key from a mark; the index on a message's turn gives the question.

-- name: turns
-- Turns after the mark that answered, with the question they answered; not those that were counted before.
SELECT t.id, t.business_id, t.conversation_id, t.finished_at, t.trace, q.text,
       (SELECT string_agg(r.text, E'\n' ORDER BY r.id) FROM prosa_conversations_message r WHERE r.turn_id = t.id AND r.author = 'bot')
FROM prosa_conversations_turn t
CROSS JOIN LATERAL (
    SELECT string_agg(m.text, E'\n' ORDER BY m.id) AS text FROM prosa_conversations_message m
    WHERE m.turn_id = t.id AND m.author = 'customer' AND m.text <> ''
) AS q
WHERE t.id > %(after)s AND t.outcome = 'answered' AND q.text IS NOT NULL
  AND (t.trace->>'offline' = 'unknown' OR jsonb_typeof(t.trace->'tools') = 'array' OR t.requests > 0)
  AND NOT EXISTS (SELECT FROM prosa_knowledge_asking a WHERE a.business_id = t.business_id AND a.turn_id = t.id)
ORDER BY t.id LIMIT %(limit)s

-- name: newest_turn
SELECT coalesce(max(id), 0) FROM prosa_conversations_turn

-- name: newest_message
SELECT coalesce(max(id), 0) FROM prosa_conversations_message

-- name: replies
-- What people wrote after the mark, and whether they have finished for now: quiet for a while, answered by the customer, or resolved.
SELECT m.id, m.business_id, m.conversation_id,
       c.state = 'resolved' OR m.sent_at < now() - %(quiet)s::interval OR EXISTS (
           SELECT FROM prosa_conversations_message n
           WHERE n.conversation_id = m.conversation_id AND n.id > m.id AND n.author = 'customer')
FROM prosa_conversations_message m JOIN prosa_conversations_conversation c ON c.id = m.conversation_id
WHERE m.id > %(after)s AND m.author IN ('agent', 'owner_phone') AND m.kind = 'text' AND m.text <> ''
  AND m.status NOT IN ('failed', 'withdrawn') AND coalesce(m.key, '') NOT LIKE 'scheduled:%%'
ORDER BY m.id LIMIT %(limit)s

-- name: thread
-- The words of a conversation up to a person's reply and what the customer says next, newest first, with how the bot's turns went.
SELECT m.id, m.author, m.text, m.sent_at, t.trace
FROM prosa_conversations_message m LEFT JOIN prosa_conversations_turn t ON t.id = m.turn_id
WHERE m.conversation_id = %(conversation_id)s AND m.business_id = %(business_id)s AND m.id < coalesce((
      SELECT min(n.id) FROM prosa_conversations_message n
      WHERE n.conversation_id = %(conversation_id)s AND n.id > %(message_id)s AND n.author = 'customer'), 9223372036854775807)
  AND m.kind IN ('text', 'button', 'list', 'buttons') AND m.text <> '' AND m.status NOT IN ('failed', 'withdrawn')
  AND coalesce(m.key, '') NOT LIKE 'scheduled:%%'
ORDER BY m.id DESC LIMIT 60

-- name: names
SELECT ct.name FROM prosa_conversations_conversation c JOIN prosa_contacts_contact ct ON ct.id = c.contact_id
WHERE c.id = %(conversation_id)s AND c.business_id = %(business_id)s

-- name: told
-- What people answered to the assistant's own questions, once the customer heard it; the bubble that told it names it.
SELECT q.business_id, q.conversation_id, said.id, q.question, q.answer, q.ended_at, ct.name
FROM prosa_conversations_case q
JOIN prosa_conversations_conversation c ON c.id = q.conversation_id
JOIN prosa_contacts_contact ct ON ct.id = c.contact_id
CROSS JOIN LATERAL (
    SELECT m.id FROM prosa_conversations_message m WHERE m.turn_id = q.relay_id AND m.direction = 'out' ORDER BY m.id LIMIT 1) said
WHERE q.state = 'relayed' AND q.ended_at > now() - %(lately)s::interval
  AND NOT EXISTS (SELECT FROM prosa_knowledge_suggestion s WHERE s.business_id = q.business_id AND s.message_id = said.id)
ORDER BY q.ended_at LIMIT %(limit)s
