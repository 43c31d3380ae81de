"""Networks side by side."""

import math

import torch
import torch.nn.functional as F

from otolith.systems._members import Members


def members(**changes):
    torch.manual_seed(0)
    given = {"input_dropout": 0.5, "dropout": 0.5, **changes}
    return Members(3, 20, 8, 5, **given)


def test_they_are_networks_of_their_own():
    net = members().eval()
    torch.nn.init.normal_(net.bias_in)
    torch.nn.init.normal_(net.bias_out)
    x = torch.randn(7, 20)
    got = net(x)
    assert got.shape == (3, 7, 5)
    for m in range(3):
        hidden = F.gelu(x @ net.weight_in[m] + net.bias_in[m])
        torch.testing.assert_close(got[m], hidden @ net.weight_out[m] + net.bias_out[m])
    assert not torch.allclose(got[0], got[1])


def test_weights_start_like_linear_layers():
    net = members()
    assert net.weight_in.abs().max() <= 1 / math.sqrt(20)
    assert net.weight_out.abs().max() <= 1 / math.sqrt(8)
    assert net.weight_in.std() > 0.5 / math.sqrt(20)
    assert not net.bias_in.any()


def test_every_member_drops_other_inputs_while_it_learns():
    net = members(dropout=0.0).train()
    with torch.no_grad():
        net.weight_in.copy_(net.weight_in[:1].expand(3, -1, -1))
        net.weight_out.copy_(net.weight_out[:1].expand(3, -1, -1))
    x = torch.randn(7, 20)
    got = net(x)
    assert not torch.allclose(got[0], got[1])
    net.eval()
    torch.testing.assert_close(net(x)[0], net(x)[1])


def test_an_empty_batch_is_no_problem():
    assert members()(torch.zeros(0, 20)).shape == (3, 0, 5)
