"""The evidence was not tampered with."""

from __future__ import annotations

from tasks.controls.platform.common import AT, control
from tasks.core.compliance import Facts
from tasks.core.control import Breach, Judgement, Severity


def judge(facts: Facts) -> Judgement:
    """Judge what verifying the ledger told."""
    if facts.ledger is None:
        return Judgement(gaps=["there is no ledger that could be read"])
    return Judgement(looked=1, breaches=[Breach(facts.ledger)] if facts.ledger else [])


CONTROL = control(
    "evidence-intact",
    "The evidence was not tampered with",
    proves="Every record of the ledger is the one that the next was chained to; its end only with a head kept outside.",
    severity=Severity.CRITICAL,
    remedy="Keep the ledger as it is, and look into who could write there.",
    judge=judge,
    bad=lambda: Facts(AT, ledger="record 3: it was changed"),
    good=lambda: Facts(AT),
    soc2=("CC7.2", "CC7.3"),
    iso=("A.5.28", "A.8.15"),
    gdpr=("Art. 5",),
)
