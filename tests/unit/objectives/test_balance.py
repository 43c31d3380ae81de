import pytest
import torch

from otolith.objectives._balance import BalancedSum

WEIGHTS = {"a": 1.0, "b": 2.0}


def losses(a, b):
    return {"a": torch.tensor(a), "b": torch.tensor(b)}


def test_first_step_gives_the_weights():
    balance = BalancedSum(("a", "b")).train()
    assert balance(losses(4.0, 0.5), WEIGHTS).item() == pytest.approx(3.0)
    assert balance.mean_K.tolist() == [4.0, 0.5]


def test_later_steps_move_the_mean_before_use():
    balance = BalancedSum(("a", "b"), decay=0.9).train()
    balance(losses(4.0, 1.0), WEIGHTS)
    total = balance(losses(2.0, 1.0), WEIGHTS)
    assert balance.mean_K[0].item() == pytest.approx(3.8)
    assert total.item() == pytest.approx(2.0 / 3.8 + 2.0)


def test_evaluation_moves_nothing():
    balance = BalancedSum(("a", "b")).train()
    balance(losses(4.0, 1.0), WEIGHTS)
    assert balance.eval()(losses(2.0, 1.0), WEIGHTS).item() == pytest.approx(4.0)
    assert balance.mean_K.tolist() == [4.0, 1.0]


def test_a_batch_without_masks_neither_starts_nor_moves_the_mean():
    balance = BalancedSum(("a", "b")).train()
    assert balance(losses(0.0, 1.0), WEIGHTS).item() == pytest.approx(2.0)
    assert balance.mean_K.tolist() == [0.0, 1.0]
    balance(losses(4.0, 1.0), WEIGHTS)
    balance(losses(0.0, 1.0), WEIGHTS)
    assert balance.mean_K[0] == 4.0


def test_means_are_state_and_weights_are_constants_to_the_gradient():
    balance = BalancedSum(("a", "b")).train()
    balance(losses(4.0, 1.0), WEIGHTS)
    other = BalancedSum(("a", "b"))
    other.load_state_dict(balance.state_dict())
    assert torch.equal(other.mean_K, balance.mean_K)
    a = torch.tensor(4.0, requires_grad=True)
    balance({"a": a, "b": torch.tensor(1.0)}, WEIGHTS).backward()
    assert a.grad.item() == pytest.approx(0.25)


def test_plain_sum():
    balance = BalancedSum(("a", "b"), is_balanced=False).train()
    assert balance(losses(4.0, 0.5), WEIGHTS) == 5.0
    assert balance.mean_K.eq(0).all()


def test_a_loss_that_is_no_number_spoils_no_later_step():
    balance = BalancedSum(("a", "b")).train()
    assert balance(losses(float("nan"), 1.0), WEIGHTS).isnan()
    assert balance.mean_K.tolist() == [0.0, 1.0]
    balance(losses(4.0, float("inf")), WEIGHTS)
    assert balance.mean_K.tolist() == [4.0, 1.0]
    assert balance(losses(4.0, 1.0), WEIGHTS).item() == pytest.approx(3.0)
