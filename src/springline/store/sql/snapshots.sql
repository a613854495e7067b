-- oldest_snapshot_age --
-- Age in seconds of the oldest snapshot of this database, a replica's included; our own is not counted.
SELECT coalesce(extract(epoch FROM clock_timestamp() - min(a.xact_start)), 0)::double precision
FROM pg_stat_activity a
WHERE a.backend_xmin IS NOT NULL AND a.pid <> pg_backend_pid()
    AND (a.datname = current_database() OR a.backend_type = 'walsender')
