"""The vaults of the lab: a folder in its own, a bucket that locks where the spec says so, and keys to read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deployments.lab.pieces import Piece
from deployments.lab.servers import HOST, seaweedfs
from tasks.core.platform import PlatformSpec
from tasks.core.references import Reference
from tasks.core.vaults import Encryption, FolderVault, S3Vault
from tasks.vault.keys import new_key

if TYPE_CHECKING:
    from deployments.lab.blueprint import Blueprint

_STORE = "s3"


def provide(plan: Blueprint, spec: PlatformSpec) -> None:
    """Give every vault of a platform its place, its credentials and its keys."""
    for name, vault in spec.vaults.items():
        if isinstance(vault, FolderVault):
            plan.fill(vault.path, str(plan.state / "vaults" / spec.platform / name))
        else:
            _bucket(plan, spec.platform, name, vault)
    if isinstance(spec.encryption, Encryption):
        _keys(plan, spec.platform, spec.encryption)


def _bucket(plan: Blueprint, platform: str, name: str, vault: S3Vault) -> None:
    front, back = plan.door(vault.endpoint, plan.store_port)
    plan.fill(vault.endpoint, f"http://{HOST}:{front}")
    _user(plan, f"{platform}.{name}", vault.bucket, vault.access_key, vault.secret_key)
    if vault.delete is not None:
        _user(plan, f"{platform}.{name}.delete", vault.bucket, vault.delete.access_key, vault.delete.secret_key)
    details = {"bucket": vault.bucket, "lock": "yes" if vault.lock else "no"}
    plan.pieces.append(Piece(f"{platform}/vault-{name}", "vault", front, back, process=_STORE, details=details))


def _user(plan: Blueprint, name: str, bucket: str, access_key: Reference | None, secret_key: Reference | None) -> None:
    keys = plan.keys.setdefault(name, seaweedfs.Keys.fresh())
    plan.buckets.setdefault(name, []).append(bucket)
    plan.fill(access_key, keys.access)
    plan.fill(secret_key, keys.secret)


def _keys(plan: Blueprint, platform: str, encryption: Encryption) -> None:
    """Make a pair: whoever encrypts is given the recipient, whoever restores the identity, which lies in a file too."""
    pair = new_key()
    for recipient in encryption.recipients:
        plan.fill(recipient, pair.recipient)
    plan.fill(encryption.identity, pair.identity)
    folder = plan.state / "keys"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{platform}.identity"
    path.touch(mode=0o600)
    path.write_text(f"# public key: {pair.recipient}\n{pair.identity}\n", encoding="utf-8")
