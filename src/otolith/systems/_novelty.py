"""How unlike everything that was learned a window is."""

# N windows, S statistics, C concepts, Q quantiles

from __future__ import annotations

import torch
from torch import Tensor, nn

_QUANTILES = 1001


class Novelty(nn.Module):
    """Distance to the nearest concept, as the share of known windows that lie nearer.

    The distance is Mahalanobis's to the mean of each concept with one covariance, shrunk towards
    its diagonal (Lee et al., NeurIPS 2018).

    Args:
        num_statistics: Statistics of a window.
        num_concepts: Concepts.
    """

    def __init__(self, num_statistics: int, num_concepts: int) -> None:
        super().__init__()
        self.register_buffer("means_CS", torch.zeros(num_concepts, num_statistics))
        self.register_buffer("is_known_C", torch.zeros(num_concepts, dtype=torch.bool))
        self.register_buffer("whitener_SS", torch.eye(num_statistics))
        self.register_buffer("quantiles_Q", torch.zeros(_QUANTILES))
        self.register_buffer("threshold", torch.tensor(0.99))

    @torch.no_grad()
    def fit(self, statistics_NS: Tensor, concept_N: Tensor, shrinkage: float = 0.1) -> None:
        """Learn means and covariance.

        Args:
            statistics_NS: Standardised statistics of known windows.
            concept_N: Their concepts, int64.
            shrinkage: Weight of the diagonal in the covariance.
        """
        x = statistics_NS.double()
        centred = x.clone()
        for concept in range(len(self.means_CS)):
            mine = concept_N == concept
            self.is_known_C[concept] = bool(mine.any())
            if mine.any():
                mean = x[mine].mean(0)
                self.means_CS[concept] = mean
                centred[mine] -= mean
        covariance = centred.T @ centred / max(len(x), 1)
        diagonal = covariance.diagonal().clamp(min=1e-3).diag()
        covariance = (1 - shrinkage) * covariance + shrinkage * diagonal
        values, vectors = torch.linalg.eigh(covariance)
        self.whitener_SS.copy_(vectors * values.clamp(min=1e-6).rsqrt())

    @torch.no_grad()
    def fit_quantiles(self, statistics_NS: Tensor) -> None:
        """Learn how far known windows lie that `fit` did not see.

        Args:
            statistics_NS: Standardised statistics.
        """
        self.set_quantiles(self.distance(statistics_NS))

    @torch.no_grad()
    def set_quantiles(self, distance_N: Tensor) -> None:
        """Keep the quantiles of distances of known windows, such as those of left-out data sets."""
        grid = torch.linspace(0, 1, _QUANTILES, dtype=torch.float64, device=distance_N.device)
        self.quantiles_Q.copy_(torch.quantile(distance_N.double(), grid))

    @property
    def is_fitted(self) -> bool:
        """Whether `fit` has seen a known window."""
        return bool(self.is_known_C.any())

    def distance(self, statistics_NS: Tensor) -> Tensor:
        """Return the distance to the nearest concept [N]; 0 before `fit`."""
        if not self.is_fitted:
            return statistics_NS.new_zeros(len(statistics_NS))
        white_NS = statistics_NS @ self.whitener_SS
        white_CS = self.means_CS[self.is_known_C] @ self.whitener_SS
        # The quick way by matrix products rounds, and by how much depends on the other windows.
        exact = "donot_use_mm_for_euclid_dist"
        return torch.cdist(white_NS, white_CS, compute_mode=exact).amin(1)

    def share_nearer(self, statistics_NS: Tensor) -> Tensor:
        """Return the share of known windows that lie nearer to a concept [N]."""
        place = torch.searchsorted(self.quantiles_Q, self.distance(statistics_NS).contiguous())
        return place.to(statistics_NS) / _QUANTILES

    def probability(self, statistics_NS: Tensor) -> Tensor:
        """Return how sure it is that a window is unknown [N]: 0 up to the threshold, then to 1."""
        share = self.share_nearer(statistics_NS)
        return ((share - self.threshold) / (1 - self.threshold)).clamp(0, 1)
