import pytest
import torch

from otolith.encoders._motion_conv import STRIDE, MaskedBatchNorm, MaskedGroupNorm, MotionConv


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


def test_batch_norm_is_torchs_over_the_real_rows():
    x, mask = signals((20, 12, 20))
    own, torchs = MaskedBatchNorm(6).train(), torch.nn.BatchNorm1d(6).train()
    found = own(x, mask)
    expected = torchs(x.transpose(1, 2)[mask])
    torch.testing.assert_close(found.transpose(1, 2)[mask], expected)
    torch.testing.assert_close(own.running_mean, torchs.running_mean)
    torch.testing.assert_close(own.running_variance, torchs.running_var)
    shorter, whole = x[:, :, :12], mask[:, :12]
    torch.testing.assert_close(own.eval()(x, mask)[:, :, :12], own(shorter, whole))


def test_batch_norm_survives_a_batch_without_rows():
    norm = MaskedBatchNorm(6).train()
    x, mask = signals((20, 20))
    assert torch.isfinite(norm(x, torch.zeros_like(mask))).all()
    assert torch.equal(norm.running_mean, torch.zeros(6))


def test_the_network_takes_either_norm():
    x, mask = signals((20, 20))
    strong, weak = 4 * x, x
    for norm, is_alike in (("group", True), ("batch", False)):
        torch.manual_seed(0)
        conv = MotionConv(6, 8, 5, 2, norm=norm).eval()
        with torch.no_grad():
            for layer in conv.convs:
                layer.bias.zero_()
        close = torch.allclose(conv(strong, mask)[0], conv(weak, mask)[0], atol=0.02)
        assert close == is_alike
