-- The schema as text, from the server's own books: the same on every supported version.
WITH tables AS (
    SELECT c.oid, c.relname, pg_get_partkeydef(c.oid) AS partition_key
      FROM pg_class c
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
       AND c.relname <> '_sqlx_migrations'
), columns AS (
    SELECT t.oid, string_agg(
               format('    %s %s%s%s', a.attname, format_type(a.atttypid, a.atttypmod),
                      CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END,
                      CASE WHEN a.attidentity <> '' THEN ' GENERATED ALWAYS AS IDENTITY'
                           ELSE coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '') END),
               E',\n' ORDER BY a.attnum) AS text
      FROM tables t
      JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
      LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
     GROUP BY t.oid
), rules AS (
    SELECT t.oid, string_agg(format(E',\n    %s', pg_get_constraintdef(c.oid)), '' ORDER BY c.contype DESC, c.conname) AS text
      FROM tables t JOIN pg_constraint c ON c.conrelid = t.oid AND c.contype <> 'n'
     GROUP BY t.oid
), indexes AS (
    SELECT t.oid, string_agg(pg_get_indexdef(i.indexrelid) || E';\n', '' ORDER BY i.indexrelid::regclass::text) AS text
      FROM tables t JOIN pg_index i ON i.indrelid = t.oid
     WHERE NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.indexrelid)
     GROUP BY t.oid
)
SELECT E'-- The catalog''s schema as the migrations leave it. Generated, for readers: see docs/catalog.md.\n\n' || string_agg(
           format(E'CREATE TABLE %s (\n%s%s\n)%s;\n%s', t.relname, c.text, coalesce(r.text, ''),
                  coalesce(' PARTITION BY ' || t.partition_key, ''), coalesce(i.text, '')),
           E'\n' ORDER BY t.relname)
  FROM tables t JOIN columns c USING (oid) LEFT JOIN rules r USING (oid) LEFT JOIN indexes i USING (oid)
