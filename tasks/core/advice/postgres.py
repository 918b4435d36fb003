"""PostgreSQL's settings and indexes against what the runbook wants, and against what was used."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tasks.core.advice.model import Advice, Change, Fine, Judged, Patch, Unjudged, When
from tasks.core.advice.postgres_units import base, parse
from tasks.core.errors import ConfigError
from tasks.core.units import format_bytes, format_duration

_SAME = 0.01
_RESTART = "postmaster"
_FIXED = "command line"
"""Such a value seems to wait for a restart whenever a file says another one, and never will be."""
_QUIET_CACHE = 0.99
_WHOLE_NAME = re.compile(r"[a-z_][a-z0-9_.]*")


@dataclass(frozen=True)
class Setting:
    """One row of pg_settings.

    Attributes:
        value: `setting`, in its own unit.
        unit: Its unit, such as `8kB`; empty without one.
        kind: `vartype`.
        context: When it takes effect: `postmaster` wants a restart.
        source: Where its value is from: what is set on the command line cannot be changed by ALTER SYSTEM.
        pending: Whether a change waits for a restart.
    """

    value: str
    unit: str = ""
    kind: str = "integer"
    context: str = "sighup"
    source: str = "default"
    pending: bool = False


@dataclass(frozen=True)
class Index:
    """An index that is there."""

    name: str
    table: str
    valid: bool = True


@dataclass(frozen=True)
class Server:
    """What a server says of itself.

    Attributes:
        settings: By name.
        indexes: Of the database.
        connections: The most client connections that were seen.
        cache_hits: Share of blocks that were found in shared_buffers; None before any was read.
        temporary: Bytes a day that queries wrote to temporary files; None where it is not known.
        requested: Share of checkpoints that came because the log was full, not in time; None where it is not known.
        memory: Bytes of its machine, by the spec; None where that does not say.
    """

    settings: Mapping[str, Setting]
    indexes: tuple[Index, ...] = ()
    connections: float = 0.0
    cache_hits: float | None = None
    temporary: float | None = None
    requested: float | None = None
    memory: float | None = None


@dataclass(frozen=True)
class Wanted:
    """What the runbook wants: settings by name as a person writes them, and indexes by name with their statements."""

    settings: Mapping[str, str] = field(default_factory=dict)
    indexes: Mapping[str, str] = field(default_factory=dict)


def advise(key: str, server: Server, wanted: Wanted) -> Iterator[Judged]:
    """Say which settings and indexes are not as the runbook wants them, and what else does not fit."""
    yield from _of_settings(key, server, wanted.settings)
    yield from _of_indexes(key, server, wanted.indexes)


def _of_settings(key: str, server: Server, wanted: Mapping[str, str]) -> Iterator[Judged]:
    changes: dict[str, Change] = {}
    against: list[str] = []
    for name, text in wanted.items():
        setting = server.settings.get(name)
        if setting is None:
            reason = f"the server has no setting {name}, or does not show it"
            yield Unjudged(key=f"{key}/{name}", kind="postgres", reason=reason)
            continue
        try:
            now, then = (parse(one, setting.unit, setting.kind) for one in (setting.value, text))
        except ConfigError as error:
            yield Unjudged(key=f"{key}/{name}", kind="postgres", reason=f"settings.{name} of the spec: {error.message}")
            continue
        if _same(now, then):
            continue
        if name == "max_connections" and isinstance(then, float) and then < server.connections:
            against.append(f"the runbook's max_connections of {text} is less than the {server.connections:g} in use")
            continue
        changes[name] = Change(what=name, before=shown(setting), after=text)
    unfit = [*against, *_unfit(server, changes, wanted)]
    if not changes and not unfit:
        if wanted:
            yield Fine(key=key, kind="postgres", note=f"{len(wanted)} settings as the runbook wants them")
        return
    yield _advice(key, server, changes, unfit)


def more_connections(server: Server, wanted: Wanted) -> int:
    """Return how many connections more there are once the runbook's max_connections is followed."""
    now, setting = _number(server, "max_connections"), server.settings.get("max_connections")
    if now is None or setting is None or "max_connections" not in wanted.settings:
        return 0
    try:
        then = parse(wanted.settings["max_connections"], setting.unit, setting.kind)
    except ConfigError:
        return 0
    return max(0, int(then - now)) if isinstance(then, float) else 0


def _same(now: float | str, then: float | str) -> bool:
    if isinstance(now, str) or isinstance(then, str):
        return str(now).lower() == str(then).lower()
    return abs(now - then) <= _SAME * max(abs(now), abs(then))


def shown(setting: Setting) -> str:
    """Write a setting for a person: `2 GiB`, `1 s`, `on`."""
    try:
        value = parse(setting.value, setting.unit, setting.kind)
        _, measured = base(setting.unit)
    except ConfigError:
        return setting.value
    if isinstance(value, str) or setting.kind == "bool" or (value < 0 and measured):
        return setting.value
    return format_bytes(value) if measured == "bytes" else format_duration(value) if measured else f"{value:g}"


