import dataclasses

import numpy as np
import pytest
import torch
from tests.support.tsfm_data import make_batch

from otolith.core.config import parse, to_plain
from otolith.core.errors import ConfigError, DataError
from otolith.core.randomness import sample_keys
from otolith.encoders._imu_patches import Config, PatchProcessor, PatchRange
from otolith.signals.patches import cut_patches, normalise_patches, resize_patches


def test_values_are_those_of_the_single_steps():
    stream = make_batch((200, 130), (6, 6)).streams["imu"]
    got = PatchProcessor(Config(patch_s=1.3))(stream)
    assert got.mask_BP.tolist() == [[True] * 3, [True, True, False]]
    for i, count in enumerate((3, 2)):
        cut = cut_patches(stream.values[i], 50.0, 1.3)[:count]
        expected = normalise_patches(resize_patches(cut, 64)).values
        torch.testing.assert_close(got.values_BPNC[i, :count], expected, atol=1e-5, rtol=1e-5)


def test_rates_differ_within_a_batch():
    stream = make_batch((100, 100), (3, 3), rate_hz=(50.0, 25.0)).streams["imu"]
    got = PatchProcessor(Config(patch_s=1.0))(stream)
    assert got.mask_BP.sum(1).tolist() == [2, 4]
    assert got.patch_s_B.tolist() == [1.0, 1.0]


def test_a_short_window_is_one_patch_of_its_whole_length():
    stream = make_batch((30, 100), (3, 3)).streams["imu"]
    got = PatchProcessor(Config(patch_s=1.0))(stream)
    assert got.mask_BP.tolist() == [[True, False], [True, True]]
    assert got.patch_s_B.tolist() == [0.6, 1.0]
    expected = normalise_patches(resize_patches(stream.values[:1, :30], 64)).values
    torch.testing.assert_close(got.values_BPNC[0, :1], expected, atol=1e-5, rtol=1e-5)


def test_a_window_without_data_has_no_patch():
    stream = make_batch((50, 100), (3, 3)).streams["imu"]
    mask = stream.mask_BT.clone()
    mask[0] = False
    got = PatchProcessor(Config())(dataclasses.replace(stream, mask_BT=mask))
    assert got.mask_BP.tolist() == [[False, False], [True, True]]


def test_a_patch_with_a_gap_is_not_real():
    stream = make_batch((150,), (3,)).streams["imu"]
    mask = stream.mask_BT.clone()
    mask[0, 60:63] = False
    got = PatchProcessor(Config())(dataclasses.replace(stream, mask_BT=mask))
    assert got.mask_BP.tolist() == [[True, False, True]]


def test_what_lies_in_the_padding_never_matters():
    stream = make_batch().streams["imu"]
    loud = torch.where(stream.mask_BT[:, :, None], stream.values, 1e6)
    loud = torch.where(stream.channel_mask_BC[:, None, :], loud, -1e6)
    processor = PatchProcessor(Config(patch_s=0.9))
    first, second = processor(stream), processor(dataclasses.replace(stream, values=loud))
    assert torch.equal(first.values_BPNC, second.values_BPNC)
    assert torch.equal(first.mask_BP, second.mask_BP)


def test_durations_differ_between_data_sets():
    stream = make_batch((200, 200), (3, 3)).streams["imu"]
    processor = PatchProcessor(Config(patch_s=1.0, patch_s_by_dataset={"slow": 2.0}))
    assert processor(stream, ("slow", "other")).mask_BP.sum(1).tolist() == [2, 4]


def test_max_patches_and_stride():
    stream = make_batch((200,), (3,)).streams["imu"]
    assert PatchProcessor(Config(max_patches=3, on_long_window="cut"))(stream).mask_BP.shape == (
        1,
        3,
    )
    got = PatchProcessor(Config(stride_s=0.5))(stream)
    assert got.mask_BP.shape == (1, 7)
    assert got.stride_s_B.tolist() == [0.5]


def test_drawn_durations_depend_on_the_key_alone():
    keys = sample_keys(0, 0, np.arange(3))
    stream = make_batch((200, 200, 200), (3, 3, 3)).streams["imu"]
    processor = PatchProcessor(Config(patch_range=PatchRange(min_s=0.5, max_s=1.5, step_s=0.25)))
    together = processor(stream, (), keys).patch_s_B
    assert torch.equal(together, processor(stream, (), keys).patch_s_B)
    alone = processor(make_batch((200,), (3,)).streams["imu"], (), keys[1:2]).patch_s_B
    assert alone[0] == together[1]
    assert processor(stream).patch_s_B.tolist() == [1.0] * 3


def test_drawn_durations_cover_the_range_and_stay_within_the_window():
    keys = sample_keys(0, 0, np.arange(64))
    processor = PatchProcessor(
        Config(patch_range_by_dataset={"toy": PatchRange(min_s=1.0, max_s=2.0, step_s=0.5)})
    )
    stream = make_batch((200,) * 64, (1,) * 64).streams["imu"]
    drawn = processor(stream, ("toy",) * 64, keys).patch_s_B
    assert set(drawn.tolist()) == {1.0, 1.5, 2.0}
    short = make_batch((80,) * 64, (1,) * 64).streams["imu"]
    assert set(processor(short, ("toy",) * 64, keys).patch_s_B.tolist()) == {1.0, 1.5}


def test_other_streams_are_refused():
    stream = make_batch((50,), (3,)).streams["imu"]
    with pytest.raises(DataError, match="motion stream"):
        PatchProcessor(Config())(dataclasses.replace(stream, values=torch.zeros(1, 50, 4, 4, 3)))


def test_settings_round_trip_and_are_checked():
    settings = Config(
        patch_s=1.5,
        patch_range=PatchRange(min_s=1.0, max_s=2.0, step_s=0.5),
        patch_s_by_dataset={"a": 2.0},
    )
    assert parse(Config, to_plain(settings)) == settings
    with pytest.raises(ConfigError, match="must be positive"):
        parse(Config, {"patch_s": 0})
    with pytest.raises(ConfigError, match="min_s <= max_s"):
        parse(Config, {"patch_range": {"min_s": 2, "max_s": 1, "step_s": 0.5}})


def test_levels_keep_what_normalising_takes_away():
    stream = make_batch((200, 130), (6, 6)).streams["imu"]
    shifted = dataclasses.replace(stream, values=stream.values * 2.0 + 5.0)
    processor = PatchProcessor(Config(patch_s=1.3))
    before, after = processor(stream), processor(shifted)
    torch.testing.assert_close(before.values_BPNC, after.values_BPNC, atol=1e-4, rtol=1e-4)
    real = before.mask_BP
    mean, spread = before.levels_BPC2[real].unbind(-1)
    new_mean, new_spread = after.levels_BPC2[real].unbind(-1)
    torch.testing.assert_close(new_mean, 2.0 * mean + 0.5, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(10**new_spread, 2.0 * 10**spread, atol=1e-3, rtol=1e-2)
    assert (before.levels_BPC2[~real] == 0).all()
    joined = before.joined(after.values_BPNC)
    torch.testing.assert_close(joined.levels_BPC2, before.levels_BPC2.repeat(2, 1, 1, 1))


def test_long_windows_are_refused_unless_cutting_is_asked_for():
    stream = make_batch((300,), (3,)).streams["imu"]
    with pytest.raises(DataError, match=r"6 patches .* on_long_window"):
        PatchProcessor(Config(max_patches=4))(stream)
    cut = PatchProcessor(Config(max_patches=4, on_long_window="cut"))(stream)
    assert cut.mask_BP.shape == (1, 4)
