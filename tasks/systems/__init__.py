"""Every kind of system that Watchkeeper knows, one folder each, found by looking.

A folder holds `spec.py` with a class `Spec`, and those of `probe.py`, `backup.py`, `restore.py`... that the kind can
do. Drivers are imported only there, and only when they are used.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import operator
import pkgutil
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, cast

from pydantic import Field, create_model

from tasks.core.audit import Audited
from tasks.core.backup import Backup, Recovery
from tasks.core.compliance_plan import CompliancePlan
from tasks.core.logscan.scan import Scan
from tasks.core.manifest import Manifest
from tasks.core.platform import PlatformSpec
from tasks.core.restore import Assertion, Compare, Endpoints, Parse, Restore, Restored, Source, Spoil
from tasks.core.steps import Step, Taken
from tasks.core.system import Access, Probe, SystemSpec

Take = Callable[[SystemSpec, Step, str, Access], Awaitable[Taken]]
Audit = Callable[[SystemSpec, CompliancePlan, Access], Awaitable[Audited]]
Scanning = Callable[[SystemSpec, Scan, Access], Awaitable[None]]


@dataclass(frozen=True)
class Kind:
    """One kind of system."""

    name: str
    package: str
    spec: type[SystemSpec]

    def can(self, ability: str) -> bool:
        """Tell whether the kind has a module of that name: `probe`, `backup`, `restore`..."""
        return importlib.util.find_spec(f"{self.package}.{ability}") is not None

    def probe(self) -> Probe | None:
        """Import and return the kind's probe, or None where the kind cannot measure yet."""
        if not self.can("probe"):
            return None
        return cast("Probe", importlib.import_module(f"{self.package}.probe").probe)

    def backup(self) -> tuple[Backup, Recovery] | None:
        """Import and return what backs the kind up and what tells how to restore it, or None where it cannot yet."""
        if not self.can("backup"):
            return None
        module = importlib.import_module(f"{self.package}.backup")
        return cast("Backup", module.backup), cast("Recovery", module.recovery)

    def restore(self) -> tuple[Restore, Endpoints] | None:
        """Import and return what restores the kind and what tells where an address leads, or None where it cannot."""
        if not self.can("restore"):
            return None
        module = importlib.import_module(f"{self.package}.restore")
        return cast("Restore", module.restore), cast("Endpoints", module.endpoints)

    def address(self) -> Callable[[SystemSpec, Access], str] | None:
        """Return what tells a live system's address where its spec says that in several fields, or None."""
        if not self.can("restore"):
            return None
        module = importlib.import_module(f"{self.package}.restore")
        return cast("Callable[[SystemSpec, Access], str] | None", getattr(module, "address_of", None))

    def ready(self) -> Callable[[Manifest], str] | None:
        """Return what names the programs with which a backup is restored here, and raises where there are none."""
        if not self.can("restore"):
            return None
        module = importlib.import_module(f"{self.package}.restore")
        return cast("Callable[[Manifest], str] | None", getattr(module, "ready", None))

    def verify(self) -> tuple[Parse, Compare, Spoil] | None:
        """Import and return the checks of a backup and of a restored copy, or None where the kind has none."""
        if not self.can("verify"):
            return None
        module = importlib.import_module(f"{self.package}.verify")
        return cast("Parse", module.parse), cast("Compare", module.compare), cast("Spoil", module.spoil)

    def rehearsal(self) -> Callable[[SystemSpec, Access, str, Mapping[str, str]], list[Assertion]] | None:
        """Import and return what rehearses a service's move to another region, or None where the kind has none."""
        if not self.can("failover"):
            return None
        module = importlib.import_module(f"{self.package}.failover")
        return cast("Callable[[SystemSpec, Access, str, Mapping[str, str]], list[Assertion]]", module.rehearse)

    def histories(self) -> Callable[[SystemSpec, Access, datetime, datetime], Awaitable[list[Any]]] | None:
        """Import and return what reads a system's own past (`capacity.History`), or None where the kind keeps none."""
        if not self.can("history"):
            return None
        module = importlib.import_module(f"{self.package}.history")
        return cast("Callable[[SystemSpec, Access, datetime, datetime], Awaitable[list[Any]]]", module.histories)

    def facts(self) -> Callable[[SystemSpec, Access], Awaitable[Any]] | None:
        """Import and return what reads how a system is set, for advice (`tasks.core.advice`), or None where none is."""
        if not self.can("facts"):
            return None
        module = importlib.import_module(f"{self.package}.facts")
        return cast("Callable[[SystemSpec, Access], Awaitable[Any]]", module.facts)

    def usage(self) -> Callable[[SystemSpec, Access, Any, datetime], Awaitable[Any]] | None:
        """Import and return what tells what a cluster's workloads used (`advice.bundle.Namespace`), or None."""
        if not self.can("workload_usage"):
            return None
        module = importlib.import_module(f"{self.package}.workload_usage")
        return cast("Callable[[SystemSpec, Access, Any, datetime], Awaitable[Any]]", module.usage_of)

    def services(self) -> Callable[[SystemSpec, Access, datetime], Awaitable[Any]] | None:
        """Import and return what tells what a Swarm's services used (`advice.services.Service`), or None."""
        if not self.can("service_usage"):
            return None
        module = importlib.import_module(f"{self.package}.service_usage")
        return cast("Callable[[SystemSpec, Access, datetime], Awaitable[Any]]", module.services_of)

    def steps(self) -> Take | None:
        """Import and return what takes steps at such a system, or None where the kind takes none."""
        if not self.can("steps"):
            return None
        return cast("Take", importlib.import_module(f"{self.package}.steps").take)

    def audit(self) -> Audit | None:
        """Import and return what tells how such a system is guarded, or None where the kind tells nothing of it."""
        if not self.can("audit"):
            return None
        return cast("Audit", importlib.import_module(f"{self.package}.audit").audit)

    def scan(self) -> Scanning | None:
        """Import and return what hands a system's log lines to a scan for attacks, or None."""
        if not self.can("scanning"):
            return None
        return cast("Scanning", importlib.import_module(f"{self.package}.scanning").scan)

    def values(self) -> Callable[[SystemSpec, Restored, str], Iterator[str]] | None:
        """Import and return what asks a restored copy for one column of texts, or None where the kind has none."""
        return cast("Callable[[SystemSpec, Restored, str], Iterator[str]] | None", self._of_verify("values"))

    def paths(self) -> Callable[[Source], Iterator[str]] | None:
        """Import and return what names the objects that a backup holds, or None where the kind has none."""
        return cast("Callable[[Source], Iterator[str]] | None", self._of_verify("paths"))

    def needed_log(self) -> Callable[[Source], str | None] | None:
        """Import and return what names an archived file that a backup cannot be restored without, or None."""
        return cast("Callable[[Source], str | None] | None", self._of_verify("needed_log"))

    def _of_verify(self, name: str) -> object:
        return getattr(importlib.import_module(f"{self.package}.verify"), name, None) if self.can("verify") else None


@functools.cache
def kinds() -> dict[str, Kind]:
    """Return every kind by name."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        if module.ispkg:
            package = f"{__name__}.{module.name}"
            found[module.name] = Kind(module.name, package, importlib.import_module(f"{package}.spec").Spec)
    return found


@functools.cache
def platform_model() -> type[PlatformSpec]:
    """Return the platform's model with `systems` narrowed to the union of all kinds, told apart by `kind`."""
    specs: Any = functools.reduce(operator.or_, (kind.spec for kind in kinds().values()))
    system = Annotated[specs, Field(discriminator="kind")]
    base = PlatformSpec.model_fields["systems"]
    name = base.annotation.__args__[0]  # type: ignore[union-attr]
    return create_model(
        "Platform",
        __base__=PlatformSpec,
        __doc__=PlatformSpec.__doc__,
        systems=(dict[name, system], Field(min_length=1, description=base.description)),  # type: ignore[valid-type]
    )
