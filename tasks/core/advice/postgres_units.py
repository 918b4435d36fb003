"""Values of PostgreSQL's settings, in their units: `2GB` is 2 GiB, and a bare number is in the setting's own unit.

Source: the documentation, 19.1.1 "Parameter Names and Values". Units are told apart by case: `kB`, `ms`.
"""

from __future__ import annotations

import re

from tasks.core.errors import ConfigError

_MEMORY = {"B": 1.0} | {name: 1024.0**power for power, name in enumerate(("kB", "MB", "GB", "TB"), start=1)}
_TIME = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_AMOUNT = re.compile(r"\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*([A-Za-z]*)\s*")
_WORDS = {"on": 1.0, "true": 1.0, "yes": 1.0, "off": 0.0, "false": 0.0, "no": 0.0}
_OWN = re.compile(r"([0-9]*)([A-Za-z]+)")


def base(unit: str) -> tuple[float, str]:
    """Return how much one of a setting's own unit is, such as `8kB`, and what is measured: bytes or seconds.

    Raises:
        ConfigError: There is no such unit.
    """
    if not unit:
        return 1.0, ""
    match = _OWN.fullmatch(unit)
    if match is not None:
        for sizes, measured in ((_MEMORY, "bytes"), (_TIME, "seconds")):
            if match[2] in sizes:
                return float(match[1] or 1) * sizes[match[2]], measured
    raise ConfigError(f"{unit!r} is no unit of PostgreSQL's")


def parse(text: str, unit: str, kind: str) -> float | str:
    """Read a value of a setting.

    Args:
        text: As a person writes it: `2GB`, `on`, `1.1`; or as pg_settings has it.
        unit: The setting's own, from pg_settings.
        kind: `bool`, `integer`, `real`, `enum` or `string`, from pg_settings.

    Returns:
        Bytes, seconds or a plain number; a truth is 1 or 0; a text is itself.

    Raises:
        ConfigError: The setting takes no such value; the message says which unit it takes.
    """
    if kind in ("enum", "string"):
        return text.strip()
    if kind == "bool":
        word = text.strip().lower()
        if word in _WORDS or word in ("1", "0"):
            return _WORDS.get(word, float(word == "1"))
        raise ConfigError(f"{text!r} is neither on nor off")
    size, measured = base(unit)
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise ConfigError(f"{text!r} is no number", hint="write 200, 2GB or 1min")
    number, suffix = float(match[1]), match[2]
    if not suffix:
        return number if number == -1 else number * size  # -1 switches off, whatever the unit
    sizes = {"bytes": _MEMORY, "seconds": _TIME}.get(measured, {})
    if suffix not in sizes:
        takes = ", ".join(sizes) or "no unit"
        raise ConfigError(f"{text!r} has the unit {suffix!r}, and the setting takes {takes}")
    return number * sizes[suffix]
