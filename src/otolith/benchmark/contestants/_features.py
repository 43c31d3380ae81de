"""Frozen features with a shallow classifier on top."""

# N windows, D width, K classes

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from otolith.benchmark._settings import Learning
from otolith.benchmark.contestants import Contestant, Fitted, Lesson
from otolith.core.errors import DataError
from otolith.core.files import sha256_file
from otolith.metrics.classification import count_outcomes, score_counts
from otolith.tasks._classifiers import HeadName, fit_logistic, standardise
from otolith.tasks._model import Model
from otolith.windows.dataset import WindowDataset

Predict = Callable[[np.ndarray], np.ndarray]


class FeatureContestant(Contestant):
    """A model's frozen features with logistic regression or a forest.

    Args:
        name: How it stands in tables.
        model: What embeds windows.
        head: Which classifier.
        learning: Its settings.
    """

    def __init__(self, name: str, model: Model, head: HeadName, learning: Learning) -> None:
        self.name, self.model, self._head, self._learning = name, model, head, learning
        self.identity = f"{name}|{head}|{weights_hash(model)}"

    def inputs(self, windows: WindowDataset) -> np.ndarray:
        """Embed every window, float32 [N, D]."""
        assert self.model is not None  # noqa: S101  # set by __init__
        return self.model.embed_windows(windows)

    def fit(self, lessons: Sequence[Lesson], num_classes: int, seed: int) -> Fitted:
        """Choose the penalty on the validation people, then learn from all rows."""
        size = _num_weights(self.model)
        return fit_head(self._head, lessons, num_classes, seed, self._learning, size)


def fit_head(
    head: HeadName,
    lessons: Sequence[Lesson],
    num_classes: int,
    seed: int,
    learning: Learning,
    num_weights: int,
) -> Fitted:
    """Fit a shallow classifier to features; the validation people choose the penalty.

    Args:
        head: Kind of classifier.
        lessons: Lessons whose inputs are features [N, D].
        num_classes: K.
        seed: Seed of the forest.
        learning: Settings.
        num_weights: Weights behind the features.

    Raises:
        DataError: There is nothing to learn from.
    """
    train_ND, label_N = _gather(lessons, "train")
    if not len(label_N):
        raise DataError("There is no window to learn from.", "Use more people or data.")
    held_ND, held_N = _gather(lessons, "validation")
    chosen, strength = {}, 1.0
    if head == "logistic":
        strength = _choose(train_ND, label_N, held_ND, held_N, num_classes, learning.strengths)
        chosen = {"strength": strength}
    all_ND, all_N = np.concatenate([train_ND, held_ND]), np.concatenate([label_N, held_N])
    if len(np.unique(all_N)) == 1:
        predict, size = _constant(int(all_N[0]), num_classes), 0
    elif head == "logistic":
        predict = fit_logistic(all_ND, all_N, num_classes=num_classes, strength=strength)
        size = (all_ND.shape[1] + 1) * len(np.unique(all_N))
    else:
        predict, size = _forest(all_ND, all_N, num_classes, seed, learning.num_trees)
    return _Fitted(predict, all_ND, num_classes, size + num_weights, chosen)


def _choose(
    train_ND: np.ndarray,
    label_N: np.ndarray,
    held_ND: np.ndarray,
    held_N: np.ndarray,
    num_classes: int,
    strengths: Sequence[float],
) -> float:
    """Best inverse penalty by macro-F1 over the observed classes of the validation people."""
    if len(strengths) == 1 or not len(held_N) or len(np.unique(label_N)) < 2:
        return strengths[-1]
    found = []
    for strength in strengths:
        predict = fit_logistic(train_ND, label_N, num_classes=num_classes, strength=strength)
        found.append(macro_f1(held_N, predict(held_ND).argmax(1), num_classes))
    return strengths[int(np.argmax(found))]


class _Fitted(Fitted):
    """A classifier with the scale of its training features."""

    def __init__(
        self,
        predict: Predict,
        train_ND: np.ndarray,
        num_classes: int,
        size: int,
        chosen: dict[str, float],
    ) -> None:
        self._predict, self._train_ND, self._num_classes = predict, train_ND, num_classes
        self.num_parameters, self.chosen = size, chosen

    def scores(self, inputs: Any, rows: np.ndarray) -> np.ndarray:
        """Return probabilities of rows of the features."""
        if not len(rows):
            return np.zeros((0, self._num_classes))
        return self._predict(inputs[rows])

    def features(self, inputs: Any, rows: np.ndarray) -> np.ndarray:
        """Return features scaled by the training rows' mean and deviation."""
        return standardise(self._train_ND, inputs[rows])[1]


def macro_f1(truth_N: np.ndarray, predicted_N: np.ndarray, num_classes: int) -> float:
    """Return the macro-F1 over the classes that occur in truth or prediction."""
    counts = count_outcomes(truth_N, predicted_N, num_classes)
    return float(score_counts(counts).macro_f1_observed)


def weights_hash(model: Model) -> str:
    """Return the sha256 of the weights of a loaded model; empty if there are none."""
    path = model.path / "model.safetensors" if model.path is not None else None
    return sha256_file(path) if path is not None and path.is_file() else ""


def _num_weights(model: Model | None) -> int:
    return sum(p.numel() for p in model.system.parameters()) if model is not None else 0


def _gather(lessons: Sequence[Lesson], part: str) -> tuple[np.ndarray, np.ndarray]:
    """Features and classes of the train or validation rows of all lessons."""
    rows = [(lesson, getattr(lesson, part)) for lesson in lessons]
    features = np.concatenate([lesson.inputs[at] for lesson, at in rows])
    return features, np.concatenate([lesson.label_N[at] for lesson, at in rows])


def _constant(label: int, num_classes: int) -> Predict:
    """What can be learned from one class."""
    return lambda features_ND: np.tile(np.eye(num_classes)[label], (len(features_ND), 1))


def _forest(
    train_ND: np.ndarray, label_N: np.ndarray, num_classes: int, seed: int, num_trees: int
) -> tuple[Predict, int]:
    """Fit a random forest; returns how to predict and the number of its nodes."""
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(
        num_trees, class_weight="balanced_subsample", random_state=seed, n_jobs=-1
    )
    forest.fit(standardise(train_ND, train_ND[:0])[0], label_N)

    def predict(features_ND: np.ndarray) -> np.ndarray:
        scores_NK = np.zeros((len(features_ND), num_classes))
        scaled = standardise(train_ND, features_ND)[1]
        scores_NK[:, forest.classes_] = forest.predict_proba(scaled)
        return scores_NK

    return predict, int(sum(tree.tree_.node_count for tree in forest.estimators_))
