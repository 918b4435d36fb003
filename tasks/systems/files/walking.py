"""Walks over folders without ever following a link out of them, and tells what it leaves out and why."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from glob import has_magic
from pathlib import PurePosixPath

from tasks.core.errors import Denied, Unreachable

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEEPEST = 400  # each level holds a descriptor open


def pattern(glob: str) -> re.Pattern[str]:
    """Compile a glob: by name anywhere where it has no slash, else by path below the root; `**` crosses folders."""
    has_slash = "/" in glob.strip("/")
    text = re.escape(glob.strip("/"))
    text = text.replace(r"\*\*/", "(?:.*/)?").replace(r"\*\*", ".*").replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
    return re.compile(text if has_slash or glob.startswith("/") else f"(?:.*/)?{text}", re.DOTALL)


@dataclass(frozen=True)
class Found:
    """One thing on the way; `folder` is open until the walk goes on.

    Attributes:
        path: Below the root, joined by `/`.
        name: Its name in its folder.
        folder: Descriptor of its folder.
        status: Of itself: links are not followed.
    """

    path: str
    name: str
    folder: int
    status: os.stat_result


@dataclass
class Walk:
    """All below some paths of a root, each once, in the order of names; read what it left out at the end.

    Attributes:
        excluded: How many were left out, by glob; a folder counts once.
        unreadable: Paths that may not be read, with the reason.
        missing: Paths that were asked for and are not there.
        vanished: How many went away while they were looked at.
    """

    root: str
    paths: Sequence[str]
    exclude: Sequence[str] = ()
    excluded: Counter[str] = field(default_factory=Counter)
    unreadable: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    vanished: int = 0

    def __iter__(self) -> Iterator[Found]:
        """Yield everything.

        Raises:
            Unreachable: The root is not there.
            Denied: The root may not be entered.
        """
        globs = [(glob, pattern(glob)) for glob in self.exclude]
        with ExitStack() as stack:
            root = self._open_root()
            stack.callback(os.close, root)
            paths = [one for path in self.paths for one in self._expanded(root, path)]
            for path in _without_those_below_others(paths):
                yield from self._from(root, path, globs)

    def _open_root(self) -> int:
        try:
            return os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except PermissionError:
            raise Denied("this user may not enter the folder", hint="see its owner and its mode") from None
        except OSError as error:
            raise Unreachable(f"the folder cannot be opened: {error.strerror}") from None

    def _expanded(self, root: int, path: str) -> list[str]:
        """Return a path, or what fits it where it has stars; these stay within a folder."""
        if not has_magic(path):
            return [path]
        found = [""]
        for piece in path.split("/"):
            fits = pattern(f"/{piece}").fullmatch
            names = {folder: _listed(root, folder) if has_magic(piece) else [piece] for folder in found}
            found = [f"{folder}/{name}".lstrip("/") for folder in found for name in names[folder] if fits(name)]
        there = [one for one in found if _is_there(root, one)]
        self.missing += [] if there else [path]
        return there

    def _from(self, root: int, path: str, globs: list[tuple[str, re.Pattern[str]]]) -> Iterator[Found]:
        if path == ".":
            yield from self._below(root, "", globs)
            return
        parent = str(PurePosixPath(path).parent)
        try:
            folder = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root)
        except PermissionError as error:
            self.unreadable[path] = str(error.strerror)
            return
        except OSError:
            self.missing.append(path)
            return
        try:
            name = PurePosixPath(path).name
            if _is_there(folder, name):
                yield from self._one(folder, name, path, globs)
            else:
                self.missing.append(path)
        finally:
            os.close(folder)

    def _one(self, folder: int, name: str, path: str, globs: list[tuple[str, re.Pattern[str]]]) -> Iterator[Found]:
        found = self._look(folder, name, path, globs)
        if found is None:
            return
        yield found
        if stat.S_ISDIR(found.status.st_mode) and (opened := self._enter(found)) is not None:
            try:
                yield from self._below(opened, path, globs)
            finally:
                os.close(opened)

    def _below(self, top: int, prefix: str, globs: list[tuple[str, re.Pattern[str]]]) -> Iterator[Found]:
        """Yield all below an open folder; it stays open, as it is the caller's."""
        levels = [(top, prefix, self._names(top, prefix))]
        try:
            while levels:
                folder, prefix, names = levels[-1]
                name = next(names, None)
                if name is None:
                    levels.pop()
                    if folder != top:
                        os.close(folder)
                    continue
                path = f"{prefix}/{name}" if prefix else name
                found = self._look(folder, name, path, globs)
                if found is None:
                    continue
                yield found
                if not stat.S_ISDIR(found.status.st_mode):
                    continue
                if len(levels) >= _DEEPEST:
                    self.unreadable[path] = "it lies too deep"
                elif (opened := self._enter(found)) is not None:
                    levels.append((opened, path, self._names(opened, path)))
        finally:
            for folder, _, _ in levels[1:]:
                os.close(folder)

    def _look(self, folder: int, name: str, path: str, globs: list[tuple[str, re.Pattern[str]]]) -> Found | None:
        for glob, compiled in globs:
            if compiled.fullmatch(path):
                self.excluded[glob] += 1
                return None
        try:
            return Found(path, name, folder, os.stat(name, dir_fd=folder, follow_symlinks=False))
        except FileNotFoundError:
            self.vanished += 1
        except OSError as error:
            self.unreadable[path] = str(error.strerror)
        return None

    def _enter(self, found: Found) -> int | None:
        try:
            return os.open(found.name, _FOLDER, dir_fd=found.folder)
        except FileNotFoundError:
            self.vanished += 1
        except OSError as error:
            self.unreadable[found.path] = str(error.strerror)
        return None

    def _names(self, folder: int, path: str) -> Iterator[str]:
        try:
            with os.scandir(folder) as entries:
                return iter(sorted(entry.name for entry in entries))
        except OSError as error:
            self.unreadable[path or "."] = str(error.strerror)
            return iter(())


def _listed(root: int, folder: str) -> list[str]:
    with suppress(OSError):
        opened = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root)
        try:
            with os.scandir(opened) as entries:
                return sorted(entry.name for entry in entries)
        finally:
            os.close(opened)
    return []


def _is_there(folder: int, name: str) -> bool:
    with suppress(FileNotFoundError, NotADirectoryError):
        os.stat(name, dir_fd=folder, follow_symlinks=False)
        return True
    return False


def _without_those_below_others(paths: Sequence[str]) -> list[str]:
    if "." in paths:
        return ["."]
    kept = sorted(set(paths))
    return [path for path in kept if not any(path.startswith(f"{other}/") for other in kept)]
