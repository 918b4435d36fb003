-- The least that Watchkeeper's user needs on PostgreSQL to take every measurement. Run it as a superuser in the
-- database that the dsn names; then set a password with \password watchkeeper.
CREATE ROLE watchkeeper LOGIN CONNECTION LIMIT 5;
GRANT pg_monitor TO watchkeeper;
-- Only where a full server shall still let Watchkeeper in and show as full, not as one that does not answer: from
-- PostgreSQL 16 on, with reserved_connections = 3 in postgresql.conf. Older ones do not know this role: leave it out.
GRANT pg_use_reserved_connections TO watchkeeper;
-- Only where slow queries shall be seen; it also wants shared_preload_libraries = 'pg_stat_statements'.
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
