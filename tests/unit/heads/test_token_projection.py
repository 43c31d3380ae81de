import torch

from otolith.heads._token_projection import TokenProjection


def test_mean_over_channels_is_the_mean_of_the_projections():
    torch.manual_seed(0)
    head = TokenProjection(8, 16, 4)
    features = torch.randn(2, 5, 3, 8)
    mask = torch.tensor([[True, True, True], [True, False, True]])
    got = head.mean_over_channels(features, mask)
    projected = head(features)
    expected = torch.stack([projected[0].mean(1), projected[1][:, [0, 2]].mean(1)])
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-5)


def test_no_real_channel_is_finite():
    head = TokenProjection(8, 16, 4)
    mask = torch.zeros(1, 3, dtype=torch.bool)
    assert torch.isfinite(head.mean_over_channels(torch.randn(1, 2, 3, 8), mask)).all()
