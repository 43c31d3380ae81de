"""Semantic head: masks, session and per-patch mode, unused layers."""

from dataclasses import replace

import pytest
import torch

from otolith.heads import semantic_head

CONFIG = semantic_head.Config(
    width=16, fused_width=12, out_width=20, num_layers=1, num_heads=2, num_fusion_queries=2
)
PATCHES = torch.tensor([[True, True, True], [True, True, False]])
CHANNELS = torch.tensor([[True, True, True, True], [True, True, False, False]])


def make(**changes):
    torch.manual_seed(0)
    return semantic_head.Head(replace(CONFIG, **changes)).eval()


@pytest.mark.parametrize(("per_patch", "shape"), [(False, (2, 20)), (True, (2, 3, 20))])
def test_shapes_and_lengths(per_patch, shape):
    out = make(per_patch=per_patch)(torch.randn(2, 3, 4, 16), PATCHES, CHANNELS)
    assert out.shape == shape
    torch.testing.assert_close(out.norm(dim=-1), torch.ones(shape[:-1]))


@pytest.mark.parametrize("per_patch", [False, True])
def test_padding_changes_nothing(per_patch):
    head, tokens = make(per_patch=per_patch), torch.randn(2, 3, 4, 16)
    other = tokens.clone()
    other[1, 2] = 50.0
    other[1, :, 2:] = -50.0
    a, b = head(tokens, PATCHES, CHANNELS), head(other, PATCHES, CHANNELS)
    if per_patch:
        a, b = a[PATCHES], b[PATCHES]
    torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_a_sample_alone_gives_its_row():
    head, tokens = make(), torch.randn(2, 3, 4, 16)
    both = head(tokens, PATCHES, CHANNELS)
    alone = head(tokens[1:, :2, :2])
    torch.testing.assert_close(both[1:], alone, atol=1e-5, rtol=1e-5)


def test_dead_layers_are_not_built_unless_asked_for():
    names = set(make(per_patch=True).state_dict())
    assert not any(name.startswith(("blocks.", "pooling.")) for name in names)
    kept = make(per_patch=True, keep_unused_layers=True)
    assert set(kept.state_dict()) == set(make().state_dict())
    frozen = {name for name, p in kept.named_parameters() if not p.requires_grad}
    assert frozen == {n for n in kept.state_dict() if n.startswith(("blocks.", "pooling."))}


@pytest.mark.parametrize("per_patch", [False, True])
def test_every_trainable_parameter_gets_a_gradient(per_patch):
    head = make(per_patch=per_patch, keep_unused_layers=True)
    head(torch.randn(2, 3, 4, 16), PATCHES, CHANNELS)[..., 0].sum().backward()
    assert all(p.grad is not None for p in head.parameters() if p.requires_grad)


def test_session_mean_leaves_padding_out():
    patches = torch.randn(2, 3, 5)
    mean = semantic_head.session_mean(patches, PATCHES)
    expected = torch.nn.functional.normalize(patches[1, :2].mean(0), dim=-1)
    torch.testing.assert_close(mean[1], expected)
    assert mean.norm(dim=-1).tolist() == pytest.approx([1, 1])


def test_channel_weights_sum_to_one():
    weights = make().channel_weights(torch.randn(2, 3, 4, 16), CHANNELS)
    assert weights.shape == (6, 2, 4)
    torch.testing.assert_close(weights.sum(-1), torch.ones(6, 2))
    assert weights[3:, :, 2:].max() == 0
