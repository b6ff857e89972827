SELECT *
  FROM run
 WHERE ($1::text IS NULL OR job = $1)
   AND ($2::text IS NULL OR client = $2)
   AND (cardinality($3::text[]) = 0 OR state = ANY ($3))
   AND (cardinality($4::text[]) = 0 OR kind = ANY ($4))
   AND ($5::timestamptz IS NULL OR created_at >= $5)
   AND ($6::timestamptz IS NULL OR created_at < $6)
   AND ($7::bigint IS NULL OR job_id < $7)
 ORDER BY job_id DESC
 LIMIT $8
