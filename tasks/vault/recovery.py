"""RECOVERY.md: how to restore this very backup without Watchkeeper, with standard tools alone."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from tasks.core.manifest import Manifest, Part

_HEAD = """# Recovery of {system} of {platform}

This folder is one complete backup: `{id}`, taken by {method} copy of a system of kind `{kind}`. It shows
{consistent_as_of}. You need no Watchkeeper: a shell with {tools} will do.

## 1. Fetch and check

Copy this folder to a machine and enter it: `cd {id}`. Nothing may be missing and nothing changed:

```sh
sha256sum -c <<'END'
{sums}
END
```
"""
_KEY = """
## 2. Have the key

It is encrypted with age for {recipients}. Put the identity that belongs to one of them
(`AGE-SECRET-KEY-1...`) in a file that only you can read, and say where it is:

```sh
export KEY=/path/to/identity.txt
```
"""
_NO_KEY = """
## 2. No key

It is **not encrypted**.
"""
_DATA = """
## 3. Read the parts

Each of these writes one part, as it was taken, to standard output:

```sh
{commands}
```
"""


def reading(part: Part) -> str:
    """Return the shell command that writes what a part holds to standard output."""
    path = shlex.quote(part.path)
    match part.encryption, part.compression:
        case "age", "zstd":
            return f'age -d -i "$KEY" {path} | zstd -dc'
        case "age", _:
            return f'age -d -i "$KEY" {path}'
        case _, "zstd":
            return f"zstd -dc {path}"
        case _:
            return f"cat {path}"


def fill(text: str, parts: Sequence[Part]) -> str:
    """Put the commands that read parts in the places `{read:NAME}` of a kind's text."""
    for part in parts:
        text = text.replace(f"{{read:{part.name}}}", reading(part))
    return text


def recovery_page(manifest: Manifest, kind_text: str) -> str:
    """Return the page.

    Args:
        manifest: Of the backup, as far as it is known before the page itself.
        kind_text: The kind's own commands, with `{read:NAME}` where a part is read.
    """
    tools = ["`sha256sum`"]
    tools += ["`age`"] if manifest.recipients else []
    tools += ["`zstd`"] if any(part.compression == "zstd" for part in manifest.parts) else []
    text = _HEAD.format(
        system=manifest.system,
        platform=manifest.platform,
        id=manifest.id,
        method=manifest.method,
        kind=manifest.kind,
        consistent_as_of=f"{manifest.consistent_as_of:%Y-%m-%d %H:%M:%S %Z}",
        tools=" and ".join(tools),
        sums="\n".join(f"{part.sha256}  {part.path}" for part in manifest.parts),
    )
    text += _KEY.format(recipients=" or ".join(manifest.recipients)) if manifest.recipients else _NO_KEY
    text += _DATA.format(commands="\n".join(reading(part) for part in manifest.parts))
    if kind_text:
        text += f"\n## 4. Restore\n\n{fill(kind_text, manifest.parts).strip()}\n"
    for warning in manifest.warnings:
        text += f"\n> Not in it: {warning}\n"
    return text
