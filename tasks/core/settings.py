"""Where am I: the one class of settings, read from `WATCHKEEPER_*`. What is looked after is in the specs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from tasks.core.units import Duration

_ROOT = Path(__file__).resolve().parents[2]


class Settings(BaseSettings):
    """Every place and address that is Watchkeeper's own."""

    model_config = SettingsConfigDict(env_prefix="WATCHKEEPER_", frozen=True, extra="ignore")

    platforms: Path = Field(_ROOT / "deployments" / "platforms", description="Folder of the platforms' specs.")
    state: Path = Field(Path(".watchkeeper"), description="Folder for all that Watchkeeper keeps on this machine.")
    reports: str | None = Field(
        None, description="Where reports are kept: a folder, or `s3://bucket/prefix`. In `state` by default."
    )
    reports_endpoint: str | None = Field(None, description="Endpoint of the reports' S3, where it is not AWS.")
    evidence_lock: Duration | None = Field(
        None, description="How long no record of evidence may be removed from its S3 bucket (object lock): `400d`."
    )
    evidence_lock_mode: Literal["governance", "compliance"] = Field(
        "governance", description="Whether a right of its own may break that lock, or nobody."
    )
    timestamps: str | None = Field(
        None, description="Address of the RFC 3161 authority that stamps the head of the evidence, where there is one."
    )
    timestamps_trusted: Path | None = Field(
        None, description="PEM file of the certificates by which its time stamps are checked."
    )
    lab: Path | None = Field(None, description="The embedded lab's state folder; set only when the lab is meant.")
    ca_bundle: Path | None = Field(None, description="PEM file of certificate authorities to trust.")
    slack_token: str | None = Field(None, description="Reference to Slack's bot token: `env:NAME`, `file:...`.")
    concurrency: int = Field(8, ge=1, le=256, description="How many systems are checked at the same time.")
    confirm: bool = Field(
        default=True, description="Look again before a problem counts; where it is off, the first look counts."
    )
    witnesses: tuple[str, ...] = Field(
        (),
        description='Where this host\'s own network is tried once nothing answers, as JSON: `["192.0.2.1:53"]`.',
    )
    slack_webhook: str | None = Field(
        None, description="Reference to an incoming webhook's address, for where there is no token."
    )
    slack_url: str | None = Field(None, description="Slack's Web API, where it is not Slack's own: the lab's stand-in.")
    slack_channel: str | None = Field(
        None, description="Where a report is told when its platform's spec is unreadable, and one over all platforms."
    )

    @property
    def environment(self) -> str:
        """`lab` where the embedded lab is meant, else `production`; reports of the two are never compared."""
        return "production" if self.lab is None else "lab"
