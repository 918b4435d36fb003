"""Where trials are kept between two runs: one is planted in one, and judged in a later one."""

from __future__ import annotations

from pydantic import ValidationError

from tasks.clients.blobs import BlobStore
from tasks.core.errors import ConfigError
from tasks.core.trials import Trial

_MOST = 500
"""So many of the newest are read: a backup may hold an old canary for long."""


class TrialStore:
    """Trials as JSON under `<platform>/<id>.json`; ids sort by time."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store

    def save(self, trial: Trial) -> None:
        """Keep a trial, over what was kept of it before.

        Raises:
            WatchkeeperError: The store refuses or does not answer.
        """
        self._store.put(f"{trial.platform}/{trial.id}.json", trial.model_dump_json(indent=2).encode())

    def all(self, platform: str, environment: str) -> list[Trial]:
        """Return the trials of a platform, oldest first.

        Raises:
            ConfigError: One cannot be read.
            WatchkeeperError: The store refuses or does not answer.
        """
        found = []
        for key in sorted(self._store.list(f"{platform}/"))[-_MOST:]:
            try:
                trial = Trial.model_validate_json(self._store.get(key) or b"")
            except ValidationError:
                raise ConfigError(f"{self._store.where(key)} is no trial that can be read", hint="remove it") from None
            if trial.environment == environment:
                found.append(trial)
        return found
