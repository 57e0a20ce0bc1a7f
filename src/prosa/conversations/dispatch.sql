-- The queue. A row has work when run_at is set and nobody owns it. Claiming clears run_at, so whatever sets it while the
-- owner works is newer work, and releasing the row cannot lose it.

-- name: number
-- A number for a worker session. The advisory lock on it comes before the row: a row without its lock is a dead worker's.
SELECT nextval('prosa_worker_owner')::int

-- name: lock
SELECT pg_advisory_lock(1347571539, %(owner)s::int)

-- name: enrol
INSERT INTO prosa_conversations_worker (owner, host, pid) VALUES (%(owner)s, %(host)s, %(pid)s)

-- name: beat
UPDATE prosa_conversations_worker SET beat_at = now() WHERE owner = %(owner)s

-- name: leave
-- What was claimed in the last moment and never begun goes back.
WITH freed AS (
    UPDATE prosa_conversations_dispatch SET owner = NULL, run_at = coalesce(run_at, now()) WHERE owner = %(owner)s RETURNING id
), gone AS (
    DELETE FROM prosa_conversations_worker WHERE owner = %(owner)s
)
SELECT pg_notify('prosa_dispatch', '') FROM freed HAVING count(*) > 0

-- name: claim
-- Up to free[i] rows of lanes[i], the longest waiting first, in one round trip.
UPDATE prosa_conversations_dispatch d
SET owner = %(owner)s::int, claim = d.claim + 1, attempts = d.attempts + 1, run_at = NULL, burst_until = NULL
FROM (
    SELECT ready.id, ready.run_at
    FROM unnest(%(lanes)s::smallint[], %(free)s::int[]) AS l(lane, free)
    CROSS JOIN LATERAL (
        SELECT id, run_at FROM prosa_conversations_dispatch
        WHERE lane = l.lane AND owner IS NULL AND run_at IS NOT NULL AND run_at <= now()
        ORDER BY run_at LIMIT l.free FOR NO KEY UPDATE SKIP LOCKED
    ) ready
) r
WHERE d.id = r.id
RETURNING d.id, d.conversation_id, d.lane, d.claim, d.attempts, d.superseded, extract(epoch FROM now() - r.run_at)::float8

-- name: next_due
-- Seconds until the earliest work of these lanes that nobody may start yet; NULL when there is none.
SELECT extract(epoch FROM min(due.run_at) - now())::float8
FROM unnest(%(lanes)s::smallint[]) AS l(lane)
CROSS JOIN LATERAL (
    SELECT run_at FROM prosa_conversations_dispatch
    WHERE lane = l.lane AND owner IS NULL AND run_at IS NOT NULL ORDER BY run_at LIMIT 1
) due

-- name: release
-- Ends many claims at once. delay: NULL = done; else seconds until it should run again. failed rows keep their count of
-- attempts and die after the last one.
UPDATE prosa_conversations_dispatch d
SET owner = NULL,
    attempts = CASE WHEN b.failed THEN d.attempts ELSE 0 END,
    last_error = CASE WHEN b.failed THEN b.error ELSE '' END,
    superseded = CASE WHEN b.superseded THEN d.superseded + 1 ELSE 0 END,
    dead_at = CASE WHEN b.failed AND d.attempts >= %(last)s THEN now() END,
    run_at = CASE WHEN b.failed AND d.attempts >= %(last)s THEN NULL
                  ELSE least(d.run_at, now() + b.delay * interval '1 second') END
FROM (
    SELECT * FROM unnest(%(ids)s::bigint[], %(claims)s::int[], %(delays)s::float8[], %(failed)s::boolean[], %(superseded)s::boolean[], %(errors)s::text[])
        AS x(id, claim, delay, failed, superseded, error) ORDER BY id
) b
WHERE d.id = b.id AND d.owner = %(owner)s::int AND d.claim = b.claim
RETURNING d.id, d.conversation_id, d.lane, d.dead_at IS NOT NULL

-- name: reap
-- Workers whose lock can be taken are gone; those that stopped beating hang. Their rows are work again, at once, unless
-- they have killed too many workers already.
WITH gone AS MATERIALIZED (
    SELECT owner FROM prosa_conversations_worker
    WHERE owner <> %(owner)s::int
      AND (beat_at < now() - %(silence)s * interval '1 second' OR pg_try_advisory_xact_lock(1347571539, owner))
), forgotten AS (
    DELETE FROM prosa_conversations_worker WHERE owner IN (SELECT owner FROM gone)
), freed AS (
    UPDATE prosa_conversations_dispatch d
    SET owner = NULL,
        last_error = 'The worker process ended in the middle of it.',
        dead_at = CASE WHEN d.attempts >= %(last)s THEN now() END,
        run_at = CASE WHEN d.attempts >= %(last)s THEN NULL ELSE coalesce(d.run_at, now()) END
    WHERE d.owner IN (SELECT owner FROM gone)
    RETURNING d.conversation_id, d.lane, d.dead_at
)
SELECT conversation_id, lane, dead_at IS NOT NULL, pg_notify('prosa_dispatch', '') FROM freed

-- name: orphans
-- Rows of owners no registered worker has: a crash between enrolling and working, or a registry cleaned by hand.
UPDATE prosa_conversations_dispatch d SET owner = NULL, run_at = coalesce(d.run_at, now())
WHERE d.owner IS NOT NULL AND NOT EXISTS (SELECT FROM prosa_conversations_worker w WHERE w.owner = d.owner)

-- name: revive
WITH alive AS (
    UPDATE prosa_conversations_dispatch SET dead_at = NULL, attempts = 0, run_at = now(), superseded = 0
    WHERE id = ANY(%(ids)s::bigint[]) AND dead_at IS NOT NULL AND owner IS NULL RETURNING id, conversation_id, lane
), files AS (
    UPDATE prosa_conversations_attachment a SET status = CASE a.status WHEN 'failed' THEN 'waiting' ELSE a.status END,
        hearing = CASE a.hearing WHEN 'unheard' THEN 'waiting' ELSE a.hearing END
    FROM alive JOIN prosa_conversations_message m ON m.conversation_id = alive.conversation_id
    WHERE alive.lane = 0 AND a.message_id = m.id AND (a.status = 'failed' OR a.hearing = 'unheard')
)
SELECT count(*), pg_notify('prosa_dispatch', '') FROM alive
