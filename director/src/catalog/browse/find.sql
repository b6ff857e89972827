-- $1 series, $2 and $3 directory and name to begin with, $4 snapshots that count (ascending), $5 LIKE pattern, $6 rows
-- looked at at most. A name's versions stand together; the newest one that a counting snapshot shows is the answer.
-- `until` is where the next version begins; `shown_by` the newest counting snapshot before that. The last row of a scan
-- that was cut comes in any case, as `bound`: its name is not told to the end.
WITH scan AS (
    SELECT e.*, row_number() OVER w AS place,
           CASE WHEN lead(e.dir) OVER w = e.dir AND lead(e.name) OVER w = e.name THEN lead(e.since) OVER w END AS until
      FROM (SELECT * FROM entry
             WHERE series = $1 AND (dir, name) >= ($2, $3::bytea)
             ORDER BY dir, name, since LIMIT $6) e
    WINDOW w AS (ORDER BY e.dir, e.name, e.since)
), shown AS (
    SELECT scan.*, lead(dir) OVER w AS next_dir, lead(name) OVER w AS next_name
      FROM scan
     WHERE place = $6
        OR (kind <> 0 AND name LIKE $5
            AND width_bucket(coalesce(until - 1, 2147483647), $4::integer[]) > width_bucket(since - 1, $4::integer[]))
    WINDOW w AS (ORDER BY dir, name, since)
)
SELECT dir, name, since, kind, size, mtime_ns, mode, uid, gid, flags, place = $6 AS bound,
       coalesce(($4::integer[])[width_bucket(coalesce(until - 1, 2147483647), $4::integer[])], 0) AS shown_by
  FROM shown
 WHERE place = $6 OR next_dir IS DISTINCT FROM dir OR next_name IS DISTINCT FROM name
 ORDER BY place
