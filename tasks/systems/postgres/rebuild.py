"""Restores a physical copy: its files and those that it builds on become a server, which rolls on to a moment."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tasks.clients.process import ProgramFailed, fed
from tasks.core.errors import ConfigError, Garbled, NotOffered, PermanentError, WatchkeeperError
from tasks.core.restore import Order, Phase, Restored, Source
from tasks.systems.postgres import scratch
from tasks.systems.postgres.connection import translated
from tasks.systems.postgres.feed import Feed, feeding
from tasks.systems.postgres.load import shown
from tasks.systems.postgres.physical import BASE, MANIFEST
from tasks.systems.postgres.tools import run_as, server_programs
from tasks.systems.postgres.wal import (
    Reach,
    base_of,
    format_lsn,
    gap_text,
    history_names,
    parse_history,
    parse_lsn,
    reaches,
)

_RECOVERY_SECONDS = 24 * 3600.0
_LINKING = 18
_BY_LARGE_RECORDS = ("-B", "-b", "512")
"""tar reads and writes 10 KiB at a time by itself, which takes twice as much of the processor as 256."""
_LSN = re.compile(r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}")
_LAST_TIME = re.compile(r"last completed transaction was at log time (\S+ \S+)")
_ENDED_EARLY = "recovery ended before configured recovery target was reached"
_BUSY = "the database system is"
_TOO_EARLY = "requested recovery stop point is before consistent recovery point"
_SHOWS = """
SELECT pg_last_xact_replay_timestamp() AS newest, pg_last_wal_replay_lsn()::text AS lsn,
       current_setting('server_version') AS version,
       ARRAY(SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate)::text[] AS databases
"""


@dataclass(frozen=True)
class _Files:
    """A copy's files, put together."""

    programs: Path
    data: Path
    verified: str


@contextmanager
def rebuild(source: Source, order: Order, wanted: str | None) -> Iterator[Restored]:
    """Restore a backup of the method `physical` into scratch. See `tasks.core.restore.Restore`.

    Args:
        source: The backup.
        order: What is asked for; the position may be an LSN or the name of a restore point.
        wanted: The database that the restored address should name, where it is there.
    """
    details = source.manifest.details
    if order.into is not None:
        raise ConfigError(
            "a physical copy becomes a server of its own, not a database in another one",
            hint="restore it into scratch, or by the commands of its RECOVERY.md",
        )
    for name in order.only:
        if name not in details["databases"]:
            raise ConfigError(f"the backup has no database {name!r}", hint=f"it has {', '.join(details['databases'])}")
    names = source.archived()
    reach = _reach(source, names)
    _must_be_reachable(source, order, reach)
    with ExitStack() as opened:
        feed = opened.enter_context(feeding(source, order.folder / "wal", names, details["segment_bytes"]))
        files = _put_together(source, order, begun=lambda: feed.prepare(details["wal"]["first"]))
        settings = _targets(order, reach, int(source.manifest.position["timeline"]), feed) | _needed(files)
        (files.data / "recovery.signal").touch()
        server = scratch.running(
            files.programs,
            files.data,
            order.folder / "server",
            superuser=details["superuser"],
            settings=settings,
            within=_RECOVERY_SECONDS,
            each=lambda: order.progress(0, None),
        )
        with order.phase(Phase.RECOVER):
            try:
                running = opened.enter_context(server)
            except WatchkeeperError as error:
                raise _why(error, feed, source, order, reach) from error
        restored = _restored(running, source, order, files, feed, wanted)
        if order.latest and reach.missing:
            gap = f"the archived log has a gap, and nothing behind it came back: {gap_text(reach.missing)} is missing"
            restored = dataclasses.replace(restored, warnings=(*restored.warnings, gap))
        yield restored


def _reach(source: Source, names: Sequence[str]) -> Reach:
    """Return how far the copy can be rolled on along the newest timeline to which it belongs."""
    manifest = source.manifest
    histories = {
        timeline: parse_history(b"".join(source.read_archived(name)).decode("utf-8", "replace"))
        for timeline, name in history_names(names).items()
    }
    base = base_of(manifest.id, manifest)
    found = reaches(names, [base], histories=histories, segment_bytes=manifest.details["segment_bytes"])
    return max(found, key=lambda reach: (reach.consistent, reach.timeline))


