"""Distance to what is known."""

import pytest
import torch

from otolith.systems._novelty import Novelty

CENTRES = torch.tensor([[0.0, 0, 0], [10, 0, 0], [0, 10, 0]])


def windows(num=2000, seed=0):
    generator = torch.Generator().manual_seed(seed)
    concept_N = torch.randint(0, 3, (num,), generator=generator)
    noise = torch.randn(num, 3, generator=generator) * torch.tensor([1.0, 2.0, 0.5])
    return CENTRES[concept_N] + noise, concept_N


@pytest.fixture
def fitted():
    net = Novelty(3, 4)
    net.fit(*windows(), shrinkage=0.0)
    net.fit_quantiles(windows(seed=1)[0])
    return net


def test_nothing_is_new_before_anything_is_known():
    net = Novelty(3, 4)
    assert not net.is_fitted
    assert net.distance(torch.randn(5, 3)).tolist() == [0.0] * 5
    assert net.probability(torch.randn(5, 3)).tolist() == [0.0] * 5


def test_means_and_covariance(fitted):
    assert fitted.is_known_C.tolist() == [True, True, True, False]
    torch.testing.assert_close(fitted.means_CS[:3], CENTRES, atol=0.2, rtol=0)
    covariance = torch.linalg.inv(fitted.whitener_SS @ fitted.whitener_SS.T)
    expected = torch.tensor([1.0, 4.0, 0.25]).diag()
    torch.testing.assert_close(covariance, expected, atol=0.2, rtol=0)


def test_distance_is_in_deviations_to_the_nearest_concept(fitted):
    x = torch.tensor([[3.0, 0, 0], [10, 6, 0], [0, 10, 1.5]])
    assert fitted.distance(x).tolist() == pytest.approx([3, 3, 3], abs=0.25)


def test_share_nearer_is_uniform_for_known_windows(fitted):
    share = fitted.share_nearer(windows(seed=2)[0])
    assert float(share.mean()) == pytest.approx(0.5, abs=0.04)
    assert float((share > 0.9).float().mean()) == pytest.approx(0.1, abs=0.04)


def test_probability_rises_from_the_threshold(fitted):
    x = torch.tensor([[0.0, 0, 0], [500, 500, 500]])
    assert fitted.probability(x).tolist() == [0.0, 1.0]
    fitted.threshold.fill_(0.5)
    share = fitted.share_nearer(windows(seed=3)[0])
    got = fitted.probability(windows(seed=3)[0])
    torch.testing.assert_close(got, ((share - 0.5) / 0.5).clamp(0, 1))


def test_a_window_does_not_depend_on_others(fitted):
    x, _ = windows(200, seed=4)
    together = fitted.distance(x)
    alone = torch.cat([fitted.distance(row[None]) for row in x])
    torch.testing.assert_close(together, alone, rtol=1e-6, atol=1e-6)


def test_constant_statistics_and_few_windows_stay_finite():
    net = Novelty(3, 2)
    net.fit(torch.zeros(2, 3), torch.tensor([0, 0]))
    net.fit_quantiles(torch.zeros(1, 3))
    assert torch.isfinite(net.distance(torch.ones(2, 3))).all()
    assert net.probability(torch.ones(1, 3)).tolist() == [1.0]


def test_everything_is_stored(fitted):
    other = Novelty(3, 4)
    other.load_state_dict(fitted.state_dict())
    x, _ = windows(seed=5)
    assert torch.equal(other.share_nearer(x), fitted.share_nearer(x))
