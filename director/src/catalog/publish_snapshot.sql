INSERT INTO snapshot (id, series, number, job_id, root, root_entry, level, level_reason, base, started_at, finished_at,
    entries, files, directories, protected_bytes, read_bytes, sent_bytes, stored_bytes, files_read,
    new_entries, changed_entries, removed_entries, unsaved, vanished, changed_while_read,
    fileset, keep_until, volumes, state)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,
    ($12::bigint[])[1], ($12::bigint[])[2], ($12::bigint[])[3], ($12::bigint[])[4], ($12::bigint[])[5],
    ($12::bigint[])[6], ($12::bigint[])[7], ($12::bigint[])[8], ($12::bigint[])[9], ($12::bigint[])[10],
    ($12::bigint[])[11], ($12::bigint[])[12], ($12::bigint[])[13], ($12::bigint[])[14],
    $13, $14, $15, 'good')
ON CONFLICT (id) DO NOTHING
