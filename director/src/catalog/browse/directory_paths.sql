WITH RECURSIVE up (id, at, path, depth) AS (
    SELECT d.id, d.parent, '/'::bytea || d.name, 1
      FROM unnest($2::integer[]) AS wanted (id) JOIN dir d ON d.series = $1 AND d.id = wanted.id
     WHERE d.id <> 1
  UNION ALL
    SELECT u.id, d.parent, '/'::bytea || d.name || u.path, u.depth + 1
      FROM up u JOIN dir d ON d.series = $1 AND d.id = u.at
     WHERE u.at <> 1 AND u.depth < 2048
)
SELECT id, path FROM up WHERE at = 1
