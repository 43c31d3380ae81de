import pytest
import torch

from otolith.encoders._motion_conv import STRIDE, MaskedGroupNorm, MotionConv


def signals(lengths, seed=0):
    torch.manual_seed(seed)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return torch.randn(len(lengths), 6, max(lengths)) * mask[:, None], mask


def test_without_masked_rows_it_is_torchs_group_norm():
    x, mask = signals((20, 20))
    x = torch.cat([x, x * 3 + 1], 1)
    own = MaskedGroupNorm(3, 12)
    with torch.no_grad():
        own.weight.uniform_(0.5, 2)
        own.bias.uniform_(-1, 1)
    expected = torch.nn.functional.group_norm(x, 3, own.weight, own.bias)
    torch.testing.assert_close(own(x, mask), expected)
    longer = torch.cat([x, torch.full((2, 12, 5), 9.0)], 2)
    mask = torch.cat([mask, torch.zeros(2, 5, dtype=torch.bool)], 1)
    torch.testing.assert_close(own(longer, mask)[:, :, :20], expected, atol=1e-5, rtol=1e-5)


def test_a_sample_without_rows_is_finite():
    x, mask = signals((20, 12))
    mask[1] = False
    assert torch.isfinite(MaskedGroupNorm(2, 6)(x, mask)).all()
    tokens, kept = MotionConv(6, 8, 5, 2)(x, mask)
    assert (tokens[1] == 0).all()
    assert not kept[1].any()


@pytest.mark.parametrize("lengths", [(40, 37), (41, 8), (100, 50), (9, 9)])
def test_padding_changes_nothing(lengths):
    torch.manual_seed(3)
    conv = MotionConv(6, 8, 5, 2)
    x, mask = signals(lengths)
    tokens, kept = conv(x, mask)
    assert tokens.shape == (2, max(lengths) // STRIDE, 16)
    assert kept.sum(1).tolist() == [n // 2 // 2 for n in lengths]
    for b, length in enumerate(lengths):
        alone, whole = conv(x[b : b + 1, :, :length], mask[b : b + 1, :length])
        assert whole.all()
        torch.testing.assert_close(alone[0], tokens[b][kept[b]], atol=1e-5, rtol=1e-5)
    assert (tokens[~kept] == 0).all()
