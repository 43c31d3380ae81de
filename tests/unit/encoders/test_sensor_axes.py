"""Axes are found by name, wherever their columns lie."""

import dataclasses

import pytest
import torch
from tests.support.limu_data import window_batch
from tests.support.tsfm_data import SIX

from otolith.core.errors import DataError
from otolith.encoders._sensor_axes import select_axes

BOTH = ("acc", "gyro")


def stream_of(names, **settings):
    values = torch.arange(float(len(names))).repeat(2, 4, 1)
    return window_batch(values, names=names, **settings).streams["imu"]


def test_columns_in_any_order_are_found():
    values, has = select_axes("imu", stream_of(SIX[::-1]), BOTH, needs_whole=False)
    assert values[1, 2].tolist() == [5, 4, 3, 2, 1, 0]
    assert has.all()


def test_other_channels_do_not_disturb():
    names = ("mag_x", "acc_x", "mag_y", "acc_y", "acc_z", "mag_z")
    values, has = select_axes("imu", stream_of(names), BOTH, needs_whole=False)
    assert values[0, 0, :3].tolist() == [1, 3, 4]
    assert has[0].tolist() == [True] * 3 + [False] * 3


def test_an_incomplete_triad_counts_by_axis_or_not_at_all():
    stream = stream_of(("acc_x", "acc_z", "gyro_x", "gyro_y", "gyro_z"))
    _, by_axis = select_axes("imu", stream, BOTH, needs_whole=False)
    _, whole = select_axes("imu", stream, BOTH, needs_whole=True)
    assert by_axis[0].tolist() == [True, False, True, True, True, True]
    assert whole[0].tolist() == [False] * 3 + [True] * 3


def test_a_masked_channel_is_lacking_in_that_sample_alone():
    mask = torch.ones(2, 6, dtype=torch.bool)
    mask[1, 4] = False
    _, has = select_axes("imu", stream_of(SIX, channel_mask_BC=mask), BOTH, needs_whole=False)
    assert has[0].all()
    assert has[1].tolist() == [True] * 4 + [False, True]


def test_samples_with_different_channels():
    stream = stream_of(SIX)
    other = stream_of(SIX[::-1])
    mixed = dataclasses.replace(stream, channels=(stream.channels[0], other.channels[0]))
    values, _ = select_axes("imu", mixed, BOTH, needs_whole=False)
    assert values[0, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert values[1, 0].tolist() == [5, 4, 3, 2, 1, 0]


def test_two_triads_of_one_kind_must_be_named():
    names = tuple(f"{place}_acc_{a}" for place in ("wrist", "hip") for a in "xyz")
    with pytest.raises(DataError, match="2 triads") as caught:
        select_axes("imu", stream_of(names), ("acc",), needs_whole=False)
    assert "wrist_acc" in caught.value.remedy
    values, _ = select_axes("imu", stream_of(names), ("hip_acc",), needs_whole=False)
    assert values[0, 0].tolist() == [3, 4, 5]


def test_a_stream_with_none_of_them_is_refused():
    with pytest.raises(DataError, match="none of the triads"):
        select_axes("imu", stream_of(("mag_x", "mag_y", "mag_z")), BOTH, needs_whole=False)
