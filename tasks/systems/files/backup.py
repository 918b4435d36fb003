"""Backs folders and files up as one tar, read as a stream; links are kept as links, and holes as holes.

It runs as the user that runs Watchkeeper: `unreadable` of the probe counts what this user may not read.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import shlex
import stat
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache

from tasks.core.backup import Order, PartWriter, Sink, Taken
from tasks.core.errors import Denied, PermanentError, Unreachable
from tasks.core.system import Access
from tasks.core.tars import BLOCK, TarWriter
from tasks.systems.files.index import ARCHIVE, INDEX, Entry, content_hash
from tasks.systems.files.spec import Spec
from tasks.systems.files.walking import Found, Walk

_READ = 1 << 18
_NAMED = 3
_MOST_PIECES = 10_000
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PASSED_OVER = {
    stat.S_IFSOCK: "sockets",
    stat.S_IFIFO: "pipes",
    stat.S_IFCHR: "devices",
    stat.S_IFBLK: "devices",
}


def backup(spec: Spec, access: Access, sink: Sink, order: Order) -> Taken:
    """Write `files.tar` and `index.jsonl`.

    Raises:
        Unreachable: The root is not there, or none of the paths.
        Denied: Nothing of it may be read.
    """
    began = access.now()
    walk = Walk(access.resolver.resolve(spec.root), spec.paths, spec.exclude)
    with sink.part(ARCHIVE) as archive, sink.part(INDEX) as index:
        copy = _Copy(TarWriter(archive), index, sink, walk)
        for found in walk:
            copy.add(found)
        copy.tar.end()
        if len(walk.missing) == len(spec.paths):
            raise Unreachable(f"there is nothing of what is to be backed up: {_named(walk.missing)}")
        if walk.unreadable and not copy.counts["files"]:
            raise Denied(f"nothing of it may be read: {_told(walk.unreadable)}", hint="see owners and modes")
    return Taken(
        method=order.method,
        consistent_as_of=began,
        counts={name: copy.counts[name] for name in ("files", "folders", "links", "bytes")},
        details={
            "paths": [path for path in spec.paths if path not in walk.missing],
            "excluded": dict(walk.excluded),
            "passed_over": {name: len(paths) for name, paths in copy.passed_over.items()},
            "unreadable": len(walk.unreadable),
            "changed_meanwhile": len(copy.changed),
            "vanished": walk.vanished,
            "sparse": copy.sparse,
        },
        warnings=tuple(_warnings(copy, walk)),
        source_bytes=copy.counts["bytes"],
    )


def _warnings(copy: _Copy, walk: Walk) -> Iterator[str]:
    if walk.missing:
        yield f"paths that are not there: {_named(walk.missing)}"
    if walk.unreadable:
        yield f"{len(walk.unreadable)} could not be read: {_told(walk.unreadable)}"
    if copy.changed:
        yield f"{len(copy.changed)} files changed while they were read: {_told(copy.changed)}"
    for name, paths in copy.passed_over.items():
        yield f"{len(paths)} {name} are passed over: {_named(paths)}"
    if not copy.counts["files"]:
        yield "there is not a single file"


def _told(reasons: dict[str, str]) -> str:
    return _named([f"{path} ({reason})" for path, reason in reasons.items()])


def _named(paths: Sequence[str]) -> str:
    shown = [path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace") for path in paths[:_NAMED]]
    return ", ".join(shown) + (f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else "")


@dataclass
class _Copy:
    """The archive as it grows."""

    tar: TarWriter
    index: PartWriter
    sink: Sink
    walk: Walk
    counts: Counter[str] = field(default_factory=Counter)
    changed: dict[str, str] = field(default_factory=dict)
    passed_over: dict[str, list[str]] = field(default_factory=dict)
    sparse: int = 0
    _linked: dict[tuple[int, int], str] = field(default_factory=dict)

    def add(self, found: Found) -> None:
        """Write what was found; what cannot be read is told in the walk."""
        kind = stat.S_IFMT(found.status.st_mode)
        if kind == stat.S_IFREG:
            self._file(found)
        elif kind == stat.S_IFDIR:
            self._plain(found, "folder", tarfile.DIRTYPE)
        elif kind == stat.S_IFLNK:
            self._link(found)
        else:
            self.passed_over.setdefault(_PASSED_OVER.get(kind, "others"), []).append(found.path)

    def _plain(self, found: Found, kind: str, type_: bytes, target: str = "") -> None:
        info = _info(found.path, found.status, type_)
        info.linkname = target
        self.tar.whole(info, b"")
        self._note(found.path, found.status, type=kind, target=target)
        self.counts["folders" if kind == "folder" else "links"] += 1

    def _link(self, found: Found) -> None:
        try:
            target = os.readlink(found.name, dir_fd=found.folder)
        except OSError as error:
            self._lost(found, error)
            return
        self._plain(found, "link", tarfile.SYMTYPE, target)

    def _file(self, found: Found) -> None:
        identity = (found.status.st_dev, found.status.st_ino)
        if found.status.st_nlink > 1 and identity in self._linked:
            self._plain(found, "hard link", tarfile.LNKTYPE, self._linked[identity])
            return
        try:
            descriptor = os.open(found.name, _OPEN, dir_fd=found.folder)
        except OSError as error:
            self._lost(found, error)
            return
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                self.changed[found.path] = "it became something else"
                return
            self._content(found.path, descriptor, status)
        finally:
            os.close(descriptor)
        if status.st_nlink > 1:
            self._linked[identity] = found.path

    def _lost(self, found: Found, error: OSError) -> None:
        if error.errno in (errno.ENOENT, errno.ESTALE):
            self.walk.vanished += 1
        else:
            self.walk.unreadable[found.path] = str(error.strerror)

    def _content(self, path: str, descriptor: int, status: os.stat_result) -> None:
        size, holes = status.st_size, _pieces(descriptor, status)
        info = _info(path, status, tarfile.REGTYPE)
        if holes is None:
            info.size, pieces, head = size, [(0, size)], b""
        else:
            pieces, head = holes, _map(holes)
            info = _sparse(info, path, size, len(head) + sum(length for _, length in holes))
            self.sparse += 1
        self.tar.head(info)
        self.tar.data(head)
        reader = _Reader(descriptor, self._advance)
        for offset, length in pieces:
            reader.read(self.tar, offset, length)
        reader.skip_to(size)
        self.tar.pad()
        note = reader.trouble or _changed(status, os.fstat(descriptor))
        if note:
            self.changed[path] = note
        self._note(path, status, type="file", size=size, hash=reader.digest, note=note)
        self.counts["files"] += 1
        self.counts["bytes"] += size

    def _advance(self, size: int) -> None:
        self.sink.progress(self.counts["bytes"] + size)

    def _note(self, path: str, status: os.stat_result, **fields: object) -> None:
        entry = {
            "path": path,
            "mode": stat.S_IMODE(status.st_mode),
            "uid": status.st_uid,
            "gid": status.st_gid,
            "mtime_ns": status.st_mtime_ns,
        }
        self.index.write(Entry.model_validate(entry | fields).line())


class _Reader:
    """Reads pieces of a file into a tar, hashes the whole with its holes, and makes up for what is gone."""

    def __init__(self, descriptor: int, advance: Callable[[int], None]) -> None:
        self._descriptor, self._hash, self._advance = descriptor, content_hash(), advance
        self._at = 0
        self.trouble = ""

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def read(self, tar: TarWriter, offset: int, length: int) -> None:
        self.skip_to(offset)
        while length > 0:
            data = self._some(min(_READ, length), offset)
            if not data:
                tar.zeros(length)
                self.skip_to(offset + length)
                return
            self._take(data)
            tar.data(data)
            offset, length = offset + len(data), length - len(data)

    def skip_to(self, offset: int) -> None:
        while self._at < offset:
            self._take(bytes(min(_READ, offset - self._at)))

    def _some(self, size: int, offset: int) -> bytes:
        try:
            data = os.pread(self._descriptor, size, offset)
        except OSError as error:
            self.trouble = f"{error.strerror}: zeros from byte {offset} on"
            return b""
        if not data:
            self.trouble = f"it shrank: zeros from byte {offset} on"
        return data

    def _take(self, data: bytes) -> None:
        self._hash.update(data)
        self._at += len(data)
        self._advance(self._at)


def _changed(before: os.stat_result, after: os.stat_result) -> str:
    if after.st_size > before.st_size:
        return "it grew: what was added is not in it"
    return "it was written to" if after.st_mtime_ns != before.st_mtime_ns else ""


def _pieces(descriptor: int, status: os.stat_result) -> list[tuple[int, int]] | None:
    """Return offset and length of what is data in a file with holes; None where it has none, or too many."""
    if status.st_blocks * BLOCK >= status.st_size:
        return None
    found, at = [], 0
    try:
        while at < status.st_size:
            begin = os.lseek(descriptor, at, os.SEEK_DATA)
            at = min(os.lseek(descriptor, begin, os.SEEK_HOLE), status.st_size)
            found.append((begin, at - begin))
            if len(found) > _MOST_PIECES:
                return None
    except OSError as error:
        if error.errno != errno.ENXIO:  # which says: nothing but a hole up to the end
            return None
    # As GNU tar writes it, the last piece is an empty one at the very end.
    return None if found == [(0, status.st_size)] else [*found, (status.st_size, 0)]


def _map(pieces: Sequence[tuple[int, int]]) -> bytes:
    """Write the map of a file with holes, as GNU's sparse format 1.0 has it before the data."""
    text = f"{len(pieces)}\n" + "".join(f"{offset}\n{length}\n" for offset, length in pieces)
    data = text.encode()
    return data + bytes(-len(data) % BLOCK)


