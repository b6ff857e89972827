-- $1 series, $2 directory, $3 name to go on after, $4 snapshot, $5 entries wanted, $6 names looked at at most.
WITH RECURSIVE names (name, scanned) AS (
    (SELECT e.name, 1 FROM entry e WHERE e.series = $1 AND e.dir = $2 AND e.name > $3 ORDER BY e.name LIMIT 1)
  UNION ALL
    SELECT (SELECT e.name FROM entry e WHERE e.series = $1 AND e.dir = $2 AND e.name > n.name ORDER BY e.name LIMIT 1),
           n.scanned + 1
      FROM names n
     WHERE n.name IS NOT NULL AND n.scanned < $6
)
SELECT n.name, n.scanned, v.since, v.kind, v.size, v.mtime_ns, v.mode, v.uid, v.gid, v.flags
  FROM names n
  LEFT JOIN LATERAL (
      SELECT e.since, e.kind, e.size, e.mtime_ns, e.mode, e.uid, e.gid, e.flags
        FROM entry e
       WHERE e.series = $1 AND e.dir = $2 AND e.name = n.name
         AND e.since <= least($4, (SELECT head FROM series WHERE id = $1))
       ORDER BY e.since DESC
       LIMIT 1
  ) v ON true
 WHERE n.name IS NOT NULL AND (v.kind <> 0 OR n.scanned = $6)
 LIMIT $5
