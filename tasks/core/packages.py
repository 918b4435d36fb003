"""Opens what an export handed over, counts what is in it and tells its hash. Nothing is written anywhere. Pure."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

from tasks.core.moments import at_path
from tasks.core.trials import Package

_MOST_FILES = 10_000
_MOST_BYTES = 512 << 20
_TABLES, _LINES = (".csv",), (".ndjson", ".jsonl")
_NO_ENTRIES = ("manifest.json", "metadata.json", "readme.txt", "sha256sums", "manifest.sha256")


def opened(
    body: bytes, entries: str = "", *, at_least: int = 1, least: int | None = None, most: int | None = None
) -> Package:
    """Open a package: ZIP, tar (packed or not), JSON, lines of JSON, or CSV.

    Args:
        body: All of it.
        entries: Where the entries stand in an answer of JSON, by dotted path.
        at_least: So many are wanted.
        least: So many there were at the source before, where that was counted.
        most: The same afterwards.
    """
    files: dict[str, bytes] = {}
    trouble = ""
    try:
        files = _files(body)
        trouble = _unsound(files)
        count = sum(_entries(name, data, entries) for name, data in files.items() if _holds_entries(name))
    except (ValueError, LookupError, OSError, EOFError, zipfile.BadZipFile, tarfile.TarError, RecursionError) as error:
        count, trouble = 0, f"it cannot be opened: {type(error).__name__}"
    return Package(
        size=len(body), sha256=hashlib.sha256(body).hexdigest(), files=len(files), entries=count,
        expected=least, expected_most=most, at_least=at_least, trouble=trouble,
    )  # fmt: skip


def _files(body: bytes) -> dict[str, bytes]:
    if body[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            members = (one for one in archive.infolist() if not one.is_dir())
            return _within((one.filename, one.file_size, archive.read(one)) for one in members)
    if tarfile.is_tarfile(io.BytesIO(body)):
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            return _within(
                (one.name, one.size, held.read()) for one in tar if one.isfile() and (held := tar.extractfile(one))
            )
    first = body.lstrip()[:1]
    return {"answer.json" if first in (b"{", b"[") else "answer.csv": body}


def _within(files: Iterator[tuple[str, int, bytes]]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    size = 0
    for name, length, data in files:
        size += length
        if len(found) >= _MOST_FILES or size > _MOST_BYTES:
            raise ValueError("too much")
        found[name] = data
    return found


def _holds_entries(name: str) -> bool:
    return name.rpartition("/")[2].lower() not in _NO_ENTRIES


def _entries(name: str, data: bytes, path: str) -> int:
    if name.endswith(_TABLES):
        return max(sum(1 for row in csv.reader(io.StringIO(data.decode("utf-8-sig"))) if row) - 1, 0)
    if name.endswith(_LINES):
        return sum(1 for line in data.splitlines() if line.strip() and json.loads(line) is not None)
    if not name.endswith(".json"):
        return 1
    try:
        document = json.loads(data)
    except ValueError:
        return _entries(f"{name}.jsonl", data, path)
    found: Any = at_path(document, path) if path and isinstance(document, dict) else document
    if isinstance(found, list):
        return len(found)
    return int(found) if isinstance(found, int) and not isinstance(found, bool) else 1


def _unsound(files: Mapping[str, bytes]) -> str:
    """Hold every file against the package's own list of hashes, where it has one."""
    listed = next((data for name, data in files.items() if name.rpartition("/")[2].lower() == "manifest.json"), None)
    manifest = json.loads(listed) if listed is not None else {}
    hashes = manifest.get("sha256") if isinstance(manifest, dict) else None
    if not isinstance(hashes, dict):
        return ""
    for name, wanted in hashes.items():
        data = next((held for path, held in files.items() if path == name or path.endswith(f"/{name}")), None)
        if data is None:
            return f"{name} is missing"
        if hashlib.sha256(data).hexdigest() != wanted:
            return f"{name} is not the file that its manifest names"
    return ""
