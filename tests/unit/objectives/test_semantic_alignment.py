"""Semantic alignment: targets, temperature, queue, prototypes, SigLIP."""

import math

import pytest
import torch
from torch.nn import functional as F

from otolith.objectives.semantic_alignment import Config, Objective, Queue, best_prototypes


def unit(*shape):
    return F.normalize(torch.randn(*shape), dim=-1)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_hard_targets_are_cross_entropy_both_ways():
    imu, text = unit(5, 8), unit(5, 8)
    out = Objective(Config(use_soft_targets=False))(imu, text)
    logits = imu @ text.T / 0.07
    own = torch.arange(5)
    expected = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
    torch.testing.assert_close(out.total, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(out.per_sample_B.mean(), expected, atol=1e-5, rtol=1e-5)


def test_weight_zero_of_soft_targets_is_hard():
    imu, text = unit(5, 8), unit(5, 8)
    hard = Objective(Config(use_soft_targets=False))(imu, text).total
    soft = Objective(Config(soft_target_weight=0.0))(imu, text).total
    torch.testing.assert_close(hard, soft)


def test_equal_labels_share_the_target():
    text = unit(4, 8)
    text[1] = text[0]
    parts = Objective(Config())(unit(4, 8), text).parts
    assert parts["true_positive_target_prob"] < 0.8
    assert 0 < parts["soft_target_entropy_ratio"] < 1


def test_frozen_targets_pass_no_gradient_and_learned_ones_only_on_request():
    def text_gradient(**settings):
        torch.manual_seed(1)
        imu, text = unit(4, 8), unit(4, 8).requires_grad_()
        Objective(Config(**settings))(imu, text).total.backward()
        return text.grad

    kept, passed = text_gradient(), text_gradient(detach_soft_targets=False)
    assert (kept - passed).abs().max() > 1e-3


def test_queue_adds_negatives():
    imu, text = unit(4, 8), unit(4, 8)
    loss = Objective(Config(use_soft_targets=False))
    queue = Queue(unit(6, 8), unit(6, 8))
    assert loss(imu, text, queue=queue).total > loss(imu, text).total
    empty = Queue(imu[:0], text[:0])
    torch.testing.assert_close(loss(imu, text, queue=empty).total, loss(imu, text).total)


def test_one_prototype_in_the_third_axis_is_the_plain_loss_of_its_direction():
    imu, text = unit(4, 8), unit(4, 8)
    loss = Objective(Config(use_soft_targets=False))
    torch.testing.assert_close(loss(imu, text[:, None]).total, loss(imu, text).total)


def test_best_prototype_is_the_nearest():
    imu, text = unit(4, 8), unit(4, 3, 8)
    best = best_prototypes(imu, text)
    nearest = torch.einsum("nd,nkd->nk", imu, text).amax(-1)
    torch.testing.assert_close((imu * best).sum(-1), nearest)
    assert best_prototypes(imu, best) is best


@pytest.mark.parametrize("kind", ["infonce", "siglip"])
@pytest.mark.parametrize("prototypes", [0, 3])
def test_gradients_are_finite_and_training_lowers_the_loss(kind, prototypes):
    loss = Objective(Config(kind=kind))
    shape = (6, prototypes, 8) if prototypes else (6, 8)
    raw = [torch.randn(6, 8, requires_grad=True), torch.randn(*shape, requires_grad=True)]
    optimizer = torch.optim.SGD(raw, lr=0.5)
    losses = []
    for _ in range(30):
        out = loss(*(F.normalize(x, dim=-1) for x in raw))
        optimizer.zero_grad()
        out.total.backward()
        optimizer.step()
        losses.append(out.total.item())
    assert losses[-1] < losses[0]
    assert loss.logit_scale.grad.isfinite()


@pytest.mark.parametrize(("kind", "limit"), [("infonce", 50.0), ("siglip", 100.0)])
def test_temperature_limits(kind, limit):
    loss = Objective(Config(kind=kind))
    assert loss.scale.item() == pytest.approx(1 / 0.07)
    loss.logit_scale.data.fill_(9.0)
    assert loss.scale.item() == limit
    loss.clamp_scale_()
    assert loss.logit_scale.item() == pytest.approx(math.log(limit))
    loss.logit_scale.data.fill_(-9.0)
    loss.clamp_scale_()
    assert loss.scale.item() == pytest.approx(1.0)


def test_negatives_of_the_log_leave_the_own_group_out():
    imu, text = unit(3, 8), unit(3, 8)
    cosine = imu @ text.T
    parts = Objective(Config())(imu, text, groups_N=torch.tensor([7, 7, 2])).parts
    expected = torch.stack([cosine[0, 2], cosine[1, 2], cosine[2, 0], cosine[2, 1]]).mean()
    torch.testing.assert_close(parts["negative_similarity"], expected)
    torch.testing.assert_close(parts["positive_similarity"], cosine.diagonal().mean())


def test_a_single_pair_is_finite():
    out = Objective(Config())(unit(1, 8), unit(1, 8), frozen_text_ND=unit(1, 8))
    assert torch.isfinite(out.total)
    assert all(torch.isfinite(v) for v in out.parts.values())
