"""What a spec says of folders and files, and what can be measured there."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from tasks.core.limits import Bound, Catalog, Limit, Measure, Worse, limits_field
from tasks.core.model import Model
from tasks.core.references import Address
from tasks.core.system import BackupPlan, ProtectedSpec
from tasks.core.units import Duration, Unit

CATALOG = Catalog(
    Measure(
        name="files",
        words="number of files of {system}",
        unit=Unit.COUNT,
        worse=Worse.BELOW,
        help="Files below the paths, without those that are excluded; links and folders do not count.",
    ),
    Measure(
        name="size",
        words="size of {system}",
        unit=Unit.BYTES,
        help="Bytes of these files, as their lengths say.",
        remedy="See which folder grows (du -x), and what should have removed it.",
    ),
    Measure(
        name="largest_file",
        words="largest file of {system}",
        unit=Unit.BYTES,
        help="Size of the largest of these files; the note names the three largest.",
        remedy="See whether it should be there, and who writes it.",
    ),
    Measure(
        name="newest_file",
        words="age of the newest file of {system}",
        unit=Unit.SECONDS,
        help="Time since the newest of these files was changed; the note names it.",
        remedy="Look at what writes there: nothing new means that nothing is written.",
    ),
    Measure(
        name="unreadable",
        words="unreadable files of {system}",
        unit=Unit.COUNT,
        help="Files and folders that this user may not read, so that no backup has them; the note names three.",
        limit=Limit(warn=Bound(0, Unit.COUNT)),
        remedy="Let the user that runs Watchkeeper read them (setfacl -m u:NAME:r), or exclude them.",
    ),
    Measure(
        name="missing",
        words="missing paths of {system}",
        unit=Unit.COUNT,
        help="Paths of the spec that are not there; the note names them.",
        limit=Limit(critical=Bound(0, Unit.COUNT)),
        remedy="Put them back from a backup, or take them out of the spec.",
    ),
)


def _below(path: str) -> str:
    pieces = PurePosixPath(path)
    if not path or pieces.is_absolute() or ".." in pieces.parts:
        raise ValueError("a path is relative to root, without ..: `data/uploads`")
    return str(pieces)


class CountCheck(Model):
    """At least so many files in a restored copy."""

    count: str = Field(description="A glob, as those of `exclude`: `uploads/**`.")
    at_least: int = Field(ge=1, description="So many files must be there.")


class NewestCheck(Model):
    """How new the newest file of a restored copy must be, against the moment that the backup shows."""

    newest: str = Field(description="A glob, as those of `exclude`: `logs/*.log`.")
    within: Duration = Field(description="The newest was changed at most so long before the backup.")


class Plan(BackupPlan):
    """How folders and files are backed up."""

    verify: tuple[CountCheck | NewestCheck, ...] = Field((), description="What a restored copy must show besides.")

    def methods(self) -> tuple[str, ...]:
        """Name the ways in which it is taken."""
        return ("archive",)


class Spec(ProtectedSpec):
    """Folders and files of the machine that Watchkeeper runs on, or of what is mounted there."""

    CATALOG: ClassVar[Catalog] = CATALOG

    kind: Literal["files"]
    root: Address = Field(description="The folder that all paths are below.")
    paths: tuple[Annotated[str, AfterValidator(_below)], ...] = Field(
        (".",),
        min_length=1,
        description="Files and folders below `root`, also with stars: `.env*`, `k8s/*.yaml`; all of it by default.",
    )
    exclude: tuple[str, ...] = Field(
        (),
        description="Globs of what is left out, folders with all that is in them: `*.tmp` by name anywhere, "
        "`logs/*.gz` by path below `root`; `**` crosses folders.",
    )
    backup: Plan | None = Field(None, description="How it is backed up; not at all where this is missing.")
    limits: limits_field(CATALOG) = Field(default_factory=dict, description="Bounds on measurements, by name.")  # type: ignore[valid-type]

    @property
    def is_local(self) -> bool:
        """Whether it is reached without any network."""
        return True

    @model_validator(mode="after")
    def _excludes_are_globs(self) -> Spec:
        if any(not glob.strip("/") for glob in self.exclude):
            raise ValueError("an empty glob would exclude everything")
        return self
