SELECT w.place, d.id
  FROM unnest($2::integer[], $3::bytea[]) WITH ORDINALITY AS w (parent, name, place)
  JOIN dir d ON d.series = $1 AND d.parent = w.parent AND d.name = w.name
