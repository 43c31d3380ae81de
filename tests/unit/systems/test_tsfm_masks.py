import numpy as np
import pytest
import torch

from otolith.core.config import parse
from otolith.core.errors import ConfigError
from otolith.core.randomness import sample_keys
from otolith.systems._tsfm_masks import (
    CHANNEL,
    RANDOM,
    SPAN,
    Config,
    draw_masks,
    dropped_channels,
    mask_kinds,
    random_patches,
    spans,
)

KEYS = sample_keys(0, 0, np.arange(400))
REAL_BP = np.arange(12) < np.resize([12, 9, 5, 2, 1, 0], 400)[:, None]
REAL_BC = np.arange(6) < np.resize([6, 3, 1, 2], 400)[:, None]


def runs(row):
    """Lengths of runs of True."""
    text = "".join("x" if value else " " for value in row)
    return [len(part) for part in text.split()]


def test_kinds_follow_the_shares():
    kinds = mask_kinds(KEYS, Config(random_share=0.5, span_share=0.25))
    shares = np.bincount(kinds, minlength=3) / len(kinds)
    np.testing.assert_allclose(shares, [0.5, 0.25, 0.25], atol=0.07)
    assert (mask_kinds(KEYS, Config(random_share=1.0, span_share=0.0)) == RANDOM).all()
    assert (mask_kinds(KEYS, Config(random_share=0.0, span_share=1.0)) == SPAN).all()
    assert (mask_kinds(KEYS, Config(random_share=0.0, span_share=0.0)) == CHANNEL).all()


def test_one_kind_per_batch_is_that_of_the_first_sample():
    kinds = mask_kinds(KEYS, Config(kind_per="batch"))
    assert len(set(kinds.tolist())) == 1
    assert kinds[0] == mask_kinds(KEYS, Config())[0]


def test_random_patches_have_the_share_and_spare_padding():
    masked = random_patches(KEYS, REAL_BP, np.full(400, 0.3))
    assert not (masked & ~REAL_BP).any()
    assert masked.sum() / REAL_BP.sum() == pytest.approx(0.3, abs=0.03)


def test_spans_reach_the_target_and_are_spans():
    masked = spans(KEYS, REAL_BP, Config(mask_share=0.3))
    assert not (masked & ~REAL_BP).any()
    for real, row in zip(REAL_BP.sum(1), masked, strict=True):
        target = max(int(0.3 * real), 1) if real > 1 else 0
        assert target <= row.sum() <= target + 3
        assert all(length >= min(2, real) for length in runs(row))


def test_spans_stop_as_soon_as_the_target_is_reached():
    single = spans(KEYS, REAL_BP, Config(mask_share=0.01, min_span=3, max_span=3))
    full = REAL_BP.sum(1) == 12
    assert (single[full].sum(1) == 3).all()


def test_no_share_hides_nothing():
    settings = Config(mask_share=0.0, mask_share_with_channels=0.0, channel_share=0.0)
    masks = draw_masks(KEYS, torch.from_numpy(REAL_BP), torch.from_numpy(REAL_BC), settings)
    assert not masks.masked_BP.any()
    assert not masks.dropped_BC.any()


def test_dropped_channels_are_real_and_one_stays():
    dropped = dropped_channels(KEYS, REAL_BC, 0.3)
    assert not (dropped & ~REAL_BC).any()
    expected = {6: 1, 3: 1, 2: 1, 1: 0}
    assert [expected[n] for n in REAL_BC.sum(1)] == dropped.sum(1).tolist()
    assert dropped_channels(KEYS, REAL_BC, 1.0).sum(1).tolist() == (REAL_BC.sum(1) - 1).tolist()
    assert set(np.nonzero(dropped[REAL_BC.sum(1) == 6])[1].tolist()) == set(range(6))


def test_channels_are_dropped_by_their_kind_only():
    settings = Config()
    masks = draw_masks(KEYS, torch.from_numpy(REAL_BP), torch.from_numpy(REAL_BC), settings)
    kinds = torch.from_numpy(mask_kinds(KEYS, settings))
    assert not masks.dropped_BC[kinds != CHANNEL].any()
    assert masks.dropped_BC[kinds == CHANNEL].any()
    share = masks.masked_BP[kinds == CHANNEL].sum() / REAL_BP[kinds.numpy() == CHANNEL].sum()
    assert share.item() == pytest.approx(0.15, abs=0.05)


def test_a_sample_gets_its_masks_in_any_batch_and_with_any_padding():
    settings = Config()
    masks = draw_masks(KEYS, torch.from_numpy(REAL_BP), torch.from_numpy(REAL_BC), settings)
    rows = [7, 3, 11, 200]
    wider = np.pad(REAL_BP[rows], ((0, 0), (0, 5)))
    again = draw_masks(
        KEYS[rows], torch.from_numpy(wider), torch.from_numpy(REAL_BC[rows]), settings
    )
    assert torch.equal(again.masked_BP[:, :12], masks.masked_BP[rows])
    assert torch.equal(again.dropped_BC, masks.dropped_BC[rows])


def test_open_view():
    masks = draw_masks(
        KEYS[:8], torch.from_numpy(REAL_BP[:8]), torch.from_numpy(REAL_BC[:8]), Config()
    )
    both = masks.with_open_view()
    assert torch.equal(both.masked_BP[:8], masks.masked_BP)
    assert not both.masked_BP[8:].any()
    assert both.dropped_BC.shape == (16, 6)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"random_share": 0.7, "span_share": 0.7}, "must not exceed 1"),
        ({"min_span": 5, "max_span": 2}, "min_span"),
        ({"mask_share": 1.5}, "less than or equal to 1"),
    ],
)
def test_wrong_settings_are_refused(settings, text):
    with pytest.raises(ConfigError, match=text):
        parse(Config, settings)