def _must_be_reachable(source: Source, order: Order, reach: Reach) -> None:
    """Refuse what can be known to be out of reach before anything is fetched."""
    manifest = source.manifest
    included = manifest.details["wal"]["included"]
    if (order.until is not None) + (order.position is not None) + order.latest > 1:
        raise ConfigError("more than one of a time, a position and the latest is wanted", hint="say one of them")
    if order.until is not None and order.until.tzinfo is None:
        raise ConfigError(
            f"{order.until} is ambiguous: it has no time zone", hint=f"write {order.until.isoformat()}Z if it is UTC"
        )
    if not included and not reach.consistent:
        raise Garbled(
            f"the write-ahead log that {manifest.id} needs is not archived: {gap_text(reach.missing)}",
            hint="restore another backup; see that archive_command works",
        )
    if order.until is None and order.position is None:
        return
    if reach.last is None:
        raise ConfigError(
            f"{manifest.id} has no archived log to roll on with: only {_moment(manifest.consistent_as_of)} can be had",
            hint="leave out the time, and set archive_command as docs/wal.md says",
        )
    if order.until is not None and order.until < manifest.consistent_as_of:
        raise ConfigError(
            f"{_moment(order.until)} is before {manifest.id} was complete, {_moment(manifest.consistent_as_of)}",
            hint="restore an older backup",
        )
    if order.position is not None and _LSN.fullmatch(order.position):
        _must_reach(parse_lsn(order.position), manifest.position["lsn"], manifest.id, reach)


def _must_reach(lsn: int, consistent: str, identifier: str, reach: Reach) -> None:
    if lsn < parse_lsn(consistent):
        raise ConfigError(
            f"{format_lsn(lsn)} is before {identifier} was complete, at {consistent}", hint="restore an older backup"
        )
    if lsn > reach.until:
        raise ConfigError(
            f"{format_lsn(lsn)} is behind the archived log, which ends at {format_lsn(reach.until)}{_gap(reach)}",
            hint=f"the newest that can be had is {format_lsn(reach.until)}, or restore the latest",
        )


def _gap(reach: Reach) -> str:
    return f": {gap_text(reach.missing)} is missing" if reach.missing else ""


def _put_together(source: Source, order: Order, begun: Callable[[], None]) -> _Files:
    """Unpack every copy, put differences together, and hold the files against their hashes.

    Args:
        source: The newest copy.
        order: What is asked for.
        begun: Called once all that is needed is known to be there, and before it is fetched.
    """
    manifest = source.manifest
    major = int(manifest.server_version.split(".")[0])
    with order.phase(Phase.PROVISION):
        programs = server_programs(major, newer=False)
        chain = [source.parent(identifier) for identifier in manifest.parents]
    begun()
    with order.phase(Phase.FETCH):
        folders = _fetch([*chain, source], order)
    data = order.folder / "data"
    with order.phase(Phase.RESTORE):
        if chain:
            _combine(programs, major, folders, manifest.details["tablespaces"], data)
        else:
            folders[0].rename(data)
    with order.phase(Phase.VERIFY):
        command = [str(programs / "pg_verifybackup"), "--no-parse-wal", "--quiet", str(data)]
        _run(command, "the copy is damaged")
    (data / "tablespace_map").unlink(missing_ok=True)
    return _Files(programs, data, f"{len(chain) + 1} copies" if chain else "one copy")


def _fetch(sources: Sequence[Source], order: Order) -> list[Path]:
    """Unpack the parts of every copy, several at a time."""
    wanted = set(sources[-1].manifest.details["tablespaces"])
    total = sum(part.plain_bytes for source in sources for part in source.manifest.parts)
    meter = _Meter(order, total)
    folders, work = [], []
    for number, source in enumerate(sources):
        folder = order.folder / f"copy-{number}"
        folder.mkdir(mode=0o700)
        folders.append(folder)
        for oid in sorted(wanted & set(source.manifest.details["tablespaces"])):
            space = order.folder / f"copy-{number}-{oid}"
            space.mkdir(mode=0o700)
            work.append((source, f"tablespaces/{oid}.tar", space))
        work.append((source, BASE, folder))
    with ThreadPoolExecutor(max(1, order.jobs)) as pool:
        begun = [pool.submit(_unpack, source, part, folder, meter) for source, part, folder in work]
        try:
            for one in begun:
                one.result()
        except BaseException:
            meter.stopped = True
            raise
    for number, (source, folder) in enumerate(zip(sources, folders, strict=True)):
        (folder / MANIFEST).write_bytes(b"".join(source.read(MANIFEST)))
        for oid in wanted & set(source.manifest.details["tablespaces"]):
            (folder / "pg_tblspc" / oid).symlink_to(order.folder / f"copy-{number}-{oid}")
    return folders


def _unpack(source: Source, part: str, folder: Path, meter: _Meter) -> None:
    command = ["tar", "--no-same-owner", *_BY_LARGE_RECORDS, "-xf", "-", "-C", str(folder)]
    try:
        fed(command, meter.read(source.read(part)), environment={})
    except ProgramFailed as error:
        raise Garbled(f"{part} cannot be unpacked: {error.message}", operation="restore") from error


def _combine(programs: Path, major: int, folders: Sequence[Path], spaces: Sequence[str], data: Path) -> None:
    command = [str(programs / "pg_combinebackup"), "--no-sync", "-o", str(data)]
    command += ["--link"] if major >= _LINKING else []
    for oid in spaces:
        old = folders[-1].with_name(f"{folders[-1].name}-{oid}")
        command.append(f"--tablespace-mapping={old}={data.with_name(f'space-{oid}')}")
    _run([*command, *map(str, folders)], "the copies cannot be put together")
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _run(command: Sequence[str], failed: str) -> str:
    try:
        return fed([*run_as(), *command], (), environment={}).output
    except ProgramFailed as error:
        told = next((line for line in error.errors if "error:" in line), error.message)
        raise Garbled(f"{failed}: {told.split('error: ')[-1]}", operation="restore") from error


