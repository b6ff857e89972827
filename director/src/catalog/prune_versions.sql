-- $2 < since <= $3: versions that began after the kept snapshot before the released one. One that a later version
-- replaces by the kept snapshot after it ($4) is seen by nobody.
DELETE FROM entry e
 WHERE e.series = $1 AND e.since > $2 AND e.since <= $3
   AND EXISTS (SELECT 1 FROM entry l
                WHERE l.series = $1 AND l.dir = e.dir AND l.name = e.name AND l.since > e.since AND l.since <= $4)
