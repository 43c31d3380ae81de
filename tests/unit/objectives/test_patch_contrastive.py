import math

import pytest
import torch
import torch.nn.functional as F

from otolith.core.config import parse
from otolith.core.errors import ConfigError
from otolith.objectives.patch_contrastive import Config, Objective

MASK = torch.tensor([[True, True, False], [True, True, True]])


def views(seed=0, noise=0.3):
    generator = torch.Generator().manual_seed(seed)
    first = torch.randn(2, 3, 8, generator=generator)
    return first, first + noise * torch.randn(2, 3, 8, generator=generator)


def by_hand(first, second, temperature):
    z = F.normalize(torch.cat([first[MASK], second[MASK]]), dim=1)
    n = len(z) // 2
    losses = []
    for i in range(2 * n):
        scores = [math.exp(float(z[i] @ z[j]) / temperature) for j in range(2 * n) if j != i]
        positive = math.exp(float(z[i] @ z[(i + n) % (2 * n)]) / temperature)
        losses.append(-math.log(positive / sum(scores)))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("temperature", [0.1, 0.2, 1.0])
def test_definition(temperature):
    first, second = views()
    out = Objective(Config(temperature=temperature))(first, second, MASK)
    assert out.total.item() == pytest.approx(by_hand(first, second, temperature), rel=1e-5)


def test_length_of_vectors_and_order_of_views_do_not_matter():
    first, second = views()
    objective = Objective(Config())
    out = objective(first, second, MASK)
    torch.testing.assert_close(objective(first * 7, second, MASK).total, out.total)
    torch.testing.assert_close(objective(second, first, MASK).total, out.total)


def test_padding_neither_counts_nor_gets_gradient():
    first, second = views()
    objective = Objective(Config())
    before = objective(first, second, MASK).total
    first = first.clone()
    first[0, 2] = 99.0
    first.requires_grad_()
    after = objective(first, second, MASK).total
    assert torch.equal(before, after)
    after.backward()
    assert first.grad[0, 2].eq(0).all()
    assert first.grad[MASK].abs().sum(-1).gt(0).all()


def test_equal_views_have_a_lower_loss_than_unrelated_ones():
    objective = Objective(Config())
    first, same = views(noise=0.0)
    other, _ = views(seed=9)
    assert objective(first, same, MASK).total < objective(first, other, MASK).total


def test_per_sample_losses():
    first, second = views()
    out = Objective(Config())(first, second, MASK)
    weighted = (out.per_sample_B * MASK.sum(1)).sum() / MASK.sum()
    torch.testing.assert_close(weighted, out.total)


def test_no_patches_at_all_are_zero():
    first, second = views()
    out = Objective(Config())(first.requires_grad_(), second, torch.zeros_like(MASK))
    assert out.total == 0
    assert out.per_sample_B.tolist() == [0, 0]


def test_temperature_must_be_positive():
    with pytest.raises(ConfigError, match="temperature must be positive"):
        parse(Config, {"temperature": 0})
