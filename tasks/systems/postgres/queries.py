"""The queries of the probe: few, read-only, for PostgreSQL 13 and newer. All need no more than pg_monitor."""

from __future__ import annotations

SETTINGS = """
SELECT current_setting('max_connections')::int AS max_connections,
       current_setting('superuser_reserved_connections')::int
       + coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved,
       pg_is_in_recovery() AS standby,
       current_setting('archive_mode') AS archive_mode,
       pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees_all
"""

CONNECTION_COUNT = """
SELECT count(*) AS total
FROM pg_stat_activity
WHERE coalesce(backend_type = 'client backend', datid IS NOT NULL AND usesysid IS NOT NULL)
  AND pid <> pg_backend_pid()
"""

ACTIVITY = """
SELECT pid, usename AS "user", coalesce(state, 'unknown') AS state, wait_event_type AS waits,
       pid = pg_backend_pid() AS own,
       extract(epoch FROM clock_timestamp() - query_start)::float8 AS query_age,
       extract(epoch FROM clock_timestamp() - xact_start)::float8 AS transaction_age,
       extract(epoch FROM clock_timestamp() - state_change)::float8 AS state_age
FROM pg_stat_activity
WHERE backend_type = 'client backend'
"""

STANDBYS = """
SELECT coalesce(nullif(application_name, ''), client_addr::text, pid::text) AS name, state,
       extract(epoch FROM replay_lag)::float8 AS lag,
       replay_lsn >= pg_current_wal_lsn() AS caught_up
FROM pg_stat_replication
WHERE coalesce(state, 'streaming') IN ('streaming', 'catchup')
"""

OWN_LAG = """
SELECT CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
            ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())
       END::float8 AS lag,
       EXISTS (SELECT FROM pg_stat_wal_receiver) AS receives
"""

SLOTS = """
SELECT slot_name AS name, active,
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,
                       restart_lsn)::float8 AS retained
FROM pg_replication_slots
WHERE restart_lsn IS NOT NULL
"""

ARCHIVER = """
SELECT last_failed_wal, failed_count,
       coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS failing,
       extract(epoch FROM clock_timestamp() - coalesce(last_archived_time, stats_reset))::float8 AS age,
       last_archived_time IS NULL AS never
FROM pg_stat_archiver
"""

DATABASE = """
SELECT pg_database_size(datname)::float8 AS size, blks_hit, blks_read, deadlocks,
       (SELECT max(age(datfrozenxid)) FROM pg_database) AS oldest_transaction_id
FROM pg_stat_database
WHERE datname = current_database()
"""

TABLES = """
SELECT format('%%s.%%s', namespace.nspname, class.relname) AS name,
       CASE WHEN held.relation IS NULL THEN pg_total_relation_size(class.oid)::float8 END AS size
FROM pg_class AS class
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
LEFT JOIN (SELECT DISTINCT relation FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted) AS held
       ON held.relation = class.oid
WHERE class.relkind IN ('r', 'm') AND class.relpersistence <> 't'
  AND namespace.nspname NOT IN ('pg_catalog', 'information_schema') AND namespace.nspname NOT LIKE 'pg_toast%%'
ORDER BY size DESC NULLS FIRST
LIMIT %(count)s
"""

DEAD_ROWS = """
SELECT format('%s.%s', schemaname, relname) AS name, n_dead_tup AS dead,
       n_dead_tup::float8 / (n_live_tup + n_dead_tup) AS share,
       extract(epoch FROM clock_timestamp() - greatest(last_vacuum, last_autovacuum))::float8 AS vacuumed
FROM pg_stat_user_tables
WHERE n_dead_tup >= 1000
ORDER BY share DESC
LIMIT 1
"""

STATEMENTS_EXTENSION = """
SELECT format('%I.pg_stat_statements', namespace.nspname) AS relation,
       CASE WHEN string_to_array(extversion, '.')::int[] >= '{1,8}' THEN 'mean_exec_time' ELSE 'mean_time' END AS mean
FROM pg_extension
JOIN pg_namespace AS namespace ON namespace.oid = extnamespace
WHERE extname = 'pg_stat_statements'
"""

SLOWEST_STATEMENT = """
SELECT {mean} / 1000 AS mean, calls, left(query, 2000) AS query
FROM {relation}
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND calls >= %(seen)s
  AND query ~* '^\\s*(/\\*.*?\\*/\\s*)*(select|insert|update|delete|merge|with)\\y'
ORDER BY {mean} DESC
LIMIT 1
"""

SETTINGS_BY_NAME = """
SELECT name, setting, unit, vartype, context, source, pending_restart
FROM pg_settings
WHERE name = ANY(%(names)s) OR pending_restart
"""

USE_OF_MEMORY = """
SELECT blks_hit AS hit, blks_read AS read, temp_bytes AS temporary,
       extract(epoch FROM clock_timestamp() - coalesce(stats_reset, pg_postmaster_start_time()))::float8 / 86400 AS days
FROM pg_stat_database
WHERE datname = current_database()
"""

ROWS = """
SELECT sum(tup_fetched)::float8 AS read, sum(tup_inserted + tup_updated + tup_deleted)::float8 AS written,
       (SELECT count(*) FROM pg_stat_replication
        WHERE coalesce(state, 'streaming') IN ('streaming', 'catchup')) AS standbys
FROM pg_stat_database
WHERE datname = current_database()
"""

INDEXES = """
SELECT class.relname AS name, relation.relname AS relation, pg_index.indisvalid AS valid
FROM pg_index
JOIN pg_class AS class ON class.oid = pg_index.indexrelid
JOIN pg_class AS relation ON relation.oid = pg_index.indrelid
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE namespace.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND (NOT pg_index.indisvalid AND pg_index.indislive AND NOT EXISTS (
           SELECT FROM pg_stat_progress_create_index AS building WHERE building.index_relid = class.oid)
       OR class.relname = ANY(%(names)s))
"""

CHECKPOINTS = "SELECT num_timed AS timed, num_requested AS requested FROM pg_stat_checkpointer"

CHECKPOINTS_BEFORE_17 = "SELECT checkpoints_timed AS timed, checkpoints_req AS requested FROM pg_stat_bgwriter"
