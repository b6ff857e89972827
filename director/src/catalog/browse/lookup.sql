SELECT name, since, kind, size, mtime_ns, mode, uid, gid, flags
  FROM entry
 WHERE series = $1 AND dir = $2 AND name = $3
   AND since <= least($4, (SELECT head FROM series WHERE id = $1))
 ORDER BY since DESC
 LIMIT 1
