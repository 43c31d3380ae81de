import pytest
import torch

from otolith.core.errors import ConfigError
from otolith.encoders._evi_blocks import (
    Attention,
    Block,
    pair_mean,
    sinusoid_table,
    take_rows,
    take_tokens,
)


def explicit(attention, x):
    """Attention written out."""
    batch, num, width = x.shape
    bias = attention.qkv.bias
    if attention.query_bias is not None:
        bias = torch.cat([attention.query_bias, torch.zeros(width), attention.value_bias])
    qkv = x @ attention.qkv.weight.T + (0 if bias is None else bias)
    query, key, value = qkv.view(batch, num, 3, attention.num_heads, -1).permute(2, 0, 3, 1, 4)
    weights = (query @ key.transpose(2, 3) / query.shape[3] ** 0.5).softmax(-1)
    return attention.out((weights @ value).transpose(1, 2).reshape(x.shape))


@pytest.mark.parametrize("bias", ["all", "query_value", "none"])
def test_attention_is_what_it_says(bias):
    attention = Attention(12, 3, bias)
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(2, 5, 12)
    torch.testing.assert_close(attention(x), explicit(attention, x), atol=1e-5, rtol=1e-5)


def test_heads_have_to_divide_the_width():
    with pytest.raises(ConfigError, match="cannot be divided into 5 heads"):
        Attention(12, 5, "all")


def test_a_block_uses_the_norms_it_is_told():
    block = Block(8, 2, norms=("joint", "imu"))
    with torch.no_grad():
        block.mlp_norm["imu"].weight.fill_(3.0)
    x = torch.randn(2, 4, 8)
    torch.testing.assert_close(block(x), block(x, "joint"))
    assert (block(x) - block(x, "imu")).abs().max() > 1e-3


def test_the_mean_of_a_block_is_the_mean_of_its_output():
    block, x = Block(8, 2), torch.randn(3, 6, 8)
    torch.testing.assert_close(block.mean(x), block(x).mean(1), atol=1e-6, rtol=1e-5)


def test_unused_norms_are_saved_but_not_trained():
    block = Block(8, 2, unused_norms=("imu",))
    assert "attention_norm.imu.weight" in block.state_dict()
    assert not [name for name, _ in block.named_parameters() if ".imu." in name]


def test_positions_are_sines_and_cosines():
    table = sinusoid_table(5, 6)
    assert table[3, 0] == pytest.approx(torch.sin(torch.tensor(3.0)).item())
    assert table[3, 1] == pytest.approx(torch.cos(torch.tensor(3.0)).item())
    assert table[3, 4] == pytest.approx(torch.sin(torch.tensor(3 / 10000 ** (4 / 6))).item())


def test_pairs_and_choices():
    x = torch.arange(12.0).view(1, 3, 4)
    torch.testing.assert_close(pair_mean(x)[0, 0], torch.tensor([0.5, 2.5]))
    keep = torch.tensor([[2, 0]])
    torch.testing.assert_close(take_tokens(x, keep)[0, 0], x[0, 2])
    torch.testing.assert_close(take_rows(x[0], keep), take_tokens(x, keep))
    assert take_rows(x[0], None).shape == (1, 3, 4)
