"""Kill -9 at each call of the store: a child does one thing to a vault and dies at the n-th call, until it does not.

Run as `python -m tests.killing STORE each|sorts`, where STORE is a folder, or `s3://bucket/prefix` with its endpoint in
the environment. Prints one JSON object: how often a child was killed, what was lost, and what was taken for a success
that was none.
"""

from __future__ import annotations

import functools
import json
import os
import secrets
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tasks.clients import blobs_s3
from tasks.clients.blobs import BlobStore, FolderStore, MemoryStore, open_store
from tasks.core.backup import Taken
from tasks.core.errors import WatchkeeperError
from tasks.core.manifest import Manifest
from tasks.core.retention import Policy
from tasks.vault.archive import Archive
from tasks.vault.checking import check, clean
from tasks.vault.pruning import carry_out, foresee
from tasks.vault.vault import Vault
from tests.faulty import Faulty, Ledger

NOW = datetime(2026, 11, 25, 2, tzinfo=UTC)
PARTS = {"a": b"one" * 1000, "files/b": b"two" * 1000}
LARGE = {"a": b"one" * 1000, "files/large": bytes((5 << 20) + 1)}
"""Large enough for an upload in several parts, as small as they are made here."""


class Deadly(Faulty):
    """Kills its own process at the n-th call."""

    def _next(self, name: str) -> None:
        with self._lock:
            self.calls.append(name)
            if len(self.calls) == self.at:
                os.kill(os.getpid(), signal.SIGKILL)


def vault_on(store: BlobStore, back: timedelta = timedelta(0)) -> Vault:
    return Vault("killed", store, encrypted=False, now=lambda: NOW - back)


def take(vault: Vault, parts: dict[str, bytes]) -> Manifest:
    with vault.begin("shop", "database", "postgres") as backup:
        for name, data in parts.items():
            with backup.part(name, compress=False) as part:
                part.write(data)
        return backup.commit(Taken(method="logical", consistent_as_of=vault.now()))


def back_up(vault: Vault) -> None:
    take(vault, LARGE)


def prune(vault: Vault) -> None:
    look = functools.partial(foresee, vault, "shop", Policy(last=2), cap=1.0)
    carry_out(vault, look(), look)


def copy(vault: Vault) -> None:
    source = vault_on(MemoryStore(), timedelta(days=3))
    source.copy(take(source, LARGE), vault)


def archive(vault: Vault) -> None:
    Archive(vault, "shop", "database").put(secrets.token_hex(4), [b"log" * 1000])


def is_whole(vault: Vault, manifest: Manifest) -> bool:
    try:
        expected = LARGE if any(part.name == "files/large" for part in manifest.parts) else PARTS
        return all(b"".join(vault.read(manifest, name)) == data for name, data in expected.items())
    except WatchkeeperError:
        return False


def survivors(vault: Vault) -> dict[str, bool]:
    """Return the complete backups with whether each can be read as it was written."""
    return {manifest.folder: is_whole(vault, manifest) for manifest in vault.manifests()}


def in_child(act: Callable[[Vault], None], store: BlobStore, at: int) -> bool:
    """Return whether it came to its end; False where it was killed on the way."""
    process = os.fork()
    if process == 0:
        try:
            act(vault_on(Deadly(store, at=at)))
        except BaseException:  # noqa: BLE001 - it must not come back from here
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(process, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return False
    if os.waitstatus_to_exitcode(status) != 0:
        raise RuntimeError(f"{act.__name__} failed at call {at}")
    return True


def opened(url: str) -> BlobStore:
    if not url.startswith("s3://"):
        return FolderStore(Path(url))
    return open_store(
        url,
        endpoint=os.environ["ENDPOINT"],
        access_key=os.environ["ACCESS_KEY"],
        secret_key=os.environ["SECRET_KEY"],
    )


def suffer(act: Callable[[Vault], None], url: str, ledger: Ledger, *, each: bool) -> None:
    """Do one thing to a vault with three backups in it, killed at each of its calls, or once for each sort of them."""
    store = opened(url)
    honest = vault_on(store)
    later = replace(honest, now=lambda: NOW + timedelta(days=9))
    must = [take(vault_on(store, timedelta(days=back)), PARTS).folder for back in (1, 2)]
    for at in calls_of(act, store, each=each):
        take(vault_on(store, timedelta(days=3)), PARTS)
        if in_child(act, opened(url), at):
            raise RuntimeError(f"{act.__name__} came to its end before call {at}")
        there = survivors(honest)
        flaws = [flaw for flaw in check(honest).flaws if flaw.lost]
        lost = not all(there.get(folder) for folder in must) or not all(there.values()) or bool(flaws)
        act(honest)  # whatever was left, the next run works
        clean(later, timedelta(days=1))
        left = [flaw.what for flaw in check(honest).flaws]
        after = {entry.folder for entry in honest.entries() if entry.state == "complete"}
        ledger.saw(f"{act.__name__} at {at}: {left}", lost=lost or not set(must) <= after, false=bool(left))
        for folder in after - set(must):
            honest.remove(folder)


def calls_of(act: Callable[[Vault], None], store: BlobStore, *, each: bool) -> list[int]:
    """Return at which calls to kill: at each, or at the first of each name and at the last of all."""
    take(vault_on(store, timedelta(days=3)), PARTS)
    measure = Faulty(store)
    act(vault_on(measure))
    numbers = range(1, len(measure.calls) + 1)
    return [*numbers] if each else sorted({measure.calls.index(name) + 1 for name in measure.calls} | {numbers[-1]})


def main() -> None:
    """Print what all of it came to."""
    blobs_s3._GROWTH = ((10_000, 5 << 20),)
    os.fsync = lambda _file: None  # a killed process loses nothing that the system has, and disks are slow
    ledger, each = Ledger(), sys.argv[2] == "each"
    for act in (back_up, prune, copy, archive) if each else (back_up, prune, archive):  # a copy writes as a backup does
        suffer(act, f"{sys.argv[1]}/{act.__name__}", ledger, each=each)
    print(json.dumps({"faults": ledger.faults, "losses": ledger.losses, "false": ledger.false_successes}))  # noqa: T201


if __name__ == "__main__":
    main()
