import pytest
import torch

from otolith.encoders._tsfm_blocks import Attention, Block, channel_mask, time_mask

LAYOUT = (2, 5, 3)


def textbook(attention, x_BPCD, axis, mask=None):
    """Explicit softmax attention over one axis."""
    width, heads = x_BPCD.shape[-1], attention.num_heads
    x = x_BPCD.transpose(1, 2) if axis == "time" else x_BPCD
    q, k, v = attention.qkv(x).unflatten(-1, (3, heads, -1)).permute(3, 0, 1, 4, 2, 5)
    scores = q @ k.transpose(-1, -2) / (width // heads) ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    y = attention.out((scores.softmax(-1) @ v).transpose(2, 3).flatten(-2))
    return y.transpose(1, 2) if axis == "time" else y


@pytest.mark.parametrize("axis", ["time", "channel"])
def test_attention_is_the_textbook_one(axis):
    torch.manual_seed(0)
    attention = Attention(16, 4, 0.1, axis).eval()
    x = torch.randn(*LAYOUT, 16)
    got = attention(x.flatten(0, 2), LAYOUT, None).view(x.shape)
    torch.testing.assert_close(got, textbook(attention, x, axis), atol=1e-5, rtol=1e-4)


def test_masks_hide_keys():
    torch.manual_seed(0)
    x = torch.randn(*LAYOUT, 16)
    real_BP = torch.tensor([[True, True, True, False, False], [True] * 5])
    over_time = Attention(16, 4, 0.0, "time").eval()
    causal = torch.ones(5, 5).tril()
    mask = time_mask(real_BP, causal)
    got = over_time(x.flatten(0, 2), LAYOUT, mask).view(x.shape)
    explicit = (real_BP[:, None, None, None] & causal.bool()).expand(2, 3, 4, 5, 5)
    torch.testing.assert_close(got, textbook(over_time, x, "time", explicit), atol=1e-5, rtol=1e-4)
    real_BC = torch.tensor([[True, True, False], [True] * 3])
    over_channels = Attention(16, 4, 0.0, "channel").eval()
    got = over_channels(x.flatten(0, 2), LAYOUT, channel_mask(real_BC, 5)).view(x.shape)
    explicit = real_BC[:, None, None, None].expand(2, 5, 4, 3, 3)
    torch.testing.assert_close(
        got, textbook(over_channels, x, "channel", explicit), atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("axis", ["time", "channel"])
@pytest.mark.parametrize("is_masked", [False, True])
def test_the_form_with_dropout_is_the_same_attention(axis, is_masked):
    torch.manual_seed(0)
    length = LAYOUT[1] if axis == "time" else LAYOUT[2]
    groups = LAYOUT[0] if axis == "time" else LAYOUT[0] * LAYOUT[1]
    mask = None
    if is_masked:
        mask = (torch.arange(length) < torch.randint(1, length + 1, (groups, 1)))[:, None, None]
    attention = Attention(16, 4, 1e-9, axis)
    x = torch.randn(30, 16)
    with_dropout = attention.train()(x, LAYOUT, mask)
    torch.testing.assert_close(
        with_dropout, attention.eval()(x, LAYOUT, mask), atol=1e-5, rtol=1e-4
    )


def test_attention_weights_are_dropped_while_training():
    torch.manual_seed(0)
    attention = Attention(16, 4, 0.5, "time").train()
    x = torch.randn(30, 16, requires_grad=True)
    first = attention(x, LAYOUT, None)
    assert not torch.allclose(first, attention(x, LAYOUT, None))
    first.sum().backward()
    assert torch.isfinite(x.grad).all()


def test_a_row_without_keys_stays_finite():
    mask = time_mask(torch.tensor([[False, False], [True, False]]), None)
    assert mask.flatten(1).tolist() == [[True, True], [True, False]]
    attention = Attention(8, 2, 0.0, "time").eval()
    assert torch.isfinite(attention(torch.randn(12, 8), (2, 2, 3), mask)).all()


def test_no_masks_stay_none():
    assert time_mask(None, None) is None
    assert channel_mask(None, 3) is None


def test_a_block_without_channel_attention_keeps_channels_apart():
    torch.manual_seed(0)
    block = Block(16, 4, 32, 0.1, has_channel_attention=False).eval()
    x = torch.randn(*LAYOUT, 16)
    changed = x.clone()
    changed[:, :, 0] += 1
    first = block(x.flatten(0, 2), LAYOUT, None, None).view(x.shape)
    second = block(changed.flatten(0, 2), LAYOUT, None, None).view(x.shape)
    assert torch.equal(first[:, :, 1:], second[:, :, 1:])
    assert not torch.equal(first[:, :, 0], second[:, :, 0])


def test_training_drops_and_the_feedforward_share_is_that_of_two_masks():
    block = Block(16, 4, 32, 0.1, has_channel_attention=True).train()
    assert block.feedforward_dropout.share == pytest.approx(0.19)
    x = torch.randn(30, 16)
    torch.manual_seed(0)
    first = block(x, LAYOUT, None, None)
    assert not torch.equal(first, block(x, LAYOUT, None, None))
