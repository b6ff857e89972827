SELECT s.*, r.uuid AS series_uuid, r.job, r.client, r.client_id, c.pool, c.storage
  FROM snapshot s
  JOIN series r ON r.id = s.series
  LEFT JOIN LATERAL (
      SELECT pool, storage FROM copy WHERE snapshot = s.id AND copy.state <> 'released'
       ORDER BY copy.state = 'good' DESC, made_at, pool LIMIT 1
  ) c ON true
