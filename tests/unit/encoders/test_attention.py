import pytest
import torch
import torch.nn.functional as F

from otolith.encoders import _attention
from otolith.encoders._attention import attend


def inputs(dtype, length=7):
    torch.manual_seed(0)
    return [torch.randn(2, length, 3, 4, dtype=dtype).transpose(1, 2) for _ in range(3)]


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12), (torch.bfloat16, 2e-2)]
)
def test_it_is_attention(dtype, tolerance):
    query, key, value = (x.requires_grad_() for x in inputs(dtype))
    exact = [x.detach().double().requires_grad_() for x in (query, key, value)]
    weights = (exact[0] @ exact[1].transpose(2, 3) / 2.0).softmax(-1)
    expected = weights @ exact[2]
    found = attend(query, key, value)
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), expected, atol=tolerance, rtol=tolerance)
    found.sum().backward()
    expected.sum().backward()
    for own, other in zip((query, key, value), exact, strict=True):
        torch.testing.assert_close(own.grad.double(), other.grad, atol=4 * tolerance, rtol=0.1)


def test_only_short_sequences_in_bfloat16_are_written_out(monkeypatch):
    seen = []

    def fused(query, key, value):
        seen.append(query.dtype)
        return F.softmax(query @ key.transpose(2, 3), -1) @ value

    monkeypatch.setattr(F, "scaled_dot_product_attention", fused)
    attend(*inputs(torch.bfloat16))
    assert not seen
    monkeypatch.setattr(_attention, "_LONGEST_WRITTEN_OUT", 6)
    attend(*inputs(torch.bfloat16))
    attend(*inputs(torch.float32))
    assert seen == [torch.bfloat16, torch.float32]
