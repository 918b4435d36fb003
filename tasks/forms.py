"""What a run is started with, as the form in the Prefect UI shows it: dropdowns of what there is.

Titles and descriptions are the flow's own parameters and docstring: Prefect takes no others at the top of a form.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tasks.controls import listed
from tasks.core.ends import PATTERN
from tasks.core.quarter import WRITTEN
from tasks.core.statements import EVIDENCE
from tasks.platforms import platform_names, system_names

PlatformName = Annotated[str, Field(json_schema_extra={"enum": list(platform_names())})]
"""A platform that has a spec. The dropdown is as of the last deploy; a newer name is told with those there are."""

SystemName = Annotated[str, Field(json_schema_extra={"enum": list(system_names())})]
"""A system of any platform."""

ProtectedName = Annotated[str, Field(json_schema_extra={"enum": list(system_names(protected=True))})]
"""A system of any platform that is backed up."""

ALL_OF_THE_SPEC = "all-of-the-spec"
ScenarioName = Literal[
    "all-of-the-spec",
    "complete-platform",
    "lost-database",
    "dropped-table",
    "corrupted-backup",
    "lost-key",
    "lost-region",
]
"""A disaster that can be rehearsed; or those that the platform's spec names, one after the other."""

QuarterName = Annotated[str, Field(json_schema_extra={"pattern": f"{WRITTEN}|^$"})]
"""A quarter, `2026Q4`, or nothing for today's; what is none is refused with the cure."""

ControlName = Annotated[str, Field(json_schema_extra={"enum": [one.id for one in listed() if one.about != "waivers"]})]
"""A control of a platform's checklist."""

AttestableName = Annotated[str, Field(json_schema_extra={"enum": [one.id for one in listed() if one.attestable]})]
"""A control that a person may attest where no machine can tell."""

Said = Annotated[str, Field(min_length=1)]
"""Something that must be said."""

Evidence = Annotated[str, Field(json_schema_extra={"pattern": EVIDENCE})]
"""An address, or a file of the ledger; what is neither is refused with the cure."""

End = Annotated[str, Field(json_schema_extra={"pattern": PATTERN})]
"""A time with its time zone; what is none is refused with the cure."""

Moment = Annotated[
    str, Field(json_schema_extra={"pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?(Z|[+-]\d{2}:\d{2})$"})
]
"""A time with its offset: 2026-11-20T06:00+05:00."""

MomentOrNone = Annotated[
    str, Field(json_schema_extra={"pattern": r"^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?$"})
]
"""The same, or nothing."""
