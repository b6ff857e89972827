-- A removal with no older version before it hides nothing. $2 < since <= $3: up to the kept snapshot after the released one.
DELETE FROM entry e
 WHERE e.series = $1 AND e.since > $2 AND e.since <= $3 AND e.kind = 0
   AND NOT EXISTS (SELECT 1 FROM entry o
                    WHERE o.series = $1 AND o.dir = e.dir AND o.name = e.name AND o.since < e.since)
