"""Scans log files: opens them, hands their lines to the pure scan, and says of each what could not be read."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from tasks.clients.log_files import lines, opened
from tasks.core.errors import WatchkeeperError
from tasks.core.logscan.scan import Scan, Scanned


def scan_files(scan: Scan, paths: Sequence[Path], *, year: int | None = None) -> dict[str, Any]:
    """Scan files one after the other and return the result; a file that cannot be read is told, the others go on.

    Args:
        scan: What is looked for.
        paths: Files; `-` is standard input. One that is named twice is scanned once.
        year: The year of the first line of each, where lines leave it out and it is known.
    """
    seen: set[tuple[int, int]] = set()
    for path in paths:
        file = Scanned(str(path))
        try:
            with _opened(path) as (stream, changed, identity):
                if identity in seen:
                    continue
                seen.add(identity)
                scan.read(str(path), lines(stream), changed, year)
        except WatchkeeperError as error:
            if not scan.files or scan.files[-1].name != file.name:
                scan.files.append(file)
            scan.files[-1].problem = error.message
    return scan.result()


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, datetime, tuple[int, int]]]:
    if str(path) == "-":
        yield sys.stdin.buffer, datetime.now(UTC), (0, 0)
        return
    with opened(path) as stream:
        status = os.stat(path)  # noqa: PTH116 - the same words for both
        changed = min(datetime.fromtimestamp(status.st_mtime, UTC), datetime.now(UTC))
        yield stream, changed, (status.st_dev, status.st_ino)
