INSERT INTO run (job, client, client_id, kind, level, priority, origin, origin_name, created_at, scheduled_at, pool,
                 parameters, state)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'queued')
RETURNING job_id
