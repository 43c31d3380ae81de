"""What changes of test windows keep, whatever the windows are."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from otolith.benchmark import _changes as changes
from otolith.recordings.recording import Channel
from otolith.windows.batch import Batch, StreamBatch

SIX = tuple(Channel.from_name(f"{s}_{a}") for s in ("acc", "gyro") for a in "xyz")
ALL = {
    "mounting": changes.turn,
    "rate": changes.AtRate(33.0),
    "no gyroscope": changes.without_gyroscope,
    "axes": changes.WithoutSome(0.3, "axis"),
    "sensors": changes.WithoutSome(0.3, "sensor"),
    "noise": changes.WithNoise(0.5, 0.1),
    "mirrored": changes.Mirrored("y"),
}


def batch_of(lengths, rates, seed=0, recordings=None):
    """Random windows of six channels."""
    generator = np.random.default_rng(seed)
    num, time = len(lengths), max(lengths)
    mask = torch.arange(time)[None] < torch.tensor(lengths)[:, None]
    values = torch.from_numpy(generator.normal(size=(num, time, 6))).float() * mask[..., None]
    names = recordings or [f"r{i}" for i in range(num)]
    stream = StreamBatch(
        values=values,
        mask_BT=mask,
        rate_hz_B=torch.tensor(rates, dtype=torch.float64),
        start_s_B=torch.zeros(num, dtype=torch.float64),
        channel_mask_BC=torch.ones(num, 6, dtype=torch.bool),
        channels=(SIX,) * num,
    )
    return Batch(
        streams={"imu": stream},
        ids=torch.arange(num),
        names=tuple(f"toy/{name}@{i}.000" for i, name in enumerate(names)),
    )


windows = st.lists(
    st.tuples(st.integers(20, 60), st.sampled_from([20.0, 25.0, 50.0])), min_size=1, max_size=5
)


def changed(change, batch, seed=0):
    return changes.OnStreams(change, seed)(batch).streams["imu"]


def row(batch, i):
    """One window as a batch of its own."""
    stream = batch.streams["imu"]
    one = dataclasses.replace(
        stream,
        values=stream.values[i : i + 1],
        mask_BT=stream.mask_BT[i : i + 1],
        rate_hz_B=stream.rate_hz_B[i : i + 1],
        start_s_B=stream.start_s_B[i : i + 1],
        channel_mask_BC=stream.channel_mask_BC[i : i + 1],
        channels=stream.channels[i : i + 1],
    )
    return dataclasses.replace(
        batch, streams={"imu": one}, ids=batch.ids[i : i + 1], names=batch.names[i : i + 1]
    )


@pytest.mark.parametrize("name", sorted(ALL))
@settings(max_examples=15, deadline=None)
@given(sizes=windows, seed=st.integers(0, 5))
def test_padding_stays_zero_and_inputs_stay_untouched(name, sizes, seed):
    batch = batch_of([n for n, _ in sizes], [r for _, r in sizes], seed)
    before = batch.streams["imu"].values.clone()
    stream = changed(ALL[name], batch, seed)
    assert torch.equal(batch.streams["imu"].values, before)
    assert (stream.values[~stream.mask_BT] == 0).all()
    assert (stream.values * ~stream.channel_mask_BC[:, None] == 0).all()
    assert stream.channel_mask_BC.any(1).all()
    assert torch.isfinite(stream.values).all()


@pytest.mark.parametrize("name", sorted(ALL))
@settings(max_examples=10, deadline=None)
@given(sizes=windows, seed=st.integers(0, 5))
def test_a_window_does_not_depend_on_its_batch(name, sizes, seed):
    batch = batch_of([n for n, _ in sizes], [r for _, r in sizes], seed)
    whole = changed(ALL[name], batch, seed)
    last = len(sizes) - 1
    alone = changed(ALL[name], row(batch, last), seed)
    count = int(alone.mask_BT.sum())
    assert int(whole.mask_BT[last].sum()) == count
    np.testing.assert_allclose(
        whole.values[last, :count].numpy(), alone.values[0, :count].numpy(), atol=2e-5
    )


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 50))
def test_mounting_keeps_lengths_and_is_one_per_recording(seed):
    batch = batch_of([30, 30, 30], [20.0] * 3, seed, ["a", "a", "b"])
    before = batch.streams["imu"].values
    after = changed(changes.turn, batch, seed).values
    for columns in (slice(0, 3), slice(3, 6)):
        np.testing.assert_allclose(
            before[..., columns].norm(dim=-1), after[..., columns].norm(dim=-1), atol=1e-4
        )
    turns = [
        np.linalg.lstsq(before[i, :, :3].numpy(), after[i, :, :3].numpy(), rcond=None)[0]
        for i in range(3)
    ]
    np.testing.assert_allclose(turns[0], turns[1], atol=1e-3)
    assert np.abs(turns[0] - turns[2]).max() > 1e-2
    np.testing.assert_allclose(np.linalg.det(turns[0]), 1.0, atol=1e-3)
    np.testing.assert_allclose(
        np.linalg.lstsq(before[0, :, 3:].numpy(), after[0, :, 3:].numpy(), rcond=None)[0],
        turns[0],
        atol=1e-3,
    )


@settings(max_examples=20, deadline=None)
@given(rate=st.sampled_from([10.0, 20.0, 50.0, 100.0, 200.0]), old=st.sampled_from([20.0, 50.0]))
def test_a_rate_keeps_seconds_and_constants(rate, old):
    batch = batch_of([int(4 * old)], [old])
    batch.streams["imu"].values[:] = 3.0
    stream = changed(changes.AtRate(rate), batch)
    assert stream.rate_hz_B.tolist() == [rate]
    assert int(stream.mask_BT.sum()) == round(4 * rate)
    np.testing.assert_allclose(stream.values.numpy(), 3.0, atol=1e-5)


def test_the_same_rate_changes_nothing():
    batch = batch_of([40, 60], [20.0, 20.0])
    stream = changed(changes.AtRate(20.0), batch)
    assert torch.equal(stream.values, batch.streams["imu"].values)
    assert torch.equal(stream.mask_BT, batch.streams["imu"].mask_BT)


def test_without_gyroscope_keeps_acceleration():
    batch = batch_of([20], [20.0])
    stream = changed(changes.without_gyroscope, batch)
    assert stream.channel_mask_BC.tolist() == [[True] * 3 + [False] * 3]
    assert torch.equal(stream.values[..., :3], batch.streams["imu"].values[..., :3])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 100), unit=st.sampled_from(["axis", "sensor"]))
def test_missing_channels_are_the_recordings(seed, unit):
    batch = batch_of([20] * 4, [20.0] * 4, 0, ["a", "b", "a", "b"])
    mask = changed(changes.WithoutSome(0.5, unit), batch, seed).channel_mask_BC
    assert torch.equal(mask[0], mask[2])
    if unit == "sensor":
        assert (mask[:, :3].all(1) | ~mask[:, :3].any(1)).all()


def test_mirroring_twice_is_nothing():
    batch = batch_of([25], [20.0])
    once = changed(changes.Mirrored("y"), batch)
    assert not torch.equal(once.values, batch.streams["imu"].values)
    twice = changed(changes.Mirrored("y"), dataclasses.replace(batch, streams={"imu": once}))
    assert torch.equal(twice.values, batch.streams["imu"].values)


def test_noise_is_as_strong_as_said():
    batch = batch_of([4000], [20.0])
    stream = changed(changes.WithNoise(0.5, 0.1), batch)
    added = (stream.values - batch.streams["imu"].values)[0].std(0)
    np.testing.assert_allclose(added.numpy(), [0.5] * 3 + [0.1] * 3, rtol=0.06)
