-- The least that a backup needs on PostgreSQL (14 or newer), in every database. Run it as a superuser once a server; then
-- set a password with \password watchkeeper_backup. With row-level security anywhere, it needs BYPASSRLS as it stands.
-- Roles are kept without their passwords: only a superuser may read those.
CREATE ROLE watchkeeper_backup LOGIN BYPASSRLS;
GRANT pg_read_all_data TO watchkeeper_backup;
-- Only for `physical` (PostgreSQL 15 or newer): who replicates reads every file of the server, passwords too. It comes in
-- through the database that the dsn names, so pg_hba.conf needs no line for `replication`.
ALTER ROLE watchkeeper_backup REPLICATION;
