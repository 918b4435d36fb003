"""Addresses as logs write them, brought to one spelling; and who stands behind trusted proxies."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

UNKNOWN = "unknown"
"""The source of what does not say where it came from, or says it in a way that a stranger could have forged."""

_LONGEST = 253
_BYTE = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_PLAIN = re.compile(rf"{_BYTE}(?:\.{_BYTE}){{3}}")


@lru_cache(maxsize=65536)
def canonical(text: str) -> str:
    """Return an address in one spelling: IPv6 short, IPv4 in IPv6 as IPv4, no zone, no port, names small."""
    if _PLAIN.fullmatch(text):
        return text
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        name = text.rstrip(".").lower()
        plain = name.isascii() and name.replace("-", "").replace(".", "").replace("_", "").isalnum()
        return name if plain and len(name) <= _LONGEST else UNKNOWN
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def is_address(text: str) -> bool:
    """Tell whether it is an IP address, not a name."""
    try:
        ipaddress.ip_address(canonical(text))
    except ValueError:
        return False
    return True


class Proxies:
    """The proxies whose word on the client is believed.

    Args:
        networks: Addresses or networks in CIDR notation; with none, nobody is believed.

    Raises:
        ValueError: One of them is neither.
    """

    def __init__(self, networks: tuple[str, ...] = ()) -> None:
        self._networks = tuple(ipaddress.ip_network(one, strict=False) for one in networks)

    def client(self, peer: str, forwarded: str) -> str:
        """Return who really asked: the last of the forwarded addresses that is no trusted proxy.

        Args:
            peer: Who was connected.
            forwarded: The header X-Forwarded-For as it was logged; a client may have written its left part itself.
        """
        found = canonical(peer)
        if not self._networks or not self._trusts(found):
            return found
        for hop in reversed(forwarded.split(",")):
            if hop.strip() in ("", "-"):
                continue
            found = canonical(hop)
            if not self._trusts(found):
                break
        return found

    def _trusts(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)
