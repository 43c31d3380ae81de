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
    weight_FN = _balance(target_N, log_prior_NK.shape[1])[None]
    prior_NK = np.asarray(log_prior_NK, np.float64)
    found = _fit(space.apply(features_ND), prior_NK, target_N, weight_FN, shrinkage)
    weights_RK, gain = found.weights_FRK[0], float(found.gain_F[0])

    def predict(features_MD: np.ndarray, log_prior_MK: np.ndarray) -> np.ndarray:
        prior = np.asarray(log_prior_MK, np.float64)
        return softmax(gain * prior + space.apply(features_MD) @ weights_RK)

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
    is_out_FN = fold_N == np.arange(fold_N.max() + 1)[:, None]
    balance_N = _balance(target_N, log_prior_NK.shape[1])
    weight_FN = np.where(is_out_FN, 0.0, balance_N)
    counts_N = _is_taught(fold_N, target_N)
    if len(np.unique(target_N[counts_N])) < 2:
        shrinkages = (DEFAULT_SHRINKAGE,)
    x_NR = _Space(features_ND, background_MD).apply(features_ND[rows])
    prior_NK = np.asarray(log_prior_NK[rows], np.float64)
    best: tuple[float, Choice] | None = None
    found = None
    for shrinkage in sorted(shrinkages, reverse=True):
        found = _fit(x_NR, prior_NK, target_N, weight_FN, shrinkage, found)
        weights_NRK = found.weights_FRK[fold_N]
        logits_NK = found.gain_F[fold_N, None] * prior_NK
        logits_NK = logits_NK + np.einsum("nr,nrk->nk", x_NR, weights_NRK)
        scores_NK = softmax(logits_NK)
        log_N = np.log(np.maximum(scores_NK[np.arange(len(rows)), target_N], 1e-300))
        value = float((balance_N * log_N * counts_N).sum())
        if best is None or value > best[0]:
            best = value, Choice(shrinkage=shrinkage, rows=rows, held_out_NK=scores_NK)
    assert best is not None  # noqa: S101  # there is one shrinkage at least
    return best[1]


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


@dataclass(frozen=True, kw_only=True)
class _Solution:
    """Weights and gains of the prior for every weighting of the examples."""

    weights_FRK: np.ndarray
    gain_F: np.ndarray


def _fit(
    x_NR: np.ndarray,
    prior_NK: np.ndarray,
    target_N: np.ndarray,
    weight_FN: np.ndarray,
    shrinkage: float,
    start: _Solution | None = None,
) -> _Solution:
    """Most probable weights for every weighting at once (L-BFGS)."""
    from scipy.optimize import minimize

    shape = (len(weight_FN), x_NR.shape[1], prior_NK.shape[1])
    size = int(np.prod(shape))
    truth_NK = np.eye(shape[2])[target_N]
    # That a class has no examples says nothing against it, so the others are told apart without it.
    barred_F1K = np.where(weight_FN @ truth_NK > 0, 0.0, _BARRED)[:, None]

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        weights, log_gain = values[:size].reshape(shape), values[size:, None, None]
        logits = np.exp(log_gain) * prior_NK + x_NR @ weights + barred_F1K
        logits -= logits.max(2, keepdims=True)
        scores = np.exp(logits)
        total = scores.sum(2, keepdims=True)
        log_FN = ((logits - np.log(total)) * truth_NK).sum(2)
        error_FNK = weight_FN[:, :, None] * (scores / total - truth_NK)
        slope = x_NR.T @ error_FNK + shrinkage * weights
        gain_slope = (error_FNK * prior_NK * np.exp(log_gain)).sum((1, 2))
        value = shrinkage / 2 * (values**2).sum() - (weight_FN * log_FN).sum()
        return float(value), np.r_[slope.ravel(), gain_slope + shrinkage * values[size:]]

    first = np.zeros(size + shape[0])
    if start is not None:
        first = np.r_[start.weights_FRK.ravel(), np.log(start.gain_F)]
    options = {"maxiter": _STEPS, "gtol": 1e-5, "ftol": 1e-9}
    best = minimize(loss, first, jac=True, method="L-BFGS-B", options=options).x
    return _Solution(weights_FRK=best[:size].reshape(shape), gain_F=np.exp(best[size:]))


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
