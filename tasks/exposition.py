"""The newest reports of all platforms as metrics: read from the store each time. Without Prefect."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from tasks import platforms
from tasks.core.errors import ConfigError, WatchkeeperError
from tasks.core.report import Report
from tasks.core.settings import Settings
from tasks.inspections import report_store
from tasks.pasts import Past
from tasks.reports.metrics import Newest, render

log = logging.getLogger(__name__)


def exposition(settings: Settings, now: datetime) -> str:
    """Return the metrics of every platform that has a spec; one whose report cannot be read is there as not up."""
    return render(list(_newest(settings)), now)


def _newest(settings: Settings) -> Iterator[Newest]:
    for name in platforms.platform_names(settings):
        yield Newest(name, _report(name, settings))


def _report(name: str, settings: Settings) -> Report | None:
    try:
        found = Past(report_store(settings), name, settings.environment, ZoneInfo("UTC")).newest(1)
    except WatchkeeperError as error:
        log.warning("the reports of %s cannot be read: %s", name, error)
        return None
    return found.reports[-1] if found.reports else None


def write_textfile(path: Path, text: str) -> None:
    """Write a file for node-exporter's textfile collector: there completely or not at all, and readable by all.

    Raises:
        ConfigError: It cannot be written.
    """
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            file.write(text.encode())
        temporary.chmod(0o644)
        os.replace(temporary, path)  # noqa: PTH105 - the name says that it is atomic
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
