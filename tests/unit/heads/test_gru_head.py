"""GRU head: average of the pieces' probabilities, with and without missing steps."""

import pytest
import torch

from otolith.heads.gru_head import Config, Head

CLOSE = {"atol": 1e-5, "rtol": 1e-4}


@pytest.fixture
def head():
    torch.manual_seed(0)
    return Head(Config(width=8, num_classes=3, piece_steps=20)).eval()


def features(num=2, steps=60):
    torch.manual_seed(1)
    return torch.randn(num, steps, 8)


def whole(x):
    return torch.ones(x.shape[:2], dtype=torch.bool)


def last_step(head, piece):
    return head.output(head.summary(head.reader(piece)[0])[0][:, -1])


def test_probabilities_of_pieces_are_averaged(head):
    x = features()
    expected = torch.stack([last_step(head, p).softmax(-1) for p in x.split(20, 1)]).mean(0)
    found = head(x, whole(x))
    torch.testing.assert_close(found.exp(), expected, **CLOSE)
    torch.testing.assert_close(found.exp().sum(1), torch.ones(2))


def test_pieces_weigh_by_their_real_steps(head):
    x = features(1, 28)
    logits, weight = head.pieces(x, whole(x))
    assert weight.tolist() == [[20, 8]]
    torch.testing.assert_close(logits[:, 1], last_step(head, x[:, 20:]), **CLOSE)
    expected = (20 * logits[:, 0].softmax(-1) + 8 * logits[:, 1].softmax(-1)) / 28
    torch.testing.assert_close(head(x, whole(x)).exp(), expected, **CLOSE)


def test_missing_steps_are_left_out(head):
    x = features(1, 20)
    mask = whole(x)
    mask[0, 4:10] = False
    noisy = torch.where(mask[..., None], x, 77.0)
    expected = last_step(head, torch.cat([x[:, :4], x[:, 10:]], 1)).log_softmax(-1)
    torch.testing.assert_close(head(x, mask), expected, **CLOSE)
    assert torch.equal(head(noisy, mask), head(x, mask))


def test_padding_to_a_longer_window_changes_nothing(head):
    x = features(2, 60)
    mask = whole(x)
    mask[1, 33:] = False
    torch.testing.assert_close(head(x, mask)[1:], head(x[1:, :33], whole(x[1:, :33])), **CLOSE)


def test_a_window_without_steps_knows_nothing(head):
    x = features()
    mask = whole(x)
    mask[0] = False
    out = head(x, mask)
    torch.testing.assert_close(out[0].exp(), torch.full((3,), 1 / 3))
    torch.testing.assert_close(out[1], head(x[1:], mask[1:])[0], **CLOSE)


def test_gradient_is_finite_with_masked_pieces(head):
    x = features().requires_grad_()
    mask = whole(x)
    mask[0] = False
    mask[1, 20:] = False
    head(x, mask)[:, 0].sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in head.parameters())
    assert x.grad[1, :20].abs().sum() > 0
    assert x.grad[0].eq(0).all()
