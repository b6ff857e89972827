-- $1 series, $2 and $3 directory and name to go on after, $4 snapshot, $5 LIKE pattern, $6 rows looked at at most.
-- A name's versions stand together; the newest one by the snapshot counts. `bound` marks where a cut scan ended.
WITH scan AS (
    SELECT e.dir, e.name, e.since, e.kind, e.size, e.mtime_ns, e.mode, e.uid, e.gid, e.flags,
           row_number() OVER w AS place,
           lead(e.dir) OVER w AS next_dir, lead(e.name) OVER w AS next_name, lead(e.since) OVER w AS next_since
      FROM (SELECT * FROM entry
             WHERE series = $1 AND (dir, name) > ($2, $3::bytea)
             ORDER BY dir, name, since LIMIT $6) e
    WINDOW w AS (ORDER BY e.dir, e.name, e.since)
)
SELECT dir, name, since, kind, size, mtime_ns, mode, uid, gid, flags, place = $6 AS bound
  FROM scan
 WHERE place = $6
    OR (since <= least($4, (SELECT head FROM series WHERE id = $1))
        AND name LIKE $5
        AND (next_dir IS DISTINCT FROM dir OR next_name IS DISTINCT FROM name
             OR next_since > least($4, (SELECT head FROM series WHERE id = $1))))
 ORDER BY place
