"""Fine-tune: train the linear layer, or everything, and test on people it has not seen."""

# N windows, K classes

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from otolith.core.config import config, to_plain
from otolith.core.errors import TrainingError
from otolith.core.progress import progress
from otolith.datasets._part import DatasetPart, derived_from
from otolith.tasks._model import Model
from otolith.tasks._people import Fold
from otolith.tasks._result import Result
from otolith.tasks._tuning import (
    EpochBar,
    classify,
    hold_out_people,
    people_facts,
    require_trainable,
    train_classifier,
)
from otolith.tasks._windows import (
    EvaluationWindows,
    Folds,
    Labelled,
    Seeds,
    Share,
    labelled_windows,
)
from otolith.tasks.probe import run_folds
from otolith.training.callbacks import Callback
from otolith.training.checkpoints import save_model
from otolith.training.config import (
    CheckpointConfig,
    EarlyStopConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainingConfig,
)


@config
class Config:
    """Settings of fine-tuning.

    Args:
        windows: How recordings are cut.
        folds: Number of folds by person, or `official`.
        what: `head`: only the linear layer; `all`: the whole model.
        class_weights: `balanced` weighs classes by their rarity, `none` all the same.
        train_fraction: Share of the training windows of each class to learn from.
        validation_folds: One of so many parts of the training people chooses the epoch.
        layer_decay: Factor of the learning rate per layer towards the input.
        head_lr_scale: Factor of the learning rate of the linear layer.
        training: The loop.
        seeds: One repetition each.
        keep: Model folder to write; empty = keep nothing. After the folds (whose numbers say how
            good such a model is) a further model learns from all people, less those that choose
            the epoch. `otolith label` takes the folder and knows the labels.
    """

    windows: EvaluationWindows = field(default_factory=EvaluationWindows)
    folds: Folds = 5
    what: Literal["head", "all"] = "all"
    class_weights: Literal["balanced", "none"] = "balanced"
    train_fraction: Share = 1.0
    validation_folds: Annotated[int, Field(ge=2)] = 5
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 0.8
    head_lr_scale: Annotated[float, Field(gt=0)] = 10.0
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            epochs=30,
            batch_size=64,
            optimizer=OptimizerConfig(lr=3e-4, weight_decay=0.01),
            schedule=ScheduleConfig(name="cosine", warmup_epochs=1),
            early_stop=EarlyStopConfig(patience=6),
            checkpoint=CheckpointConfig(keep=0),
        )
    )
    seeds: Seeds = (0,)
    keep: str = ""


def evaluate(
    model: Model, part: DatasetPart, settings: Config, *, callbacks: tuple[Callback, ...] = ()
) -> Result:
    """Train on the training people of each fold and test on the others.

    The epoch is chosen on people held out from the training people; the test people play no part.

    Args:
        model: A model with weights; it stays as it is.
        part: Labelled data set.
        settings: See `Config`.
        callbacks: Follow every training besides the progress bar.

    Raises:
        CheckpointError: The model has no weights to train.
        LeakageError: Nobody is left to test on.
        TrainingError: The folder to keep the model in exists, or training had to stop.
    """
    require_trainable(model)
    if settings.keep and Path(settings.keep).expanduser().exists():
        raise TrainingError(f"{settings.keep} exists already.", "Name a folder that is new.")
    data = labelled_windows(part, settings.windows)
    folds = 1 if settings.folds == "official" else int(settings.folds)
    rounds = len(settings.seeds) * min(folds, len(np.unique(data.subject_N))) + bool(settings.keep)
    done = 0
    with progress(rounds * settings.training.epochs, f"{model.name}: fine-tuning") as bar:

        def score(fold: Fold, seed: int) -> np.ndarray:
            nonlocal done
            done += 1
            train, validation = hold_out_people(data, fold.train, settings.validation_folds, seed)
            following = (EpochBar(bar, f"training {done} of {rounds}"), *callbacks)
            tuned = train_classifier(model, data, train, validation, settings, seed, following)
            return classify(tuned, data.windows, fold.test, settings.training.batch_size)

        result = run_folds(
            model, part, data, settings, score,
            task="fine_tune", protocol=f"fine-tuning of {_WHAT[settings.what]}",
        )  # fmt: skip
        if settings.keep:
            _keep(model, part, data, settings, (EpochBar(bar, "model to keep"), *callbacks))
    return result


_WHAT = {"head": "a linear layer on the frozen model", "all": "the whole model"}


def _keep(
    model: Model,
    part: DatasetPart,
    data: Labelled,
    settings: Config,
    callbacks: tuple[Callback, ...],
) -> None:
    """Train on all people and write the model folder."""
    seed = settings.seeds[0]
    everyone = np.arange(len(data.label_N))
    train, validation = hold_out_people(data, everyone, settings.validation_folds, seed)
    tuned = train_classifier(model, data, train, validation, settings, seed, callbacks)
    provenance = {
        "task": "fine_tune",
        "seed": seed,
        "is_pretrain": False,
        "window_s": settings.windows.window_s,
        "window": to_plain(data.windows.spec),
        "settings": to_plain(settings),
        "init_from": str(model.path or model.name),
        "init_provenance": model.provenance,
        "data": {
            "datasets": {
                part.name: people_facts(data, train, validation, derived_from(part)),
            },
            "labels": list(data.labels),
        },
    }
    save_model(Path(settings.keep).expanduser(), "classifier", tuned, provenance)
