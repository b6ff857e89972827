SELECT dir, name, since, kind, size, mtime_ns, mode, uid, gid, flags
  FROM entry
 WHERE series = $1 AND since = $2 AND since <= (SELECT head FROM series WHERE id = $1)
   AND (dir, name) > ($3, $4::bytea)
 ORDER BY dir, name
 LIMIT $5
