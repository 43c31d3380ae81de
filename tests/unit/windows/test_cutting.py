"""Windows lie in seconds, never cross recordings and have equally many rows."""

import numpy as np
import pytest
from tests.support.windows_data import features, imu, part_of, recording

from otolith.core.errors import ConfigError, DataError
from otolith.windows.building import build
from otolith.windows.cutting import spread
from otolith.windows.table import WindowSpec


def table_of(*recordings, **settings):
    settings.setdefault("label_rule", "none")
    return build([part_of(recordings)], WindowSpec(**settings)).table


def test_windows_stand_side_by_side_and_drop_the_rest():
    table = table_of(recording("a", imu(520, 50.0)), window_s=2.0)
    assert table.start_s.tolist() == [0, 2, 4, 6, 8]
    assert table.start_row[:, 0].tolist() == [0, 100, 200, 300, 400]
    assert table.num_rows[:, 0].tolist() == [100] * 5


def test_no_window_crosses_two_recordings():
    table = table_of(recording("a", imu(150)), recording("b", imu(170)), window_s=2.0)
    assert table.recording.tolist() == [0, 1]
    assert (table.start_row[:, 0] + table.num_rows[:, 0] <= 170).all()


@pytest.mark.parametrize(
    ("window_s", "rate_hz", "num_rows", "expected"),
    [(2.56, 50.0, 128, 1), (2.56, 50.0, 127, 0), (5.0, 20.3, 102, 1), (0.1, 10.0, 30, 30)],
)
def test_a_recording_of_exactly_one_window_counts(window_s, rate_hz, num_rows, expected):
    recordings = [recording("a", imu(num_rows, rate_hz)), recording("b", imu(9000, rate_hz))]
    table = table_of(*recordings, window_s=window_s)
    assert (table.recording == 0).sum() == expected


def test_odd_rates_give_equal_lengths_without_drift():
    table = table_of(recording("a", imu(3000, 20.3)), window_s=5.0, stride_s=2.5)
    assert set(table.num_rows[:, 0].tolist()) == {101}
    error_s = table.start_row[:, 0] / 20.3 - table.start_s
    assert np.abs(error_s).max() <= 0.5 / 20.3 + 1e-9
    assert len(table) == int((3000 / 20.3 - 5.0) / 2.5) + 1


def test_the_rest_is_kept_when_it_is_long_enough():
    kept = table_of(recording("a", imu(450)), window_s=4.0, min_s=1.0)
    assert kept.num_rows[:, 0].tolist() == [200, 200, 50]
    assert kept.end_s[-1] == pytest.approx(9.0)
    assert len(table_of(recording("a", imu(450)), window_s=4.0, min_s=1.5)) == 2


def test_an_overlapping_window_that_adds_nothing_is_not_made():
    table = table_of(recording("a", imu(300)), window_s=4.0, stride_s=2.0, min_s=0.5)
    assert table.start_s.tolist() == [0.0, 2.0]


def test_short_recordings_become_short_windows():
    table = table_of(recording("a", imu(60)), recording("b", imu(20)), window_s=4.0, min_s=1.0)
    assert table.num_rows[:, 0].tolist() == [60]
    assert table.dropped == {"pieces shorter than a window": 1}


def test_whole_recordings():
    table = table_of(
        recording("a", imu(77), features(10, offset_s=1.0)),
        recording("b", imu(501)),
        whole=True,
        streams=("imu", "clip"),
    )
    assert table.num_rows.tolist() == [[77, 10], [501, 0]]
    assert table.stream_row[1, 1] == -1
    assert table.end_s.tolist() == pytest.approx([1.0 + 9 * 0.5 + 1.0, 501 / 50])


def test_streams_of_different_rates_and_offsets_are_cut_by_the_same_seconds():
    fast = imu(1000, 100.0, name="watch", offset_s=0.5)
    slow = imu(300, 25.0, name="phone")
    table = table_of(recording("a", fast, slow), window_s=2.0)
    assert table.streams == ("watch", "phone")
    assert table.start_s.tolist() == pytest.approx([0.5, 2.5, 4.5, 6.5, 8.5])
    assert table.start_row[1].tolist() == [200, 62]
    assert table.num_rows[1].tolist() == [200, 50]


