"""Resampling a batch of any rates to one time grid."""

import pytest
import torch
from tests.support.limu_data import window_batch

from otolith.core.errors import DataError
from otolith.encoders._imu_steps import (
    mean_over,
    motion_stream,
    shared_rate_hz,
    time_grid,
    to_rate,
)


def wave(rate_hz, duration_s, frequency_hz=1.0):
    times = torch.arange(round(rate_hz * duration_s)) / rate_hz
    return torch.sin(2 * torch.pi * frequency_hz * times)[:, None].expand(-1, 2).float()


def padded(signals):
    longest = max(len(s) for s in signals)
    values = torch.full((len(signals), longest, 2), 99.0)
    for row, signal in zip(values, signals, strict=True):
        row[: len(signal)] = signal
    lengths = torch.tensor([len(s) for s in signals])
    return values, torch.arange(longest) < lengths[:, None]


def test_a_signal_at_several_rates_becomes_the_same_steps():
    rates = [20.0, 50.0, 100.0, 37.0, 50.0]
    values, mask = padded([wave(r, 4.0) for r in rates])
    steps, steps_mask = to_rate(values, mask, torch.tensor(rates, dtype=torch.float64), 20.0)
    assert steps.shape == (5, 80, 2)
    assert steps_mask.all()
    inner = steps[:, 10:-10]
    assert (inner - inner[:1]).abs().max() < 0.01


def test_what_would_alias_is_removed():
    values, mask = padded([wave(100.0, 8.0, frequency_hz=19.0)])
    steps, _ = to_rate(values, mask, torch.tensor([100.0]), 20.0)
    assert steps[:, 40:-40].abs().max() < 1e-3


def test_padding_changes_nothing_and_is_masked():
    rates = torch.tensor([50.0, 50.0, 25.0], dtype=torch.float64)
    values, mask = padded([wave(50.0, 4.0), wave(50.0, 2.2), wave(25.0, 3.0)])
    steps, steps_mask = to_rate(values, mask, rates, 20.0)
    assert steps_mask.sum(1).tolist() == [80, 44, 60]
    alone, _ = to_rate(values[1:2, :110], mask[1:2, :110], rates[1:2], 20.0)
    torch.testing.assert_close(steps[1, :44], alone[0])
    assert steps[1, 44:].eq(0).all()


def test_a_gap_is_masked_on_the_grid():
    values, mask = padded([wave(100.0, 4.0)])
    mask[0, 100:200] = False
    steps, steps_mask = to_rate(values, mask, torch.tensor([100.0]), 20.0)
    assert not steps_mask[0, 21:39].any()
    assert steps_mask[0, :20].all()
    assert steps_mask[0, 41:].all()
    assert steps[0, 25].eq(0).all()


def test_without_a_rate_nothing_is_resampled():
    values, mask = padded([wave(50.0, 1.0), wave(30.0, 1.0)])
    steps, steps_mask = to_rate(values, mask, torch.tensor([50.0, 30.0]), None)
    assert torch.equal(steps_mask, mask)
    assert torch.equal(steps[mask], values[mask])


def test_a_window_without_any_real_step_is_masked():
    values, mask = padded([wave(50.0, 1.0), wave(50.0, 1.0)])
    mask[1] = False
    steps, steps_mask = to_rate(values, mask, torch.tensor([50.0, 50.0]), 20.0)
    assert not steps_mask[1].any()
    assert steps[1].eq(0).all()


def test_mixed_precision_does_not_touch_the_signal():
    values, mask = padded([wave(50.0, 2.0)])
    exact, _ = to_rate(values, mask, torch.tensor([50.0]), 20.0)
    with torch.autocast("cpu", torch.bfloat16):
        same, _ = to_rate(values, mask, torch.tensor([50.0]), 20.0)
    assert torch.equal(exact, same)


def test_grid_and_mean():
    assert shared_rate_hz(torch.tensor([50.0, 50.0])) == 50.0
    assert shared_rate_hz(torch.tensor([50.0, 20.0])) is None
    assert time_grid(7, 20.0).seconds_per_step == 0.05
    assert time_grid(7, None).seconds_per_step is None
    features = torch.tensor([[[1.0], [3.0], [100.0]], [[5.0], [5.0], [5.0]]])
    mask = torch.tensor([[True, True, False], [False, False, False]])
    assert mean_over(features, mask).tolist() == [[2.0], [0.0]]


def test_a_missing_stream_is_named():
    streams = window_batch(torch.zeros(1, 5, 6)).streams
    assert motion_stream(streams, "imu") is streams["imu"]
    with pytest.raises(DataError, match='no stream "wrist"'):
        motion_stream(streams, "wrist")
