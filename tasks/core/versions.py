"""Whether a server is older than the one that a backup was taken of: what it would not read, or would misread. Pure."""

from __future__ import annotations

import re

from tasks.core.errors import ConfigError


def release(version: str, parts: int = 2) -> tuple[int, ...]:
    """Return the leading numbers of a version as people write it: `7.2.4-rc1` is (7, 2); nothing where it has none."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:parts])


def must_not_be_older(place: str, backup: str, *, product: str, parts: int = 2) -> None:
    """Refuse a server that is older than the one that a backup was taken of.

    Args:
        place: The version of the server that is restored into; where nobody tells it, nothing is refused.
        backup: The version that the backup was taken of; the same.
        product: What both are called, for a person.
        parts: So many numbers of a version tell whether one release reads what another wrote.

    Raises:
        ConfigError: It is older; the message names both versions.
    """
    if release(place, parts) and release(place, parts) < release(backup, parts):
        least = ".".join(map(str, release(backup, parts)))
        raise ConfigError(
            f"the place is {product} {place}, which is older than the backup: that was taken of {product} {backup}",
            operation="restore",
            hint=f"restore into {product} {least} or newer; nothing was written",
        )
