UPDATE run
   SET state = 'running', waiting = '', started_at = coalesce(started_at, $11),
       level = $2, level_reason = $3, pool = $4, storage = $5, series = $6, number = $7,
       base = $8, snapshot = $9, fileset = $10
 WHERE job_id = $1 AND state IN ('queued', 'waiting')
