"""What a person calls the thing that an advice is about: `autoscaler apex-api-hpa`, `settings of PostgreSQL`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tasks.core.advice.model import Judged

_PARTS: Mapping[str, str] = {
    "deployment": "deployment {}",
    "statefulset": "stateful set {}",
    "hpa": "autoscaler {}",
    "scaledobject": "queue scaler {}",
    "pvc": "volume {}",
    "service": "service {}",
}
_WHOLE: Mapping[str, str] = {
    "claims": "volumes of {}",
    "autoscalers": "autoscalers of {}",
    "scaledobjects": "queue scalers of {}",
    "pools": "connection pools of {}",
    "indexes": "indexes of {}",
    "services": "services of {}",
    "replicas": "read replicas of {}",
}
_IN_VAULT = re.compile(r"(?P<group>[^\[]*)\[(?P<vault>.+)\]")


def named(one: Judged, titles: Mapping[str, str]) -> Judged:
    """Return it with the name that a person has for it.

    Args:
        one: What was judged.
        titles: What people call each system, and each series that advice is given on, by key.
    """
    series = titles.get(one.key) if "/" in one.key else None
    return one.model_copy(update={"name": series or _name(one, titles)})


def _name(one: Judged, titles: Mapping[str, str]) -> str:
    system, _, rest = one.key.partition("/")
    title = titles.get(system, system)
    if system == "vault":
        return f"vault {rest}"
    if one.kind == "backups" and (found := _IN_VAULT.fullmatch(rest)):
        return f"backups of {title}, {found['group']}, in vault {found['vault']}"
    if not rest:
        return f"settings of {title}" if one.kind == "postgres" else title
    part, _, name = rest.partition("/")
    if name and part in _PARTS:
        return _PARTS[part].format(name)
    return _WHOLE.get(rest, rest.replace("_", " ") + " of {}").format(title)
