import pytest
import torch
import torch.nn.functional as F

from otolith.encoders._tsfm_tokenizers import (
    CnnTokenizer,
    ConvStack,
    SpectralTemporalTokenizer,
)


def plain_stack(stack, signal_MN):
    """The same layers in their textbook form."""
    x = signal_MN.unsqueeze(1)
    for branches in stack.layers:
        x = torch.cat(
            [
                F.gelu(
                    F.group_norm(
                        F.conv1d(x, b.conv.weight, padding=b.conv.weight.shape[2] // 2),
                        1,
                        b.norm.weight,
                        b.norm.bias,
                    )
                )
                for b in branches
            ],
            1,
        )
    return x.mean(2)


def randomised(module):
    torch.manual_seed(1)
    for p in module.parameters():
        p.data.add_(0.3 * torch.randn_like(p))
    return module.eval()


@pytest.mark.parametrize("kernel_sizes", [(5,), (3, 7), (1,)])
@pytest.mark.parametrize("filters", [(8, 16), (4, 6, 10), (12,)])
def test_the_fast_form_equals_the_plain_form(filters, kernel_sizes):
    stack = randomised(ConvStack(filters, kernel_sizes, 0.1))
    signal = torch.randn(7, 64)
    torch.testing.assert_close(stack(signal), plain_stack(stack, signal), atol=1e-5, rtol=1e-4)
    assert stack(signal).shape[1] == stack.width == filters[-1] * len(kernel_sizes)


def test_gradients_equal_those_of_the_plain_form():
    stack = randomised(ConvStack((8, 16), (5,), 0.0))
    signal = torch.randn(7, 64)
    weight = torch.randn(7, 16)
    parameters = list(stack.parameters())
    fast = torch.autograd.grad((stack(signal) * weight).sum(), parameters)
    plain = torch.autograd.grad((plain_stack(stack, signal) * weight).sum(), parameters)
    for a, b in zip(fast, plain, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_chunks_change_nothing(chunk):
    tokenizer = randomised(CnnTokenizer(16, (8, 16), (5,), 0.1))
    signal = torch.randn(10, 64)
    torch.testing.assert_close(tokenizer(signal, chunk), tokenizer(signal), atol=1e-6, rtol=1e-5)


def test_no_signals_give_no_tokens():
    tokenizer = CnnTokenizer(16, (8, 16), (5,), 0.1).eval()
    assert tokenizer(torch.zeros(0, 64)).shape == (0, 16)


def test_spectral_part_sees_the_magnitude_only():
    tokenizer = randomised(SpectralTemporalTokenizer(16, (4, 8), (5,), 0.0, 64, 0.25))
    time = torch.arange(64) / 64
    waves = [torch.sin(2 * torch.pi * (5 * time + shift)) for shift in (0.0, 0.3)]
    tokens = tokenizer(torch.stack(waves))
    assert tokens.shape == (2, 16)
    torch.testing.assert_close(tokens[0, 12:], tokens[1, 12:], atol=1e-4, rtol=1e-3)
    other = tokenizer(torch.sin(2 * torch.pi * 9 * time)[None])
    assert (other[0, 12:] - tokens[0, 12:]).abs().max() > 0.01


def test_a_constant_signal_has_finite_tokens_and_gradients():
    tokenizer = SpectralTemporalTokenizer(16, (4, 8), (5,), 0.1, 64, 0.25).train()
    tokenizer(torch.zeros(3, 64)).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in tokenizer.parameters())
