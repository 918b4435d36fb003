"""Many reasons in one line: the first few, and how many more there are."""

from __future__ import annotations

from collections.abc import Mapping

NAMED = 5


def folded(reasons: Mapping[str, str]) -> str:
    """Write what is wrong with whom, at most five by name, in the order of their names."""
    parts = [f"{name}: {reason}" for name, reason in sorted(reasons.items())[:NAMED]]
    more = len(reasons) - len(parts)
    return ", ".join(parts) + (f", and {more:,} more" if more > 0 else "")
