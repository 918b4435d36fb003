"""What a spec says of looking ahead: how long more room takes, for how long it must be enough, what it costs."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from tasks.core.advice.model import Advice, Saving
from tasks.core.model import Model
from tasks.core.units import Duration

_GIB = 2.0**30


class Prices(Model):
    """What is paid a month. Without them savings are told in cores and GiB."""

    currency: str = Field("EUR", description="Of all of them.", min_length=1, max_length=8)
    core: float = Field(0.0, ge=0, description="One core that is reserved, a month.")
    memory_gib: float = Field(0.0, ge=0, description="One GiB of memory that is reserved, a month.")
    storage_gib: float = Field(0.0, ge=0, description="One GiB that is stored, a month.")

    def of(self, saving: Saving) -> Saving:
        """Return a saving with its money."""
        money = saving.cores * self.core + (saving.memory * self.memory_gib + saving.storage * self.storage_gib) / _GIB
        return saving.model_copy(update={"money": round(money, 2), "currency": self.currency})


class Foresight(Model):
    """How a platform's capacity plan is made."""

    lead_time: Duration = Field(
        timedelta(days=14), gt=timedelta(0), description="From the decision until there is more room: order, approval."
    )
    hold: Duration = Field(
        timedelta(days=90), gt=timedelta(0), description="For how long an advised size must be enough."
    )
    backup_window: Duration | None = Field(
        None, gt=timedelta(0), description="How long one backup may take; the time until the next by default."
    )
    prices: Prices | None = Field(None, description="What is paid, so that savings are told in money.")

    def priced(self, advice: Advice) -> Advice:
        """Return an advice with its money, where there are prices."""
        if self.prices is None or advice.saving is None:
            return advice
        return advice.model_copy(update={"saving": self.prices.of(advice.saving)})
