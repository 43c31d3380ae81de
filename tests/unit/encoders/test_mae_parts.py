"""Parts of masked autoencoders against plain forms."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from otolith.core.config import parse
from otolith.core.errors import ConfigError, DataError
from otolith.core.randomness import sample_keys
from otolith.encoders import _mae, _mae_decoder, _mae_masks, _mae_window

KEYS = sample_keys(0, 0, np.arange(6))


def test_patch_embedding_is_a_convolution_with_its_stride():
    torch.manual_seed(0)
    image = torch.randn(2, 3, 8, 12)
    layer = _mae.PatchEmbedding(3, 4, 16)
    expected = F.conv2d(image, layer.weight, layer.bias, stride=4).flatten(2).transpose(1, 2)
    torch.testing.assert_close(layer(_mae.patchify(image, 4)), expected, atol=1e-5, rtol=1e-5)


def test_patches_are_put_together_again():
    image = torch.randn(2, 5, 8, 12)
    assert torch.equal(_mae.unpatchify(_mae.patchify(image, 4), (2, 3), 4), image)
    with pytest.raises(DataError, match="8 x 12"):
        _mae.patchify(image, 5)


def test_positions_tell_every_place_apart():
    table = _mae.sine_positions((8, 20), 64)
    assert table.shape == (161, 64)
    assert not table[0].any()
    assert torch.cdist(table[1:], table[1:]).fill_diagonal_(1.0).min() > 0.1


def test_drop_path_leaves_out_parts_of_samples_while_training():
    torch.manual_seed(0)
    block = _mae.Block(16, 4, 32, drop_path=0.5)
    x = torch.randn(64, 3, 16)
    assert torch.equal(block.eval()(x), block(x))
    unchanged = (block.train()(x) == x).flatten(1).all(1).float().mean()
    assert 0.1 < float(unchanged) < 0.45
    rates = [b.drop_path for b in _mae.make_blocks(3, 8, 2, 8, norm_eps=1e-6, drop_path=0.3)]
    assert rates == pytest.approx([0.0, 0.15, 0.3])


@pytest.mark.parametrize("kind", ["random", "time", "frequency", "grid"])
def test_masks_are_a_division_that_keys_alone_decide(kind):
    config = _mae_masks.Config(kind=kind, share=0.7, time_share=0.4, frequency_share=0.25)
    found = _mae_masks.draw_masking(KEYS, (8, 20), config)
    assert torch.equal(found.order.sort(1).values, torch.arange(160).expand(6, -1))
    assert found.hidden.sum(1).unique().numel() == 1
    some = _mae_masks.draw_masking(KEYS[2:4], (8, 20), config)
    assert torch.equal(some.keep_BK, found.keep_BK[2:4])
    tokens = torch.randn(6, 160, 4)
    moved = _mae.select_tokens(tokens, found.order)
    assert torch.equal(_mae.select_tokens(moved, found.restore), tokens)
    grid = found.hidden.view(6, 8, 20)
    if kind == "time":
        assert (grid.all(1).sum(1) == 8).all()
        assert (grid.any(1) == grid.all(1)).all()
    if kind == "frequency":
        assert (grid.all(2).sum(1) == 2).all()
        assert (grid.any(2) == grid.all(2)).all()
    if kind == "grid":
        assert ((~grid).any(2).sum(1) == 6).all()
        assert ((~grid).any(1).sum(1) == 12).all()


def test_other_purposes_and_other_samples_get_other_masks():
    config = _mae_masks.Config(share=0.5)
    one = _mae_masks.draw_masking(KEYS, (8, 20), config).hidden
    other = _mae_masks.draw_masking(KEYS, (8, 20), config, "second").hidden
    assert not torch.equal(one, other)
    assert not torch.equal(one[0], one[1])


def test_window_attention_is_attention_with_a_mask_over_the_whole_grid():
    """A shifted window block, against scores of all pairs of tokens."""
    torch.manual_seed(1)
    grid, window, shift = (8, 8), (4, 4), (2, 0)
    block = _mae_window.WindowBlock(16, 2, 32, grid, window, shift).eval()
    torch.nn.init.normal_(block.attention.position_bias.output.weight)
    x = torch.randn(2, 64, 16)
    rows = torch.arange(64) // 8
    columns = torch.arange(64) % 8
    place = (rows - shift[0]) % 8  # row of a token after the shift
    same = (place // 4)[:, None] == (place // 4)[None]
    same &= (columns // 4)[:, None] == (columns // 4)[None]
    wrapped = rows < shift[0]  # these rows come round to the last window
    same &= wrapped[:, None] == wrapped[None]
    attention = block.attention
    q, k, v = attention.qkv(x).view(2, 64, 3, 2, 8).permute(2, 0, 3, 1, 4)
    cosine = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-1, -2)
    inner = (place % 4) * 4 + columns % 4
    scores = cosine + attention.position_bias()[:, inner][:, :, inner]
    weights = scores.masked_fill(~same, -torch.inf).softmax(-1)
    attended = attention.out((weights @ v).transpose(1, 2).flatten(2))
    expected = x + block.attention_norm(attended)
    expected = expected + block.feedforward_norm(block.feedforward(expected))
    torch.testing.assert_close(block(x), expected, atol=1e-5, rtol=1e-5)


def test_a_side_that_one_window_fills_is_not_shifted():
    block = _mae_window.WindowBlock(16, 2, 32, (3, 8), (4, 4), (2, 1))
    assert block.window == (3, 4)
    assert block.shift == (0, 1)
    with pytest.raises(ConfigError, match="6 x 8"):
        _mae_window.WindowBlock(16, 2, 32, (6, 8), (4, 4), (0, 0))


def decoder(kind="plain", context=0):
    torch.manual_seed(0)
    config = _mae_decoder.Config(kind=kind, width=16, num_heads=2, num_layers=2)
    return _mae_decoder.Decoder(config, 12, (4, 8), 48, context).eval()


@pytest.mark.parametrize("kind", ["plain", "window"])
def test_decoder_predicts_hidden_patches_as_it_does_all(kind):
    made = decoder(kind)
    masking = _mae_masks.draw_masking(KEYS[:2], (4, 8), _mae_masks.Config(share=0.5))
    visible = torch.randn(2, 17, 12)
    whole = made(visible, masking)
    part = made(visible, masking, only_hidden=True)
    torch.testing.assert_close(part, _mae.select_tokens(whole, masking.hide_BM))


def test_context_is_joined_to_every_token():
    made = decoder(context=5)
    visible, context = torch.randn(2, 4, 12), torch.randn(2, 5)
    joined = torch.cat([visible, context[:, None].expand(-1, 4, -1)], dim=2)
    torch.testing.assert_close(made.embed(visible, context), made.embedding(joined))
    with pytest.raises(DataError, match="width 5"):
        made.embed(visible, None)
    with pytest.raises(DataError, match="width 0"):
        decoder().embed(visible, context)


def test_frozen_decoder_keeps_its_first_layer_free():
    made = decoder("window")
    made.train()
    made.freeze()
    free = {n.split(".")[0] for n, p in made.named_parameters() if p.requires_grad}
    assert free == {"mask_token", "embedding"}
    assert not made.blocks.training


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="num_heads"):
        parse(_mae_decoder.Config, {"width": 20, "num_heads": 8})
