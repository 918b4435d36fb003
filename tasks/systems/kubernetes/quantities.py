"""Amounts as Kubernetes writes them, and the metrics API that tells them."""

from __future__ import annotations

import re

from tasks.clients.cluster import Connection, Object
from tasks.core.errors import Garbled, NotOffered

_DECIMAL = {"": 1.0, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_FACTORS = _DECIMAL | {f"{letter}i": 1024.0**power for power, letter in enumerate("KMGTPE", start=1)}
_QUANTITY = re.compile(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([A-Za-z]*)")


def quantity(text: str) -> float:
    """Read a Kubernetes quantity such as `250m`, `2Gi` or `1e3`.

    Raises:
        Garbled: It is none.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2] not in _FACTORS:
        raise Garbled(f"{text[:40]!r} is no quantity")
    return float(match[1]) * _FACTORS[match[2]]


def metrics(connection: Connection, path: str) -> list[Object]:
    """Return what metrics-server tells.

    Raises:
        NotOffered: It is not installed.
    """
    try:
        return list(connection.pages(path))
    except NotOffered as error:
        raise NotOffered("this cluster has no metrics API", hint="install metrics-server") from error
