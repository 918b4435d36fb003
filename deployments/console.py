"""What every command shares: how it prints, how it fails, and its exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, NoReturn

import click

from tasks.core.errors import WatchkeeperError


class Exit(IntEnum):
    """Exit codes, the same for every command."""

    FINE = 0
    FINDINGS = 1
    COULD_NOT_RUN = 2


def say_json(value: Any) -> None:
    """Write one JSON document to standard output."""
    click.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False))


def fail(message: str, *, as_json: bool = False) -> NoReturn:
    """End with "could not run", told on standard error, or as JSON where that was asked for."""
    if as_json:
        say_json({"error": message})
    else:
        click.secho(f"error: {message}", fg="red", err=True)
    raise click.exceptions.Exit(Exit.COULD_NOT_RUN)


@contextmanager
def told(*, as_json: bool = False) -> Iterator[None]:
    """Turn the errors that Watchkeeper raises on purpose into a message and an exit code."""
    try:
        yield
    except WatchkeeperError as error:
        fail(str(error), as_json=as_json)


def progress(*, quiet: bool = False) -> Callable[[str], None]:
    """Return a function that tells a step on standard error, or says nothing."""
    if quiet:
        return lambda _message: None
    return lambda message: click.secho(f"  {message}", fg="bright_black" if sys.stderr.isatty() else None, err=True)
