import pytest
import torch

from otolith.core.errors import ConfigError
from otolith.encoders._evi_blocks import (
    Attention,
    Block,
    Pack,
    pair_mean,
    sinusoid_table,
    take_rows,
)
from otolith.encoders._mae import select_tokens


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
    attended = attention(Pack.of([x])).view(x.shape)
    torch.testing.assert_close(attended, explicit(attention, x), atol=1e-5, rtol=1e-5)


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


def test_a_block_runs_over_several_sets_as_over_each_alone():
    block = Block(8, 2, norms=("joint", "imu"))
    with torch.no_grad():
        block.mlp_norm["imu"].weight.fill_(3.0)
        block.attention_norm["imu"].bias.fill_(0.5)
    first, second = torch.randn(3, 6, 8), torch.randn(2, 4, 8)
    both = block.packed(Pack.of([first, second]), ("imu", "joint")).parts()
    torch.testing.assert_close(both[0], block(first, "imu"))
    torch.testing.assert_close(both[1], block(second, "joint"))


def test_the_mean_of_a_block_is_the_mean_of_its_output():
    block, first, second = Block(8, 2), torch.randn(3, 6, 8), torch.randn(2, 4, 8)
    whole, mean = block.packed(Pack.of([second, first]), only_mean={1}).parts()
    torch.testing.assert_close(whole, block(second))
    torch.testing.assert_close(mean, block(first).mean(1, keepdim=True), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tokens_are_taken_and_their_gradients_put_back(dtype):
    x = torch.randn(2, 5, 3, dtype=dtype, requires_grad=True)
    keep = torch.tensor([[4, 0, 2], [1, 3, 0]])
    found = select_tokens(x, keep)
    assert torch.equal(found, torch.stack([x[0, keep[0]], x[1, keep[1]]]))
    found.sum().backward()
    assert torch.equal(x.grad[:, :, 0] > 0, torch.zeros(2, 5).scatter(1, keep, 1.0) > 0)


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
    torch.testing.assert_close(select_tokens(x, keep)[0, 0], x[0, 2])
    torch.testing.assert_close(take_rows(x[0], keep), select_tokens(x, keep))
    assert take_rows(x[0], None).shape == (1, 3, 4)
