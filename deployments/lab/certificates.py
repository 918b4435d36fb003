"""Certificates of the lab: one authority, and leaves that are good, expiring, expired, misnamed or untrusted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

AUTHORITY = "ca.pem"
_KEY = "ca.key"
_GOOD = timedelta(days=75)


def authority(state: Path) -> trustme.CA:
    """Return the lab's authority, made at the first call; clients trust `ca.pem` in the state folder."""
    certificate, key = state / AUTHORITY, state / _KEY
    if certificate.exists():
        return trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
    made = trustme.CA(organization_name="Watchkeeper lab")
    _replace(key, made.private_key_pem.bytes())
    _replace(certificate, made.cert_pem.bytes())
    return made


def issue(
    issuer: trustme.CA, certificate: Path, key: Path, names: tuple[str, ...], *, lasting: timedelta = _GOOD
) -> None:
    """Write a leaf and its key in one step each; whoever serves them reads them anew.

    Args:
        issuer: Who signs.
        certificate: Where the chain goes.
        key: Where the private key goes, for this user only.
        names: The names and addresses it is for.
        lasting: How long from now it is valid; negative for one that has expired.
    """
    now = datetime.now(UTC)
    leaf = issuer.issue_cert(*names, not_before=now - timedelta(days=15), not_after=now + lasting)
    _replace(key, leaf.private_key_pem.bytes())
    _replace(certificate, b"".join(blob.bytes() for blob in leaf.cert_chain_pems))


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".fresh")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_bytes(content)
    fresh.replace(path)
