-- Directory by directory through the key, whatever the planner believes of their sizes.
SELECT count(*) AS entries,
       count(*) FILTER (WHERE n.kind = 1) AS files,
       count(*) FILTER (WHERE n.kind = 2) AS directories,
       coalesce(sum(n.size) FILTER (WHERE n.kind = 1), 0)::bigint AS size_bytes,
       coalesce(array_agg(d.id) FILTER (WHERE d.id IS NOT NULL), '{}') AS below
  FROM unnest($2::integer[]) AS w (dir)
 CROSS JOIN LATERAL (
      SELECT DISTINCT ON (name) name, kind, size
        FROM entry
       WHERE series = $1 AND dir = w.dir AND since <= least($3, (SELECT head FROM series WHERE id = $1))
       ORDER BY name, since DESC) n
  LEFT JOIN LATERAL (
      SELECT id FROM dir WHERE n.kind = 2 AND series = $1 AND parent = w.dir AND name = n.name LIMIT 1) d ON true
 WHERE n.kind <> 0
