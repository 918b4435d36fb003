"""What a platform's spec says of its drills: what is rehearsed, and what must hold over the restored copies."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from tasks.core.model import Model
from tasks.core.references import Address
from tasks.core.units import Duration

_VARIABLE = r"^[A-Z_][A-Z0-9_]*$"


class Scenario(StrEnum):
    """The disasters that can be rehearsed."""

    COMPLETE = "complete-platform"
    LOST_DATABASE = "lost-database"
    DROPPED_TABLE = "dropped-table"
    CORRUPTED_BACKUP = "corrupted-backup"
    LOST_KEY = "lost-key"
    LOST_REGION = "lost-region"


class Smoke(Model):
    """A command that must end well against the restored copies: the application's own tests."""

    command: tuple[str, ...] = Field(
        min_length=1, description="The program and its arguments; no shell reads it: [pytest, tests/e2e, -q]."
    )
    addresses: dict[Annotated[str, Field(pattern=_VARIABLE)], str] = Field(
        min_length=1, description="Environment variables, and the system whose restored copy's address each is given."
    )
    folder: Address | None = Field(
        None,
        description="Where it is run: the application's source; programs of its `.venv/bin` are found first. Where it "
        "is not there, the test is not covered.",
    )
    timeout: Duration = Field(timedelta(minutes=5), gt=timedelta(0), description="It is ended when it takes longer.")


class Reconciliation(Model):
    """Rows that name objects, held against the objects that a bucket's or a folder's backup holds; and the reverse."""

    rows: str = Field(description="The system with the rows.")
    query: str = Field(
        description="What names the objects there, a key a row: `SELECT object_key FROM uploads WHERE at <= {as_of}`. "
        "`{as_of}` stands for the moment that the objects' backup shows: what came later is in no backup of theirs yet."
    )
    objects: str = Field(description="The system with the objects, of kind `s3` or `files`.")
    strip: str = Field("", description="What each row's value begins with that the keys do not have.")
    missing: int = Field(0, ge=0, description="So many rows may name what is not there: written between the two.")
    unnamed: int | None = Field(
        None, ge=0, description="So many objects may be there that no row names; where it is not set they are counted."
    )


class Failover(Model):
    """Another region: a Service of a cluster that is pointed elsewhere, and back. Rehearsed by dry run alone."""

    cluster: str = Field(description="The system of kind `kubernetes`.")
    service: str = Field(description="The Service whose selector is patched.")
    selector: dict[str, str] = Field(min_length=1, description="The selector of the other region's pods.")


class DrillPlan(Model):
    """How a platform's recovery is rehearsed."""

    scenarios: tuple[Scenario, ...] = Field(
        (Scenario.COMPLETE,),
        min_length=1,
        description="The disasters to rehearse each quarter; the quarter's report names those that were not.",
    )
    rpo: tuple[str, ...] = Field(
        (),
        description="The systems whose newest record is held against the RPO: those with the records. A copy of what "
        "seldom changes, such as configuration, is as old as it is. All by default.",
    )
    smoke: dict[str, Smoke] = Field(default_factory=dict, description="Tests of the application, by name.")
    reconcile: dict[str, Reconciliation] = Field(
        default_factory=dict, description="Rows held against the objects that they name, by name."
    )
    failover: Failover | None = Field(None, description="What the scenario `lost-region` rehearses.")

    def uses(self) -> Iterator[tuple[tuple[str, ...], str, tuple[str, ...]]]:
        """Yield each system that is named: its path, the name, and the kinds that it may be of; any where empty."""
        for position, system in enumerate(self.rpo):
            yield ("rpo", str(position)), system, ()
        for name, smoke in self.smoke.items():
            for variable, system in smoke.addresses.items():
                yield ("smoke", name, "addresses", variable), system, ()
        for name, held in self.reconcile.items():
            yield ("reconcile", name, "rows"), held.rows, ("postgres", "mongodb")
            yield ("reconcile", name, "objects"), held.objects, ("s3", "files")
        if self.failover is not None:
            yield ("failover", "cluster"), self.failover.cluster, ("kubernetes",)
