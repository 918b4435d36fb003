"""What the platforms' customers do all day: a row now and then, so that the newest record is never an old one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

_SECONDS = 60.0
_PATIENCE = "-c statement_timeout=1500 -c lock_timeout=1000"
_ROWS = {
    "apex": "INSERT INTO project_events (project_id, event_type, actor, at) "
    "SELECT id, 'project.viewed', 'user1@example.com', clock_timestamp() FROM projects LIMIT 1",
    "stario": "INSERT INTO audit_logs (actor, action, subject, at) "
    "VALUES ('service:api-gateway', 'login', 'user:1', clock_timestamp())",
    "synesthesia": "INSERT INTO story_packs (user_id, title, status, generation_seconds, created_at) "
    "SELECT id, 'The lighthouse', 'completed', 21, clock_timestamp() FROM users LIMIT 1",
}
log = logging.getLogger("lab")


def go_on(environment: Mapping[str, str], ended: threading.Event) -> None:
    """Write into every platform's database, once a minute, until all is ended.

    Args:
        environment: Names and values; `APEX_APP_DATABASE_URL` is where APEX's own services write.
        ended: Set when it is time to stop.
    """
    import psycopg  # noqa: PLC0415 - drivers are loaded after the ports are open

    while not ended.wait(_SECONDS):
        for platform, statement in _ROWS.items():
            address = environment.get(f"{platform.upper()}_APP_DATABASE_URL")
            if not address:
                continue
            try:
                with psycopg.connect(address, connect_timeout=2, options=_PATIENCE) as connection:
                    connection.execute(statement.encode())
            except psycopg.Error as error:  # it is broken on purpose, most of the time
                log.info("no business at %s: %s", platform, type(error).__name__)
