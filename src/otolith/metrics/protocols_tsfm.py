"""Scoring rules of TSFM's published tables (reference specification, section 8).

Names of classes are compared through groups of synonyms: a mapping from label to group, in which a
label that is not listed is its own group. All shares are fractions; the published tables print
percent. Default tables: `otolith.datasets`.
"""

# N samples, P patches, D width, L labels of a text bank, K training labels, A test activities

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from otolith.core.errors import DataError
from otolith.metrics.classification import count_outcomes, score_counts
from otolith.metrics.retrieval import first_ranks, rank_relevance

NO_MATCH = -1e30


@dataclass(frozen=True, kw_only=True)
class GroupScores:
    """Scores after both sides were mapped to groups.

    Args:
        accuracy: Share of samples whose group was predicted.
        macro_f1: Mean F1 over groups that occur in truth or prediction.
        weighted_f1: Mean F1 weighted by true samples.
        num_samples: Samples.
        mean_reciprocal_rank: Mean of 1 / rank of the first label of the right group; None where
            there is no ranking.
    """

    accuracy: float
    macro_f1: float
    weighted_f1: float
    num_samples: int
    mean_reciprocal_rank: float | None = None


@dataclass(frozen=True, kw_only=True)
class EmbeddingQuality:
    """How motion and text embeddings lie to each other; distances are 1 - cosine.

    Args:
        alignment: Mean cosine of each sample and its own label text.
        alignment_std: Its standard deviation over samples (divisor N).
        modality_gap: Mean over groups of the distance between motion and text centroid.
        modality_gap_std: Its standard deviation over groups (divisor = number of groups).
        intra_class_distance: Mean over groups (of two samples or more) of the mean distance
            of two of their samples; None if there is no such group.
        inter_class_distance: Mean distance of two group centroids; None for a single group.
        class_separability: inter over intra; None if one is missing or intra is 0.
    """

    alignment: float
    alignment_std: float
    modality_gap: float
    modality_gap_std: float
    intra_class_distance: float | None
    inter_class_distance: float | None
    class_separability: float | None


def to_groups(labels: Sequence[str], groups: Mapping[str, str]) -> list[str]:
    """Return the group of each label; a label that is not listed is its own group."""
    return [groups.get(label, label) for label in labels]


def map_ambiguity_safe(
    training_labels: Sequence[str], activities: Sequence[str], groups: Mapping[str, str]
) -> dict[str, str | None]:
    """Map training labels to test activities only where there is no doubt.

    By exact name first; else through the group if exactly one activity belongs to it; else None.
    """
    members: dict[str, list[str]] = {}
    for activity in dict.fromkeys(activities):
        members.setdefault(groups.get(activity, activity), []).append(activity)
    mapped: dict[str, str | None] = {}
    for label in training_labels:
        same = members.get(groups.get(label, label), [])
        only = same[0] if len(same) == 1 else None
        mapped[label] = label if label in activities else only
    return mapped


def mask_closed_set(
    training_labels: Sequence[str], activities: Sequence[str], groups: Mapping[str, str]
) -> np.ndarray:
    """Return bool [K]: training labels whose group occurs among the test activities."""
    wanted = set(to_groups(activities, groups))
    return np.array([group in wanted for group in to_groups(training_labels, groups)], dtype=bool)


def find_mappable(
    training_labels: Sequence[str], activities: Sequence[str], groups: Mapping[str, str]
) -> list[str]:
    """Return the test activities that have a training label in their group (the covered ones)."""
    known = set(to_groups(training_labels, groups))
    return [a for a in activities if groups.get(a, a) in known]


