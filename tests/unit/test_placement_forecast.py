"""Average, peak, daily pattern and what is expected of the coming hours; too little known is no number."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from service.placement import forecast
from service.placement.forecast import COMING, DAYS, HOURS

ALL = DAYS * HOURS


def past(*hosts):
    """Hours, the last whole one last; what is not told is not known."""
    rows = np.full((len(hosts), ALL), np.nan)
    for row, host in zip(rows, hosts, strict=True):
        row[ALL - len(host) :] = host
    return rows


def waves(hours, *, phase=0.0, noise=0.0, seed=1):
    when = np.arange(hours)
    return 0.4 + 0.3 * np.sin(2 * np.pi * (when - phase) / 24) + np.random.default_rng(seed).normal(0, noise, hours)


def test_a_day_that_repeats_itself_is_expected_again():
    wave = waves(ALL + COMING)
    seen = forecast.outlook(past(wave[:ALL]))
    assert seen.forecast[0] == pytest.approx(wave[ALL:].mean())
    assert seen.pattern[0] == pytest.approx(wave[ALL - 24 : ALL])
    assert seen.trend_per_day[0] == pytest.approx(0.0, abs=1e-9)


def test_a_host_that_is_busier_than_its_pattern_is_expected_to_stay_so_for_a_while():
    calm = past(np.full(ALL, 0.2))
    busier = calm.copy()
    busier[0, -3:] = 0.6
    more = forecast.outlook(busier).forecast[0] - forecast.outlook(calm).forecast[0]
    assert 0.15 < more < 0.4


def test_the_pattern_beats_the_last_hour_and_the_mean_of_a_day():
    series = [waves(20 * 24, phase=phase, noise=0.03, seed=phase) for phase in range(24)]
    errors = {"pattern": [], "last hour": [], "day": []}
    for end in range(ALL, 19 * 24, 7):
        seen = np.array([one[end - ALL : end] for one in series])
        true = np.array([one[end : end + COMING].mean() for one in series])
        errors["pattern"] += abs(forecast.outlook(seen).forecast - true).tolist()
        errors["last hour"] += abs(seen[:, -1] - true).tolist()
        errors["day"] += abs(seen[:, -24:].mean(axis=1) - true).tolist()
    mean = {name: np.mean(found) for name, found in errors.items()}
    assert mean["pattern"] < 0.03 < 4 * mean["pattern"] < mean["last hour"]
    assert mean["pattern"] < mean["day"] / 4


def test_recent_days_weigh_more():
    changed = np.concatenate([np.full(ALL - 3 * 24, 0.1), np.full(3 * 24, 0.5)])
    assert 0.29 < forecast.outlook(past(changed)).pattern[0, 5] < 0.35


@pytest.mark.parametrize(("hours", "known"), [(0, False), (24, False), (47, False), (48, True), (49, True)])
def test_a_forecast_wants_two_days_of_each_coming_hour(hours, known):
    assert math.isnan(forecast.outlook(past(np.full(hours, 0.3))).forecast[0]) is not known


def test_gaps_are_left_out():
    wave = waves(ALL + COMING)
    holes = wave[:ALL].copy()
    holes[100:130] = np.nan
    holes[-2] = np.nan
    assert forecast.outlook(past(holes)).forecast[0] == pytest.approx(wave[ALL:].mean(), abs=0.01)


def test_a_trend_is_what_a_day_s_average_grows_by():
    growing = np.repeat(np.arange(DAYS) * 0.01 + 0.2, 24)
    slopes = forecast.outlook(past(growing, growing[::-1], growing[-60:], growing[-40:])).trend_per_day
    assert slopes[:3] == pytest.approx([0.01, -0.01, 0.01])
    assert math.isnan(slopes[3])


def test_average_and_peak_want_an_hour():
    day = np.full((3, 288), np.nan)
    day[0, -11:] = 0.5
    day[1, -12:] = 0.5
    day[2] = np.arange(288) / 288
    assert [math.isnan(value) for value in forecast.average(day)] == [True, False, False]
    assert [math.isnan(value) for value in forecast.peak(day)] == [True, False, False]
    assert forecast.peak(day)[1] == 0.5
    assert forecast.peak(day)[2] == pytest.approx(273 / 288)  # the 274th of 288
    assert forecast.average(day)[2] == pytest.approx(287 / 2 / 288)


def test_nobody_is_no_error():
    assert forecast.outlook(np.empty((0, ALL))).forecast.shape == (0,)
    assert forecast.peak(np.empty((2, 0))).tolist() == pytest.approx([math.nan] * 2, nan_ok=True)
    assert np.isnan(forecast.average(np.empty((2, 0)))).all()


@given(arrays(float, array_shapes(min_dims=2, max_dims=2).map(lambda shape: (shape[0], ALL)), elements=st.floats(0, 1)))
def test_a_share_is_expected_to_be_a_share(hours):
    seen = forecast.outlook(hours)
    assert ((seen.forecast >= 0) & (seen.forecast <= 1)).all()
    day = hours[:, :288]
    assert (forecast.peak(day) <= day.max(axis=1)).all()
    assert (forecast.average(day) <= day.max(axis=1) + 1e-12).all()
