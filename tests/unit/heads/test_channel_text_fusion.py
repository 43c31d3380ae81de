"""Channel-text fusion: one reading per text, gate, other text widths."""

import torch

from otolith.heads import channel_text_fusion


def make(text_width=16):
    torch.manual_seed(0)
    config = channel_text_fusion.Config(width=16, text_width=text_width, num_heads=2, num_queries=2)
    return channel_text_fusion.Head(config).eval()


def test_shared_texts_give_what_repeated_texts_give():
    head = make(text_width=12)
    sensor = torch.randn(2, 3, 4, 16)
    text, mask = torch.randn(2, 5, 12), torch.ones(2, 5, dtype=torch.bool)
    mask[1, 3:] = False
    index = torch.tensor([[0, 1, 0, 1], [1, 1, 0, 0]])
    shared = head(sensor, text, mask, index)
    one_each = torch.arange(8).view(2, 4)
    repeated = head(sensor, text[index.flatten()], mask[index.flatten()], one_each)
    torch.testing.assert_close(shared, repeated, atol=1e-6, rtol=1e-5)


def test_formula_of_the_gate():
    head = make()
    sensor, text = torch.randn(1, 2, 1, 16), torch.randn(1, 4, 16)
    mask = torch.ones(1, 4, dtype=torch.bool)
    c = head.describe(text, mask)[0]
    gate = torch.sigmoid(head.gate_sensor(sensor) + head.gate_channel(c))
    got = head(sensor, text, mask, torch.zeros(1, 1, dtype=torch.int64))
    torch.testing.assert_close(got, sensor + gate * c)


def test_texts_tell_channels_apart():
    head = make()
    sensor = torch.randn(1, 2, 1, 16).expand(1, 2, 2, 16)
    text, mask = torch.randn(2, 4, 16), torch.ones(2, 4, dtype=torch.bool)
    got = head(sensor, text, mask, torch.tensor([[0, 1]]))
    assert (got[:, :, 0] - got[:, :, 1]).abs().max() > 1e-3


def test_projection_only_where_widths_differ():
    assert make().text is None
    assert make(12).text is not None


def test_every_parameter_gets_a_gradient():
    head = make(12)
    text, mask = torch.randn(2, 4, 12), torch.ones(2, 4, dtype=torch.bool)
    head(torch.randn(1, 2, 2, 16), text, mask, torch.tensor([[0, 1]])).square().sum().backward()
    assert all(p.grad is not None for p in head.parameters())
