-- name: waiting
-- Files to fetch, and voice notes to write down.
SELECT a.id, m.inbox_id, m.business_id, a.status, a.file, a.kind, a.ref, a.url, a.mime_type, a.sha256, a.filename, a.size, a.voice
FROM prosa_conversations_attachment a JOIN prosa_conversations_message m ON m.id = a.message_id
WHERE (a.status = 'waiting' OR a.hearing = 'waiting') AND m.conversation_id = %(conversation_id)s
ORDER BY a.id LIMIT 20

-- name: stored
UPDATE prosa_conversations_attachment
SET status = 'stored', file = %(file)s, mime_type = %(mime_type)s, filename = CASE WHEN filename = '' THEN %(filename)s ELSE filename END,
    sha256 = %(sha256)s, size = %(size)s, hearing = %(hearing)s, error = %(error)s
WHERE id = %(id)s

-- name: refused
UPDATE prosa_conversations_attachment SET status = %(status)s, error = %(error)s WHERE id = %(id)s

-- name: give_up
UPDATE prosa_conversations_attachment a SET status = 'failed', error = 'It could not be fetched; see dead letters.'
FROM prosa_conversations_message m WHERE m.id = a.message_id AND m.conversation_id = %(conversation_id)s AND a.status = 'waiting'

-- name: unheard
UPDATE prosa_conversations_attachment a SET hearing = 'unheard', error = 'It could not be written down; see dead letters.'
FROM prosa_conversations_message m WHERE m.id = a.message_id AND m.conversation_id = %(conversation_id)s AND a.hearing = 'waiting'

-- name: heard
SELECT pg_notify('prosa_realtime', 'conversation:' || %(conversation_id)s::text)
