"""What a run is started with, as the form in the Prefect UI shows it: dropdowns of what there is.

Titles and descriptions are the flow's own parameters and docstring: Prefect takes no others at the top of a form.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tasks.platforms import platform_names, system_names

PlatformName = Annotated[str, Field(json_schema_extra={"enum": list(platform_names())})]
"""A platform that has a spec. The dropdown is as of the last deploy; a newer name is told with those there are."""

SystemName = Annotated[str, Field(json_schema_extra={"enum": list(system_names())})]
"""A system of any platform."""

ScenarioName = Literal[
    "complete-platform", "lost-database", "dropped-table", "corrupted-backup", "lost-key", "lost-region"
]
"""A disaster that can be rehearsed."""
