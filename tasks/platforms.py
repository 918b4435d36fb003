"""Loading platforms, and what their checks may use. Without Prefect, as the command line needs it too."""

from __future__ import annotations

import asyncio
import difflib
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tasks.clients.secrets import SecretResolver
from tasks.core.errors import ConfigError
from tasks.core.loading import Problem, SpecError, load_platform, read_yaml
from tasks.core.platform import DefaultSeverity, PlatformSpec, Severity, Slack
from tasks.core.references import Reference
from tasks.core.report import SystemReport
from tasks.core.results import Finding, Outcome
from tasks.core.settings import Settings
from tasks.core.system import Access
from tasks.systems import platform_model

LAB_VALUES = "environment.json"
"""The file in the lab's folder with the values of the names that it fills."""

_PROGRAMS = "PG_BIN"
"""Where the lab's PostgreSQL has its client programs: this host may have older ones, or none."""
_UNREADABLE = "spec"


def platform_names(settings: Settings | None = None) -> list[str]:
    """Return the names of the platforms that have a spec, sorted."""
    folder = (settings or Settings()).platforms
    return sorted(path.stem for path in folder.glob("*.yaml"))


def system_names(settings: Settings | None = None, *, protected: bool = False) -> list[str]:
    """Return the names of all systems of all platforms, sorted; specs that cannot be read add none.

    Args:
        settings: Where the specs are; the environment's by default.
        protected: Only those that are backed up.
    """
    names: set[str] = set()
    for platform in platform_names(settings):
        systems = _raw(platform, settings or Settings()).get("systems")
        for name, spec in systems.items() if isinstance(systems, dict) else ():
            if not protected or (isinstance(spec, dict) and "backup" in spec):
                names.add(name)
    return sorted(names)


def load(name: str, settings: Settings | None = None) -> PlatformSpec:
    """Load a platform's spec.

    Args:
        name: A name that `platform_names` lists, or the path of a spec.
        settings: Where the specs are; the environment's by default.

    Raises:
        SpecError: The spec has problems, or cannot be read; the error lists them with their lines.
        ConfigError: There is no such platform.
    """
    path = _path(name, settings or Settings())
    return load_platform(_text(path), str(path), platform_model())


def access(settings: Settings | None = None) -> Access:
    """Return what probes may use: the environment, or what the lab fills and nothing else, and the clock.

    Raises:
        ConfigError: The lab is meant and is not up.
    """
    settings = settings or Settings()
    if settings.lab is not None and (programs := lab_environment(settings.lab).get(_PROGRAMS)):
        os.environ.setdefault(_PROGRAMS, programs)
    authority = settings.ca_bundle or (settings.lab / "ca.pem" if settings.lab is not None else None)
    return Access(
        resolver=resolver(settings.lab),
        now=lambda: datetime.now(UTC),
        ca_bundle=authority if authority is not None and authority.exists() else None,
        pause=asyncio.sleep if settings.confirm else None,
    )


def resolver(lab: Path | None = None) -> SecretResolver:
    """Return how references are resolved: by what is real, or by what the lab in a folder fills and nothing else.

    Raises:
        ConfigError: The lab is meant and is not up.
    """
    if lab is None:
        return SecretResolver(os.environ, _blocks())
    return SecretResolver(lab_environment(lab), only=lab)


