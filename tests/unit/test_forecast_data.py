"""What a series must be like to be forecast: the quality gate, the CSV file, the command."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from click.testing import CliRunner

from deployments.cli import main
from tasks.core.errors import ConfigError
from tasks.core.forecasting.csv_text import read_series
from tasks.core.forecasting.grid import Unfit
from tasks.core.forecasting.quality import series_of

BEGIN = datetime(2026, 9, 1, tzinfo=UTC)
HOURS = np.arange(960)
CLEAN = 100 + 20 * np.sin(2 * np.pi * HOURS / 24) + np.random.default_rng(0).normal(size=960)


def gate(values, times=None, **bounds):
    times = BEGIN.timestamp() + 3600.0 * np.arange(len(values)) if times is None else times
    return series_of(np.asarray(times, float), np.asarray(values, float), **bounds)


def csv_of(values, moments=None):
    moments = moments or [(BEGIN + timedelta(hours=at)).isoformat() for at in range(len(values))]
    return "timestamp,value\n" + "".join(f"{at},{value}\n" for at, value in zip(moments, values, strict=True))


def run(tmp_path, text, *arguments):
    file = tmp_path / "series.csv"
    file.write_text(text, encoding="utf-8")
    return CliRunner().invoke(main, ["forecast", "--csv", str(file), *arguments])


def changed(**parts):
    values = CLEAN.copy()
    for where, what in parts.items():
        start, end = (int(part) for part in where.removeprefix("at_").split("_"))
        values[start:end] = what
    return values


COUNTER = np.cumsum(np.random.default_rng(1).integers(1, 50, 960)).astype(float)
COUNTER[500:] -= COUNTER[500]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([1.0, 2.0], "too short: 2 values"),
        ([np.nan] * 100, "no value is a finite number"),
        ([np.inf] * 100, "no value is a finite number"),
        (changed(at_100_200=np.inf), "100 of 960 values are infinite"),
        ([5.0] * 100, "constant: it was 5"),
        (changed(at_792_960=0.0), "nothing but zeros since 2026-10-04T00:00:00Z"),
        (COUNTER, "a counter that was reset 1 times"),
        (changed(at_400_940=np.nan), "only 20 values after it"),
    ],
)
def test_what_is_unfit_says_why(values, reason):
    with pytest.raises(Unfit, match=reason):
        gate(values)


def test_a_disk_that_is_negative_is_unfit_and_a_single_negative_value_is_missing():
    with pytest.raises(Unfit, match="960 of 960 values are below 0"):
        gate(-CLEAN, lowest=0.0)
    series = gate(changed(at_300_301=-5.0), lowest=0.0)
    assert series.values.min() > 0
    assert "1 values below 0 were taken as missing" in series.notes


def test_a_share_above_one_is_unfit_where_the_unit_is_a_ratio():
    with pytest.raises(Unfit, match="is the unit right"):
        gate(CLEAN, lowest=0.0, highest=1.0)


def test_a_week_of_zeros_in_the_middle_is_taken_as_missing():
    series = gate(changed(at_400_568=0.0))
    assert series.values[400:568].min() > 50
    assert any("zeros from 2026-09-17T16:00:00Z on, 168 of them" in note for note in series.notes)


def test_a_gap_of_a_week_is_filled_with_its_days():
    filled = gate(changed(at_400_568=np.nan)).values[400:568]
    assert np.abs(filled - CLEAN[400:568]).max() < 6


@pytest.mark.parametrize(
    ("times", "values", "reason"),
    [
        ([0.0] * 50, np.arange(50.0), "all 50 values have the same time: 1970-01-01T00:00:00Z"),
        (np.append(BEGIN.timestamp() + HOURS, 253402297200.0), np.append(CLEAN, 1), "before 1900 or after 2200"),
        (BEGIN.timestamp() + HOURS, CLEAN * 1e300, "are no measurements: is the unit right"),
        (BEGIN.timestamp() + HOURS, CLEAN * 1e-300, "are no measurements: is the unit right"),
    ],
)
def test_times_and_values_that_nothing_has_are_unfit(times, values, reason):
    with pytest.raises(Unfit, match=reason):
        gate(values, times)


def test_nights_without_anything_are_no_fault():
    values = np.where(HOURS % 24 < 8, 0.0, CLEAN)
    np.testing.assert_array_equal(gate(values).values, values)


def test_gaps_are_filled_with_the_same_time_of_the_days_around():
    series = gate(changed(at_400_420=np.nan, at_700_702=np.nan))
    assert np.abs(series.values - CLEAN).max() < 6
    assert "22 missing values were filled in" in series.notes


def test_only_what_came_after_a_long_gap_is_used():
    values = np.concatenate((CLEAN[:100], CLEAN[500:]))
    times = BEGIN.timestamp() + 3600.0 * np.concatenate((HOURS[:100], HOURS[500:]))
    series = gate(values, times)
    assert len(series.values) == 460
    assert series.end == times[-1]


def test_order_does_not_matter_and_is_told():
    shuffled = np.random.default_rng(2).permutation(960)
    series = gate(CLEAN[shuffled], BEGIN.timestamp() + 3600.0 * shuffled)
    np.testing.assert_array_equal(series.values, CLEAN)
    assert "out of order" in series.notes[0]


def test_the_same_values_twice_count_once_and_different_ones_are_two_series():
    times = np.repeat(BEGIN.timestamp() + 3600.0 * HOURS, 2)
    np.testing.assert_allclose(gate(np.repeat(CLEAN, 2), times).values, CLEAN)
    with pytest.raises(Unfit, match="more than one series"):
        gate(np.column_stack((CLEAN, CLEAN * 2)).ravel(), times)


def test_times_that_jitter_are_put_on_their_grid():
    jitter = np.random.default_rng(3).uniform(-200, 200, 960)
    series = gate(CLEAN, BEGIN.timestamp() + 3600.0 * HOURS + jitter)
    assert series.step == 3600.0
    assert len(series.values) == pytest.approx(960, abs=1)


def test_so_many_values_are_forecast_by_means_and_told_at_their_own_step(tmp_path):
    steps = np.arange(40_000)
    values = 50 + 10 * np.sin(2 * np.pi * steps / 17280) + np.random.default_rng(4).normal(size=40_000)
    moments = [int(BEGIN.timestamp()) + 5 * int(at) for at in steps]
    said = json.loads(run(tmp_path, csv_of(values, moments), "--horizon", "10m", "--json").stdout)
    assert [point["time"] for point in said["points"][:2]] == ["2026-09-03T07:33:20Z", "2026-09-03T07:33:25Z"]
    assert len(said["points"]) == 120
    assert all(2.0 < point["high"] - point["low"] < 4.0 for point in said["points"])


@pytest.mark.parametrize(
    "moments",
    [
        [f"{BEGIN + timedelta(hours=int(at)):%Y-%m-%dT%H:%M:%S}" for at in HOURS],
        [f"{BEGIN + timedelta(hours=int(at)):%Y-%m-%d %H:%M:%S}Z" for at in HOURS],
        [int(BEGIN.timestamp() + 3600 * at) for at in HOURS],
        [int(BEGIN.timestamp() + 3600 * at) * 1000 for at in HOURS],
        [
            (BEGIN + timedelta(hours=int(at))).astimezone(timezone(timedelta(hours=2 if at < 400 else 1))).isoformat()
            for at in HOURS
        ],
    ],
    ids=["no offset is UTC", "a space", "seconds", "milliseconds", "summer and winter time"],
)
def test_times_are_read_as_they_are_written(moments):
    times, values = read_series(csv_of(CLEAN, moments).encode(), "x.csv")
    np.testing.assert_array_equal(times, BEGIN.timestamp() + 3600.0 * HOURS)
    np.testing.assert_allclose(values, CLEAN)


def test_columns_are_found_by_name_and_a_header_is_optional():
    assert read_series(b"host,value,time\na,7,2026-09-01T00:00:00Z\n", "x")[1].tolist() == [7.0]
    assert read_series(b"2026-09-01T00:00:00Z,7\n", "x")[1].tolist() == [7.0]
    assert np.isnan(read_series(b"timestamp,value\n2026-09-01,\n", "x")[1]).all()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "x.csv:1: the file is empty"),
        ("timestamp,value\n", "x.csv:2: there is no measurement"),
        ("timestamp,value\n2026-09-01T00:00:00Z,1\n\n2026-09-01T01:00:00Z,abc\n", "x.csv:4: 'abc' is no number"),
        ("timestamp,value\nyesterday,1\n", "x.csv:2: 'yesterday' is no time"),
        ("timestamp,value\n2026-09-01T00:00:00Z\n", "x.csv:2: '2026-09-01T00:00:00Z' has no value"),
        ("timestamp,value\n2026-09-01T00:00:00Z,1\n2026-09-01T01:00:00,2\n", "x.csv:3: .* has no offset, unlike"),
        ("a,b,c\n1,2,3\n", "x.csv:1: 3 columns"),
        ("timestamp;value\n2026-09-01;1,5\n", "x.csv:1: columns are parted by ';'; write commas, and 1.5 for decimals"),
    ],
)
def test_a_bad_file_is_told_with_its_line(text, fault):
    with pytest.raises(ConfigError, match=fault):
        read_series(text.encode(), "x.csv")
    with pytest.raises(ConfigError, match=r"x\.csv:2: it is not UTF-8"):
        read_series(b"timestamp,value\n\xff,1\n", "x.csv")


def test_the_command_tells_points_backtest_and_crossing_as_json(tmp_path):
    result = run(tmp_path, csv_of(CLEAN), "--horizon", "48h", "--limit", "500", "--json")
    said = json.loads(result.stdout)
    assert result.exit_code == 0
    assert len(said["points"]) == 48
    assert said["points"][0]["time"] == "2026-10-11T00:00:00Z"
    assert all(point["low"] <= point["value"] <= point["high"] for point in said["points"])
    assert said["backtest"]["mase"] < 1
    assert 0.7 <= said["backtest"]["coverage"] <= 0.95
    assert said["crossing"]["state"] == "not within the horizon"


def test_of_several_limits_the_first_to_be_crossed_is_the_crossing(tmp_path):
    values = 0.5 + 0.0003 * HOURS + np.random.default_rng(5).normal(size=960) * 0.002
    limits = ("--limit", "100%", "--limit", "85%", "--unit", "ratio")
    said = json.loads(run(tmp_path, csv_of(values), "--horizon", "60d", *limits, "--json").stdout)
    assert said["crossing"]["limit"] == 0.85
    assert [one["state"] for one in said["crossings"]] == ["within the horizon"] * 2
    assert max(point["high"] for point in said["points"]) <= 1.0
    crossed = datetime.fromisoformat(said["crossing"]["median"])
    assert abs(crossed - (BEGIN + timedelta(hours=0.35 / 0.0003))) < timedelta(hours=12)


def test_what_is_unfit_ends_with_one_and_a_bad_file_with_two(tmp_path):
    unfit = run(tmp_path, csv_of([5.0] * 50), "--json")
    assert (unfit.exit_code, json.loads(unfit.stdout)) == (1, {"unfit": "constant: it was 5 all the time"})
    bad = run(tmp_path, "timestamp,value\n2026-09-01,x\n", "--json")
    assert bad.exit_code == 2
    assert "series.csv:2: 'x' is no number" in json.loads(bad.stdout)["error"]
    assert run(tmp_path, csv_of(CLEAN), "--horizon", "soon").exit_code == 2
    assert run(tmp_path, csv_of(CLEAN), "--limit", "much").exit_code == 2
    assert "--floor: 'much' is no quantity" in run(tmp_path, csv_of(CLEAN), "--floor", "much").stderr


def test_the_command_tells_a_person_when_the_limit_is_crossed(tmp_path):
    values = 100 + 0.1 * HOURS + np.random.default_rng(6).normal(size=960)
    said = run(tmp_path, csv_of(values), "--horizon", "30d", "--limit", "220").stdout
    assert "220: in 10 days (" in said
    assert "its intervals held" in said


def test_a_step_on_the_last_day_is_told_as_too_early_to_judge(tmp_path):
    values = CLEAN.copy()
    values[-10:] += 60
    notes = json.loads(run(tmp_path, csv_of(values), "--json").stdout)["history"]["notes"]
    assert any("too early to tell" in note for note in notes)
    assert json.loads(run(tmp_path, csv_of(CLEAN), "--json").stdout)["history"]["notes"] == []
