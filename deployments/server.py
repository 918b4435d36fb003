"""Prefect's server for one machine, on SQLite: `prefect server start`, with transactions that take their turn.

    python -m deployments.server [OPTION...]

Prefect begins a transaction as a reader, and SQLite refuses it ("database is locked") as soon as it wants to write
after another did. The API then says 503, and a client tries again after two, four, eight seconds: five runs at once
take minutes. A transaction that begins as a writer waits for its turn instead, which takes milliseconds.
"""

from __future__ import annotations

import sys
from contextlib import AbstractAsyncContextManager
from typing import Any

from prefect.cli import app
from prefect.server.database.configurations import AioSqliteConfiguration

_begin = AioSqliteConfiguration.begin_transaction


def main() -> None:
    """Start the server with the options of `prefect server start`."""
    AioSqliteConfiguration.begin_transaction = _begin_as_writer  # type: ignore[assignment, method-assign]
    sys.argv = ["prefect", "server", "start", *sys.argv[1:]]
    app()


def _begin_as_writer(
    self: AioSqliteConfiguration, session: Any, *, with_for_update: bool = True
) -> AbstractAsyncContextManager[Any]:
    del with_for_update
    return _begin(self, session, with_for_update=True)


if __name__ == "__main__":
    main()
