"""TSFM's first evaluation: 20 Hz windows and a linear classifier on frozen embeddings."""

# N windows, K classes, A activities, D width

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from otolith.core.config import config
from otolith.core.errors import ConfigError, DataError, LeakageError
from otolith.datasets import make_dataset
from otolith.datasets._part import DatasetPart
from otolith.metrics.protocols_tsfm import map_ambiguity_safe
from otolith.metrics.protocols_tsfm_splits import split_windows
from otolith.tasks._classifiers import standardise
from otolith.tasks._model import Model
from otolith.tasks._people import seen_people, training_datasets
from otolith.tasks._result import Predictions, Result, summarise
from otolith.tasks._tsfm_linear import LinearConfig, apply_linear, fit_linear
from otolith.tasks._tsfm_protocol import (
    OPEN_SET,
    RANDOM_WINDOWS,
    as_benchmark,
    fixed_patches,
    groups_for,
    protocol_windows,
    published,
)
from otolith.tasks._windows import Labelled, Seconds, Share, relatives_of
from otolith.tasks.tsfm_zero_shot import by_group
from otolith.tasks.zero_shot import guard_zero_shot


@config
class Config:
    """Settings; the defaults are those of the first published evaluation.

    Compare with `_tsfm_published.yaml`, table `seed_linear` (closed set, macro F1 over the fixed
    list of classes; numbers that the authors quote from other papers).

    Args:
        measure: `closed`: a training label counts as a test label by exact name, or through its
            group if only one test label belongs to it; other training windows are left out.
            `open`: all training labels, compared by group. `label_rate`: the layer learns from a
            share of the data set's own windows.
        train_on: Data sets whose labelled windows the layer learns from (`closed`, `open`);
            empty = those that the model was trained on.
        label_rate: Share of the training part for `label_rate`, never exceeded.
        window_s: Length of a window in s.
        rate_hz: Rate that windows are resampled to, in Hz.
        patch_s: Duration of a patch in s.
        streams: Motion streams to use; empty = all.
        linear: The layer.
        seed: Seed of the split and the layer.
    """

    measure: Literal["closed", "open", "label_rate"] = "closed"
    train_on: tuple[str, ...] = ()
    label_rate: Share = 0.01
    window_s: Seconds = 6.0
    rate_hz: Seconds = 20.0
    patch_s: Seconds = 1.5
    streams: tuple[str, ...] = ()
    linear: LinearConfig = field(default_factory=LinearConfig)
    seed: int = 3431


@dataclass(frozen=True)
class _Source:
    """Embeddings to learn from.

    Args:
        features_ND: Embeddings.
        label_N: Index into `labels`.
        labels: Class names.
    """

    features_ND: np.ndarray
    label_N: np.ndarray
    labels: tuple[str, ...]


def evaluate(model: Model, part: DatasetPart, settings: Config) -> Result:
    """Train the layer and test it.

    Args:
        model: Any model that embeds.
        part: Labelled data set.
        settings: See `Config`.

    Returns:
        The numbers; with `label_rate` a leak warning.

    Raises:
        LeakageError: The data set, or one of the same people, is part of what was learned from.
        ConfigError: It is not known what to learn from.
        DataError: No training label can be mapped to the data set's labels.
    """
    data = protocol_windows(part, settings.window_s, settings.streams)
    if settings.measure == "label_rate":
        return _with_own_labels(model, part, data, settings)
    names = _sources(model, part, settings)
    warnings = guard_zero_shot(model, part) if model.system.trainable else ()
    source = _join(model, names, settings)
    features_ND = _embed(model, data, settings)
    if settings.measure == "open":
        predicted_N = _learn(source, features_ND, len(source.labels), settings).argmax(axis=1)
        labels, truth_N, predicted_N = by_group(data, source.labels, predicted_N)
        scores_NK = None
        warnings = (*warnings, OPEN_SET)
    else:
        mapped = _mapped(source, data)
        labels, truth_N = data.labels, data.label_N
        scores_NK = _learn(mapped, features_ND, len(labels), settings)
        predicted_N = scores_NK.argmax(axis=1)
        left_out = sorted(set(labels) - {labels[i] for i in np.unique(mapped.label_N)})
        if left_out:
            text = ", ".join(left_out)
            warnings = (*warnings, f"No training label stands for {text}: counted as F1 0.")
    return _result(
        model, part, data, settings, labels, truth_N, predicted_N, scores_NK,
        np.arange(len(truth_N)),
        protocol=f"linear layer on frozen embeddings of {', '.join(names)}, {settings.measure} set",
        counts={"train_windows": len(source.label_N)},
        warnings=warnings,
    )  # fmt: skip