def predict_labels(logits_NK: np.ndarray, mask_K: np.ndarray | None = None) -> np.ndarray:
    """Return the best label of each sample.

    Args:
        logits_NK: Scores over training labels.
        mask_K: bool, labels that may be predicted (closed set); None = all (open set).

    Returns:
        Indices [N] into the training labels; the lowest index among equals.

    Raises:
        DataError: No label is allowed.
    """
    logits = np.asarray(logits_NK)
    if mask_K is None:
        return logits.argmax(1)
    if not np.any(mask_K):
        raise DataError(
            "No training label shares a group with the test activities.",
            "Choose a model that was trained on such activities, or score the open set.",
        )
    return np.where(np.asarray(mask_K, dtype=bool), logits, -np.inf).argmax(1)


def aggregate_logits(
    logits_NK: np.ndarray,
    training_labels: Sequence[str],
    activities: Sequence[str],
    groups: Mapping[str, str],
    *,
    no_match: float = NO_MATCH,
) -> np.ndarray:
    """Turn scores over training labels into scores over test activities.

    Args:
        logits_NK: Scores over training labels.
        training_labels: K names.
        activities: A names.
        groups: Label -> group.
        no_match: Score of an activity without any training label in its group.

    Returns:
        Scores [N, A], float64: the maximum over the training labels of the activity's group.
    """
    logits = np.asarray(logits_NK, dtype=np.float64)
    known = np.array(to_groups(training_labels, groups))
    out = np.full((len(logits), len(activities)), no_match)
    for column, group in enumerate(to_groups(activities, groups)):
        same = known == group
        if same.any():
            out[:, column] = logits[:, same].max(1)
    return out


def score_groups(
    truth: Sequence[str], predicted: Sequence[str], groups: Mapping[str, str]
) -> GroupScores:
    """Score predicted label names against true ones after mapping both to groups.

    Args:
        truth: True label of each sample.
        predicted: Predicted label of each sample.
        groups: Label -> group.

    Raises:
        DataError: There are no samples, or the lengths differ.
    """
    true_groups, predicted_groups = to_groups(truth, groups), to_groups(predicted, groups)
    names = sorted({*true_groups, *predicted_groups})
    position = {name: index for index, name in enumerate(names)}
    counts = count_outcomes(
        np.array([position[g] for g in true_groups], dtype=np.int64),
        np.array([position[g] for g in predicted_groups], dtype=np.int64),
        len(names),
    )
    scores = score_counts(counts)
    return GroupScores(
        accuracy=float(scores.accuracy_R),
        macro_f1=float(scores.macro_f1_observed),
        weighted_f1=float(scores.weighted_f1),
        num_samples=len(true_groups),
    )


def recall_labels(
    queries_ND: np.ndarray,
    bank_LD: np.ndarray,
    truth: Sequence[str],
    labels: Sequence[str],
    groups: Mapping[str, str],
    *,
    ks: Sequence[int] = (1, 5, 10),
) -> dict[int, float]:
    """Return k -> share of samples with a label of their group among the k nearest label texts.

    Args:
        queries_ND: Motion embeddings.
        bank_LD: One text embedding per entry of `labels`.
        truth: True label of each sample.
        labels: Distinct label names of the bank.
        groups: Label -> group; an empty mapping asks for the exact label.
        ks: Depths.
    """
    ranks = first_ranks(
        rank_relevance(_cosine(queries_ND, bank_LD), _same_group(truth, labels, groups))
    )
    return {int(k): float((ranks <= k).mean()) for k in ks}


def score_nearest_label(
    queries_ND: np.ndarray,
    bank_LD: np.ndarray,
    truth: Sequence[str],
    labels: Sequence[str],
    groups: Mapping[str, str],
) -> GroupScores:
    """Score the nearest label text of each sample by groups; arguments as in `recall_labels`."""
    return _score_ranking(_cosine(queries_ND, bank_LD), truth, labels, groups)


