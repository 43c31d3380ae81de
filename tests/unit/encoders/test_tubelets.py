import pytest
import torch

from otolith.core.errors import DataError
from otolith.encoders._tubelets import TubeletEmbedding, from_tubelets, to_tubelets, tube_mask


def test_values_of_a_tubelet_lie_in_their_order():
    video = torch.arange(2 * 4 * 4 * 3.0).view(1, 2, 4, 4, 3)
    values = to_tubelets(video, (2, 2, 2))
    assert values.shape == (1, 4, 24)
    torch.testing.assert_close(values[0, 1], video[0, :, :2, 2:].flatten())


@pytest.mark.parametrize(("size", "grid"), [((2, 4, 2), (2, 2, 3)), ((1, 8, 6), (4, 1, 1))])
def test_cutting_can_be_undone(size, grid):
    video = torch.randn(2, 4, 8, 6, 5)
    torch.testing.assert_close(from_tubelets(to_tubelets(video, size), size, grid), video)


def test_what_cannot_be_divided_is_refused():
    with pytest.raises(DataError, match="cannot be cut into boxes of 2 x 3 x 3"):
        to_tubelets(torch.zeros(1, 2, 4, 4, 3), (2, 3, 3))


def test_embedding_is_a_convolution():
    embed = TubeletEmbedding(7, 3, (2, 4, 4))
    video = torch.randn(2, 4, 8, 8, 3)
    expected = torch.nn.functional.conv3d(
        video.permute(0, 4, 1, 2, 3), embed.weight, embed.bias, stride=(2, 4, 4)
    )
    got = embed(to_tubelets(video, (2, 4, 4)))
    torch.testing.assert_close(got, expected.flatten(2).transpose(1, 2), atol=1e-5, rtol=1e-5)


def test_tubes_hide_the_same_places_in_all_slots():
    order = torch.stack([torch.randperm(16), torch.randperm(16)])
    mask = tube_mask(order, 3, 0.75).view(2, 3, 16)
    assert (mask == mask[:, :1]).all()
    assert (mask.sum(2) == 12).all()
    assert not (mask[0, 0] == mask[1, 0]).all()
