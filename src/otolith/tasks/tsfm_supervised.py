"""TSFM's published tables with 1 % and 10 % of the labels: random windows, whole model tuned."""

# N windows, B batch, K classes, D width

from __future__ import annotations

import copy
import tempfile
from dataclasses import field
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from otolith.core.config import config
from otolith.core.progress import progress
from otolith.datasets._part import DatasetPart
from otolith.heads import label_bank
from otolith.metrics.protocols_tsfm_splits import WindowSplit, split_windows
from otolith.objectives import LossOutput
from otolith.systems import System
from otolith.tasks._model import Model
from otolith.tasks._result import Predictions, Result, summarise
from otolith.tasks._tsfm_protocol import (
    RANDOM_WINDOWS,
    about_published,
    fixed_patches,
    protocol_windows,
    published,
)
from otolith.tasks._tuning import EpochBar, make_batches, take_best
from otolith.tasks._windows import Labelled, Seconds, Seeds, Share
from otolith.training.config import (
    BestConfig,
    CheckpointConfig,
    EarlyStopConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainingConfig,
)
from otolith.training.loop import fit
from otolith.windows.batch import Batch

_ACCURACY = "validation/parts/accuracy"


@config
class Config:
    """Settings; the defaults are those of the published tables "1 % supervised".

    Compare with `_tsfm_published.yaml`, table `supervised` (small_deep, accuracy / macro F1);
    `label_rate=0.1` gives the table "10 % supervised".

    Args:
        label_rate: Share of the training windows whose labels are used, equally many per class.
        is_strict: Whether the share is never exceeded; the published splits take at least one
            window per class.
        window_s: Length of a window in s.
        patch_s: Duration of a patch in s.
        streams: Motion streams to use; empty = all.
        temperature: Logits are cosines with the frozen label embeddings, divided by it.
        training: The loop.
        seeds: Seeds of the split, one repetition each.
    """

    label_rate: Share = 0.01
    is_strict: bool = False
    window_s: Seconds = 6.0
    patch_s: Seconds = 1.0
    streams: tuple[str, ...] = ()
    temperature: Annotated[float, Field(gt=0)] = 0.07
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            epochs=20,
            batch_size=32,
            optimizer=OptimizerConfig(name="adamw", lr=1e-5, weight_decay=1e-5),
            schedule=ScheduleConfig(name="constant"),
            early_stop=EarlyStopConfig(patience=5, metric=_ACCURACY, goal="max"),
            best=BestConfig(metric=_ACCURACY, goal="max"),
            checkpoint=CheckpointConfig(keep=0),
        )
    )
    seeds: Seeds = (3431,)


def evaluate(model: Model, part: DatasetPart, settings: Config) -> Result:
    """Tune a copy of the model on a random share of the windows and test on other windows.

    Args:
        model: A text-aligned model.
        part: Labelled data set.
        settings: See `Config`.

    Returns:
        Numbers with a leak warning, as the split keeps neither people nor recordings apart.

    Raises:
        CheckpointError: The model was not aligned with text.
        DataError: The data set cannot be cut into such windows.
    """
    model.require_text()
    data = protocol_windows(part, settings.window_s, settings.streams)
    parts, sizes = [], {}
    rounds = len(settings.seeds)
    with progress(rounds * settings.training.epochs, f"{model.name}: fine-tuning") as bar:
        for number, seed in enumerate(settings.seeds):
            split = split_windows(
                data.label_N,
                label_rate=settings.label_rate,
                seed=seed,
                is_strict=settings.is_strict,
            )
            sizes = {
                "train_windows": len(split.train),
                "validation_windows": len(split.validation),
            }
            watch = EpochBar(bar, f"training {number + 1} of {rounds}")
            parts.append((split.test, _tune(model, data, split, settings, seed, watch), number))
    test = np.concatenate([p[0] for p in parts])
    scores = np.concatenate([p[1] for p in parts])
    return summarise(
        Predictions(
            truth_N=data.label_N[test],
            predicted_N=scores.argmax(axis=1),
            subjects_N=data.subject_N[test],
            repetition_N=np.concatenate([np.full(len(p[0]), p[2]) for p in parts]),
            window_N=test,
            scores_NK=scores,
        ),
        labels=data.labels,
        task="tsfm_supervised",
        model=model.name,
        data=part.name,
        protocol=(
            f"TSFM with {100 * settings.label_rate:g} % of the labels of 80 % of the windows, "
            "tested on 10 % of the windows, random split"
        ),
        counts={
            "subjects": len(np.unique(data.subject_N)),
            "windows": len(data.label_N),
            **sizes,
        },
        settings=settings,
        warnings=(RANDOM_WINDOWS, *about_published(part.name)),
        extra={"published": published("supervised", f"{settings.label_rate:g}", part.name)},
    )


class LabelTextClassifier(System):
    """A text-aligned system whose classes are the frozen embeddings of their names.

    Args:
        base: The system; it learns.
        texts: Label embeddings [K, D] or [K, P, D] with P prototypes.
        temperature: Divides the cosines.
    """

    def __init__(self, base: System, texts: Tensor, temperature: float) -> None:
        super().__init__()
        self.config = base.config
        self.base = base
        self.temperature = temperature
        self.register_buffer("texts", texts)

    def embed(self, batch: Batch) -> Tensor:
        """Return the base's embedding [B, D]."""
        return self.base.embed(batch)

    def classify(self, batch: Batch) -> Tensor:
        """Return logits [B, K]."""
        return label_bank.similarity(self.base.embed(batch), self.texts) / self.temperature

    def loss(self, batch: Batch) -> LossOutput:
        """Return the cross entropy, and the accuracy as a part."""
        target = batch.targets["label"]
        if not isinstance(target, Tensor):
            raise TypeError("the class target must be a tensor")
        logits = self.classify(batch)
        per_sample_B = F.cross_entropy(logits, target, reduction="none")
        right = (logits.argmax(dim=1) == target).float().mean()
        return LossOutput(
            total=per_sample_B.mean(),
            parts={"accuracy": right},
            per_sample_B=per_sample_B.detach(),
        )


def _tune(
    model: Model, data: Labelled, split: WindowSplit, settings: Config, seed: int, watch: EpochBar
) -> np.ndarray:
    """Tune a copy; return the logits [N, K] of the test windows."""
    texts = torch.from_numpy(model.embed_texts(data.labels))
    system = LabelTextClassifier(copy.deepcopy(model.system), texts, settings.temperature)
    size = settings.training.batch_size
    has_validation = len(split.validation) > 0
    training = settings.training
    with (
        tempfile.TemporaryDirectory(prefix="otolith-") as folder,
        fixed_patches(system.base, settings.patch_s),
    ):
        fit(
            system,
            make_batches(data.windows, split.train, size, seed, shuffle=True),
            make_batches(data.windows, split.validation, size, seed) if has_validation else None,
            training,
            folder=Path(folder) / "run",
            system_name=model.system_name,
            seed=seed,
            callbacks=(watch,),
        )
        take_best(system, Path(folder) / "run")
        parts = []
        with torch.inference_mode():
            for start in range(0, len(split.test), size):
                batch = data.windows.batch(split.test[start : start + size], epoch=0)
                parts.append(system.classify(batch).double().numpy())
    return np.concatenate(parts)
