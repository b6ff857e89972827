INSERT INTO run (job_id, job, client, client_id, kind, level, level_reason, state, priority, origin, origin_name,
    created_at, scheduled_at, started_at, ended_at,
    entries, files, directories, protected_bytes, read_bytes, sent_bytes, stored_bytes, files_read,
    new_entries, changed_entries, removed_entries, unsaved, vanished, changed_while_read,
    pool, series, number, snapshot, fileset, outcome)
OVERRIDING SYSTEM VALUE
VALUES ($1, $2, $3, $4, 'backup', $5, $6, $7, 10, 'director', 'rebuild', $8, $8, $8, $9,
    ($10::bigint[])[1], ($10::bigint[])[2], ($10::bigint[])[3], ($10::bigint[])[4], ($10::bigint[])[5],
    ($10::bigint[])[6], ($10::bigint[])[7], ($10::bigint[])[8], ($10::bigint[])[9], ($10::bigint[])[10],
    ($10::bigint[])[11], ($10::bigint[])[12], ($10::bigint[])[13], ($10::bigint[])[14],
    $11, $12, $13, $14, $15, 'rebuilt from volumes')
ON CONFLICT (job_id) DO NOTHING
