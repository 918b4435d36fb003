"""RECOVERY.md of a physical copy: the commands that make a server of it, and of the copies that it builds on. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from tasks.core.backup import Taken
from tasks.core.errors import ConfigError

_HEAD = """Be the user who shall run the server, never root, in this folder; have PostgreSQL {major}'s own programs on
PATH (`postgres`, `pg_ctl`, `pg_controldata`, `pg_verifybackup`{combine}) and `tar`. Say where the server shall be, with
room for it:

    export TO="${{TO:-$PWD/restored}}"
    mkdir -m 700 "$TO"

{parents}Unpack it.
"""
_PARENTS = """It holds what changed since the copy before. These must lie beside this folder, oldest first: {ids}.

"""
_CHECK = """
Hold every file against the hashes that were taken with it. Where this fails, the copy is damaged.

    pg_verifybackup --no-parse-wal "$TO/data"
    rm -f "$TO/data/tablespace_map"

It must not write into the archive of the server that it was copied from: archiving is off until you set it anew. Look
through its other settings too; where the server keeps `postgresql.conf` elsewhere, as on Debian, there are none here.

    test -e "$TO/data/pg_hba.conf" || echo "local all all peer" > "$TO/data/pg_hba.conf"
    touch -a "$TO/data/postgresql.conf" "$TO/data/pg_ident.conf"
    echo "archive_mode = off" >> "$TO/data/postgresql.auto.conf"
    echo "hot_standby = off" >> "$TO/data/postgresql.auto.conf"
"""
_INCLUDED = """
It holds its own write-ahead log, and comes up as it was at its end.
"""
_CONTINUOUS = """
It needs the archived write-ahead log from `{first}` to `{last}`, and what follows for a later moment. That lies in
the folder `wal` beside this one: copy it too, and write its files in the plain.

    export WAL="$TO/wal"
    mkdir -m 700 "$WAL"
    for sidecar in ../wal/*.json; do
      name=$(basename "$sidecar" .json)
      case "$name" in
        *.history) ;;
        *) [ "$name" \\< "{first}" ] && continue ;;
      esac
      file="../wal/$(sed -n 's/.*"path": "\\(.*\\)".*/\\1/p' "$sidecar")"
      case "$file" in *.age) age -d -i "$KEY" "$file" ;; *) cat "$file" ;; esac | zstd -dc > "$WAL/$name"
    done
    test -e "$WAL/{first}"

The server asks for them one by one.

    touch "$TO/data/recovery.signal"
    echo "restore_command = 'cp \\"$WAL/%f\\" \\"%p\\"'" >> "$TO/data/postgresql.auto.conf"
    echo "recovery_target_action = promote" >> "$TO/data/postgresql.auto.conf"

For a moment such as `2026-11-25 14:03:00+00`, set UNTIL to it; without, it takes all the log that there is.

    test -z "$UNTIL" || echo "recovery_target_time = '$UNTIL'" >> "$TO/data/postgresql.auto.conf"
"""
_START = """
Start it. `log` tells how far it came: "last completed transaction was at log time".

    pg_ctl -D "$TO/data" -l "$TO/log" -w -t 86400 start
    until LC_ALL=C pg_controldata "$TO/data" | grep -q "in production"; do
      pg_ctl -D "$TO/data" status > /dev/null || { tail "$TO/log"; exit 1; }
      sleep 0.2
    done
"""


def physical_recovery(taken: Taken, parts: Sequence[str]) -> str:
    """Return the commands that make a server of a physical copy."""
    for name in ("base.tar", "backup_manifest"):
        if name not in parts:
            raise ConfigError(f"the backup has no part {name}")
    chain: list[dict[str, Any]] = taken.details["chain"]
    spaces = tuple(taken.details["tablespaces"])
    text = _HEAD.format(
        major=taken.server_version.split(".")[0],
        combine=", `pg_combinebackup`" if chain else "",
        parents=_PARENTS.format(ids=", ".join(f"`{link['id']}`" for link in chain)) if chain else "",
    )
    if chain:
        links = [(link["id"], tuple(space for space in spaces if space in link["tablespaces"])) for link in chain]
        for number, (identifier, held) in enumerate([*links, (None, spaces)], start=1):
            text += _unpacked(identifier, f"{number}", f"{number}-", held)
        text += _combined(len(chain) + 1, spaces)
    else:
        text += _unpacked(None, "data", "space-", spaces)
    wal = taken.details["wal"]
    return text + _CHECK + (_INCLUDED if wal["included"] else _CONTINUOUS.format(**wal)) + _START


def _unpacked(parent: str | None, folder: str, space: str, spaces: Sequence[str]) -> str:
    def read(part: str) -> str:
        return f"{{read:{part}}}" if parent is None else f"(cd ../{shlex.quote(parent)} && {{read:{part}}})"

    lines = [
        "",
        f'    mkdir -m 700 "$TO/{folder}"',
        f'    {read("base.tar")} | tar --no-same-owner -xf - -C "$TO/{folder}"',
        f'    {read("backup_manifest")} > "$TO/{folder}/backup_manifest"',
    ]
    for oid in spaces:
        lines += [
            f'    mkdir -m 700 "$TO/{space}{oid}"',
            f'    {read(f"tablespaces/{oid}.tar")} | tar --no-same-owner -xf - -C "$TO/{space}{oid}"',
            f'    ln -s "$TO/{space}{oid}" "$TO/{folder}/pg_tblspc/{oid}"',
        ]
    return "\n".join([*lines, ""])


def _combined(count: int, spaces: Sequence[str]) -> str:
    folders = " ".join(f'"$TO/{number}"' for number in range(1, count + 1))
    mapped = " ".join(f'--tablespace-mapping="$TO/{count}-{oid}=$TO/space-{oid}"' for oid in spaces)
    command = " ".join(piece for piece in (f'pg_combinebackup -o "$TO/data" {folders}', mapped) if piece)
    return f"\nPut them together.\n\n    {command}\n"
