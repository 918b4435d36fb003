"""Programs of Debian's packages, unpacked without installing them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tasks.core.errors import NotOffered


def unpack(folder: Path, packages: Sequence[str], *, what: str, program: str, absent: str = "is not on PATH") -> None:
    """Have apt bring packages, and unpack them into a folder.

    Args:
        folder: Where to; it exists.
        packages: Their names.
        what: The server, for a person.
        program: What is missing without them.
        absent: In which way it is missing.

    Raises:
        NotOffered: There is no apt, or it does not reach its archive.
    """
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise NotOffered(f"{what} could not be had: {program} {absent} and there is no apt")
    try:
        _run(["apt-get", "download", *packages], folder)
        found = list(folder.glob("*.deb"))
        for package in found:
            _run(["dpkg", "-x", str(package), "."], folder)
            package.unlink()
    except (subprocess.SubprocessError, OSError) as error:
        raise _not_brought(what, program) from error
    if not found:
        raise _not_brought(what, program)


def _not_brought(what: str, program: str) -> NotOffered:
    return NotOffered(f"{what} could not be had: apt did not bring {program}", hint="run apt-get update")


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)  # noqa: S603 - our own