def _number(server: Server, name: str, changes: Mapping[str, Change] | None = None) -> float | None:
    """Return a setting's number, as it will be where it changes."""
    setting = server.settings.get(name)
    if setting is None:
        return None
    text = changes[name].after if changes and name in changes else setting.value
    try:
        value = parse(text, setting.unit, setting.kind)
    except ConfigError:
        return None
    return value if isinstance(value, float) else None


def _unfit(server: Server, changes: Mapping[str, Change], wanted: Mapping[str, str]) -> Iterator[str]:
    """Yield what does not fit, with the runbook's values or without them."""
    scans = server.settings.get("enable_seqscan")
    if scans is not None and scans.value == "off" and "enable_seqscan" not in wanted:
        yield "enable_seqscan is off for every query: it is meant for single ones (SET LOCAL)"
    shared, each, most = (_number(server, name, changes) for name in ("shared_buffers", "work_mem", "max_connections"))
    if server.memory and shared and each and most and shared + each * most > server.memory:
        need = format_bytes(shared + each * most)
        yield f"shared_buffers and one work_mem for each connection are {need} of {format_bytes(server.memory)}"
    waiting = sorted(name for name, one in server.settings.items() if one.pending and one.source != _FIXED)
    if waiting:
        yield f"{', '.join(waiting)} was changed and waits for a restart"


def _notes(server: Server) -> Iterator[str]:
    if server.cache_hits is not None:
        enough = "enough" if server.cache_hits >= _QUIET_CACHE else "a larger shared_buffers would help"
        yield f"{server.cache_hits:.1%} of blocks were found in shared_buffers: {enough}"
    if server.temporary:
        yield f"queries write {format_bytes(server.temporary)} of temporary files a day: work_mem is too small"
    if server.requested:
        yield f"{server.requested:.0%} of checkpoints came as the log was full: see max_wal_size"
    if server.connections:
        yield f"at most {server.connections:g} client connections were seen"


def _advice(key: str, server: Server, changes: Mapping[str, Change], unfit: list[str]) -> Advice:
    restart = [name for name in changes if server.settings[name].context == _RESTART]
    fixed = [name for name in changes if server.settings[name].source == _FIXED]
    told = ", ".join(f"{one.what} {one.before} → {one.after}" for one in changes.values())
    unknown = () if server.memory else ("how much memory its machine has: say it as `memory` in the spec",)
    restarts = f"{', '.join(restart)} takes effect with a restart" if restart else ""
    held = f"{', '.join(fixed)} is set on the command line, where ALTER SYSTEM does not reach" if fixed else ""
    return Advice(
        key=key,
        kind="postgres",
        when=When.MONTH if unfit or restart else When.LATER,
        do=told or "see to what does not fit",
        why=unfit[0] if unfit else f"{len(changes)} settings are not as the runbook wants them",
        changes=tuple(changes.values()),
        evidence=("source: pg_settings and the pg_stat views", *_notes(server)),
        risk="; ".join(part for part in (restarts, held, *unfit[1:]) if part),
        unknown=unknown,
        patches=(_patch(changes, restart=bool(restart)),) if changes else (),
    )


def _patch(changes: Mapping[str, Change], *, restart: bool) -> Patch:
    lines = [f"ALTER SYSTEM SET {name} = '{one.after.replace(chr(39), chr(39) * 2)}';" for name, one in changes.items()]
    lines.append("SELECT pg_reload_conf();")
    if restart:
        lines.append("-- and restart the server in a maintenance window")
    return Patch(title="as a superuser", language="sql", text="\n".join(lines) + "\n")


def _of_indexes(key: str, server: Server, wanted: Mapping[str, str]) -> Iterator[Judged]:
    if not wanted and all(one.valid for one in server.indexes):
        return
    there = {one.name: one for one in server.indexes}
    missing = {name: statement for name, statement in wanted.items() if name not in there}
    broken = [one for one in server.indexes if not one.valid]
    if not missing and not broken:
        yield Fine(key=f"{key}/indexes", kind="postgres", note=f"{len(wanted)} indexes as the runbook wants them")
        return
    lines = [statement.rstrip().rstrip(";") + ";" for statement in missing.values()]
    lines += [f"REINDEX INDEX CONCURRENTLY {_quoted(one.name)};" for one in broken]
    missed, spoilt = ", ".join(missing), ", ".join(one.name for one in broken)
    parts = (f"create {missed}" if missed else "", f"build {spoilt} anew" if spoilt else "")
    yield Advice(
        key=f"{key}/indexes",
        kind="postgres",
        when=When.MONTH if broken else When.LATER,
        do=" and ".join(part for part in parts if part),
        why=f"{spoilt} is invalid: it costs at every write and serves no query" if broken else "the runbook wants them",
        changes=tuple(
            [Change(what=name, before="missing", after="there") for name in missing]
            + [Change(what=one.name, before="invalid", after="valid") for one in broken]
        ),
        evidence=("source: pg_index",),
        risk="CONCURRENTLY takes longer and locks no writes; it cannot run inside a transaction",
        patches=(Patch(title="by the owner of the table", language="sql", text="\n".join(lines) + "\n"),),
    )


def _quoted(name: str) -> str:
    return name if _WHOLE_NAME.fullmatch(name) else '"' + name.replace('"', '""') + '"'
