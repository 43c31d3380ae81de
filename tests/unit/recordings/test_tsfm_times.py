"""Each kind of irregular time stamps has its own finding, and regular ones have none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otolith.recordings.tsfm_times import check_times


def found(times_s, rate_hz=50.0, **kwargs):
    return {f.check: f for f in check_times(np.asarray(times_s, float), rate_hz, **kwargs)}


@given(st.integers(0, 300), st.floats(0.5, 500))
def test_uniform_stamps_have_no_findings(num_rows, rate_hz):
    assert found(np.arange(num_rows) / rate_hz, rate_hz) == {}


def test_the_place_and_number_of_faults_are_said():
    times = np.arange(100) / 50
    times[40:] += 1.0
    times[70:] -= 1 / 50
    assert found(times)["time.gap"].evidence == "1 of 99, the first at row 40"
    assert found(times)["time.duplicate"].evidence == "1 of 99, the first at row 70"
    assert found(times[::-1])["time.backward"].evidence.startswith("98 of 99")


@pytest.mark.parametrize(("factor", "is_warned"), [(1.04, False), (0.96, False), (1.1, True)])
def test_a_rate_within_the_tolerance_is_fine(factor, is_warned):
    assert ("time.rate" in found(np.arange(100) / 50 * factor)) is is_warned
    assert "time.rate" in found(np.arange(100) / 50 * factor, tolerance=0.01)


def test_stamps_that_stand_still_or_are_absent():
    assert set(found([1.0, 1.0, 1.0])) == {"time.start", "time.duplicate", "time.rate"}
    assert set(found([np.nan, np.nan])) == {"time.missing"}
    assert found([]) == {}
