"""Restores an archive of files into an empty folder, and nothing anywhere else, whatever the archive says.

Files and folders are made first and links last, so that nothing is ever written through a link. Links are given back
as they were, wherever they point to: what follows them is whoever reads the copy. Devices and pipes are never made.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tarfile import TarInfo

from tasks.core.errors import ConfigError, Denied, Garbled, PermanentError
from tasks.core.restore import Order, Phase, Restored, Source
from tasks.core.system import Access
from tasks.core.tars import Member, members
from tasks.systems.files.index import ARCHIVE
from tasks.systems.files.spec import Spec
from tasks.systems.files.walking import pattern

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ALL_BITS, _NO_SPECIAL_BITS = 0o7777, 0o777


@contextmanager
def restore(spec: Spec, access: Access, source: Source, order: Order) -> Iterator[Restored]:
    """Unpack into the folder `order.into`, or below the scratch folder; `order.only` chooses paths or globs.

    As root owners come back by number, with the bits that go with them; else all is this user's.

    Raises:
        ConfigError: The folder is not empty, or is the live one; or nothing is what was asked for.
        Garbled: The archive is damaged, or holds a path that leads out of the folder.
        Denied: Something may not be written there.
    """
    place = Path(order.into) if order.into is not None else order.folder / "files"
    if order.into is not None and _overlap(place, Path(access.resolver.resolve(spec.root))):
        raise ConfigError("this is the live folder", operation="restore", hint="name another one, then move it")
    if order.until is not None and order.until < source.manifest.consistent_as_of:
        raise ConfigError(
            f"this backup shows {source.manifest.consistent_as_of:%Y-%m-%d %H:%M:%S %Z}",
            operation="restore",
            hint="choose an earlier backup",
        )
    unpacking = _Unpacking(_empty(place), order, is_root=os.geteuid() == 0)
    with order.phase(Phase.RESTORE):
        for member in members(source.read(ARCHIVE)):
            unpacking.take(member)
        unpacking.finish()
    if order.only and not unpacking.counts:
        raise ConfigError(f"the backup has nothing of {', '.join(order.only)}", hint="see tar -t in RECOVERY.md")
    yield Restored(
        address=str(place),
        recovered_to=source.manifest.consistent_as_of,
        counts={name: unpacking.counts[name] for name in ("files", "folders", "links", "bytes")},
        details={"folder": str(place)},
        warnings=unpacking.warnings,
    )


def endpoints(address: str) -> frozenset[str]:
    """Return the folder with its links resolved; `restore` refuses those that lie in each other as well."""
    return frozenset({f"file:{Path(address).resolve()}"})


def _overlap(one: Path, other: Path) -> bool:
    one, other = one.resolve(), other.resolve()
    return one.is_relative_to(other) or other.is_relative_to(one)


def _empty(place: Path) -> Path:
    try:
        place.mkdir(parents=True, exist_ok=True)
        if any(place.iterdir()):
            raise ConfigError("the folder is not empty", operation="restore", hint="name an empty one, or a new one")
    except OSError as error:
        raise _refused(error, "make the folder") from None
    return place.resolve()


def _refused(error: OSError, operation: str) -> PermanentError:
    kind = Denied if isinstance(error, PermissionError) else PermanentError
    return kind(str(error.strerror), operation=operation, hint="see who may write there, and how much room there is")


@dataclass
class _Unpacking:
    """A folder as it fills."""

    place: Path
    order: Order
    is_root: bool
    counts: Counter[str] = field(default_factory=Counter)
    _folders: list[TarInfo] = field(default_factory=list)
    _links: list[TarInfo] = field(default_factory=list)
    _lacking: list[str] = field(default_factory=list)

    @property
    def warnings(self) -> tuple[str, ...]:
        named = ", ".join(map(repr, self._lacking[:3]))
        return (f"hard links without what they link to: {named}",) if self._lacking else ()

    def take(self, member: Member) -> None:
        """Write a file or make a folder; links wait."""
        info = member.info
        path = self._path(info.name)
        if not self._is_wanted(info.name):
            return
        try:
            if info.isdir():
                path.mkdir(parents=True, exist_ok=True)
                self._folders.append(info)
                self.counts["folders"] += 1
            elif info.issym() or info.islnk():
                self._links.append(info)
            elif info.isreg():
                self._write(member, path)
            else:
                raise Garbled(f"{info.name!r} is neither file, folder nor link", operation="unpack")
        except OSError as error:
            raise _refused(error, f"write {info.name!r}") from None

    def finish(self) -> None:
        """Make the links, then give the folders their modes and times, the innermost first."""
        for info in self._links:
            path = self._path(info.name)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._make_link(info, path)
            except OSError as error:
                raise _refused(error, f"link {info.name!r}") from None
        for info in sorted(self._folders, key=lambda info: info.name.count("/"), reverse=True):
            self._dress(self._path(info.name), info)

    def _make_link(self, info: TarInfo, path: Path) -> None:
        if info.issym():
            path.symlink_to(info.linkname)
            self._dress(path, info)
        else:
            target = self._path(info.linkname)
            if not target.is_file() or target.is_symlink():
                self._lacking.append(info.name)
                return
            path.hardlink_to(target)
        self.counts["links"] += 1

    def _write(self, member: Member, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        info, has_holes = member.info, member.info.sparse is not None
        with os.fdopen(os.open(path, _NEW, 0o600), "wb") as file:
            for data in member.chunks():
                if has_holes and not any(data):
                    file.seek(len(data), os.SEEK_CUR)
                else:
                    file.write(data)
                self.counts["bytes"] += len(data)
                self.order.progress(self.counts["bytes"], None)
            file.truncate(info.size)
        self.counts["files"] += 1
        self._dress(path, info)

    def _dress(self, path: Path, info: TarInfo) -> None:
        """Give owner, mode and time; without root's rights the bits that lend somebody's rights are left out."""
        if self.is_root:
            os.chown(path, info.uid, info.gid, follow_symlinks=False)
        if not info.issym():
            path.chmod(info.mode & (_ALL_BITS if self.is_root else _NO_SPECIAL_BITS))
        os.utime(path, ns=_times(info), follow_symlinks=False)

    def _path(self, name: str) -> Path:
        """Return where a member goes; one that would lead out of the folder is refused."""
        pieces = name.split("/")
        if any(piece in ("", "..") for piece in pieces) or "\0" in name:
            raise Garbled(f"{name!r} leads out of the folder", operation="unpack")
        return self.place.joinpath(*pieces)

    def _is_wanted(self, name: str) -> bool:
        return chosen(name, self.order.only)


def _times(info: TarInfo) -> tuple[int, int]:
    text = info.pax_headers.get("mtime", "")
    seconds, _, rest = text.partition(".")
    exact = seconds.isdigit() and rest.isdigit()
    time = int(seconds) * 1_000_000_000 + int(f"{rest:0<9}"[:9]) if exact else int(info.mtime * 1_000_000_000)
    return time, time


def chosen(path: str, only: Sequence[str]) -> bool:
    """Tell whether a path is one that was asked for: itself, below it, or by a glob."""
    return not only or any(
        path == one.rstrip("/") or path.startswith(f"{one.rstrip('/')}/") or pattern(one).fullmatch(path)
        for one in only
    )
