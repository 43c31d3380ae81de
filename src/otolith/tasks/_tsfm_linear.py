"""The linear classifier of TSFM's first evaluation: one layer on frozen embeddings."""

# N rows, D width, K classes

from __future__ import annotations

import copy
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from otolith.core.config import config
from otolith.core.errors import DataError
from otolith.core.randomness import permutation
from otolith.tasks._windows import Count


@config
class LinearConfig:
    """Settings of the layer; the defaults are the published ones.

    Args:
        epochs: Passes over the training rows.
        batch_size: Rows per step.
        lr: Learning rate of Adam.
        dropout: Share of the inputs that is hidden while training.
        validation_share: Share of the rows that choose the epoch (by accuracy).
        is_scaled: Whether features are standardised with the training rows first; embeddings of
            unit length do not need it, statistics do.
    """

    epochs: Count = 100
    batch_size: Count = 128
    lr: Annotated[float, Field(gt=0)] = 1e-3
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    validation_share: Annotated[float, Field(ge=0, lt=1)] = 0.1
    is_scaled: bool = False


def fit_linear(
    train_ND: np.ndarray,
    label_N: np.ndarray,
    *,
    num_classes: int,
    settings: LinearConfig,
    seed: int,
) -> nn.Linear:
    """Train the layer; the epoch with the best validation accuracy counts.

    Args:
        train_ND: Features.
        label_N: int64 class of each row.
        num_classes: K.
        settings: See `LinearConfig`.
        seed: Seed of the layer, the split, the order and dropout.

    Returns:
        The layer, on the CPU.

    Raises:
        DataError: There is no row.
    """
    if not len(train_ND):
        raise DataError("There is no window to learn from.", "Choose other training data.")
    order = permutation(seed, 0, len(train_ND), "validation")
    held = int(settings.validation_share * len(order))
    features = torch.from_numpy(np.ascontiguousarray(train_ND, dtype=np.float32))
    target = torch.from_numpy(np.asarray(label_N, np.int64))
    validation, train = order[:held], order[held:]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layer = nn.Linear(features.shape[1], num_classes)
        optimizer = torch.optim.Adam(layer.parameters(), lr=settings.lr)
        best, best_share = copy.deepcopy(layer.state_dict()), -1.0
        for epoch in range(settings.epochs):
            shuffled = train[permutation(seed, epoch, len(train))]
            for start in range(0, len(shuffled), settings.batch_size):
                rows = shuffled[start : start + settings.batch_size]
                hidden = F.dropout(features[rows], settings.dropout, training=True)
                optimizer.zero_grad()
                F.cross_entropy(layer(hidden), target[rows]).backward()
                optimizer.step()
            if not held:
                continue
            with torch.no_grad():
                right = (layer(features[validation]).argmax(dim=1) == target[validation]).float()
            if float(right.mean()) > best_share:
                best, best_share = copy.deepcopy(layer.state_dict()), float(right.mean())
    if held:
        layer.load_state_dict(best)
    return layer


def apply_linear(layer: nn.Linear, features_ND: np.ndarray) -> np.ndarray:
    """Return logits [N, K], float64."""
    with torch.no_grad():
        values = torch.from_numpy(np.ascontiguousarray(features_ND, dtype=np.float32))
        return layer(values).double().numpy()
