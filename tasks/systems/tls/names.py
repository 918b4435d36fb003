"""The names that a certificate is made out to, and whether one of them is the name that clients ask for (RFC 6125)."""

from __future__ import annotations

import ipaddress

from cryptography import x509


def names(certificate: x509.Certificate) -> list[str]:
    """Return the certificate's DNS names and IP addresses; the common name counts for nothing since RFC 6125."""
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [
        *alternatives.get_values_for_type(x509.DNSName),
        *(str(address) for address in alternatives.get_values_for_type(x509.IPAddress)),
    ]


def matches(wanted: str, offered: list[str]) -> bool:
    """Tell whether a host name or an address is among the names; a `*` stands for one whole label on the left."""
    try:
        address = str(ipaddress.ip_address(wanted))
    except ValueError:
        return any(_same_name(wanted.lower().rstrip("."), name.lower().rstrip(".")) for name in offered)
    return address in offered


def _same_name(wanted: str, offered: str) -> bool:
    if not offered.startswith("*."):
        return wanted == offered
    first, _, rest = wanted.partition(".")
    return bool(first) and rest == offered[2:] and "." in rest
