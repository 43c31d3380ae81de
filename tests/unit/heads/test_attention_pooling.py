"""Multi-query pooling: masks, order of tokens, agreement with torch's attention."""

import pytest
import torch
from torch import nn

from otolith.core.config import parse
from otolith.core.errors import ConfigError
from otolith.heads import attention_pooling
from otolith.heads._attention import Attention, QueryOutput, never_empty

CONFIG = attention_pooling.Config(width=16, num_heads=4, num_queries=3)


@pytest.fixture
def head():
    torch.manual_seed(0)
    return attention_pooling.Head(CONFIG).eval()


def test_attention_agrees_with_torch():
    torch.manual_seed(0)
    ours, theirs = Attention(16, 4, 0.0), nn.MultiheadAttention(16, 4, batch_first=True)
    nn.init.normal_(theirs.in_proj_bias)
    ours.project.load_state_dict({"weight": theirs.in_proj_weight, "bias": theirs.in_proj_bias})
    ours.out.load_state_dict(theirs.out_proj.state_dict())
    query, context = torch.randn(2, 3, 16), torch.randn(2, 5, 16)
    mask = torch.tensor([[True, True, False, True, False], [True] * 5])
    expected, weights = theirs(query, context, context, key_padding_mask=~mask)
    torch.testing.assert_close(ours(query, context, mask), expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(ours.weights(query, context, mask), weights, atol=1e-6, rtol=1e-5)
    expected, _ = theirs(query, query, query)
    torch.testing.assert_close(ours(query), expected, atol=1e-6, rtol=1e-5)


def test_masked_tokens_change_nothing(head):
    tokens = torch.randn(2, 5, 16)
    mask = torch.tensor([[True, True, True, False, False], [True] * 5])
    other = tokens.clone()
    other[0, 3:] = 1e3
    torch.testing.assert_close(head(tokens, mask), head(other, mask))
    torch.testing.assert_close(head(tokens, mask)[:1], head(tokens[:1, :3]), atol=1e-6, rtol=1e-5)


def test_order_of_tokens_does_not_matter(head):
    tokens = torch.randn(2, 5, 16)
    torch.testing.assert_close(head(tokens), head(tokens.flip(1)), atol=1e-6, rtol=1e-5)


def test_a_row_without_tokens_stays_finite(head):
    mask = torch.zeros(2, 4, dtype=torch.bool)
    mask[1] = True
    assert torch.isfinite(head(torch.randn(2, 4, 16), mask)).all()
    assert never_empty(mask).tolist() == [[True, False, False, False], [True] * 4]


def test_weights_are_shares_of_real_tokens(head):
    mask = torch.tensor([[True, False, True]])
    weights = head.weights(torch.randn(1, 3, 16), mask)
    assert weights.shape == (1, 3, 3)
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 3))
    assert weights[..., 1].abs().max() == 0


def test_dropout_only_while_training(head):
    tokens = torch.randn(4, 5, 16)
    assert torch.equal(head(tokens), head(tokens))
    head.train()
    assert not torch.equal(head(tokens), head(tokens))


def test_every_parameter_gets_a_gradient(head):
    head(torch.randn(2, 5, 16)).square().sum().backward()
    assert all(p.grad is not None for p in head.parameters())


def test_output_starts_near_the_mean_query():
    output = QueryOutput(3, 16, add_mean=True)
    queries = torch.randn(2, 3, 16)
    assert (output(queries) - queries.mean(1)).abs().max() < 0.3
    assert not QueryOutput(3, 16, add_mean=False).add_mean


def test_heads_must_divide_the_width():
    with pytest.raises(ConfigError, match="num_heads 3 must divide the width 16"):
        parse(attention_pooling.Config, {"width": 16, "num_heads": 3})
