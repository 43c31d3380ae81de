"""Time stamps of foreign recordings: order, spans, grids and bouts hold for any input."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from otolith.datasets._clocks import covered, grid, in_order, overlap, sample_at
from otolith.datasets._streams import bouts

STAMPS = st.lists(st.integers(0, 200), min_size=1, max_size=60).map(lambda x: np.array(x) / 10.0)
GAPS = st.floats(0.05, 5.0)


@given(STAMPS)
def test_order_is_strict_and_keeps_each_stamp_once(times):
    values = np.arange(len(times), dtype=float)[:, None]
    ordered, samples, found = in_order(times, values, "it")
    assert (np.diff(ordered) > 0).all()
    assert set(ordered) == set(times)
    assert (times[samples[:, 0].astype(int)] == ordered).all()
    assert bool(found) == (len(times) != len(ordered) or bool((np.diff(times) < 0).any()))


@given(STAMPS, GAPS)
def test_spans_hold_no_gap_and_lose_no_step(times, max_gap_s):
    times = np.unique(times)
    spans = covered(times, max_gap_s)
    steps = np.diff(times)
    assert np.isclose(sum(b - a for a, b in spans), steps[steps <= max_gap_s].sum())
    for a, b in spans:
        inside = times[(times >= a) & (times <= b)]
        assert np.diff(inside).max() <= max_gap_s


@given(STAMPS, STAMPS, GAPS)
def test_overlap_is_symmetric_and_inside_both(first, second, gap):
    a, b = covered(np.unique(first), gap), covered(np.unique(second), gap)
    both = overlap(a, b)
    assert both == overlap(b, a)
    for start, end in both:
        assert any(x <= start < end <= y for x, y in a)
        assert any(x <= start < end <= y for x, y in b)


@given(st.floats(-100, 100), st.floats(0.001, 50), st.floats(0.5, 250))
def test_grids_stay_in_their_span_and_fill_it(start, length, rate):
    instants = grid((start, start + length), rate)
    assert instants[0] == start
    assert instants[-1] <= start + length + 1e-5 / rate
    assert instants[-1] > start + length - 1.001 / rate


@given(STAMPS)
def test_interpolation_meets_the_samples(times):
    times = np.unique(times)
    values = np.stack([times**2, -times], axis=1)
    np.testing.assert_allclose(sample_at(times, values, times), values)


@given(st.lists(st.integers(-1, 3), min_size=1, max_size=80))
def test_bouts_rebuild_the_codes(codes):
    names = {1: "a", 2: "b", 3: "c"}
    want = [names.get(code, "") for code in codes]
    got = [""] * len(codes)
    for bout in bouts(np.array(codes), names, 4.0):
        rows = range(round(bout.start_s * 4), round(bout.end_s * 4))
        assert len(rows) > 0
        for row in rows:
            assert got[row] == ""
            got[row] = bout.labels[0]
    assert got == want
