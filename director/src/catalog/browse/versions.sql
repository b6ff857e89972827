-- A version is shown by the first kept snapshot from `since` on, when that comes before the next version.
SELECT e.name, e.since, e.kind, e.size, e.mtime_ns, e.mode, e.uid, e.gid, e.flags,
       s.id AS snapshot, s.number, s.job_id, s.started_at
  FROM (SELECT v.*, lead(since) OVER (ORDER BY since) AS until
          FROM entry v
         WHERE series = $1 AND dir = $2 AND name = $3 AND since <= (SELECT head FROM series WHERE id = $1)) e
  JOIN LATERAL (
      SELECT id, number, job_id, started_at FROM snapshot
       WHERE series = $1 AND number >= e.since AND state <> 'released'
       ORDER BY number LIMIT 1
  ) s ON s.number < coalesce(e.until, s.number + 1)
 WHERE $4::integer IS NULL OR e.since < $4
 ORDER BY e.since DESC
 LIMIT $5
