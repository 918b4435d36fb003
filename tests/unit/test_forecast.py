"""The forecaster: against generators whose future is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tasks.core.forecast import Forecast, Question, forecast
from tasks.core.forecasting.arrays import Runs, Seasons
from tasks.core.forecasting.grid import Unfit
from tasks.core.forecasting.members import members
from tasks.core.forecasting.quality import series_of
from tests.simulations import KINDS as HARD
from tests.simulations import cleaned, filling, walk

HOUR, DAY = 3600.0, 86400.0
START = 1_790_000_000.0 // DAY * DAY


def shop(count: int, seed: int, *, weekend: float = 0.5, persistence: float = 0.8) -> np.ndarray:
    """Return the demand of a shop: a day, weekends, and noise that lasts some hours."""
    random = np.random.default_rng(seed)
    hours = np.arange(count)
    noise = np.zeros(count)
    for at in range(1, count):
        noise[at] = persistence * noise[at - 1] + random.normal()
    swing = np.where(hours // 24 % 7 >= 5, weekend, 1.0)
    return 100 + 20 * np.sin(2 * np.pi * hours / 24) * swing + 30 * (swing - 1) + 2 * noise


def of(values: np.ndarray, hours: float = 48, *, step: float = HOUR, **asked: object) -> Forecast:
    """Forecast values that begin at a fixed moment."""
    times = START + step * np.arange(len(values))
    return forecast(series_of(times, values), Question(hours * HOUR, **asked))  # type: ignore[arg-type]


def mase(made: Forecast, truth: np.ndarray) -> float:
    known = made.series.values
    return float(np.abs(made.value - truth).mean() / np.abs(known[24:] - known[:-24]).mean())


def test_demand_with_a_day_and_a_week_is_forecast_better_than_by_seasonal_naive():
    ours, naive = [], []
    for seed in range(8):
        values = shop(1200, seed)
        made = of(values[:-48])
        ours.append(mase(made, values[-48:]))
        naive.append(mase(replace(made, value=np.tile(values[-72:-48], 2)), values[-48:]))
        assert (made.seasons.day, made.seasons.week) == (24, 168)
    assert np.mean(ours) < 0.8
    assert np.mean(ours) < 0.7 * np.mean(naive)


@pytest.mark.parametrize("interval", [0.5, 0.8, 0.95])
def test_an_interval_covers_what_it_says(interval):
    held = []
    for seed in range(40):
        values = shop(900, seed, weekend=1.0 if seed % 2 else 0.6, persistence=0.3 + 0.015 * seed)
        made = of(values[:-48], interval=interval)
        held.append(((values[-48:] >= made.low) & (values[-48:] <= made.high)).mean())
    assert np.mean(held) == pytest.approx(interval, abs=0.06)


@pytest.mark.parametrize("kind", HARD)
def test_an_interval_covers_eighty_of_a_hundred_where_it_is_easily_too_narrow_or_too_wide(kind):
    held = []
    for seed in range(70):
        values = HARD[kind](np.random.default_rng([5, seed]), 720 + 48)
        made = of(values[:-48])
        held.append(((values[-48:] >= made.low) & (values[-48:] <= made.high)).mean())
    assert 0.75 <= np.mean(held) <= 0.85


def test_where_a_series_was_calm_of_late_its_interval_is_narrow():
    random = np.random.default_rng(14)
    calm = np.where(np.arange(1440) // 240 % 2, 1.0, 3.0) * random.normal(size=1440)
    wild = calm[:1200]
    narrow, wide = (np.median(made.high - made.low) for made in (of(calm), of(wild)))
    assert narrow < 0.6 * wide


def test_a_few_days_of_minutes_are_graded_at_some_twenty_moments():
    minutes = np.arange(7 * 1440)
    values = 40 + 10 * np.sin(2 * np.pi * minutes / 1440) + np.random.default_rng(15).normal(size=len(minutes))
    made = of(values, 1, step=60)
    assert made.seasons.day == 1440
    assert 15 <= made.backtest.origins <= 24


def test_a_walk_is_forecast_by_its_last_value_and_hardly_ever_has_a_season():
    seasons, off, least = 0, [], []
    for seed in range(30):
        values = walk(np.random.default_rng([6, seed]), 720 + 48)
        made = of(values[:-48])
        seasons += bool(made.seasons.periods)
        off.append(np.abs(made.value - values[-48:]).mean())
        least.append(np.abs(values[-49] - values[-48:]).mean())
    assert seasons <= 6
    assert np.mean(off) < 1.1 * np.mean(least)


def test_noise_has_no_season():
    made = of(100 + np.random.default_rng(1).normal(size=1000))
    assert made.seasons.periods == ()
    assert np.abs(made.value - 100).max() < 0.5


def test_a_season_of_five_minute_steps_is_found():
    steps = np.arange(14 * 288)
    values = 50 + 10 * np.sin(2 * np.pi * steps / 288) + np.random.default_rng(2).normal(size=len(steps))
    made = of(values, 6, step=300)
    assert made.seasons.day == 288
    truth = 50 + 10 * np.sin(2 * np.pi * np.arange(len(values), len(values) + 72) / 288)
    assert np.abs(made.value - truth).mean() < 0.8


def test_what_a_member_says_at_an_earlier_moment_does_not_depend_on_what_came_later():
    values = shop(900, 3)
    runs = Runs(np.array([600, 648, 696, 900]), 48)
    other = values.copy()
    other[696:] = 1e6
    for name, said in members(values, Seasons(24, 24, 168), runs).items():
        changed = members(other, Seasons(24, 24, 168), runs)[name]
        np.testing.assert_allclose(said[:3], changed[:3], rtol=1e-6, err_msg=name)


def test_after_a_level_shift_the_new_level_is_forecast():
    values = shop(1000, 4)
    values[700:] += 300
    made = of(values[:-48])
    assert [step.at for step in made.steps] == [pytest.approx(700, abs=3)]
    assert made.steps[0].height == pytest.approx(300, rel=0.05)
    assert mase(made, values[-48:]) < 1.0


def test_a_holiday_is_no_level_shift():
    values = shop(1000, 5)
    values[504:528] -= 40
    assert of(values).steps == []


def test_a_rounded_number_that_grows_climbs_stairs_and_has_no_level_shifts():
    hours = np.arange(60 * 24)
    made = of(np.round(20 + 0.011 * hours), 24 * 10)
    assert made.steps == []
    assert made.value[-1] == pytest.approx(20 + 0.011 * 70 * 24, abs=1.0)


@pytest.mark.parametrize("ripple", [1e-4, 1e-3, 1e-2])
@pytest.mark.parametrize("days", [4, 10, 40])
def test_a_line_with_a_tiny_ripple_goes_on_as_a_line(ripple, days):
    hours = np.arange(days * 24 + 48)
    values = 1e4 + 0.5 * hours + ripple * np.sin(2 * np.pi * hours / 24)
    assert np.abs(of(values[:-48]).value - values[-48:]).max() < 0.005 + 5 * ripple


def test_a_short_history_of_shares_is_not_carried_away():
    for seed in range(10):
        random = np.random.default_rng([16, seed])
        hours = np.arange(80 + 24)
        values = np.exp(3 + 1.2 * np.sin(2 * np.pi * (hours + seed) / 24) + 0.1 * random.normal(size=len(hours)))
        made = of(values[:-24], 24)
        assert made.value.max() < 2 * values.max(), seed
        assert any("less than three weeks" in note for note in made.series.notes)


def test_a_newest_value_that_jumps_as_none_before_is_told_and_held():
    values = shop(900, 17)
    values[-1] += 900
    made = of(values, 24)
    assert np.abs(made.value).max() < values[:-1].max() + 30
    assert any("the newest value jumped" in note for note in made.series.notes)


@pytest.mark.parametrize("hours", [24, 48])
def test_a_step_on_the_last_day_is_told_at_horizons_of_days(hours):
    values = shop(960, 18)
    values[-10:] += 90
    assert any("too early to tell" in note for note in of(values, hours).series.notes)


def disk(days: int, per_day: float, *, seed: int, noise: float = 0.2) -> np.ndarray:
    hours = np.arange(days * 24)
    random = np.random.default_rng(seed)
    return 40 + per_day * hours / 24 + np.sin(2 * np.pi * hours / 24) * noise + random.normal(size=len(hours)) * noise


def test_the_day_on_which_a_disk_is_full_is_told_within_three_per_cent():
    off, inside = [], []
    for seed in range(12):
        values, full = filling(np.random.default_rng([7, seed]), 60 * 24)
        (crossing,) = of(values, 24 * 90, limits=(100.0,)).crossings
        assert crossing.median is not None
        off.append(abs(crossing.median - full) / full)
        inside.append(crossing.early <= full <= (crossing.late or np.inf))
    assert np.median(off) <= 0.03
    assert np.mean(inside) >= 0.8


def test_a_disk_that_is_cleaned_up_in_time_is_never_said_to_be_full_within_a_week():
    for seed in range(20):
        made = of(cleaned(np.random.default_rng([8, seed]), 24 * (30 + seed)), 24 * 7, limits=(100.0,))
        assert made.crossings[0].median is None, seed


def test_a_clean_up_does_not_hide_that_a_disk_fills():
    values = disk(60, 0.7, seed=7)
    values[24 * 35 :] -= 20
    made = of(values, 24 * 100, limits=(100.0,))
    full = ((60 + 20) / 0.7 - 60) * 24
    assert made.crossings[0].median == pytest.approx(full, rel=0.05)


def test_a_clean_up_of_a_few_hours_ago_is_a_new_beginning():
    values = 40 + 0.6 * np.arange(24 * 60) / 24 + np.random.default_rng(12).normal(size=24 * 60) * 0.1
    values[-8:] -= 30
    made = of(values, 24 * 120, limits=(100.0,))
    assert [step.at for step in made.steps] == [24 * 60 - 8]
    assert made.crossings[0].median == pytest.approx((100 - values[-8:].mean()) / 0.6 * 24, rel=0.05)


def test_the_end_of_a_burst_is_no_clean_up():
    values = 110 + np.random.default_rng(13).normal(size=24 * 40)
    values[-14:-10] += 100
    assert of(values).steps == []


@pytest.mark.parametrize("tooth", [30, 72, 100, 168, 240])
def test_a_disk_that_is_cleaned_up_time_and_again_raises_no_alarm(tooth):
    hours = np.arange(24 * 45 + 17)
    random = np.random.default_rng(tooth)
    values = 50 + hours % tooth * (40 / tooth) + random.normal(size=len(hours)) * 0.3
    made = of(values, 24 * 7, limits=(95.0,))
    assert made.crossings[0].median is None


def test_saw_teeth_that_grow_cross_the_limit_with_their_peaks():
    hours = np.arange(24 * 60)
    peaks = 60 + hours / 24 * 0.4
    values = peaks - 20 + hours % 72 / 72 * 20 + np.random.default_rng(8).normal(size=len(hours)) * 0.2
    made = of(values, 24 * 60, limits=(95.0,))
    full = (35 / 0.4 - 60) * 24
    assert made.teeth is not None
    assert made.crossings[0].median == pytest.approx(full, rel=0.1)


def test_a_limit_that_is_crossed_already_is_said_to_be():
    assert of(disk(30, 1.0, seed=1), limits=(60.0,)).crossings[0].already


def test_free_space_runs_out_downwards():
    made = of(100 - disk(30, 1.0, seed=2), 24 * 40, floors=(0.0,), lowest=0.0)
    assert made.crossings[0].median == pytest.approx(30 * 24, rel=0.05)


def test_a_quantity_stays_within_its_bounds():
    random = np.random.default_rng(9)
    made = of(np.clip(0.97 + 0.03 * random.normal(size=600), 0, 1), highest=1.0)
    assert made.high.max() <= 1.0
    assert of(random.poisson(0.3, size=600).astype(float)).low.min() >= 0.0


def test_growth_by_a_share_a_day_is_followed():
    hours = np.arange(1000)
    values = 10 * np.exp(hours * 0.002) * (1 + 0.3 * np.sin(2 * np.pi * hours / 24))
    values *= np.exp(np.random.default_rng(10).normal(size=1000) * 0.03)
    made = of(values[:-48])
    assert np.abs(made.value / values[-48:] - 1).mean() < 0.08


def test_a_horizon_beyond_four_times_the_history_is_refused():
    with pytest.raises(Unfit, match="four times as long"):
        of(shop(100, 1), 500)


def test_a_forecast_is_the_same_each_time():
    values = shop(700, 11)
    np.testing.assert_array_equal(of(values).value, of(values).value)


KINDS = {
    "noise": lambda random, at: random.normal(size=len(at)),
    "rare events": lambda random, at: random.poisson(0.1, len(at)).astype(float),
    "a walk": lambda random, at: np.cumsum(random.normal(size=len(at))),
    "a ramp": lambda random, at: at * 1.0,  # noqa: ARG005
    "an explosion": lambda random, at: np.exp(at * random.uniform(0, 0.05)),
    "huge": lambda random, at: 1e15 * random.random(len(at)),
    "tiny": lambda random, at: 1e-12 * random.random(len(at)),
    "a step": lambda random, at: np.where(at > len(at) // 2, 1.0, 0.0) + 0.0 * random.random(),
    "below zero": lambda random, at: -np.abs(random.normal(size=len(at))),
}


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_the_numbers_are_a_forecast_is_finite_and_in_order_or_the_series_is_unfit(kind):
    made = 0
    for seed in range(14):
        random = np.random.default_rng(seed)
        count = int(random.choice([24, 48, 169, 337, 500, 1000]))
        step = float(random.choice([5, 60, 300, 3600, 86400, 77.7]))
        values = KINDS[kind](random, np.arange(count))
        values[random.random(count) < 0.05 * (seed % 3)] = np.nan
        times = START + step * (np.arange(count) + 0.2 * random.random(count) * (seed % 2))
        asked = Question(step * count * random.choice([0.05, 0.3, 1.0]), 0.8, limits=(1.0,), floors=(0.0,))
        try:
            one = forecast(series_of(times, values), asked)
        except Unfit:
            continue
        made += 1
        assert np.isfinite([one.low, one.value, one.high]).all()
        assert (one.low <= one.value).all()
        assert (one.value <= one.high).all()
    assert made >= 5
