"""A platform of one system with a vault in a folder, for tests of what commands and records make of any platform."""

from pathlib import Path

import pytest

_SPEC = """
platform: {platform}
title: Shop
slack: {{channel: "#shop"}}
severities: {{P0: {{means: down, respond: 15m}}}}
default_severity: {{warn: P0, critical: P0}}
encryption: none
vaults: {{local: {{kind: folder, path: {vault}, keep: {{last: 8}}}}}}
systems:
  {system}
"""


def platform_in(folder: Path, monkeypatch: pytest.MonkeyPatch, system: str, name: str = "shop") -> Path:
    """Write its spec, make it the only platform, keep its state in the folder too, and return the folder."""
    (folder / "platforms").mkdir()
    text = _SPEC.format(platform=name, vault=folder / "vault", system=system)
    (folder / "platforms" / f"{name}.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("WATCHKEEPER_PLATFORMS", str(folder / "platforms"))
    monkeypatch.setenv("WATCHKEEPER_STATE", str(folder / "state"))
    return folder
