import pytest
import torch

from otolith.objectives.masked_reconstruction import Config, Objective, normalised_target

B, P, N, C = 2, 4, 16, 3


def inputs(seed=0):
    generator = torch.Generator().manual_seed(seed)
    prediction = torch.randn(B, P, N, C, generator=generator)
    target = torch.randn(B, P, N, C, generator=generator) * 3 + 1
    masked = torch.tensor([[True, False, True, False], [False, True, False, True]])
    real = torch.tensor([[True] * 4, [True, True, False, False]])
    channels = torch.tensor([[True] * 3, [True, True, False]])
    return prediction, target, masked, real, channels


def by_hand(prediction, target, masked, real, channels, dropped, counts_dropped):
    """The definition as loops."""
    target = normalised_target(target)
    losses = []
    for b in range(B):
        for p in range(P):
            chosen = [
                c
                for c in range(C)
                if channels[b, c]
                and (
                    (masked[b, p] and (counts_dropped or not dropped[b, c]))
                    or (counts_dropped and dropped[b, c])
                )
            ]
            if real[b, p] and (masked[b, p] or chosen):
                errors = [
                    (prediction[b, p, :, c] - target[b, p, :, c]).square().mean() for c in chosen
                ]
                losses.append(sum(errors) / max(len(errors), 1))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("counts_dropped", [False, True])
@pytest.mark.parametrize("drop", [False, True])
def test_definition(drop, counts_dropped):
    prediction, target, masked, real, channels = inputs()
    dropped = torch.tensor([[False, drop, False], [drop, False, False]])
    objective = Objective(Config(reconstructs_dropped_channels=counts_dropped))
    got = objective(
        prediction,
        target,
        masked_BP=masked,
        mask_BP=real,
        channel_mask_BC=channels,
        dropped_BC=dropped,
    )
    expected = by_hand(prediction, target, masked, real, channels, dropped, counts_dropped)
    torch.testing.assert_close(got.total, expected)
    torch.testing.assert_close(got.parts["reconstruction"], expected)


def test_what_is_not_counted_gets_no_gradient():
    prediction, target, masked, real, channels = inputs()
    prediction.requires_grad_()
    Objective(Config())(
        prediction, target, masked_BP=masked, mask_BP=real, channel_mask_BC=channels
    ).total.backward()
    counted = (masked & real)[:, :, None, None] & channels[:, None, None, :]
    assert prediction.grad[~counted.expand_as(prediction)].eq(0).all()
    assert prediction.grad[counted.expand_as(prediction)].ne(0).all()


def test_nothing_hidden_is_zero_with_a_gradient_path():
    prediction, target, _, real, _ = inputs()
    prediction.requires_grad_()
    out = Objective(Config())(
        prediction, target, masked_BP=torch.zeros(B, P, dtype=torch.bool), mask_BP=real
    )
    out.total.backward()
    assert out.total == 0
    assert prediction.grad.eq(0).all()


def test_per_sample_losses_average_to_the_total():
    prediction, target, masked, _, _ = inputs()
    real = torch.ones(B, P, dtype=torch.bool)
    out = Objective(Config())(prediction, target, masked_BP=masked, mask_BP=real)
    torch.testing.assert_close(out.per_sample_B.mean(), out.total)


def test_target_is_normalised_and_a_constant_is_zero():
    _, target, *_ = inputs()
    target[..., 1] = 5.0
    got = normalised_target(target)
    assert got[..., 1].eq(0).all()
    torch.testing.assert_close(got[..., 0].std(2, correction=0), torch.ones(B, P))
    raw = Objective(Config(is_target_normalised=False))
    masked = torch.ones(B, P, dtype=torch.bool)
    assert raw(target, target, masked_BP=masked, mask_BP=masked).total == 0
