import pytest
import torch

from otolith.encoders._dropout import Dropout


def test_evaluation_returns_the_same_tensor():
    x = torch.randn(3, 4)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0).train()(x) is x
    base = torch.randn(3, 4)
    torch.testing.assert_close(Dropout(0.5).eval().add(base, x), base + x)


@pytest.mark.parametrize("share", [0.1, 0.19, 0.5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_share_and_mean(share, dtype):
    torch.manual_seed(0)
    y = Dropout(share).train()(torch.ones(400_001, dtype=dtype))
    assert (y == 0).float().mean().item() == pytest.approx(share, abs=0.003)
    kept = y[y != 0].float()
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - share)), rtol=5e-3, atol=0)


def test_same_seed_same_mask_other_seed_other_mask():
    dropout = Dropout(0.3).train()

    def draw(seed):
        torch.manual_seed(seed)
        return dropout(torch.ones(1000))

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


def test_two_calls_differ():
    torch.manual_seed(0)
    dropout = Dropout(0.3).train()
    assert not torch.equal(dropout(torch.ones(1000)), dropout(torch.ones(1000)))


def test_gradient_is_the_mask():
    torch.manual_seed(0)
    x = torch.ones(50, requires_grad=True)
    y = Dropout(0.4).train()(x * 1.0)
    y.sum().backward()
    torch.testing.assert_close(x.grad, y.detach())


def test_add_drops_only_the_second():
    torch.manual_seed(0)
    base = torch.full((1000,), 5.0)
    x = torch.ones(1000, requires_grad=True)
    y = Dropout(0.25).train().add(base, x)
    added = (y - base).detach()
    assert (
        torch.isclose(added, torch.tensor(0.0))
        .logical_or(torch.isclose(added, torch.tensor(4 / 3)))
        .all()
    )
    assert 0.2 < (added == 0).float().mean() < 0.3
    y.sum().backward()
    torch.testing.assert_close(x.grad, (y - base).detach())


def test_overwriting_what_a_gradient_needs_is_refused():
    x = torch.randn(10, requires_grad=True)
    with pytest.raises(RuntimeError):
        Dropout(0.5).train()(x.exp()).sum().backward()


def test_a_new_tensor_on_request():
    x = torch.ones(100, requires_grad=True)
    dropped = Dropout(0.5, in_place=False).train()(x.exp())
    dropped.sum().backward()
    torch.testing.assert_close(x.grad, dropped.detach())
