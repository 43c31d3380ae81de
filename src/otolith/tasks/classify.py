"""Classify: a trained classifier names its own classes on recordings that it was not trained on."""

# N windows, K classes of the model, B batch

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field

from otolith.core.config import config
from otolith.core.errors import CheckpointError, ConfigError, LeakageError
from otolith.core.progress import progress
from otolith.datasets import make_dataset
from otolith.datasets._part import DatasetPart
from otolith.metrics.multi_class import report_logits
from otolith.tasks._model import Model
from otolith.tasks._multi_label import summarise_multi_label
from otolith.tasks._people import EVERYONE, seen_people, trained_recordings
from otolith.tasks._result import Predictions, Result, summarise
from otolith.tasks._run_windows import about_length, windows_of_run
from otolith.tasks._windows import about_origin, relatives_of
from otolith.windows.dataset import WindowDataset
from otolith.windows.needed import needed_target
from otolith.windows.spec import Target, WindowSpec


@config
class Config:
    """Settings of classification.

    Args:
        split: Part of the data set to test on; `all` = everything that was given.
        division: Which of the data set's splits that is, such as `split_2`; empty = the first.
        windows: How recordings are cut; None = as in the run that the weights come from.
        batch_size: Windows per forward pass.
    """

    split: Literal["all", "train", "validation", "test"] = "test"
    division: str = ""
    windows: WindowSpec | None = None
    batch_size: Annotated[int, Field(gt=0)] = 256


def evaluate(model: Model, part: DatasetPart, settings: Config) -> Result:
    """Test a classifier as it is; nothing is learned.

    Where the windows' targets are `multi_label` alone, a window may belong to several classes; see
    `otolith.tasks._multi_label` for what the numbers mean then.

    Args:
        model: A model that knows classes, such as a run of `himu_mae_classifier`.
        part: Labelled data set.
        settings: See `Config`.

    Returns:
        Numbers over the model's classes; `extra` holds `top1`, `top5`, `mean_average_precision` and
        `mean_roc_auc` (one class against the rest, plain means) and `cross_entropy` per window.

    Raises:
        CheckpointError: The model knows no classes.
        ConfigError: Nothing says how to cut windows.
        LeakageError: Recordings, or people of a division by person, were part of the training.
    """
    if not model.labels:
        raise CheckpointError(
            f'The model "{model.name}" knows no classes of its own.',
            "Use probe, few_shot or fine_tune, or train a classifier.",
        )
    chosen, is_by_person = _choose(part, settings)
    warnings = (*about_origin(model, chosen), *_guard(model, chosen, is_by_person=is_by_person))
    spec = settings.windows or windows_of_run(model)
    is_multi = "multi_label" in spec.targets and "label" not in spec.targets
    target: Target = "multi_label" if is_multi else "label"
    spec = replace(spec, keep_unlabelled=False, targets=(target,))
    warnings = (*warnings, *about_length(model, spec))
    windows = WindowDataset([chosen], spec, labels=model.labels)
    logits_NK, targets = _logits(model, windows, settings.batch_size, target)
    subjects_N = np.array([s.partition("/")[2] for s in windows.table.subjects], object)
    about = {
        "labels": model.labels,
        "model": model.name,
        "data": part.name,
        "settings": settings,
        "warnings": warnings,
    }
    where = _where(settings)
    if is_multi:
        return summarise_multi_label(logits_NK, targets > 0, subjects_N, protocol=where, **about)
    return _summarise(logits_NK, targets, subjects_N, where, about)


def _summarise(
    logits_NK: np.ndarray,
    truth_N: np.ndarray,
    subjects_N: np.ndarray,
    where: str,
    about: dict[str, Any],
) -> Result:
    """The result where every window has one class."""
    report = report_logits(logits_NK, truth_N)
    log_p_NK = logits_NK - np.logaddexp.reduce(logits_NK, axis=1, keepdims=True)
    return summarise(
        Predictions(
            truth_N=truth_N,
            predicted_N=logits_NK.argmax(axis=1),
            subjects_N=subjects_N,
            repetition_N=np.zeros(len(truth_N), np.int64),
            window_N=np.arange(len(truth_N)),
            scores_NK=np.exp(log_p_NK),
        ),
        task="classify",
        protocol=f"{where}; top-5 {report.top5:.3f}, mean average precision "
        f"{report.mean_average_precision:.3f}",
        counts={"subjects": len(set(subjects_N)), "windows": len(truth_N)},
        extra={
            "top1": report.top1,
            "top5": report.top5,
            "mean_average_precision": report.mean_average_precision,
            "mean_roc_auc": _finite(report.mean_roc_auc),
            "cross_entropy": float(-log_p_NK[np.arange(len(truth_N)), truth_N].mean()),
        },
        **about,
    )


def _choose(part: DatasetPart, settings: Config) -> tuple[DatasetPart, bool]:
    """The recordings of the wanted part that were given, and whether people divide them."""
    if settings.split == "all":
        return part, True
    found = make_dataset(part.folder.path, split=settings.split, division=settings.division)
    own = set(part.recording_ids)
    kept = tuple(name for name in found.recording_ids if name in own)
    if not kept:
        raise ConfigError(
            f"No recording that was given belongs to the part {settings.split} of {part.name}.",
            "Set split to all to test on everything that is given.",
        )
    splits = part.folder.info.get("splits") or {}
    split = splits[settings.division] if settings.division else next(iter(splits.values()))
    return replace(part, recording_ids=kept), split.get("by", "subject") == "subject"


def _guard(model: Model, part: DatasetPart, *, is_by_person: bool) -> tuple[str, ...]:
    """Refuse what was trained on; a division by recording may share people, which is said."""
    names = {f"{part.name}/{name}" for name in part.recording_ids}
    known = names & trained_recordings(model.provenance)
    seen = seen_people(model.provenance, part.name, relatives_of(part))
    people = seen & set(_people(part))
    if known or (is_by_person and (people or EVERYONE in seen)):
        raise LeakageError(
            f'Of the recordings of "{part.name}" to test on, {len(known) or "some"} (or their people) '
            "were part of the training of this model.",
            "Test on another part, or use probe, which keeps people apart.",
        )
    if EVERYONE in seen:
        return ("Nobody can check whether these recordings were part of the model's training.",)
    if people:
        number = f"{len(people)} of the people tested"
        return (f"{number} were in other recordings of the model's training.",)
    return ()


def _people(part: DatasetPart) -> list[str]:
    """Person of every recording of a part."""
    table = part.folder.recordings
    rows = zip(table["recording_id"].to_pylist(), table["subject"].to_pylist(), strict=True)
    own = set(part.recording_ids)
    return [person or "" for name, person in rows if name in own]


def _logits(
    model: Model, windows: WindowDataset, batch_size: int, target: Target
) -> tuple[np.ndarray, np.ndarray]:
    """Logits of every window, float64 [N, K], and its target [N] or [N, K]."""
    logits, targets = [], []
    model.system.eval()
    with torch.inference_mode(), progress(len(windows), f"{model.name}: classifying") as bar:
        for start in range(0, len(windows), batch_size):
            ids = np.arange(start, min(start + batch_size, len(windows)))
            batch = windows.batch(ids, epoch=0)
            logits.append(model.system.classify(batch).double().cpu().numpy())
            targets.append(needed_target(batch, target).cpu().numpy())
            bar.advance(len(ids))
    return np.concatenate(logits), np.concatenate(targets)


def _where(settings: Config) -> str:
    where = "everything given" if settings.split == "all" else f"the part {settings.split}"
    if settings.division:
        where += f" of {settings.division}"
    return f"the model's own classes on {where}"


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
