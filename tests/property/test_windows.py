"""Windows, batches and orders keep their promises for any data."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.windows_data import SIX, features, imu, part_of, recording

from otolith.windows.dataset import WindowDataset
from otolith.windows.sampling import GlobalBatchSampler
from otolith.windows.table import WindowSpec
from otolith.windows.transforms import Augment, Augmenter

EVERY_STEP = Augment(
    steps={
        "jitter": 0.7,
        "scale": 0.7,
        "time_shift": 0.7,
        "channel_shuffle": 0.5,
        "rotation_3d": 0.7,
        "time_warp": 0.7,
        "magnitude_warp": 0.7,
        "resample": 0.7,
        "channel_dropout": 0.7,
        "mirror": 0.5,
        "speed": 0.5,
        "spectral_tilt": 0.5,
        "dynamic_gain": 0.5,
        "balance": 0.5,
        "sensor_noise": 0.5,
        "crop": 0.5,
        "gyro_dropout": 0.5,
        "gravity_removal": 0.5,
        "low_pass": 0.5,
        "decimate": 0.5,
    }
)


def mixed_part():
    """Streams of several rates and widths, some missing, some short."""
    recordings = [
        recording("a", imu(300, 50.0, seed=1), features(12, offset_s=0.3)),
        recording("b", imu(130, 20.0, channels=SIX[:3], seed=2)),
        recording("c", imu(510, 100.0, channels=SIX[2:], seed=3, offset_s=0.01)),
        recording("d", imu(33, 20.0, seed=4), features(3)),
    ]
    return part_of(recordings)


SPEC = WindowSpec(
    window_s=1.5, stride_s=0.9, min_s=0.4, label_rule="none", streams=("imu", "clip"), overlap="any"
)
DATASET = WindowDataset([mixed_part()], SPEC, seed=9, transform=Augmenter(EVERY_STEP))


def close(a, b):
    torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(0, len(DATASET) - 1), min_size=2, max_size=9),
    st.integers(0, 3),
    st.data(),
)
def test_a_sample_does_not_depend_on_the_others(ids, epoch, data):
    row = data.draw(st.integers(0, len(ids) - 1))
    together = DATASET.batch(np.asarray(ids), epoch)
    alone = DATASET.batch(np.asarray(ids[row : row + 1]), epoch)
    assert together.names[row] == alone.names[0]
    for name, stream in together.streams.items():
        single = alone.streams[name]
        time, width = single.values.shape[1:]
        close(stream.values[row, :time, :width], single.values[0])
        assert torch.equal(stream.mask_BT[row, :time], single.mask_BT[0])
        assert not stream.mask_BT[row, time:].any()
        assert (stream.values[row, time:] == 0).all()
        assert (stream.values[row, :, width:] == 0).all()
        assert stream.rate_hz_B[row] == single.rate_hz_B[0]
        assert stream.start_s_B[row] == single.start_s_B[0]
        if stream.channels:
            assert stream.channels[row] == single.channels[0]
            assert torch.equal(stream.channel_mask_BC[row, :width], single.channel_mask_BC[0])


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 400),
    st.sampled_from([10.0, 20.3, 31.25, 50.0, 100.0]),
    st.floats(0.2, 4.0),
    st.floats(0.1, 5.0),
    st.floats(0.0, 1.0),
    st.floats(0.0, 2.0),
)
def test_windows_stay_inside_their_recording(
    num_rows, rate_hz, window_s, stride_s, min_s, offset_s
):
    long = recording("long", imu(2000, 50.0))
    short = recording("short", imu(num_rows, rate_hz, offset_s=offset_s))
    spec = WindowSpec(window_s=window_s, stride_s=stride_s, min_s=min_s, label_rule="none")
    table = WindowDataset([part_of([long, short])], spec).table
    mine = table.select(table.recording == 1)
    first, count = mine.start_row[:, 0], mine.num_rows[:, 0]
    assert (first >= 0).all()
    assert (count > 0).all()
    assert (first + count <= num_rows).all()
    length_s = mine.end_s - mine.start_s
    assert (length_s <= window_s + 1e-6).all()
    assert (np.abs(first / rate_hz + offset_s - mine.start_s) <= 0.5 / rate_hz + 1e-6).all()
    full = length_s >= window_s - 1e-6
    assert (count[full] == max(1, int(window_s * rate_hz + 1e-6))).all()
    if min_s == 0:
        assert full.all()
    np.testing.assert_allclose(np.diff(mine.start_s), stride_s, atol=1e-6)


@settings(deadline=None)
@given(
    st.integers(8, 300),
    st.integers(4, 40),
    st.integers(0, 99),
    st.integers(0, 5),
    st.booleans(),
    st.booleans(),
    st.data(),
)
def test_processes_and_resuming_see_the_same_global_batches(
    num_samples, batch_size, seed, epoch, is_weighted, has_buckets, data
):
    batch_size = min(batch_size, num_samples)
    weights = np.arange(num_samples) + 1.0 if is_weighted else None
    buckets = np.arange(num_samples) % 2 if has_buckets and is_weighted else None

    def shares(rank, world_size, start=0):
        sampler = GlobalBatchSampler(
            num_samples,
            batch_size,
            seed=seed,
            shuffle=True,
            weights=weights,
            buckets=buckets,
            rank=rank,
            world_size=world_size,
            drop_last=batch_size < 8,
        )
        sampler.set_epoch(epoch)
        sampler.set_start(start)
        return [request.ids for request in sampler]

    single = shares(0, 1)
    for world_size in (2, 4):
        parts = [shares(rank, world_size) for rank in range(world_size)]
        for number, whole in enumerate(single):
            joined = np.zeros_like(whole)
            for rank in range(world_size):
                assert len(parts[rank][number]) > 0
                joined[rank::world_size] = parts[rank][number]
            np.testing.assert_array_equal(joined, whole)
    start = data.draw(st.integers(0, len(single)))
    rest = shares(0, 1, start)
    assert len(rest) == len(single) - start
    for a, b in zip(rest, single[start:], strict=True):
        np.testing.assert_array_equal(a, b)
