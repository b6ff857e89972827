WITH reported AS (
    SELECT * FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::timestamptz[])
        AS v (id, name, pool, holds, bytes, status, created_at)
), gone AS (
    DELETE FROM volume WHERE storage = $1 AND id <> ALL ($2)
)
INSERT INTO volume (id, name, storage, pool, holds, bytes, status, created_at, reported_at)
SELECT id, name, $1, pool, holds, bytes, status, created_at, $9 FROM reported
ON CONFLICT (id) DO UPDATE
   SET name = excluded.name, storage = excluded.storage, pool = excluded.pool, holds = excluded.holds,
       bytes = excluded.bytes, status = excluded.status, reported_at = excluded.reported_at