def _targets(order: Order, reach: Reach, timeline: int, feed: Feed) -> dict[str, str]:
    """Return the settings that say how far the server rolls on."""
    settings = {
        "restore_command": feed.command,
        "recovery_target_action": "promote",
        "recovery_target_timeline": "current" if reach.timeline == timeline else str(reach.timeline),
        "hot_standby": "off",
    }
    if order.until is not None:
        settings["recovery_target_time"] = order.until.astimezone(UTC).isoformat()
    elif order.position is None and not _goes_on(order, reach):
        settings |= {"recovery_target": "immediate", "recovery_target_timeline": "current"}
    elif order.position is not None:
        kind = "lsn" if _LSN.fullmatch(order.position) else "name"
        settings[f"recovery_target_{kind}"] = order.position
    return settings


def _goes_on(order: Order, reach: Reach) -> bool:
    """Tell whether all the log is wanted, and there is some behind the copy."""
    return order.latest and reach.last is not None


def _needed(files: _Files) -> dict[str, str]:
    """Return the settings without which the cluster does not start, as it says itself."""
    told = _run([str(files.programs / "pg_controldata"), str(files.data)], "the copy has no sound control file")
    found = dict(re.findall(r"^(max_\w+) setting:\s+(\d+)$", told, re.MULTILINE))
    return {
        "max_prepared_transactions": found.get("max_prepared_xacts", "0"),
        "max_locks_per_transaction": found.get("max_locks_per_xact", "64"),
    }


def _why(error: WatchkeeperError, feed: Feed, source: Source, order: Order, reach: Reach) -> WatchkeeperError:
    """Say why a server did not come up, from what it wrote."""
    if isinstance(feed.error, WatchkeeperError):
        return feed.error
    lines = scratch.log_lines(order.folder / "server")
    if any(_ENDED_EARLY in line for line in lines):
        newest = _newest(lines) or source.manifest.consistent_as_of
        asked = _moment(order.until) if order.until is not None else repr(order.position)
        return ConfigError(
            f"{asked} is not in the archived log, whose newest transaction is of {_moment(newest)}{_gap(reach)}",
            hint=f"the newest that can be had is {_moment(newest)}, or restore the latest",
        )
    if any(_TOO_EARLY in line for line in lines):
        return ConfigError(
            f"what is asked for is before {source.manifest.id} was complete", hint="restore an older one"
        )
    told = [line for line in lines if line.startswith(("FATAL:", "PANIC:")) and _BUSY not in line]
    kind = NotOffered if any("could not access file" in line for line in told) else PermanentError
    return kind(f"the restored server does not start: {told[0] if told else error.message}", operation="restore")


def _newest(lines: Sequence[str]) -> datetime | None:
    found = [match[1] for line in lines if (match := _LAST_TIME.search(line))]
    return datetime.fromisoformat(found[-1]) if found else None


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC"


def _restored(
    running: scratch.Scratch, source: Source, order: Order, files: _Files, feed: Feed, wanted: str | None
) -> Restored:
    try:
        with psycopg.connect(running.inside(), row_factory=dict_row) as connection:
            row: dict[str, Any] = connection.execute(_SHOWS).fetchone() or {}
    except psycopg.Error as error:
        raise translated(error) from None
    names = {name: name for name in row["databases"] if not order.only or name in order.only}
    left = [name for name in row["databases"] if name not in names]
    return Restored(
        address=running.address(shown(names, wanted)),
        recovered_to=row["newest"] or source.manifest.consistent_as_of,
        server_version=row["version"],
        details={
            "databases": names,
            "restore_point": (order.until or _shown_moment(row, source, order)).isoformat(),
            "scratch": True,
            "lsn": row["lsn"],
            "pg_verifybackup": files.verified,
            "log_files": len(feed.fetched),
            "last_log_file": feed.fetched[-1] if feed.fetched else "",
        },
        warnings=(f"a physical copy is restored whole: {', '.join(left)} is there too",) if left else (),
    )


def _shown_moment(row: dict[str, Any], source: Source, order: Order) -> datetime:
    """Return the moment that was asked for without a time: of the copy, or of the last transaction behind it."""
    at: datetime = source.manifest.consistent_as_of
    newest: datetime | None = row["newest"]
    return at if newest is None or not (order.latest or order.position) else max(newest, at)


class _Meter:
    """Tells how much of all parts was read; stops what is under way where one of them failed."""

    def __init__(self, order: Order, total: int) -> None:
        self._order, self._total, self._done = order, total, 0
        self.stopped = False

    def read(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the chunks, and tell of them."""
        for chunk in chunks:
            if self.stopped:
                raise PermanentError("another part could not be read", operation="restore")
            yield chunk
            self._done += len(chunk)
            self._order.progress(min(self._done, self._total), self._total)
