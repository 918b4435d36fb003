"""What a spec says of a TLS endpoint, and what can be measured there."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from tasks.core.limits import Bound, Catalog, Limit, Measure, Worse, limits_field
from tasks.core.references import Address
from tasks.core.system import SystemSpec
from tasks.core.units import Unit

_DAY = 86400.0

CATALOG = Catalog(
    Measure(
        name="expires_in",
        words="time until the certificate of {system} expires",
        unit=Unit.SECONDS,
        worse=Worse.BELOW,
        help="Time until the certificate that the server shows is no longer valid; negative when it has expired.",
        limit=Limit(warn=Bound(30 * _DAY, Unit.SECONDS), critical=Bound(7 * _DAY, Unit.SECONDS)),
        remedy="Renew the certificate, and see why its renewal did not run.",
    ),
    Measure(
        name="trusted",
        unit=Unit.YES_NO,
        worse=Worse.BELOW,
        help="Whether the chain leads to a trusted authority and is valid today; the note says why not.",
        limit=Limit(critical=Bound(0, Unit.YES_NO)),
        remedy="Serve the whole chain, from an authority that clients trust.",
    ),
    Measure(
        name="name_matches",
        unit=Unit.YES_NO,
        worse=Worse.BELOW,
        help="Whether the certificate is made out to the name that clients ask for; the note lists its names.",
        limit=Limit(critical=Bound(0, Unit.YES_NO)),
        remedy="Issue the certificate with this name among its subject alternative names.",
    ),
    Measure(
        name="handshake",
        words="time of the TLS handshake with {system}",
        unit=Unit.SECONDS,
        help="Time to connect and to finish the TLS handshake.",
    ),
    Measure(name="protocol", unit=Unit.TEXT, help="The protocol version that was agreed on."),
)


class Spec(SystemSpec):
    """A TLS endpoint."""

    CATALOG: ClassVar[Catalog] = CATALOG

    kind: Literal["tls"]
    address: Address = Field(
        description="`host:port`, `host` (port 443), `[::1]:8443`, or the `https://` address of a service."
    )
    server_name: str | None = Field(
        None, description="The name that clients ask for (SNI); the address' host by default.", min_length=1
    )
    limits: limits_field(CATALOG) = Field(default_factory=dict, description="Bounds on measurements, by name.")  # type: ignore[valid-type]
