"""A bundle: what somebody else needs to check a result, in one archive with the hash of every file. Pure."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime

SUMS = "SHA256SUMS"
_EARLIEST = 1980


def pack(files: Mapping[str, bytes], at: datetime) -> bytes:
    """Return a zip of files and of their hashes; the same files at the same time give the same bytes.

    `sha256sum -c SHA256SUMS` checks it once it is unpacked.

    Args:
        files: By path.
        at: The time that every file gets; aware.
    """
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items()))
    moment = at.astimezone(UTC)
    stamp = (max(moment.year, _EARLIEST), moment.month, moment.day, moment.hour, moment.minute, moment.second)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (*sorted(files.items()), (SUMS, sums.encode())):
            entry = zipfile.ZipInfo(name, stamp)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    return target.getvalue()
