SELECT count(*) AS entries,
       count(*) FILTER (WHERE n.kind = 1) AS files,
       count(*) FILTER (WHERE n.kind = 2) AS directories,
       coalesce(sum(n.size) FILTER (WHERE n.kind = 1), 0)::bigint AS size_bytes,
       coalesce(array_agg(d.id) FILTER (WHERE d.id IS NOT NULL), '{}') AS below
  FROM (SELECT DISTINCT ON (dir, name) dir, name, kind, size
          FROM entry
         WHERE series = $1 AND dir = ANY ($2) AND since <= least($3, (SELECT head FROM series WHERE id = $1))
         ORDER BY dir, name, since DESC) n
  LEFT JOIN dir d ON n.kind = 2 AND d.series = $1 AND d.parent = n.dir AND d.name = n.name
 WHERE n.kind <> 0
