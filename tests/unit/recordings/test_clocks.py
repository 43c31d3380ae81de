"""Times go between clocks and back; a cut recording shows the same samples at the same times."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otolith.core.errors import DataError
from otolith.recordings.clocks import (
    estimate_clock,
    sample_times_s,
    slice_recording,
    to_recording_s,
    to_stream_s,
)
from otolith.recordings.recording import (
    Annotation,
    Channel,
    FeatureStream,
    ImuStream,
    Recording,
    VideoStream,
)


def imu(num_rows=100, rate_hz=10.0, **kwargs):
    samples = np.arange(num_rows, dtype=np.float32)[:, None]
    return ImuStream(
        name="imu", samples_TC=samples, rate_hz=rate_hz, channels=(Channel.from_name("acc_x"),),
        **kwargs,
    )  # fmt: skip


def film(num_frames=40, **kwargs):
    times = 7.0 + np.arange(num_frames) / 4
    return VideoStream(
        name="camera", path=Path("x.mp4"), fps=4.0, frame_times_s=times, width_px=8, height_px=8,
        **kwargs,
    )  # fmt: skip


def features(**kwargs):
    values = np.arange(20, dtype=np.float32)[:, None]
    return FeatureStream(
        name="i3d", values_ND=values, extractor="i3d", window_s=1.0, stride_s=0.5, **kwargs
    )


def test_times_follow_offset_and_drift():
    stream = imu(3, offset_s=2.0, drift_ppm=1000.0)
    assert float(to_recording_s(stream, 10.0)) == pytest.approx(12.01)
    np.testing.assert_allclose(sample_times_s(stream), [2.0, 2.1001, 2.2002])
    np.testing.assert_allclose(sample_times_s(stream), stream.times_s)
    np.testing.assert_allclose(sample_times_s(film(2, offset_s=1.0)), [1.0, 1.25])
    np.testing.assert_allclose(sample_times_s(features())[:3], [0.0, 0.5, 1.0])
    assert len(sample_times_s(film(0))) == 0


@given(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4), st.floats(-1e3, 1e3))
def test_there_and_back(time_s, offset_s, drift_ppm):
    stream = imu(1, offset_s=offset_s, drift_ppm=drift_ppm)
    assert float(to_stream_s(stream, to_recording_s(stream, time_s))) == pytest.approx(
        time_s, abs=1e-7
    )


@given(st.floats(-100, 100), st.floats(-500, 500))
def test_a_clock_is_found_from_matched_events(offset_s, drift_ppm):
    stream = imu(1, offset_s=offset_s, drift_ppm=drift_ppm)
    own = np.array([3.0, 50.0, 60.0, 400.0])
    found = estimate_clock(own, to_recording_s(stream, own))
    assert found == pytest.approx((offset_s, drift_ppm), abs=1e-4)


def test_clock_estimates_need_events():
    assert estimate_clock(np.array([1.0]), np.array([4.0])) == (3.0, 0.0)
    for own, common in [([], []), ([1.0], [1.0, 2.0]), ([2.0, 2.0], [1.0, 3.0]), ([np.nan], [1.0])]:
        with pytest.raises(DataError):
            estimate_clock(np.array(own), np.array(common))


def recording(**kwargs):
    streams = {"imu": imu(offset_s=0.25), "camera": film(), "i3d": features()}
    return Recording(id="r", streams=streams, **kwargs)


def test_all_streams_are_cut_alike_and_are_views():
    whole = recording()
    part = slice_recording(whole, 2.0, 4.0)
    np.testing.assert_array_equal(part.streams["imu"].samples_TC[:, 0], np.arange(18, 38))
    assert part.streams["imu"].offset_s == pytest.approx(0.05)
    assert np.shares_memory(part.imus["imu"].samples_TC, whole.imus["imu"].samples_TC)
    np.testing.assert_array_equal(part.streams["i3d"].values_ND[:, 0], [4, 5, 6])
    np.testing.assert_allclose(part.streams["camera"].frame_times_s, 7.0 + np.arange(8, 16) / 4)
    assert (part.id, part.attributes) == (
        "r[2-4]", {"source_recording": "r", "source_start_s": "2.0"},
    )  # fmt: skip
    again = slice_recording(part, 0.5, 1.0, recording_id="x")
    assert again.attributes == {"source_recording": "r", "source_start_s": "2.5"}


def test_the_frame_on_show_at_the_start_is_kept():
    part = slice_recording(Recording(id="r", streams={"camera": film()}), 2.1, 2.3)
    np.testing.assert_allclose(part.streams["camera"].frame_times_s, [9.0, 9.25])
    assert part.streams["camera"].offset_s == pytest.approx(-0.1)


@pytest.mark.parametrize(("start_s", "end_s"), [(-9.0, -4.0), (50.0, 60.0)])
def test_streams_outside_stay_without_rows(start_s, end_s):
    part = slice_recording(recording(), start_s, end_s)
    assert [len(sample_times_s(s)) for s in part.streams.values()] == [0, 0, 0]


@given(
    st.floats(-2, 12), st.floats(0.01, 9), st.floats(-1, 1), st.floats(-400, 400),
    st.floats(1, 200),
)  # fmt: skip
def test_samples_keep_their_times(start_s, length_s, offset_s, drift_ppm, rate_hz):
    clock = {"offset_s": offset_s, "drift_ppm": drift_ppm}
    streams = {
        "imu": imu(rate_hz=rate_hz, **clock), "camera": film(**clock), "i3d": features(**clock),
    }  # fmt: skip
    part = slice_recording(Recording(id="r", streams=streams), start_s, start_s + length_s)
    for name, key in {"imu": "samples_TC", "camera": "frame_times_s", "i3d": "values_ND"}.items():
        whole = sample_times_s(streams[name])
        got = sample_times_s(part.streams[name]) + start_s
        lengths = {"imu": 0.0, "camera": -0.25, "i3d": 1.0}
        scale = 1 + drift_ppm * 1e-6
        ends = whole + lengths[name] * scale
        if name == "camera":
            keep = (whole < start_s + length_s) & (whole + 0.25 * scale > start_s)
        else:
            keep = (whole >= start_s) & (ends <= start_s + length_s)
        near = np.abs(np.stack([whole, ends, whole + 0.25 * scale])[:, :, None]
                      - [start_s, start_s + length_s]).min((0, 2)) < 1e-4  # fmt: skip
        if not near.any():
            np.testing.assert_allclose(got, whole[keep], atol=1e-9)
            values = getattr(streams[name], key)[keep]
            np.testing.assert_array_equal(getattr(part.streams[name], key), values)


def test_annotations_are_clipped_and_shifted():
    notes = (
        Annotation(start_s=0.0, end_s=2.0, labels=("before",)),
        Annotation(start_s=1.0, end_s=3.0, labels=("across",)),
        Annotation(start_s=2.0, end_s=None, text="point"),
        Annotation(start_s=4.0, end_s=None, text="at the end"),
        Annotation(start_s=3.0, end_s=9.0, labels=("long",)),
        Annotation(start_s=3.5, end_s=3.5, labels=("instant",)),
    )
    part = slice_recording(recording(annotations=notes), 2.0, 4.0)
    assert [(a.start_s, a.end_s) for a in part.annotations] == [
        (0.0, 1.0), (0.0, None), (1.0, 2.0), (1.5, 1.5),
    ]  # fmt: skip
    assert part.annotations[0] == replace(notes[1], start_s=0.0, end_s=1.0)


@pytest.mark.parametrize(("start_s", "end_s"), [(2.0, 2.0), (3.0, 1.0), (np.nan, 1.0)])
def test_times_must_be_in_order(start_s, end_s):
    with pytest.raises(DataError, match="cannot be cut"):
        slice_recording(recording(), start_s, end_s)
