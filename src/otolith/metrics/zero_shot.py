"""Zero-shot scores: labels are compared by name or by group of synonyms.

A group table maps a label to its group; a label that is not listed is a group of its own.
"""

# B samples, P patches, L candidate labels

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


def to_groups(labels: Sequence[str], groups: Mapping[str, str] | None = None) -> np.ndarray:
    """Return the group of each label; without a table every label is its own group."""
    table = groups or {}
    return np.array([table.get(label, label) for label in labels], dtype=object)


def group_accuracy(
    truth: Sequence[str], predicted: Sequence[str], groups: Mapping[str, str] | None = None
) -> float:
    """Return the share of samples whose predicted label is in the group of the true one.

    Args:
        truth: True labels.
        predicted: Predicted labels.
        groups: Label -> group; None = exact match.

    Returns:
        Share 0..1; NaN without samples.
    """
    same = to_groups(truth, groups) == to_groups(predicted, groups)
    return float(np.mean(same)) if len(same) else float("nan")


def group_f1(
    truth: Sequence[str], predicted: Sequence[str], groups: Mapping[str, str] | None = None
) -> tuple[float, float]:
    """Return F1 over the groups that occur in truth or prediction.

    Args:
        truth: True labels.
        predicted: Predicted labels.
        groups: Label -> group; None = exact match.

    Returns:
        Macro mean and mean weighted by the number of true samples, 0..1; NaN without samples.
        A group without a hit has F1 zero.
    """
    true_B, guess_B = to_groups(truth, groups), to_groups(predicted, groups)
    if not len(true_B):
        return float("nan"), float("nan")
    names, codes = np.unique(np.concatenate([true_B, guess_B]).astype(str), return_inverse=True)
    true_code, guess_code = codes[: len(true_B)], codes[len(true_B) :]
    support = np.bincount(true_code, minlength=len(names))
    guessed = np.bincount(guess_code, minlength=len(names))
    hits = np.bincount(true_code[true_code == guess_code], minlength=len(names))
    f1 = 2.0 * hits / (support + guessed)
    return float(f1.mean()), float((f1 * support).sum() / support.sum())


def mean_reciprocal_rank(
    similarity_BL: np.ndarray,
    truth: Sequence[str],
    candidates: Sequence[str],
    groups: Mapping[str, str] | None = None,
) -> float:
    """Return the mean of 1 / rank of the first candidate that is right.

    Args:
        similarity_BL: Higher = nearer; equal values keep the order of the candidates.
        truth: True labels.
        candidates: Labels of the columns.
        groups: Label -> group; a candidate of the true group is right. None = exact match.

    Returns:
        Mean 0..1; a sample without a right candidate counts 0. NaN without samples.
    """
    if not len(truth):
        return float("nan")
    right_BL = to_groups(truth, groups)[:, None] == to_groups(candidates, groups)[None]
    order_BL = np.argsort(-np.asarray(similarity_BL, np.float64), axis=1, kind="stable")
    ranked_BL = np.take_along_axis(right_BL, order_BL, axis=1)
    first_B = ranked_BL.argmax(1) + 1.0
    return float(np.where(ranked_BL.any(1), 1.0 / first_B, 0.0).mean())


def vote_counts(similarity_BPL: np.ndarray, mask_BP: np.ndarray) -> np.ndarray:
    """Count how many real patches of a window are nearest to each label, int64 [B, L].

    Args:
        similarity_BPL: Similarity of each patch with each label.
        mask_BP: bool, True = real patch.
    """
    choice_BP = np.asarray(similarity_BPL).argmax(-1)
    votes_BPL = np.eye(similarity_BPL.shape[-1], dtype=np.int64)[choice_BP]
    return (votes_BPL * np.asarray(mask_BP, bool)[..., None]).sum(1)


def majority_vote(similarity_BPL: np.ndarray, mask_BP: np.ndarray) -> np.ndarray:
    """Let the patches of a window vote for their nearest label; see `vote_counts`.

    Returns:
        Winning label per window, int64 [B]; the lowest number wins a tie, -1 without a real patch.
    """
    votes_BL = vote_counts(similarity_BPL, mask_BP)
    return np.where(votes_BL.any(1), votes_BL.argmax(1), -1)