def _sparse(info: tarfile.TarInfo, path: str, real: int, stored: int) -> tarfile.TarInfo:
    folder, _, name = path.rpartition("/")
    info.name = f"{folder}/GNUSparseFile.0/{name}" if folder else f"GNUSparseFile.0/{name}"
    info.size = stored
    info.pax_headers = {
        **info.pax_headers,
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": path,
        "GNU.sparse.realsize": str(real),
    }
    return info


def _info(path: str, status: os.stat_result, type_: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.type, info.mode = type_, stat.S_IMODE(status.st_mode)
    info.uid, info.gid = status.st_uid, status.st_gid
    info.uname, info.gname = _user(status.st_uid), _group(status.st_gid)
    info.mtime = status.st_mtime
    if status.st_mtime_ns > 0:
        info.pax_headers = {"mtime": "{}.{:09d}".format(*divmod(status.st_mtime_ns, 1_000_000_000))}
    return info


@cache
def _user(number: int) -> str:
    with suppress(KeyError):
        return pwd.getpwuid(number).pw_name
    return ""


@cache
def _group(number: int) -> str:
    with suppress(KeyError):
        return grp.getgrgid(number).gr_name
    return ""


def recovery(taken: Taken, parts: Sequence[str]) -> str:
    """Return the commands that unpack the files. See `tasks.core.backup.Recovery`."""
    if ARCHIVE not in parts:
        raise PermanentError(f"the backup has no part {ARCHIVE}")
    paths = " ".join(shlex.quote(_named([path])) for path in taken.details.get("paths", ()))
    return f"""Unpack it into an empty folder, with GNU tar. As root, owners come back too, by number.

    mkdir -p "${{TARGET:-files}}"
    {{read:{ARCHIVE}}} | tar -x -p --numeric-owner -C "${{TARGET:-files}}" -f -

It holds {taken.counts["files"]} files, {taken.counts["folders"]} folders and {taken.counts["links"]} links, as they
were below the root: {paths}. Look at them there, stop what uses the old ones, and put them in place:

    cp -a "${{TARGET:-files}}/." "${{PLACE:?where they belong}}/"

For single files, name them at the end of the `tar` command as `tar -t` lists them. `{INDEX}` has a line of JSON for
each, with its size and its BLAKE2b hash (`b2sum -l 256`).
"""
