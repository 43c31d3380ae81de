"""Folds that never divide a group (a person, a source recording), stratified by class."""

# N windows, K classes, G groups, F folds

from __future__ import annotations

import numpy as np

from otolith.core.errors import ConfigError, DataError
from otolith.core.randomness import rng


def group_folds(
    groups_N: np.ndarray, labels_N: np.ndarray, num_folds: int, *, seed: int = 0
) -> list[np.ndarray]:
    """Divide windows into folds so that all windows of a group lie in one fold.

    Groups are dealt out from the largest to the smallest; each goes to the fold where it brings
    the class counts of all folds closest to equal. Equal choices are decided by the seed.

    Args:
        groups_N: Group of each window, any integers or texts [N].
        labels_N: Class of each window, int64 [N]; -1 = unknown, which counts as a class.
        num_folds: Number of folds F.
        seed: Seed of the order of equally large groups.

    Returns:
        F boolean masks [N]: the windows that are tested in that fold.

    Raises:
        ConfigError: Fewer than two folds.
        DataError: There are fewer groups than folds.
    """
    if num_folds < 2:
        raise ConfigError(f"num_folds is {num_folds}.", "Give at least 2.")
    names, group_N = np.unique(groups_N, return_inverse=True)
    if len(names) < num_folds:
        raise DataError(
            f"{len(names)} groups cannot be divided into {num_folds} folds.",
            "Ask for fewer folds.",
        )
    _, class_N = np.unique(labels_N, return_inverse=True)
    counts_GK = np.zeros((len(names), class_N.max() + 1))
    np.add.at(counts_GK, (group_N, class_N), 1.0)
    shares_GK = counts_GK / counts_GK.sum(0)
    fold_G = _deal(shares_GK, counts_GK.sum(1), num_folds, seed)
    return [fold_G[group_N] == fold for fold in range(num_folds)]


def _deal(shares_GK: np.ndarray, sizes_G: np.ndarray, num_folds: int, seed: int) -> np.ndarray:
    """Give every group a fold; every fold gets at least one group."""
    num_groups = len(sizes_G)
    shuffled = rng(seed, purpose="folds").permutation(num_groups)
    order = shuffled[np.argsort(-sizes_G[shuffled], kind="stable")]
    filled_FK = np.zeros((num_folds, shares_GK.shape[1]))
    groups_F = np.zeros(num_folds, np.int64)
    fold_G = np.zeros(num_groups, np.int64)
    for position, group in enumerate(order):
        cost_F = ((filled_FK + shares_GK[group]) ** 2 - filled_FK**2).sum(1)
        if num_groups - position <= (groups_F == 0).sum():
            cost_F = np.where(groups_F == 0, cost_F, np.inf)
        fold = int(np.lexsort(np.stack([groups_F, np.round(cost_F, 12)]))[0])
        fold_G[group] = fold
        filled_FK[fold] += shares_GK[group]
        groups_F[fold] += 1
    return fold_G
