-- name: unknown
SELECT id FROM unnest(%(provider_ids)s::text[]) AS x(id)
WHERE NOT EXISTS (SELECT FROM prosa_conversations_message m WHERE m.inbox_id = %(inbox_id)s AND m.provider_id = x.id)

-- name: statuses
SELECT provider_id, status FROM prosa_conversations_message
WHERE inbox_id = %(inbox_id)s AND provider_id = ANY(%(provider_ids)s::text[])
