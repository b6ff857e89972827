SELECT (SELECT count(*) FROM series) AS series,
       (SELECT count(*) FROM snapshot WHERE state = 'good') AS snapshots,
       (SELECT count(*) FROM snapshot WHERE state = 'broken') AS broken_snapshots,
       newest.protected_bytes,
       newest.files,
       held.volumes,
       held.volume_bytes,
       split_part(current_setting('server_version'), ' ', 1) AS server_version,
       pg_database_size(current_database()) AS catalog_bytes,
       (SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint
          FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'entry'::regclass) AS file_versions
  FROM (SELECT coalesce(sum(protected_bytes), 0)::bigint AS protected_bytes, coalesce(sum(files), 0)::bigint AS files
          FROM (SELECT DISTINCT ON (series) protected_bytes, files
                  FROM snapshot WHERE state = 'good' ORDER BY series, number DESC) s) newest,
       (SELECT count(*) AS volumes, coalesce(sum(bytes), 0)::bigint AS volume_bytes FROM volume) held
