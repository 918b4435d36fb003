"""A sink that keeps parts in memory, for tests of what kinds write; the vault's own is elsewhere."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tasks.core.errors import TransientError


class MemorySink:
    """Keeps whole parts only, and refuses what the interface forbids.

    Attributes:
        parts: The bytes of every part that ended well, by name.
        encrypts: Whether there is somebody to encrypt for, as a kind is told.
        open_parts: The names of those that are not to be encrypted.
        done: How many bytes of the source were read, as told last.
    """

    def __init__(self, *, fails_after: int | None = None, encrypts: bool = True) -> None:
        self.encrypts = encrypts
        self.parts: dict[str, bytes] = {}
        self.open_parts: set[str] = set()
        self.done = 0
        self._open: set[str] = set()
        self._left = fails_after

    @contextmanager
    def part(
        self,
        name: str,
        *,
        compress: bool = True,  # noqa: ARG002
        encrypt: bool = True,
    ) -> Iterator[MemorySink._Writer]:
        assert name not in self.parts | dict.fromkeys(self._open), f"{name} is written twice"
        assert not name.startswith("/")
        assert ".." not in name.split("/")
        self._open.add(name)
        if not encrypt:
            self.open_parts.add(name)
        writer = self._Writer(self)
        try:
            yield writer
            self.parts[name] = bytes(writer.data)
        finally:
            self._open.discard(name)

    def progress(self, done: int, total: int | None = None) -> None:  # noqa: ARG002
        self.done = done

    class _Writer:
        def __init__(self, sink: MemorySink) -> None:
            self.data, self._sink = bytearray(), sink

        def write(self, data: bytes, /) -> None:
            if self._sink._left is not None:
                self._sink._left -= len(data)
                if self._sink._left < 0:
                    raise TransientError("the store is full")
            self.data += data


def follow(text: str, sink: MemorySink, folder: Path, environment: Mapping[str, str]) -> str:
    """Run the commands of a recovery text word for word, and return what they wrote."""
    for name, data in sink.parts.items():
        path = folder / "parts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        text = text.replace(f"{{read:{name}}}", f"cat {shlex.quote(str(path))}")
    commands = "\n".join(line.removeprefix("    ") for line in text.splitlines() if line.startswith("    "))
    assert "{read:" not in commands
    ran = subprocess.run(  # noqa: S603 - the commands that are tried
        ["/bin/bash", "-o", "pipefail", "-e", "-c", commands],
        check=False,
        cwd=folder,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
