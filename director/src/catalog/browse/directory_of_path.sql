-- One index probe for each part of the path ($2).
WITH RECURSIVE walk (id, depth) AS (
    SELECT 1, 0
  UNION ALL
    SELECT d.id, w.depth + 1
      FROM walk w JOIN dir d ON d.series = $1 AND d.parent = w.id AND d.name = ($2::bytea[])[w.depth + 1]
     WHERE w.depth < cardinality($2::bytea[])
)
SELECT id FROM walk WHERE depth = cardinality($2::bytea[])
