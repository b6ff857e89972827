-- A removal with no older version before it hides nothing.
DELETE FROM entry e
 WHERE e.series = $1 AND e.since > $2 AND e.since <= $4 AND e.kind = 0 AND $3::integer IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM entry o
                    WHERE o.series = $1 AND o.dir = e.dir AND o.name = e.name AND o.since < e.since)