def lab_environment(lab: Path) -> dict[str, str]:
    """Return the value of every name that the lab fills.

    Raises:
        ConfigError: The lab is not up.
    """
    try:
        values: dict[str, str] = json.loads((lab / LAB_VALUES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ConfigError(f"the lab is not up in {lab}", hint="watchkeeper lab up") from None
    return values


def reference(text: str) -> Reference:
    """Read a setting that says where a value is: `env:NAME`, `file:path`, `secret:block`.

    Raises:
        ConfigError: It is written otherwise; what it holds may be a secret and is not shown.
    """
    kind, _, name = text.partition(":")
    if kind not in ("env", "file", "secret") or not name:
        raise ConfigError("a secret's setting is a reference", hint="write env:NAME, file:path or secret:block")
    return Reference.model_validate({kind: name})


def salvage(name: str, settings: Settings | None = None) -> PlatformSpec:
    """Return what little can be known of a platform whose spec is broken: whom to tell, and its name.

    It has no systems, and one severity of its own.
    """
    settings = settings or Settings()
    raw = _raw(name, settings)
    slack = raw.get("slack")
    channel = slack.get("channel") if isinstance(slack, dict) else None
    return PlatformSpec.model_construct(
        platform=name,
        title=raw["title"] if isinstance(raw.get("title"), str) else name,
        slack=Slack.model_construct(channel=channel if isinstance(channel, str) else settings.slack_channel or ""),
        severities={_UNREADABLE: Severity(means="the spec is broken: nothing is looked after", respond="immediately")},
        default_severity=DefaultSeverity(warn=_UNREADABLE, critical=_UNREADABLE),
        systems={},
    )


def own_trouble(platform: PlatformSpec, what: str, error: Exception, at: datetime, outcome: Outcome) -> SystemReport:
    """Return what is to be told of Watchkeeper itself, as if it were a system: a broken spec, a read-only store.

    Args:
        platform: For its severities.
        what: What the trouble is with, as a measurement's name: `spec`, `report_store`.
        error: What happened.
        at: Aware time.
        outcome: Errored where nothing could be checked, warned where all was.
    """
    default = platform.default_severity
    finding = Finding(
        system="watchkeeper",
        measurement=what,
        observed="broken",
        outcome=outcome,
        severity=default.critical if outcome is Outcome.ERRORED else default.warn,
        note=getattr(error, "message", str(error)),
        remedy=getattr(error, "hint", None) or "",
        at=at,
        since=at,
    )
    return SystemReport(name="watchkeeper", kind="watchkeeper", title="Watchkeeper", seconds=0, findings=(finding,))


def _path(name: str, settings: Settings) -> Path:
    if name.endswith((".yaml", ".yml")) or "/" in name:
        return Path(name)
    known = platform_names(settings)
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        meant = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known) or 'none'}"
        raise ConfigError(f"there is no platform {name!r}", hint=meant)
    return settings.platforms / f"{name}.yaml"


def read(name: str, settings: Settings) -> dict[str, Any]:
    """Return what a spec's YAML holds, without holding it to the models: for who needs little of it, and that quickly.

    Raises:
        ConfigError: There is no such platform, or its YAML cannot be read.
    """
    path = _path(name, settings)
    data = read_yaml(_text(path), str(path)).data
    if not isinstance(data, dict):
        raise ConfigError(f"{path} is no spec of a platform", hint="watchkeeper validate")
    return data


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SpecError([Problem(str(path), 1, 1, "", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise SpecError([Problem(str(path), 1, 1, "", "cannot be read: it is not UTF-8 text")]) from None


def _raw(name: str, settings: Settings) -> dict[str, Any]:
    """Return what a spec's YAML holds, as far as it can be read."""
    try:
        path = _path(name, settings)
        data = read_yaml(_text(path), str(path)).data
    except ConfigError:
        return {}
    return data if isinstance(data, dict) else {}


def _blocks() -> Callable[[str], str] | None:
    """Return how Prefect's Secret blocks are loaded, where an API is set."""
    if not os.environ.get("PREFECT_API_URL"):
        return None

    def load_block(name: str) -> str:
        import httpx  # noqa: PLC0415 - the command line answers without Prefect
        from prefect.blocks.system import Secret  # noqa: PLC0415
        from prefect.exceptions import PrefectException  # noqa: PLC0415

        try:
            block: Any = Secret.load(name, _sync=True)  # type: ignore[call-arg]
        except ValueError:
            raise ConfigError(f"there is no Prefect Secret block {name!r}", hint="make it in the Prefect UI") from None
        except (PrefectException, httpx.HTTPError, OSError, RuntimeError) as error:
            raise ConfigError(f"the Prefect Secret block {name!r} cannot be read: {type(error).__name__}") from None
        return str(block.get())

    return load_block
