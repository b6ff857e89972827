-- The counter on the run serialises writers: its row is locked until the lines are in.
WITH numbered AS (
    UPDATE run SET log_lines = log_lines + cardinality($2::timestamptz[]) WHERE job_id = $1 RETURNING log_lines
), stored AS (
    INSERT INTO run_log (job_id, seq, at, severity, line)
    SELECT $1, n.log_lines - cardinality($2::timestamptz[]) + l.place, l.at, l.severity, l.line
      FROM numbered n, unnest($2::timestamptz[], $3::smallint[], $4::text[]) WITH ORDINALITY AS l (at, severity, line, place)
     WHERE n.log_lines - cardinality($2::timestamptz[]) + l.place <= $5
)
SELECT log_lines FROM numbered
