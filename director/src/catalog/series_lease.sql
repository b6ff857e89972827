UPDATE series
   SET lease_job_id = $2,
       lease_number = coalesce(lease_number, next_number),
       next_number = CASE WHEN lease_number IS NULL THEN next_number + 1 ELSE next_number END
 WHERE id = $1 AND (lease_job_id IS NULL OR lease_job_id = $2)
RETURNING lease_number
