"""What a platform's spec says of its vaults: where backups are kept, for whom they are encrypted, and for how long."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, model_validator

from tasks.core.model import Model
from tasks.core.references import Address, SecretReference
from tasks.core.retention import Policy
from tasks.core.units import Duration, Size


class _Vault(Model):
    keep: Policy = Field(description="What retention keeps here; an empty policy is refused.")
    room: Size | None = Field(None, description="How much it may hold, such as `2TiB`; for the capacity plan.")
    bandwidth: Size | None = Field(None, description="At most so many bytes a second are written here: `20MiB`.")

    @model_validator(mode="after")
    def _keeps_something(self) -> _Vault:
        if self.keep.is_empty:
            raise ValueError("an empty policy would remove every backup: keep at least one, such as {last: 1}")
        return self


class FolderVault(_Vault):
    """A vault in a folder of the machine that takes the backups, or of what is mounted there."""

    kind: Literal["folder"]
    path: Address = Field(description="The folder.")


class DeleteKeys(Model):
    """Credentials that may delete; those that write backups need not, so that a stolen one removes nothing."""

    access_key: SecretReference = Field(description="Where the access key's id is to be found.")
    secret_key: SecretReference = Field(description="Where the secret access key is to be found.")


class ReadKeys(Model):
    """Credentials that may read and nothing else: what a drill is given where they are named."""

    access_key: SecretReference = Field(description="Where the access key's id is to be found.")
    secret_key: SecretReference = Field(description="Where the secret access key is to be found.")


class S3Vault(_Vault):
    """A vault in a bucket of S3, or of what speaks its protocol."""

    kind: Literal["s3"]
    bucket: str = Field(description="The bucket's name.", pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    prefix: str = Field(
        "", description="What stands before every key.", pattern=r"^([A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*)?$"
    )
    endpoint: Address | None = Field(None, description="The store's address, where it is not AWS: `https://host:port`.")
    region: str | None = Field(None, description="The bucket's region; us-east-1 where an endpoint is given.")
    access_key: SecretReference | None = Field(
        None, description="Where the access key's id is to be found; the host's own AWS credentials by default."
    )
    secret_key: SecretReference | None = Field(None, description="Where the secret access key is to be found.")
    delete: DeleteKeys | None = Field(
        None, description="Credentials for removing what retention does not keep; those for writing by default."
    )
    read: ReadKeys | None = Field(
        None, description="Credentials that may only read, for drills; those for writing by default, and drills say so."
    )
    lock: Duration | None = Field(
        None, gt=timedelta(0), description="Object lock: nobody can change or remove a backup for so long."
    )
    lock_mode: Literal["governance", "compliance"] = Field(
        "governance", description="Whether a right of its own may break the lock, or nobody at all."
    )

    @model_validator(mode="after")
    def _both_keys_or_none(self) -> S3Vault:
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("access_key and secret_key are given both or not at all")
        return self


VaultSpec = Annotated[FolderVault | S3Vault, Field(discriminator="kind")]


class Encryption(Model):
    """For whom backups are encrypted. Whoever takes backups needs no more than this; only restores need a key."""

    recipients: tuple[Address, ...] = Field(
        min_length=1, description="Public keys of age, `age1...`: at least one whose identity lies in escrow."
    )
    identity: SecretReference | None = Field(
        None, description="Where the identity is to be found on a machine that verifies, drills and restores."
    )
