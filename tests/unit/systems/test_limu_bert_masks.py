"""Spans of LIMU-BERT's pretraining: exact share, lengths, keys, masks."""

import numpy as np
import pytest
import torch

from otolith.core.config import parse
from otolith.core.errors import ConfigError
from otolith.core.randomness import sample_keys
from otolith.systems._limu_bert_masks import Config, draw_masks, spans


def keys(num, seed=0):
    return sample_keys(seed, 0, np.arange(num))


def full(num=64, pieces=1, steps=120):
    return np.ones((num, pieces, steps), dtype=bool)


@pytest.mark.parametrize(("steps", "goal"), [(120, 18), (20, 3), (7, 1), (2, 1)])
def test_the_share_of_every_piece_is_exact(steps, goal):
    hidden = spans(keys(200), full(200, 3, steps), Config())
    assert (hidden.sum(2) == goal).all()


def test_pieces_and_samples_differ():
    hidden = spans(keys(50), full(50, 2), Config())
    assert len({h.tobytes() for h in hidden.reshape(100, -1)}) == 100


def run_lengths(hidden):
    edges = np.diff(np.pad(hidden.astype(int), ((0, 0), (1, 1))), axis=1)
    return np.concatenate([np.flatnonzero(e == -1) - np.flatnonzero(e == 1) for e in edges])


def test_steps_lie_in_spans():
    lengths = run_lengths(spans(keys(500), full(500), Config())[:, 0])
    assert 3.0 < lengths.mean() < 6.0  # single draws would give about 1.2
    longest = run_lengths(spans(keys(500), full(500), Config(max_span=1))[:, 0])
    assert longest.mean() < 1.5


def test_every_place_is_hidden_about_equally_often():
    share = spans(keys(4000), full(4000, 1, 60), Config())[:, 0].mean(0)
    assert share[12:].min() > 0.11
    assert share.max() < 0.20


def test_masked_steps_are_never_chosen_and_do_not_count():
    real = full(100, 1, 40)
    real[:, :, 30:] = False
    real[:, :, 5:15] = False
    hidden = spans(keys(100), real, Config())
    assert not (hidden & ~real).any()
    assert (hidden.sum(2) == 3).all()
    real[0] = False
    assert not spans(keys(100), real, Config())[0].any()


def test_a_share_of_zero_hides_nothing():
    assert not spans(keys(9), full(9), Config(mask_share=0.0)).any()


def test_draws_depend_on_the_key_alone():
    together = draw_masks(keys(6), torch.ones(6, 50, dtype=torch.bool), 20, Config())
    mask = torch.ones(2, 40, dtype=torch.bool)
    alone = draw_masks(keys(6)[2:4], mask, 20, Config())
    assert torch.equal(alone.predicted_BN, together.predicted_BN[2:4, :40])
    assert torch.equal(alone.hidden_BN, together.hidden_BN[2:4, :40])


def test_four_pieces_in_five_are_hidden():
    masks = draw_masks(keys(2000), torch.ones(2000, 20, dtype=torch.bool), 20, Config())
    share = masks.hidden_BN.any(1).float().mean()
    assert 0.77 < share < 0.83
    assert not (masks.hidden_BN & ~masks.predicted_BN).any()
    whole = masks.hidden_BN.any(1)
    assert torch.equal(masks.hidden_BN[whole], masks.predicted_BN[whole])


@pytest.mark.parametrize("settings", [{"mask_share": 2}, {"max_span": 0}, {"stop_share": 0}])
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ConfigError):
        parse(Config, settings)
