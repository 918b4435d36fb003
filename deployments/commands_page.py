"""The page of all commands, made from the commands' own help."""

from __future__ import annotations

from collections.abc import Iterator

import click

_WIDTH = 100
_START = """# Commands

Every command has `--help` with an example, and `--json` for machines. Exit codes: 0 fine, 1 findings, 2 could not run.
Progress goes to standard error, results to standard output. This page is made from the help by
`watchkeeper schema --write`.
"""


def commands_page(root: click.Group) -> str:
    """Return the page's text."""
    parts = [_START]
    for path, command in _commands(root, "watchkeeper"):
        context = click.Context(command, info_name=path, terminal_width=_WIDTH, **root.context_settings)
        parts.append(f"## `{path}`\n\n```text\n{command.get_help(context).rstrip()}\n```\n")
    return "\n".join(parts)


def _commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, child in sorted(command.commands.items()):
            yield from _commands(child, f"{path} {name}")