def score_majority_vote(
    patches_NPD: np.ndarray,
    mask_NP: np.ndarray,
    bank_LD: np.ndarray,
    truth: Sequence[str],
    labels: Sequence[str],
    groups: Mapping[str, str],
) -> GroupScores:
    """Score sessions whose patches vote for their nearest label text.

    Equal numbers of votes go to the label that comes first in alphabetical order; the
    reciprocal rank orders labels by votes, and equals alphabetically.

    Args:
        patches_NPD: Embedding of each patch.
        mask_NP: bool, True = real patch.
        bank_LD: One text embedding per entry of `labels`.
        truth: True label of each session.
        labels: Distinct label names of the bank.
        groups: Label -> group.

    Raises:
        DataError: A session has no real patch.
    """
    mask = np.asarray(mask_NP, dtype=bool)
    if not mask.any(1).all():
        raise DataError("A session has no real patch.", "Leave empty sessions out.")
    order = np.argsort(np.asarray(labels, dtype=np.str_), kind="stable")
    names = [labels[i] for i in order]
    nearest = _cosine(patches_NPD, np.asarray(bank_LD)[order]).argmax(-1)
    votes = np.zeros((len(mask), len(names)))
    np.add.at(votes, (np.nonzero(mask)[0], nearest[mask]), 1.0)
    return _score_ranking(votes, truth, names, groups)


def measure_embeddings(
    queries_ND: np.ndarray, texts_ND: np.ndarray, truth: Sequence[str], groups: Mapping[str, str]
) -> EmbeddingQuality:
    """Measure how motion embeddings lie to the texts of their labels.

    Args:
        queries_ND: Motion embeddings.
        texts_ND: Text embedding of each sample's own label.
        truth: True label of each sample.
        groups: Label -> group; an empty mapping uses the labels themselves.
    """
    motion, text = _unit(queries_ND), _unit(texts_ND)
    paired = (motion * text).sum(1)
    names, index = np.unique(np.array(to_groups(truth, groups)), return_inverse=True)
    count = np.bincount(index)
    member = (index[None] == np.arange(len(names))[:, None]).astype(np.float64)
    motion_sum, text_sum = member @ motion, member @ text
    centre, text_centre = _unit(motion_sum), _unit(text_sum)
    gap = 1.0 - (centre * text_centre).sum(1)
    several = count > 1
    # The cosines of all ordered pairs of a group sum to |sum of its unit vectors|^2 - count.
    pairs = np.maximum(count * (count - 1), 1)
    within = 1.0 - (np.square(motion_sum).sum(1) - count) / pairs
    intra = float(within[several].mean()) if several.any() else None
    upper = np.triu_indices(len(names), 1)
    inter = float((1.0 - centre @ centre.T)[upper].mean()) if len(names) > 1 else None
    return EmbeddingQuality(
        alignment=float(paired.mean()),
        alignment_std=float(paired.std()),
        modality_gap=float(gap.mean()),
        modality_gap_std=float(gap.std()),
        intra_class_distance=intra,
        inter_class_distance=inter,
        class_separability=inter / intra if inter is not None and intra else None,
    )


def _score_ranking(
    scores_NL: np.ndarray, truth: Sequence[str], labels: Sequence[str], groups: Mapping[str, str]
) -> GroupScores:
    ranks = first_ranks(rank_relevance(scores_NL, _same_group(truth, labels, groups)))
    best = score_groups(truth, [labels[i] for i in scores_NL.argmax(1)], groups)
    return GroupScores(
        accuracy=best.accuracy,
        macro_f1=best.macro_f1,
        weighted_f1=best.weighted_f1,
        num_samples=best.num_samples,
        mean_reciprocal_rank=float((1.0 / ranks).mean()),
    )


def _same_group(
    truth: Sequence[str], labels: Sequence[str], groups: Mapping[str, str]
) -> np.ndarray:
    left, right = np.array(to_groups(truth, groups)), np.array(to_groups(labels, groups))
    return left[:, None] == right[None, :]


def _unit(vectors: np.ndarray) -> np.ndarray:
    values = np.asarray(vectors, dtype=np.float64)
    length = np.linalg.norm(values, axis=-1, keepdims=True)
    return values / np.maximum(length, 1e-12)


def _cosine(vectors: np.ndarray, bank_LD: np.ndarray) -> np.ndarray:
    return _unit(vectors) @ _unit(bank_LD).T
