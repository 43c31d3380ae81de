import numpy as np
import pytest
import torch

from otolith.core.config import parse
from otolith.core.errors import ConfigError
from otolith.core.randomness import sample_keys
from otolith.systems._evi_masks import (
    Config,
    TokenMask,
    draw_imu,
    draw_nodes,
    draw_video,
    from_noise,
    require_both_parts,
)

KEYS = sample_keys(0, 0, np.arange(6))


def test_noise_keeps_the_smallest_in_order():
    noise = torch.tensor([[0.5, 0.1, 0.9, 0.3]])
    mask = from_noise(noise, 0.5)
    assert mask.keep_BK.tolist() == [[1, 3]]
    assert mask.hidden_table.tolist() == [[True, False, True, False]]
    joined = torch.cat([mask.keep_BK, mask.hidden_BM], 1)
    assert joined.gather(1, mask.restore_order).tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize("kind", ["unstructured", "time", "frequency", "time_frequency"])
def test_the_share_of_motion_is_kept_in_every_kind(kind):
    mask = draw_imu(KEYS, (8, 20), Config(imu_kind=kind))
    assert mask.keep_BK.shape == (6, 40)
    table = mask.hidden_table.view(6, 8, 20)
    whole_columns, whole_rows = table.all(1).sum(1), table.all(2).sum(1)
    if kind == "time":
        assert (whole_columns >= 15).all()
    if kind == "frequency":
        assert (whole_rows >= 6).all()
    if kind == "time_frequency":
        assert (whole_columns >= 10).all()
        assert (whole_rows >= 4).all()


def test_what_rows_and_columns_hide_too_much_is_shown_at_random():
    """Half of 8 x 20: 2 rows and 7 columns hide 82 of 160, so 2 of theirs are visible."""
    keys = sample_keys(0, 0, np.arange(100))
    mask = draw_imu(keys, (8, 20), Config(imu_kind="time_frequency", imu_ratio=0.5))
    visible = ~mask.hidden_table.view(100, 8, 20)
    assert (visible.sum((1, 2)) == 80).all()
    extra = visible & (visible.sum(2, keepdim=True) <= 2)
    assert len(set(extra.nonzero()[:, 2].tolist())) > 10


def test_masks_that_hide_everything_or_nothing_are_refused():
    for count, text in ((0, "0 of 4"), (4, "4 of 4")):
        order = torch.arange(4)[None]
        mask = TokenMask(keep_BK=order[:, :count], hidden_BM=order[:, count:])
        with pytest.raises(ConfigError, match=f"imu_ratio leaves {text} tokens"):
            require_both_parts(mask, "imu_ratio")


def test_video_in_tubes_and_without():
    tubes = draw_video(KEYS, (8, 14, 14), Config()).hidden_table.view(6, 8, 196)
    assert (tubes == tubes[:, :1]).all()
    assert (tubes.sum(2) == 176).all()
    free = draw_video(KEYS, (8, 14, 14), Config(video_kind="unstructured"))
    assert free.keep_BK.shape == (6, 156)
    slots = free.hidden_table.view(6, 8, 196)
    assert not (slots == slots[:, :1]).all()


def test_a_sample_hides_the_same_in_any_batch():
    settings = Config()
    for draw, grid in ((draw_imu, (8, 20)), (draw_video, (8, 4, 4))):
        whole, part = draw(KEYS, grid, settings), draw(KEYS[2:4], grid, settings)
        assert torch.equal(whole.keep_BK[2:4], part.keep_BK)
    there = torch.ones(6, 4, dtype=torch.bool)
    assert torch.equal(
        draw_nodes(KEYS, there, settings)[2:4], draw_nodes(KEYS[2:4], there[2:4], settings)
    )


def test_sensors_are_hidden_per_sample_or_per_batch():
    there = torch.ones(6, 4, dtype=torch.bool)
    assert (draw_nodes(KEYS, there, Config()).sum(1) == 2).all()
    together = draw_nodes(KEYS, there, Config(nodes_per="batch"))
    assert together.sum() == 12
    assert len(set(together.sum(1).tolist())) > 1


def test_missing_sensors_are_not_hidden_and_one_alone_stays():
    there = torch.tensor([[True, False, False, False], [True, True, False, True]] * 3)
    hidden = draw_nodes(KEYS, there, Config())
    assert not (hidden & ~there).any()
    assert hidden.sum(1).tolist() == [0, 1] * 3


def test_ratios_are_checked():
    with pytest.raises(ConfigError, match="imu_ratio"):
        parse(Config, {"imu_ratio": 1.0})
