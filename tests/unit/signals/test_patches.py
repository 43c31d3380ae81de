import pytest
import torch
import torch.nn.functional as F

from otolith.core.errors import DataError
from otolith.signals.patches import (
    covered,
    cut_patches,
    normalise_patches,
    resize_patches,
    sample_patches,
    samples_of,
)


def signal(time=100, channels=3, seed=0):
    return torch.randn(time, channels, generator=torch.Generator().manual_seed(seed))


def test_samples_of_rounds_down_but_not_because_of_floating_point():
    assert samples_of(0.29, 100.0) == 29
    assert samples_of(1.25, 50.0) == 62
    assert samples_of(0.001, 50.0) == 1
    assert samples_of(torch.tensor([1.0, 1.5]), torch.tensor([20.0, 50.0])).tolist() == [20, 75]


def test_cut_leaves_out_the_rest_and_honours_the_stride():
    x = signal(107)
    assert torch.equal(cut_patches(x, 50.0, 1.0), torch.stack([x[:50], x[50:100]]))
    half = cut_patches(x, 50.0, 1.0, 0.5)
    assert [torch.equal(p, x[i * 25 : i * 25 + 50]) for i, p in enumerate(half)] == [True] * 3


def test_cut_refuses_a_short_signal():
    with pytest.raises(DataError, match="49 samples is shorter than a patch of 50"):
        cut_patches(signal(49), 50.0, 1.0)


@pytest.mark.parametrize("length", [1, 2, 13, 64, 100, 301])
@pytest.mark.parametrize("method", ["linear", "nearest"])
def test_resize_is_torch_interpolate(length, method):
    patches = signal(3 * length).reshape(3, length, 3)
    options = {"mode": "linear", "align_corners": False} if method == "linear" else {"mode": method}
    expected = F.interpolate(patches.transpose(1, 2), 64, **options).transpose(1, 2)
    torch.testing.assert_close(resize_patches(patches, 64, method), expected)


def test_resize_to_the_same_size_changes_nothing():
    patches = signal(128).reshape(2, 64, 3)
    assert torch.equal(resize_patches(patches, 64), patches)


@pytest.mark.parametrize("method", ["linear", "nearest"])
def test_batch_of_different_lengths_is_cut_then_resized(method):
    lengths = [20, 64, 75]
    x = torch.stack([signal(300, seed=i) for i in range(3)])
    length_B = torch.tensor(lengths)
    start_BP = torch.arange(4) * length_B[:, None]
    got = sample_patches(x, start_BP, length_B, 64, method)
    for i, n in enumerate(lengths):
        expected = resize_patches(cut_patches(x[i], float(n), 1.0)[:4], 64, method)
        torch.testing.assert_close(got[i], expected)


def test_sampling_past_the_end_stays_inside():
    got = sample_patches(torch.ones(1, 10, 2), torch.tensor([[0, 8]]), torch.tensor([6]), 64)
    assert torch.equal(got, torch.ones(1, 2, 64, 2))


def test_sampling_is_differentiable():
    x = signal(100).unsqueeze(0).requires_grad_()
    sample_patches(x, torch.tensor([[0, 50]]), torch.tensor([50]), 64).sum().backward()
    assert torch.isfinite(x.grad).all()
    assert x.grad.sum() == pytest.approx(2 * 64 * 3, rel=1e-5)


def test_zscore_has_mean_zero_deviation_one_and_a_constant_becomes_zero():
    patches = signal(128).reshape(2, 64, 3) * 7 + 3
    patches[:, :, 1] = 4.0
    values, mean, std = normalise_patches(patches)
    assert values[..., 1].abs().max() == 0
    torch.testing.assert_close(values[..., 0].mean(1), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(values[..., 0].std(1, correction=0), torch.ones(2))
    torch.testing.assert_close(values * std.unsqueeze(1) + mean.unsqueeze(1), patches)


def test_minmax_and_none():
    patches = signal(128).reshape(2, 64, 3)
    values, low, span = normalise_patches(patches, "minmax")
    assert values.min() == 0
    assert values.max() == pytest.approx(1.0)
    torch.testing.assert_close(values * span.unsqueeze(1) + low.unsqueeze(1), patches)
    untouched = normalise_patches(patches, "none")
    assert torch.equal(untouched.values, patches)
    assert untouched.scale.eq(1).all()


def test_zscore_removes_gain_and_offset():
    patches = signal(64).unsqueeze(0)
    changed = normalise_patches(patches * 3.0 - 9.81).values
    torch.testing.assert_close(changed, normalise_patches(patches).values, atol=1e-5, rtol=1e-4)


def test_covered_needs_every_sample():
    mask = torch.ones(2, 10, dtype=torch.bool)
    mask[0, 4] = False
    mask[1, 8:] = False
    got = covered(mask, torch.tensor([[0, 4, 5], [0, 4, 7]]), torch.tensor([4, 4]))
    assert got.tolist() == [[True, False, True], [True, True, False]]


def test_a_constant_patch_has_a_finite_gradient():
    x = torch.ones(1, 64, 2, requires_grad=True)
    normalise_patches(x).values.sum().backward()
    assert torch.isfinite(x.grad).all()