def _with_own_labels(model: Model, part: DatasetPart, data: Labelled, settings: Config) -> Result:
    """A layer on a share of the data set's own windows, with the published random split."""
    split = split_windows(
        data.label_N, label_rate=settings.label_rate, seed=settings.seed, is_strict=True
    )
    features_ND = _embed(model, data, settings)
    own = _Source(features_ND[split.train], data.label_N[split.train], data.labels)
    scores_NK = _learn(own, features_ND[split.test], len(data.labels), settings)
    return _result(
        model, part, data, settings, data.labels, data.label_N[split.test],
        scores_NK.argmax(axis=1), scores_NK, split.test,
        protocol=(
            f"linear layer on {100 * settings.label_rate:g} % of the labels of 80 % of the windows, "
            "tested on 10 % of the windows, random split"
        ),
        counts={"train_windows": len(split.train)},
        warnings=(RANDOM_WINDOWS,),
    )  # fmt: skip


def _result(
    model: Model,
    part: DatasetPart,
    data: Labelled,
    settings: Config,
    labels: tuple[str, ...],
    truth_N: np.ndarray,
    predicted_N: np.ndarray,
    scores_NK: np.ndarray | None,
    window_N: np.ndarray,
    *,
    protocol: str,
    counts: dict[str, int],
    warnings: tuple[str, ...],
) -> Result:
    return summarise(
        Predictions(
            truth_N=truth_N,
            predicted_N=predicted_N,
            subjects_N=data.subject_N[window_N],
            repetition_N=np.zeros(len(window_N), np.int64),
            window_N=window_N,
            scores_NK=scores_NK,
        ),
        labels=labels,
        task="tsfm_seed_linear",
        model=model.name,
        data=part.name,
        protocol=f"TSFM (first evaluation), {settings.rate_hz:g} Hz: {protocol}",
        counts={
            "subjects": len(np.unique(data.subject_N)),
            "windows": len(data.label_N),
            **counts,
        },
        settings=settings,
        warnings=warnings,
        extra={"published": published("seed_linear", settings.measure, part.name)},
    )


def _sources(model: Model, part: DatasetPart, settings: Config) -> tuple[str, ...]:
    """Names of the data sets to learn from; none may show the people of the test data."""
    names = settings.train_on or training_datasets(model.provenance)
    if not names:
        raise ConfigError(
            f'The weights of "{model.name}" do not say what they were trained on.',
            "Name the data sets to learn from with train_on=[...].",
        )
    learned = {"data": {"datasets": {name: {"train_subjects": ["*"]} for name in names}}}
    if seen_people(learned, part.name, relatives_of(part)):
        raise LeakageError(
            f'"{part.name}", or a data set with the same people, is among the data to learn from '
            f"({', '.join(names)}).",
            "Leave it out of train_on, or use measure=label_rate.",
        )
    return tuple(names)


def _join(model: Model, names: tuple[str, ...], settings: Config) -> _Source:
    """Embeddings and labels of all training data sets."""
    features, labels = [], []
    for name in names:
        data = protocol_windows(make_dataset(name), settings.window_s, ())
        features.append(_embed(model, data, settings))
        labels += [data.labels[i] for i in data.label_N.tolist()]
    classes = tuple(sorted(set(labels)))
    number = {label: i for i, label in enumerate(classes)}
    return _Source(np.concatenate(features), np.array([number[x] for x in labels]), classes)


def _mapped(source: _Source, data: Labelled) -> _Source:
    """The training windows whose label stands for one label of the test data."""
    groups = groups_for(source.labels, data.labels)
    names = map_ambiguity_safe(source.labels, data.labels, groups)
    position = {label: i for i, label in enumerate(data.labels)}
    target_K = np.array([position.get(names[label] or "", -1) for label in source.labels])
    label_N = target_K[source.label_N]
    keep = label_N >= 0
    if not keep.any():
        raise DataError(
            f"No training label stands for one of {', '.join(data.labels)}.",
            "Choose other data with train_on, or measure=open.",
        )
    return _Source(source.features_ND[keep], label_N[keep], data.labels)


def _embed(model: Model, data: Labelled, settings: Config) -> np.ndarray:
    with fixed_patches(model.system, settings.patch_s):
        return model.embed_windows(data.windows.with_transform(as_benchmark(settings.rate_hz)))


def _learn(source: _Source, test_ND: np.ndarray, num_classes: int, settings: Config) -> np.ndarray:
    """Logits [N, K] of the test windows; a class without training windows is never chosen."""
    train_ND = source.features_ND
    if settings.linear.is_scaled:
        train_ND, test_ND = standardise(train_ND, test_ND)
    layer = fit_linear(
        train_ND,
        source.label_N,
        num_classes=num_classes,
        settings=settings.linear,
        seed=settings.seed,
    )
    logits_NK = apply_linear(layer, test_ND)
    logits_NK[:, np.setdiff1d(np.arange(num_classes), source.label_N)] = -np.inf
    return logits_NK
