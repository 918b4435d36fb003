"""Where acknowledgements and snoozes are kept: one blob each, beside the reports."""

from __future__ import annotations

from datetime import datetime

from pydantic import ValidationError

from tasks.clients.blobs import BlobStore
from tasks.core.errors import PermanentError
from tasks.core.silences import Silence


class SilenceStore:
    """Silences as JSON under `<platform>/<id>.json`; ids sort by time."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store

    def add(self, silence: Silence) -> None:
        """Keep a silence.

        Raises:
            WatchkeeperError: The store refuses or does not answer.
        """
        self._store.put(_key(silence.platform, silence.id), silence.model_dump_json(indent=2).encode())

    def active(self, platform: str, now: datetime) -> list[Silence]:
        """Return a platform's silences that have not ended, oldest first.

        Raises:
            WatchkeeperError: The store refuses or does not answer, or holds one that cannot be read.
        """
        silences = [self._read(key) for key in self._store.list(f"{platform}/") if key.endswith(".json")]
        return sorted(
            (silence for silence in silences if silence is not None and now < silence.until),
            key=lambda silence: silence.at,
        )

    def end(self, platform: str, name: str) -> bool:
        """Take a silence back; False where there is none of that id.

        Raises:
            WatchkeeperError: The store refuses or does not answer.
        """
        key = _key(platform, name)
        if key not in self._store.list(f"{platform}/"):
            return False
        self._store.delete(key)
        return True

    def _read(self, key: str) -> Silence | None:
        data = self._store.get(key)
        try:
            return Silence.model_validate_json(data) if data is not None else None
        except ValidationError:
            raise PermanentError(
                f"{self._store.where(key)} is no acknowledgement that this version can read", hint="remove it"
            ) from None


def _key(platform: str, name: str) -> str:
    return f"{platform}/{name}.json"
