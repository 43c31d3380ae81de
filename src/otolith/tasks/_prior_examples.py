"""A few examples on top of what a model says from words alone.

The posterior is a logistic regression whose offset is the logarithm of the model's own
probabilities (the prior). Its weights, and how far the prior is sharpened or flattened, are pulled to
nothing: without examples the words alone count, with every example the data weigh more.
"""

# N examples, M windows, D width, K classes, R components, F folds

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from otolith.core.errors import DataError
from otolith.tasks._classifiers import softmax

Predict = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(features [M, D], log prior [M, K]) -> probabilities [M, K], float64."""
SHRINKAGES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0)
DEFAULT_SHRINKAGE = 0.3
_MAX_FOLDS = 10
_MAX_ROWS = 2000  # examples that choose the shrinkage; more of them decide nothing new
_PSEUDO_ROWS = 10  # how many examples a feature needs until its own deviation counts
_STEPS = 200
_BARRED = -1e4


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What the examples say about the shrinkage.

    Args:
        shrinkage: The best one.
        rows: int64, examples that were held out in turn.
        held_out_NK: Their probabilities, from the other examples.
    """

    shrinkage: float
    rows: np.ndarray
    held_out_NK: np.ndarray


def fit_with_prior(
    features_ND: np.ndarray,
    log_prior_NK: np.ndarray,
    target_N: np.ndarray,
    *,
    shrinkage: float = DEFAULT_SHRINKAGE,
    background_MD: np.ndarray | None = None,
) -> Predict:
    """Fit the posterior.

    Args:
        features_ND: Features of the examples; NaN = missing. None at all (N = 0) gives the prior.
        log_prior_NK: Logarithm of the probabilities that words alone give.
        target_N: int64 class of each example; a class may have none.
        shrinkage: Precision of the weights' normal prior; larger = nearer to words alone.
        background_MD: Further rows without labels, which help to scale the features.

    Returns:
        A function: features [M, D] and log prior [M, K] -> probabilities [M, K].

    Raises:
        DataError: The shapes do not fit, or the shrinkage is not positive.
    """
    _check(features_ND, log_prior_NK, target_N, shrinkage)
    if not len(target_N):
        return lambda _, log_prior_MK: softmax(np.asarray(log_prior_MK, np.float64))
    space = _Space(features_ND, background_MD)
    x_NR = torch.from_numpy(space.apply(features_ND))
    weight_FN = torch.from_numpy(_balance(target_N, log_prior_NK.shape[1]))[None]
    prior_NK = torch.from_numpy(np.asarray(log_prior_NK, np.float64))
    weights, gain = _fit(x_NR, prior_NK, torch.from_numpy(target_N), weight_FN, shrinkage)
    weights_RK, gain_value = weights[0].numpy(), float(gain[0])

    def predict(features_MD: np.ndarray, log_prior_MK: np.ndarray) -> np.ndarray:
        prior = np.asarray(log_prior_MK, np.float64)
        return softmax(gain_value * prior + space.apply(features_MD) @ weights_RK)

    return predict


def choose_shrinkage(
    features_ND: np.ndarray,
    log_prior_NK: np.ndarray,
    target_N: np.ndarray,
    *,
    groups: Sequence[np.ndarray] = (),
    shrinkages: Sequence[float] = SHRINKAGES,
    background_MD: np.ndarray | None = None,
) -> Choice:
    """Choose how far to trust the examples by leaving some of them out in turn.

    Args:
        features_ND: See `fit_with_prior`.
        log_prior_NK: See `fit_with_prior`.
        target_N: See `fit_with_prior`.
        groups: Who or what each example comes from, such as people [N] and recordings [N], best
            first: the first in which every class has two members is left out member by member;
            else single examples are.
        shrinkages: Values to choose from.
        background_MD: See `fit_with_prior`.

    Returns:
        The value with the highest mean logarithm of the held-out probability of the truth, over
        examples of classes that others show as well; the default where fewer than two classes
        have such examples.

    Raises:
        DataError: There are fewer than two examples, or the shapes do not fit.
    """
    _check(features_ND, log_prior_NK, target_N, min(shrinkages))
    if len(target_N) < 2:
        raise DataError(f"{len(target_N)} examples cannot choose.", "Give two or more.")
    rows = np.unique(np.linspace(0, len(target_N) - 1, _MAX_ROWS).round().astype(np.int64))
    target_N = target_N[rows]
    fold_N = _folds(target_N, [group[rows] for group in groups])
    is_out_FN = torch.from_numpy(fold_N == np.arange(fold_N.max() + 1)[:, None])
    balance_N = torch.from_numpy(_balance(target_N, log_prior_NK.shape[1]))
    x_NR = torch.from_numpy(_Space(features_ND, background_MD).apply(features_ND[rows]))
    prior_NK = torch.from_numpy(np.asarray(log_prior_NK[rows], np.float64))
    truth_N = torch.from_numpy(target_N)
    weight_FN = torch.where(is_out_FN, 0.0, balance_N)
    counts_N = _is_taught(fold_N, target_N)
    if len(np.unique(target_N[counts_N])) < 2:
        shrinkages = (DEFAULT_SHRINKAGE,)
    judged_N = torch.where(torch.from_numpy(counts_N), balance_N, 0.0)
    best: tuple[float, float, Tensor] | None = None
    for shrinkage in sorted(shrinkages, reverse=True):
        weights, gain = _fit(x_NR, prior_NK, truth_N, weight_FN, shrinkage)
        log_FNK = (gain * prior_NK + x_NR @ weights).log_softmax(2)
        log_NK = log_FNK[torch.from_numpy(fold_N), torch.arange(len(rows))]
        value = float((judged_N * log_NK.gather(1, truth_N[:, None])[:, 0]).mean())
        if best is None or value > best[0]:
            best = value, shrinkage, log_NK
    assert best is not None  # noqa: S101  # there is one shrinkage at least
    return Choice(shrinkage=best[1], rows=rows, held_out_NK=best[2].exp().numpy())


