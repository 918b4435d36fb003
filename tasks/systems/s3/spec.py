"""What a spec says of a bucket, and what can be measured there."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from tasks.core.limits import Catalog, Measure, Worse, limits_field
from tasks.core.model import Model
from tasks.core.references import Address, SecretReference
from tasks.core.system import BackupPlan, ProtectedSpec, Use
from tasks.core.units import Duration, Size, Unit

CATALOG = Catalog(
    Measure(
        name="latency",
        words="response time of {system}",
        unit=Unit.SECONDS,
        help="Time of one HEAD of the bucket on an open connection.",
        remedy="Look at the store's own health and at the network to it.",
    ),
    Measure(
        name="objects",
        words="objects in {system}",
        unit=Unit.COUNT,
        help="Objects under the prefix; at least so many where the note says that the listing was cut.",
    ),
    Measure(
        name="size",
        words="size of {system}",
        unit=Unit.BYTES,
        help="Bytes of the objects under the prefix; old versions and open uploads are not in it.",
        remedy="Look for a lifecycle rule that is missing or that does not run.",
    ),
    Measure(
        name="used",
        words="size of {system}",
        share="its quota",
        unit=Unit.RATIO,
        help="Size against the `quota` of the spec; only where it gives one.",
        remedy="Delete what is old, add a lifecycle rule, or give the store more room.",
    ),
    Measure(
        name="largest_object",
        words="largest object in {system}",
        unit=Unit.BYTES,
        help="Size of the largest object under the prefix; the note names the three largest.",
        remedy="See whether it should be there, and who uploads such.",
    ),
    Measure(
        name="replication_lag",
        words="age of the oldest object of {system} that its copy lacks",
        unit=Unit.SECONDS,
        help="Age of the oldest object that the `replica` lacks or has in another form; 0 where it has all. "
        "The note names it.",
        remedy="See that what copies runs, and what its log says of this object.",
    ),
    Measure(
        name="unreplicated",
        words="objects of {system} that its copy lacks",
        unit=Unit.COUNT,
        help="Objects under the prefix that the `replica` lacks or has in another form; the note names the oldest.",
        remedy="See that what copies runs, and that it is not slower than what is written.",
    ),
    Measure(
        name="oldest_object",
        words="age of the oldest object in {system}",
        unit=Unit.SECONDS,
        help="Age of the oldest object under the prefix; the note names it.",
        remedy="What should have deleted it? Look at the lifecycle rules and at the clean-up's queue.",
    ),
    Measure(
        name="newest_object",
        words="age of the newest object in {system}",
        unit=Unit.SECONDS,
        help="Age of the newest object under the prefix; the note names it. Nothing new means that nothing is written.",
        remedy="Look at what writes there: a backup, an upload.",
    ),
    Measure(
        name="lifecycle_rules",
        words="lifecycle rules of {system}",
        unit=Unit.COUNT,
        worse=Worse.BELOW,
        help="Enabled lifecycle rules of the bucket; 0 where it has no lifecycle configuration.",
        remedy="Put the rules back: without them old objects stay forever.",
    ),
    Measure(
        name="versioning",
        unit=Unit.YES_NO,
        worse=Worse.BELOW,
        help="Whether versioning is enabled.",
        remedy="Enable it: without it, a deleted or overwritten object is gone.",
    ),
    Measure(
        name="open_uploads",
        words="open uploads to {system}",
        unit=Unit.COUNT,
        help="Multipart uploads that were begun and neither completed nor aborted, under the prefix.",
        remedy="Abort them; a rule AbortIncompleteMultipartUpload does it for good.",
    ),
    Measure(
        name="oldest_upload",
        words="age of the oldest open upload to {system}",
        unit=Unit.SECONDS,
        help="Age of the oldest open multipart upload; the note names its key. Only where there is one.",
    ),
)


class Replica(Model):
    """Where what lies under the prefix is copied to."""

    system: str = Field(description="The system of kind `s3` that holds the copies.")
    prefix: str | None = Field(
        None, description="What the copies' keys begin with instead of this system's prefix; the same by default."
    )
    compare: Literal["etag", "size"] = Field(
        "etag",
        description="Two objects are the same by size and ETag, or by size alone: with encryption by KMS, each store "
        "has ETags of its own.",
    )


class CountCheck(Model):
    """At least so many objects in a restored copy."""

    count: str = Field(description="What their keys begin with; all objects where it is empty.")
    at_least: int = Field(ge=1, description="So many objects must be there.")


class NewestCheck(Model):
    """How new the newest object of a restored copy must be, against the moment that the backup shows."""

    newest: str = Field(description="What their keys begin with; all objects where it is empty.")
    within: Duration = Field(description="The newest was written at most so long before the backup.")


class Plan(BackupPlan):
    """How a bucket is backed up: what is new or changed since the last backup, and a list of all that is there."""

    versions: bool = Field(
        False,  # noqa: FBT003 - a default
        description="Whether old versions and delete markers are copied too, where the bucket keeps them.",
    )
    full_every: int = Field(
        30, ge=1, le=1000, description="After so many backups that need an earlier one, all is copied anew."
    )
    connections: int = Field(16, ge=1, le=64, description="So many objects are read at once.")
    sample: int | None = Field(
        None, ge=1, description="So many objects of a restored copy are read and compared; all by default."
    )
    verify: tuple[CountCheck | NewestCheck, ...] = Field((), description="What a restored copy must show besides.")

    def methods(self) -> tuple[str, ...]:
        """Name the ways in which it is taken."""
        return ("copy",)


class Spec(ProtectedSpec):
    """A bucket, or what lies under a prefix of it."""

    CATALOG: ClassVar[Catalog] = CATALOG

    kind: Literal["s3"]
    bucket: str = Field(description="The bucket's name.", pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    endpoint: Address | None = Field(None, description="The store's address, where it is not AWS: `https://host:port`.")
    region: str | None = Field(None, description="The bucket's region; us-east-1 where an endpoint is given.")
    access_key: SecretReference | None = Field(
        None, description="Where the access key's id is to be found; the host's own AWS credentials by default."
    )
    secret_key: SecretReference | None = Field(None, description="Where the secret access key is to be found.")
    backup_access_key: SecretReference | None = Field(
        None, description="The same for the user of `grant-backup.json`, who reads objects; `access_key` by default."
    )
    backup_secret_key: SecretReference | None = Field(None, description="The secret access key of that user.")
    prefix: str = Field("", description="Only objects whose keys begin so are measured and backed up.")
    quota: Size | None = Field(None, description="How large it may grow, such as `500GiB`; `used` is held against it.")
    replica: Replica | None = Field(None, description="The copy that is held against what lies under the prefix.")
    pages: int = Field(
        100, ge=1, le=10_000, description="At most so many pages of 1,000 objects are listed; then the note says so."
    )
    backup: Plan | None = Field(None, description="How it is backed up; not at all where this is missing.")
    limits: limits_field(CATALOG) = Field(default_factory=dict, description="Bounds on measurements, by name.")  # type: ignore[valid-type]

    @model_validator(mode="after")
    def _both_keys_or_none(self) -> Spec:
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("access_key and secret_key are given both or not at all")
        if (self.backup_access_key is None) != (self.backup_secret_key is None):
            raise ValueError("backup_access_key and backup_secret_key are given both or not at all")
        return self

    def called(self, name: str) -> str:  # noqa: ARG002 - a bucket has a name of its own
        """Return the bucket's own name, and the prefix where it is looked at alone."""
        return f"bucket {self.bucket}" + (f", {self.prefix}" if self.prefix else "")

    def uses(self) -> tuple[Use, ...]:
        """Name the system that holds the copies too."""
        if self.replica is None:
            return super().uses()
        return (*super().uses(), Use(("replica", "system"), self.replica.system, ("s3",)))
