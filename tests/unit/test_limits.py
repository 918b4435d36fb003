"""Bounds, limits, and the catalogs that they must fit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.core.limits import Bound, Catalog, Limit, Measure, Worse, limits_field
from tasks.core.units import Unit

CATALOG = Catalog(
    Measure(name="used", unit=Unit.RATIO, help="How full."),
    Measure(name="lag", unit=Unit.SECONDS, help="How late."),
    Measure(name="ok", unit=Unit.YES_NO, help="Whether.", worse=Worse.BELOW),
    Measure(name="state", unit=Unit.TEXT, help="What it says."),
)


class Holder(BaseModel):
    model_config = ConfigDict(extra="forbid")
    limits: limits_field(CATALOG) = {}  # type: ignore[valid-type]


def bound(text: object) -> Bound:
    return Bound.parse(text)


@pytest.mark.parametrize(
    ("text", "worse", "inside", "beyond"),
    [
        ("80%", Worse.ABOVE, 0.8, 0.81),
        ("> 80%", Worse.ABOVE, 0.8, 0.81),
        (">= 80%", Worse.ABOVE, 0.79, 0.8),
        ("30d", Worse.BELOW, 2_592_000, 2_591_999),
        ("< 99.5%", Worse.ABOVE, 0.995, 0.99),
        ("<= 3", Worse.ABOVE, 4, 3),
        (False, Worse.BELOW, 1, 0),
        ("no", Worse.BELOW, 1, 0),
        ("yes", Worse.ABOVE, 0, 1),
    ],
)
def test_a_bound_is_breached_on_its_bad_side_only(text, worse, inside, beyond):
    assert not bound(text).breached(inside, worse)
    assert bound(text).breached(beyond, worse)


@pytest.mark.parametrize("text", ["80%", "> 100", ">= 3", "< 99.5%", "<= 2GiB", "200m", "12d", "100/h", "1h30m"])
def test_a_bound_survives_being_written_and_read_again(text):
    assert bound(str(bound(text))) == bound(text)


def test_bounds_that_only_look_alike_are_not_equal():
    assert bound("12d") != bound("12d1h")
    assert bound("> 3") != bound("3")
    assert bound("3") != "3"
    assert len({bound("60s"), bound("1m"), bound("2m")}) == 2


@pytest.mark.parametrize(
    ("text", "says"), [("> no", "not compared"), ("about 80%", "no quantity"), ("=> 3", "no quantity")]
)
def test_what_is_no_bound_is_refused(text, says):
    with pytest.raises(ValueError, match=says):
        bound(text)


def test_a_bound_is_described_with_its_side():
    assert bound("80%").describe(Worse.ABOVE) == "above 80%"
    assert bound("30d").describe(Worse.BELOW) == "below 30 days"
    assert bound(">= 3").describe(Worse.BELOW) == "at or above 3"
    assert bound("no").describe(Worse.BELOW) == "when no"


def test_a_limit_with_bounds_replaces_all_bounds_of_the_default():
    default = Limit(warn=bound("80%"), critical=bound("95%"), remedy="make room")
    laid_over = Limit(warn=bound("50%")).over(default)
    assert (laid_over.warn, laid_over.critical, laid_over.remedy) == (bound("50%"), None, "make room")


def test_a_limit_without_bounds_keeps_those_of_the_default():
    default = Limit(warn=bound("80%"), critical=bound("95%"), remedy="make room")
    laid_over = Limit(severity="P1", lasting="5m").over(default)  # type: ignore[arg-type]
    assert (laid_over.warn, laid_over.critical, laid_over.severity) == (bound("80%"), bound("95%"), "P1")
    assert laid_over.lasting == timedelta(minutes=5)


def test_a_limit_without_a_default_stands_alone():
    limit = Limit(warn=bound("50%"))
    assert limit.over(None) is limit


def test_a_tier_may_be_a_bare_bound_or_last():
    limit = Limit.model_validate({"by_severity": {"P0": "50%", "P1": {"bound": "10%", "for": "5m"}}})
    assert limit.by_severity["P0"].bound == bound("50%")
    assert limit.by_severity["P1"].lasting == timedelta(minutes=5)


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"used": {"warn": "5s"}}, "used is measured in ratio: write 80%, not 5s"),
        ({"used": {"warn": 80}}, "write 80%, not 80"),
        ({"lag": {"by_severity": {"P1": "5%"}}}, "lag is measured in seconds"),
        ({"state": {"warn": 1}}, "state is text and only informs"),
        ({"usedd": {"warn": "5%"}}, "Extra inputs"),
        ({"ok": {"critical": "80%"}}, "write no, not 80%"),
    ],
)
def test_a_limit_fits_the_catalog_or_is_refused(limits, says):
    with pytest.raises(ValidationError, match=says):
        Holder.model_validate({"limits": limits})


def test_every_kind_takes_a_limit_on_being_reachable():
    assert Holder.model_validate({"limits": {"reachable": {"severity": "P0"}}}).limits["reachable"].severity == "P0"


def test_the_schema_closes_the_limits_to_the_catalogs_names():
    limits = Holder.model_json_schema()["properties"]["limits"]
    assert limits["additionalProperties"] is False
    assert set(limits["properties"]) == {"reachable", "used", "lag", "ok", "state"}
    assert limits["properties"]["used"]["description"] == "How full."


def test_a_catalog_names_each_measurement_once():
    with pytest.raises(ValueError, match="once"):
        Catalog(*CATALOG.values(), Measure(name="used", unit=Unit.RATIO, help="Again."))


def test_a_probe_cannot_read_what_its_catalog_does_not_name():
    at = datetime(2026, 11, 22, tzinfo=UTC)
    assert CATALOG.read("used", 0.5, at=at).unit is Unit.RATIO
    with pytest.raises(KeyError):
        CATALOG.read("usedd", 0.5, at=at)
