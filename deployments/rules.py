"""Rule files for Prometheus, made from the platforms' specs."""

from __future__ import annotations

from typing import Any

import yaml

from tasks.core.platform import PlatformSpec
from tasks.systems.prometheus.rules import groups


def rules(platform: PlatformSpec) -> dict[str, Any]:
    """Return a rule file's content; its list of groups is empty where the platform has no objective."""
    return {"groups": groups(platform)}


def rule_file(platform: PlatformSpec) -> str:
    """Write a rule file that Prometheus loads."""
    made = f"# Made by `watchkeeper rules {platform.platform}` from deployments/platforms/{platform.platform}.yaml.\n"
    return made + yaml.safe_dump(rules(platform), sort_keys=False, width=120, allow_unicode=True)
