"""Status pages and badges out of the report store alone: into a folder, or beside the reports. Without Prefect."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from tasks import platforms
from tasks.core.errors import ConfigError, WatchkeeperError
from tasks.core.platform import PlatformSpec
from tasks.core.settings import Settings
from tasks.core.standing import SHOWN_DAYS, Standing, stand
from tasks.inspections import report_store
from tasks.pasts import Past
from tasks.reports import badge, status_page

FOLDER = "status"

Write = Callable[[str, bytes], str]


def standing_of(platform: PlatformSpec, settings: Settings, now: datetime) -> Standing:
    """Tell how a platform stands; a store that cannot be read is told, and never green."""
    environment = settings.environment
    try:
        past = Past(report_store(settings), platform.platform, environment, platform.zone)
        days = past.days(now.astimezone(platform.zone).date(), SHOWN_DAYS)
        reports = past.newest().reports
    except WatchkeeperError as error:
        return stand(platform, (), {}, now=now, environment=environment, trouble=str(error))
    return stand(platform, reports, days, now=now, environment=environment)


def build(folder: Path, settings: Settings, now: datetime, *, inside: bool = False) -> list[Standing]:
    """Write the pages and badges of all platforms into a folder.

    Args:
        folder: Made where it is not there.
        settings: Where the specs and the reports are.
        now: Aware time.
        inside: Say what was wrong too, not titles alone.

    Raises:
        ConfigError: A spec is broken, or the folder cannot be written.
    """
    standings = [
        standing_of(platforms.load(name, settings), settings, now) for name in platforms.platform_names(settings)
    ]

    def write(name: str, data: bytes) -> str:
        path = folder / name
        path.write_bytes(data)
        return str(path)

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for standing in standings:
            _write(standing, write, inside=inside)
        write("index.html", status_page.index(standings, now).encode())
    except OSError as error:
        raise ConfigError(f"the pages cannot be written to {folder}: {error.strerror}") from None
    return standings


def write_beside(settings: Settings, platform: PlatformSpec, now: datetime) -> str:
    """Write one platform's page and badge, and the index of all, beside the reports; return where the page is.

    Raises:
        WatchkeeperError: The store refuses or does not answer.
    """
    store = report_store(settings)
    standing = standing_of(platform, settings, now)

    def write(file: str, data: bytes) -> str:
        return store.put(f"{FOLDER}/{file}", data)

    where = _write(standing, write, inside=True)
    write(f"{_memory(standing.platform, settings)}", standing.model_dump_json().encode())
    known = (store.read(f"{FOLDER}/{_memory(name, settings)}", Standing) for name in platforms.platform_names(settings))
    standings = [one.model_copy(update={"made": now}) for one in known if one is not None]
    write("index.html", status_page.index(standings, now).encode())
    return where


def _memory(name: str, settings: Settings) -> str:
    return f"{name}-{settings.environment}.json"


def _write(standing: Standing, write: Write, *, inside: bool) -> str:
    write(f"{standing.platform}.svg", badge.render(standing).encode())
    return write(f"{standing.platform}.html", status_page.render(standing, inside=inside).encode())
