"""Shallow classifiers on features: logistic regression, forest, prototypes, neighbours."""

# N windows, D width, K classes

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from otolith.core.errors import DataError

_PAIRS = 20_000_000  # similarities held at a time
HeadName = Literal["logistic", "forest"]


def fit_predict(
    head: HeadName,
    train_ND: np.ndarray,
    label_N: np.ndarray,
    test_ND: np.ndarray,
    *,
    num_classes: int,
    seed: int,
    strength: float = 1.0,
    num_trees: int = 200,
) -> np.ndarray:
    """Fit a classifier on training features and score test features.

    Features are standardised with the training part's mean and deviation; missing values
    (NaN) become the training mean.

    Args:
        head: `logistic` (balanced class weights, inverse penalty `strength`) or `forest`.
        train_ND: Training features.
        label_N: int64 class of each training row.
        test_ND: Test features.
        num_classes: K; classes without training rows get probability 0.
        seed: Seed of the forest.
        strength: Inverse of the penalty of the logistic regression.
        num_trees: Trees of the forest.

    Returns:
        Probabilities [N, K], float64.

    Raises:
        DataError: There are no training rows.
    """
    from sklearn.ensemble import RandomForestClassifier

    if not len(train_ND):
        raise DataError("There is no window to learn from.", "Use more people or shorter windows.")
    scores_NK = np.zeros((len(test_ND), num_classes))
    present = np.unique(label_N)
    if len(present) == 1:
        scores_NK[:, present] = 1.0
        return scores_NK
    if head == "logistic":
        predict = fit_logistic(train_ND, label_N, num_classes=num_classes, strength=strength)
        return predict(test_ND)
    train_ND, test_ND = standardise(train_ND, test_ND)
    classifier = RandomForestClassifier(
        num_trees, class_weight="balanced_subsample", random_state=seed, n_jobs=-1
    )
    classifier.fit(train_ND, label_N)
    scores_NK[:, classifier.classes_] = classifier.predict_proba(test_ND)
    return scores_NK


def fit_logistic(
    train_ND: np.ndarray, label_N: np.ndarray, *, num_classes: int, strength: float = 1.0
) -> Callable[[np.ndarray], np.ndarray]:
    """Fit a logistic regression once, for features that come in pieces.

    Args:
        train_ND: Training features; NaN = missing.
        label_N: int64 class of each training row.
        num_classes: K.
        strength: Inverse of the penalty.

    Returns:
        A function: features [M, D] -> probabilities [M, K], float64.

    Raises:
        DataError: The training rows hold fewer than two classes.
    """
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(label_N)) < 2:
        raise DataError(
            f"{len(label_N)} example windows of one class cannot be learned from.",
            "Give examples of two or more classes.",
        )
    mean, scale = _scale(train_ND)
    classifier = LogisticRegression(C=strength, max_iter=1000, class_weight="balanced")
    classifier.fit(_apply(train_ND, mean, scale), label_N)

    def predict(features_MD: np.ndarray) -> np.ndarray:
        scores_MK = np.zeros((len(features_MD), num_classes))
        scores_MK[:, classifier.classes_] = classifier.predict_proba(
            _apply(features_MD, mean, scale)
        )
        return scores_MK

    return predict


def standardise(train_ND: np.ndarray, test_ND: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale both parts by the training part's mean and deviation; NaN becomes 0 (the mean)."""
    mean, scale = _scale(train_ND)
    return _apply(train_ND, mean, scale), _apply(test_ND, mean, scale)


def _scale(train_ND: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of the finite values; a constant feature gets deviation 1."""
    is_known = np.isfinite(train_ND)
    counts = np.maximum(is_known.sum(axis=0), 1)
    mean = np.where(is_known, train_ND, 0.0).sum(axis=0, dtype=np.float64) / counts
    squares = np.where(is_known, train_ND - mean, 0.0) ** 2
    scale = np.sqrt(squares.sum(axis=0) / counts)
    return mean, np.where(scale < 1e-8, 1.0, scale)


def _apply(x_ND: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(x_ND), (x_ND - mean) / scale, 0.0)


def prototypes(train_ND: np.ndarray, label_N: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the normalised mean of the normalised features of each class, [K, D].

    A class without examples gets the zero vector (Snell et al., NeurIPS 2017, with cosine).
    """
    unit = normalise(train_ND)
    sums = np.zeros((num_classes, train_ND.shape[1]))
    np.add.at(sums, label_N, unit)
    return normalise(sums)


def neighbours(
    train_ND: np.ndarray,
    label_N: np.ndarray,
    test_ND: np.ndarray,
    *,
    num_classes: int,
    k: int,
    temperature: float = 0.07,
) -> np.ndarray:
    """Score classes by the weighted votes of the k nearest training rows.

    Args:
        train_ND: Training features.
        label_N: int64 class of each training row.
        test_ND: Test features.
        num_classes: K.
        k: Number of neighbours, at most all training rows.
        temperature: A vote weighs exp(cosine / temperature).

    Returns:
        Shares of the votes [N, K], float64.
    """
    train_DN, test_ND = normalise(train_ND).T, normalise(test_ND)
    k = min(k, len(label_N))
    scores = np.zeros((len(test_ND), num_classes))
    step = max(1, _PAIRS // max(1, len(label_N)))
    for start in range(0, len(test_ND), step):
        similarity = test_ND[start : start + step] @ train_DN
        nearest = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
        cosine = np.take_along_axis(similarity, nearest, axis=1)
        weights = np.exp((cosine - cosine.max(axis=1, keepdims=True)) / temperature)
        rows = np.repeat(np.arange(start, start + len(nearest)), k)
        np.add.at(scores, (rows, label_N[nearest].ravel()), weights.ravel())
    return scores / np.maximum(scores.sum(axis=1, keepdims=True), 1e-12)


def similarity(features_ND: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """Return cosines of features and texts.

    Args:
        features_ND: Features of windows.
        texts: Text embeddings [L, D], or [L, P, D] with P prototypes per text, of which the best
            counts.

    Returns:
        Similarities [N, L].
    """
    unit_ND, unit = normalise(features_ND), normalise(texts)
    if unit.ndim == 2:
        return unit_ND @ unit.T
    return np.einsum("nd,lpd->nlp", unit_ND, unit).max(axis=-1)


def softmax(x_NK: np.ndarray) -> np.ndarray:
    """Return the softmax over the last axis."""
    e = np.exp(x_NK - x_NK.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def normalise(x_ND: np.ndarray) -> np.ndarray:
    """Return rows of length 1 (zero rows stay zero)."""
    length = np.linalg.norm(x_ND, axis=-1, keepdims=True)
    return x_ND / np.where(length < 1e-12, 1.0, length)
