-- name: all
SELECT i.id, i.business_id, i.kind, i.slug, i.routing_key, i.credentials, i.verify_token, i.active, i.is_default,
       i.settings, b.quiet_ms, b.max_quiet_ms, b.reopen_hours * 3600, i.trouble <> ''
FROM prosa_channels_inbox i JOIN prosa_business_business b ON b.id = i.business_id
ORDER BY i.id

-- name: trouble
-- Remember why an inbox cannot send; an empty text clears it. Untouched when nothing changes, for each change reloads caches.
UPDATE prosa_channels_inbox
SET trouble = left(%(text)s, 500), trouble_at = CASE WHEN %(text)s = '' THEN NULL ELSE now() END
WHERE id = %(inbox_id)s AND trouble <> left(%(text)s, 500)
