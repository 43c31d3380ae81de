"""Chunked backward gives the gradients of one large batch."""

import torch
from torch import nn
from torch.nn import functional as F

from otolith.objectives._grad_cache import chunked_backward
from otolith.objectives.semantic_alignment import Config, Objective


def test_equals_one_batch():
    torch.manual_seed(0)
    net, loss = nn.Linear(6, 4), Objective(Config())
    x, text = torch.randn(8, 6), F.normalize(torch.randn(8, 4), dim=-1)

    def encode(chunk):
        return F.normalize(net(chunk[0]), dim=-1), chunk[1]

    expected = loss(*encode((x, text)))
    expected.total.backward()
    gradients = [p.grad.clone() for p in (*net.parameters(), loss.logit_scale)]
    net.zero_grad()
    loss.zero_grad()
    chunks = list(zip(x.split(3), text.split(3), strict=True))
    out = chunked_backward(chunks, encode, loss, seed=1)
    torch.testing.assert_close(out.total, expected.total.detach())
    for got, want in zip((*net.parameters(), loss.logit_scale), gradients, strict=True):
        torch.testing.assert_close(got.grad, want, atol=1e-6, rtol=1e-5)


def test_both_passes_drop_out_the_same():
    seen = []
    drop = nn.Dropout(0.5)
    weight = torch.ones(4, requires_grad=True)

    def encode(chunk):
        out = drop(chunk * weight)
        seen.append(out.detach())
        return (F.normalize(out + 1.0, dim=-1), F.normalize(chunk, dim=-1))

    chunked_backward(
        [torch.rand(2, 4) + 1, torch.rand(2, 4) + 1], encode, Objective(Config()), seed=3
    )
    assert torch.equal(seen[0], seen[2])
    assert torch.equal(seen[1], seen[3])
    assert weight.grad.abs().sum() > 0
