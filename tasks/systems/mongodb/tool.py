"""Reads collections by mongodump, where the plan asks for it: it writes each to its standard output, and we store it.

The layout, the metadata and the oplog that joins it all to one moment are ours in either case.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from tasks.clients.process import ProgramFailed, streamed
from tasks.core.errors import ConfigError, Denied, NotOffered, TransientError, WatchkeeperError
from tasks.systems.mongodb.layout import whole

PROGRAM = "mongodump"
_QUICK, _QUIET = 20.0, 3600.0


@dataclass(frozen=True)
class Tool:
    """mongodump, and where it reads.

    Attributes:
        uri: Of the server, with the password: handed over on a descriptor, never on the command line.
        version: Of the program.
    """

    uri: str = field(repr=False)
    version: str

    @classmethod
    def found(cls, uri: str, ca_bundle: Path | None = None) -> Tool:
        """Find the program on PATH.

        Raises:
            NotOffered: There is none.
            ConfigError: It is another program.
        """
        try:
            with streamed([PROGRAM, "--version"], environment={}, quiet=_QUICK) as stream:
                told = b"".join(stream).decode("utf-8", "replace")
        except NotOffered:
            raise NotOffered(
                "mongodump is not on PATH", hint="install MongoDB's database tools, or leave backup.tool out"
            ) from None
        match = re.search(r"mongodump version: (\S+)", told)
        if match is None:
            raise ConfigError("mongodump is not MongoDB's", hint="see which mongodump PATH finds")
        return cls(_of_no_database(uri, ca_bundle), match[1])

    def read(self, database: str, collection: str) -> Iterator[bytes]:
        """Yield a collection's documents, whole ones only.

        Raises:
            Denied: The user may not read it.
            TransientError: The program did not end well.
            NotBson: What it wrote is none.
        """
        with _handed(f"uri: {json.dumps(self.uri)}\n") as path, _mapped():
            command = [PROGRAM, f"--config={path}", f"--db={database}", f"--collection={collection}"]
            handle = int(path.rpartition("/")[2])
            with streamed([*command, "--out=-"], environment={}, quiet=_QUIET, inherited=[handle]) as stream:
                yield from whole(stream)


def _of_no_database(uri: str, ca_bundle: Path | None) -> str:
    """Return the address without its database, which mongodump takes for the one that it is to read."""
    parts = urlsplit(uri)
    database, query = parts.path.strip("/"), parts.query
    if database and parts.username and not re.search(r"authSource=", query, re.IGNORECASE):
        query = f"{query}&authSource={database}" if query else f"authSource={database}"
    if ca_bundle and re.search(r"(tls|ssl)=true", query, re.IGNORECASE) and "tlsCAFile" not in query:
        query += f"&tlsCAFile={quote(str(ca_bundle), safe='')}"
    return urlunsplit((parts.scheme, parts.netloc, "/", query, ""))


@contextmanager
def _handed(text: str) -> Iterator[str]:
    """Give the path under which a child that inherits the descriptor reads a text, once."""
    reading, writing = os.pipe()
    try:
        with os.fdopen(writing, "wb") as file:
            file.write(text.encode())
        yield f"/dev/fd/{reading}"
    finally:
        os.close(reading)


@contextmanager
def _mapped() -> Iterator[None]:
    try:
        yield
    except ProgramFailed as error:
        raise _explained(error) from error


def _explained(error: ProgramFailed) -> WatchkeeperError:
    told = " ".join(error.errors)
    if re.search(r"not authorized|auth error|Authentication failed", told, re.IGNORECASE):
        return Denied("mongodump was refused by the server", hint="grant what grant-backup.js grants")
    return TransientError(error.message)
