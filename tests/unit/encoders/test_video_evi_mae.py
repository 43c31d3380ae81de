import numpy as np
import pytest
import torch
from tests.support.evi_data import film, make_batch

from otolith.core.config import parse
from otolith.core.errors import ConfigError, DataError
from otolith.core.randomness import sample_keys
from otolith.encoders._evi_crops import centre_boxes, crop, random_boxes
from otolith.encoders.video_evi_mae import Config, Encoder


def make(**settings):
    torch.manual_seed(0)
    return Encoder(parse(Config, {"preset": "debug", **settings})).eval()


def test_shapes_and_finiteness():
    tokens = make()(make_batch())
    assert tokens.features_BND.shape == (2, 8 * 2 * 2, 16)
    assert tokens.grid.sizes == (8, 2, 2)
    assert torch.isfinite(tokens.pooled_BD).all()
    assert (Config().width, Config().depth, Config().grid) == (384, 12, (8, 14, 14))


def test_gradient_reaches_every_parameter():
    encoder = make()
    encoder(make_batch()).features_BND.square().sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())


def test_kept_tokens():
    encoder = make()
    values = encoder.prepare(make_batch())
    keep = torch.tensor([[5, 1, 30], [0, 2, 9]])
    assert encoder.encode(values, keep).shape == (2, 3, 16)


def test_long_windows_give_evenly_spread_frames():
    encoder = make()
    long = film(num_frames=32)
    values = encoder.prepare(make_batch(camera=long))
    thin = film(num_frames=16)
    thin = make_batch(camera=type(thin)(**{**vars(thin), "values": long.values[:, ::2]}))
    torch.testing.assert_close(values, encoder.prepare(thin))


def test_short_windows_are_refused_or_repeated():
    batch = make_batch(camera=film(counts=[16, 10]))
    with pytest.raises(DataError, match="toy/1 has 10 video frames, fewer than 16"):
        make().prepare(batch)
    with pytest.raises(DataError, match='no stream "camera"'):
        make().prepare(make_batch(camera=None))
    encoder = make(short="repeat")
    repeated = batch.streams["camera"].values.clone()
    repeated[1, 10:] = repeated[1, 9]
    full = make_batch(camera=type(batch.streams["camera"])(**{**vars(film()), "values": repeated}))
    torch.testing.assert_close(encoder.prepare(batch), encoder.prepare(full))


def test_crops_are_random_in_training_alone():
    batch = make_batch(camera=film(height=48, width=64))
    encoder = make()
    still = encoder.prepare(batch)
    torch.testing.assert_close(still, encoder.prepare(batch))
    moved = encoder.train().prepare(batch)
    assert (moved - still).abs().max() > 0.1
    torch.testing.assert_close(moved, encoder.prepare(batch))
    quirky = make(upstream_quirks=("random_crop_in_validation",)).eval()
    torch.testing.assert_close(quirky.prepare(batch), moved)


def test_boxes_lie_inside_and_have_neighbouring_scales():
    keys = sample_keys(0, 0, np.arange(500))
    boxes = random_boxes(keys, 240, 320, (1.0, 0.875, 0.75, 0.66))
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 0] + boxes[:, 2] <= 240).all()
    assert (boxes[:, 1] + boxes[:, 3] <= 320).all()
    sides = {240: 0, 210: 1, 180: 2, 158: 3}
    steps = np.array([[sides[int(v)] for v in row] for row in boxes[:, 2:]])
    assert (np.abs(steps[:, 0] - steps[:, 1]) <= 1).all()
    assert len(np.unique(boxes, axis=0)) > 50


def test_cropping_takes_the_box():
    frames = torch.arange(8 * 8.0).view(1, 1, 8, 8, 1)
    cut = crop(frames, np.array([[2.0, 4.0, 4.0, 4.0]]), 4)
    torch.testing.assert_close(cut[0, 0, :, :, 0], frames[0, 0, 2:6, 4:8, 0], atol=1e-4, rtol=0)
    assert centre_boxes(2, 6, 10).tolist() == [[0, 2, 6, 6]] * 2


def test_settings_have_to_fit():
    with pytest.raises(ConfigError, match="tubelet must divide"):
        parse(Config, {"size_px": 100})
