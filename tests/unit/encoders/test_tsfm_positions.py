import math

import torch

from otolith.encoders._tsfm_positions import (
    ChannelPosition,
    ChannelTexts,
    TimePosition,
    sinusoid,
)


def test_sinusoid_values():
    table = sinusoid(10, 6)
    assert table[0].tolist() == [0, 1, 0, 1, 0, 1]
    assert math.isclose(table[3, 2], math.sin(3 / 10000 ** (2 / 6)), rel_tol=1e-5)
    assert math.isclose(table[3, 5], math.cos(3 / 10000 ** (4 / 6)), rel_tol=1e-5)


def test_time_position_is_scaled_and_not_stored():
    position = TimePosition(20, 8)
    torch.testing.assert_close(position(5)[:, 0], 0.1 * sinusoid(5, 8))
    assert list(position.state_dict()) == ["scale"]


def test_channel_position_starts_as_the_scaled_embedding():
    position = ChannelPosition(8, 8)
    embeddings = torch.randn(3, 8)
    index = torch.tensor([[0, 2, -1], [1, -1, -1]])
    got = position(ChannelTexts(embeddings_UE=embeddings, index_BC=index))
    assert got.shape == (2, 1, 3, 8)
    torch.testing.assert_close(got[0, 0, 1], 0.1 * embeddings[2])
    torch.testing.assert_close(got[1, 0, 2], 0.1 * position.padding_D)
    assert position.input is None


def test_other_text_widths_are_projected_and_trained():
    position = ChannelPosition(12, 8)
    texts = ChannelTexts(embeddings_UE=torch.randn(2, 12), index_BC=torch.tensor([[0, 1, -1]]))
    position(texts).square().sum().backward()
    assert position.input.weight.grad.abs().sum() > 0
    assert position.padding_D.grad.abs().sum() > 0


def test_repeated_texts():
    texts = ChannelTexts(embeddings_UE=torch.randn(2, 4), index_BC=torch.tensor([[0, 1], [1, -1]]))
    assert texts.repeated(2).index_BC.tolist() == [[0, 1], [1, -1]] * 2
