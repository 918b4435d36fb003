"""Files and folders that tell whether who made them still lives: a lock that the kernel frees with its holder."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def held_alone(path: Path) -> Iterator[bool]:
    """Hold a file or a folder as long as the block lasts; false where another does, or it is not there.

    Where the file system has no locks, nobody can be told to have died, and it is false as well.
    """
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield _is(path, handle)
    finally:
        os.close(handle)


@contextmanager
def made_alone(parent: Path, name: str) -> Iterator[Path]:
    """Make a private folder, and hold it as long as the block lasts.

    Args:
        parent: Where; it is made as well.
        name: What its name begins with.
    """
    while True:
        folder = parent / f"{name}-{secrets.token_hex(4)}"
        folder.mkdir(parents=True, mode=0o700)
        try:
            handle = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue  # another took it for one that was left behind
        try:
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX)
            if _is(folder, handle):
                yield folder
                return
        finally:
            os.close(handle)


def _is(path: Path, handle: int) -> bool:
    """Tell whether a path still leads to what was opened."""
    with suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(handle))
    return False
