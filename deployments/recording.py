"""What a command found is kept, and becomes evidence too. What cannot be written is told, and holds no answer up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tasks.core.errors import WatchkeeperError

if TYPE_CHECKING:
    from tasks.faces import Faces, Ran


def keep(run: Ran, made: Faces) -> None:
    """Keep what a command did beside the reports of flows, which look there for what came before, and record it."""
    from tasks.inspections import report_store  # noqa: PLC0415 - first the answer, then the record

    try:
        report_store(run.settings).save(made.kept, made.page())
    except WatchkeeperError as error:
        click.secho(f"the report could not be kept: {error}", fg="yellow", err=True)
    record(run, made)


def record(run: Ran, made: Faces) -> None:
    """Add a report, or what says itself in a bulletin, to the ledger."""
    from tasks import evidence  # noqa: PLC0415 - it loads every renderer: first the answer, then the record

    try:
        evidence.record(made, run.platform, run.access, run.settings)
    except WatchkeeperError as error:
        _tell(error)


def record_facts(flow: str, platform: str, settings: Any, found: dict[str, Any], said: str) -> None:
    """Add what a command judged of a platform's files to the ledger.

    Raises:
        ConfigError: There is no such platform.
    """
    from tasks import evidence, platforms  # noqa: PLC0415 - as above

    spec, access = platforms.load(platform, settings), platforms.access(settings)
    try:
        evidence.record_facts(flow, str(found["verdict"]), said, found, spec, access, settings)
    except WatchkeeperError as error:
        _tell(error)


def _tell(error: WatchkeeperError) -> None:
    click.secho(f"the evidence could not be written: {error}", fg="yellow", err=True)