def test_any_overlap_keeps_windows_with_one_stream():
    long, short = imu(1000, 50.0, name="watch"), imu(250, 50.0, name="phone")
    every = table_of(recording("a", long, short), window_s=2.0, overlap="any")
    assert len(every) == 10
    assert (every.stream_row[:, 1] >= 0).tolist() == [True] * 3 + [False] * 7
    assert every.num_rows[2, 1] == 50
    assert len(table_of(recording("a", long, short), window_s=2.0)) == 2


def test_drift_stretches_the_stream_on_the_clock():
    table = table_of(recording("a", imu(10_000, 100.0, drift_ppm=10_000.0)), window_s=10.0)
    assert table.num_rows[0, 0] == int(10.0 * 100.0 / 1.01)
    assert table.start_row[5, 0] == round(50.0 * 100.0 / 1.01)


def test_feature_rows_belong_to_the_window_that_holds_their_middle():
    stream = features(40, window_s=1.0, stride_s=0.5)
    table = table_of(recording("a", imu(1000), stream), window_s=2.0, streams=("imu", "clip"))
    middles = (np.arange(40) * 0.5) + 0.5
    for k in range(len(table)):
        first, count = table.start_row[k, 1], table.num_rows[k, 1]
        inside = (middles >= table.start_s[k]) & (middles < table.end_s[k])
        assert np.flatnonzero(inside).tolist() == list(range(first, first + count))


def test_sparse_features_give_the_nearest_row():
    stream = features(6, window_s=4.0, stride_s=4.0)
    table = table_of(recording("a", imu(1200), stream), window_s=1.0, streams=("imu", "clip"))
    assert (table.num_rows[:, 1] == 1).all()
    assert table.start_row[[0, 3, 5, 21], 1].tolist() == [0, 0, 1, 5]


def test_separate_streams_become_samples_under_one_name():
    pair = recording("a", imu(200, name="wrist"), imu(400, name="waist"))
    table = table_of(pair, window_s=2.0, separate=True)
    assert table.streams == ("imu",)
    assert table.stream_row[:, 0].tolist() == [0, 0, 1, 1, 1, 1]
    assert table.recording.tolist() == [0] * 6


def test_a_stream_with_too_few_measured_values_is_absent():
    stream = imu(400)
    samples = stream.samples_TC.copy()
    samples[90:200] = np.nan
    from dataclasses import replace

    from otolith.recordings import Quality

    gappy = replace(stream, samples_TC=samples, quality=Quality(valid_fraction=0.7))
    table = table_of(recording("a", gappy), window_s=2.0)
    assert table.start_s.tolist() == [0, 4, 6]
    assert table.dropped == {"windows without enough measured values": 1}
    assert len(table_of(recording("a", gappy), window_s=2.0, min_measured=0.95)) == 2


def test_recordings_without_the_stream_are_counted():
    table = table_of(
        recording("a", imu(200, name="wrist")),
        recording("b", imu(200, name="ankle")),
        window_s=2.0,
        streams=("ankle",),
    )
    assert table.recording.tolist() == [1, 1]
    assert table.dropped == {"recordings without the streams": 1}


def test_mistakes_are_named():
    with pytest.raises(ConfigError, match='No recording has a stream "wirst".*"wrist"'):
        table_of(recording("a", imu(200, name="wrist")), streams=("wirst",))
    with pytest.raises(DataError, match="No window of 60 s .* lasts 4 s"):
        table_of(recording("a", imu(200)), window_s=60.0)
    with pytest.raises(DataError, match="hold no motion stream"):
        table_of(recording("a", features(9)))
    with pytest.raises(ConfigError, match="no data"):
        build([], WindowSpec())


def test_a_recording_that_is_not_there_is_named():
    from dataclasses import replace

    part = replace(part_of([recording("a", imu(500))]), recording_ids=("a", "zz"))
    with pytest.raises(DataError, match="no recording zz"):
        build([part], WindowSpec())


def test_spread_concatenates_ranges():
    got = spread(np.asarray([3, 10, 7]), np.asarray([2, 0, 3]))
    assert got.tolist() == [3, 4, 7, 8, 9]
    assert len(spread(np.zeros(0, int), np.zeros(0, int))) == 0