class _Space:
    """Scales features and turns them into the few directions in which the examples differ.

    A penalty on the squared length of weights does not see this turn, so nothing is lost.
    """

    def __init__(self, features_ND: np.ndarray, background_MD: np.ndarray | None) -> None:
        known = (
            features_ND if background_MD is None else np.concatenate([features_ND, background_MD])
        )
        is_there = np.isfinite(known)
        count_D = np.maximum(is_there.sum(0), 1)
        self._mean_D = np.where(is_there, known, 0.0).sum(0, dtype=np.float64) / count_D
        square_D = (np.where(is_there, known - self._mean_D, 0.0) ** 2).sum(0)
        # The deviation of few rows says little, so it is drawn to that of all features.
        usual = square_D.sum() / max(count_D.sum(), 1)
        variance_D = (square_D + _PSEUDO_ROWS * usual) / (count_D + _PSEUDO_ROWS)
        self._scale_D = np.sqrt(np.maximum(variance_D, 1e-12) * known.shape[1])
        self._turn_DR: np.ndarray | None = None
        if len(features_ND) <= known.shape[1]:
            scaled = self.apply(features_ND)
            self._turn_DR = np.linalg.svd(scaled, full_matrices=False)[2].T

    def apply(self, features_ND: np.ndarray) -> np.ndarray:
        """Return scaled features with a constant column, turned, float64 [N, R]."""
        scaled = np.where(np.isfinite(features_ND), features_ND - self._mean_D, 0.0) / self._scale_D
        scaled = np.concatenate([scaled, np.ones((len(scaled), 1))], axis=1)
        return scaled if self._turn_DR is None else scaled @ self._turn_DR


def _fit(
    x_NR: Tensor, prior_NK: Tensor, target_N: Tensor, weight_FN: Tensor, shrinkage: float
) -> tuple[Tensor, Tensor]:
    """Weights [F, R, K] and gains of the prior [F, 1, 1] for every weighting of the examples."""
    folds = len(weight_FN)
    weights = x_NR.new_zeros(folds, x_NR.shape[1], prior_NK.shape[1]).requires_grad_()
    log_gain = x_NR.new_zeros(folds, 1, 1).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [weights, log_gain],
        max_iter=_STEPS, tolerance_grad=1e-6, tolerance_change=1e-10,
        line_search_fn="strong_wolfe",
    )  # fmt: skip
    index = target_N.expand(folds, -1)[:, :, None]
    # That a class has no examples says nothing against it, so the others are told apart without it.
    taught_FK = weight_FN @ torch.eye(prior_NK.shape[1], dtype=x_NR.dtype)[target_N] > 0
    barred_F1K = torch.where(taught_FK, 0.0, _BARRED)[:, None]

    def loss() -> Tensor:
        optimizer.zero_grad()
        log_FNK = (log_gain.exp() * prior_NK + x_NR @ weights + barred_F1K).log_softmax(2)
        errors = -(weight_FN * log_FNK.gather(2, index)[:, :, 0]).sum()
        total = errors + shrinkage / 2 * (weights.square().sum() + log_gain.square().sum())
        total.backward()
        return total

    with torch.enable_grad():
        optimizer.step(loss)
    return weights.detach(), log_gain.detach().exp()


def _balance(target_N: np.ndarray, num_classes: int) -> np.ndarray:
    """Weights [N] with mean 1 that let every class with examples count alike."""
    count_K = np.bincount(target_N, minlength=num_classes)
    return len(target_N) / (np.count_nonzero(count_K) * count_K[target_N].astype(np.float64))


def _folds(target_N: np.ndarray, groups: Sequence[np.ndarray]) -> np.ndarray:
    """Fold of each example, 0..: members of the first group that holds each class twice."""
    for group_N in groups:
        _, member_N = np.unique(group_N, return_inverse=True)
        pairs = np.unique(np.stack([target_N, member_N], axis=1), axis=0)
        if np.unique(pairs[:, 0], return_counts=True)[1].min() >= 2:
            return member_N % _MAX_FOLDS
    return np.argsort(np.argsort(target_N, kind="stable"), kind="stable") % min(
        _MAX_FOLDS, len(target_N)
    )


def _is_taught(fold_N: np.ndarray, target_N: np.ndarray) -> np.ndarray:
    """Whether an example's class is shown by examples of other folds, bool [N]."""
    count_KF = np.zeros((target_N.max() + 1, fold_N.max() + 1), np.int64)
    np.add.at(count_KF, (target_N, fold_N), 1)
    return count_KF.sum(1)[target_N] > count_KF[target_N, fold_N]


def _check(
    features_ND: np.ndarray, log_prior_NK: np.ndarray, target_N: np.ndarray, shrinkage: float
) -> None:
    if not len(features_ND) == len(log_prior_NK) == len(target_N):
        raise DataError(
            f"There are {len(features_ND)} rows of features, {len(log_prior_NK)} of the prior and "
            f"{len(target_N)} labels.",
            "Give one of each per example.",
        )
    if not shrinkage > 0:
        raise DataError(f"The shrinkage is {shrinkage:g}.", "Give a number above 0.")
