"""Calibrate a model of concepts on held-out people: temperature, conformal quantiles, novelty.

Scores may come from another run of the same recipe that never saw the data set (leave one data
set out), so that the temperature includes what changes from one data set to the next. All numbers
after calibration are those of a temperature that was fitted without the person.
"""

# N windows, L labels, C concepts, S statistics

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from otolith.core.config import config, to_plain
from otolith.core.errors import CheckpointError, DataError, LeakageError
from otolith.core.progress import progress
from otolith.datasets._part import DatasetPart, derived_from
from otolith.metrics.confidence import conformal_quantile
from otolith.systems._concepts import listed, tidy
from otolith.systems.otolith_imu import System
from otolith.tasks._calibration_fits import fit_temperature, label_scores, numbers
from otolith.tasks._model import Model
from otolith.tasks._novelty import fit_novelty
from otolith.tasks._people import EVERYONE, learned_people, seen_people, subject_folds
from otolith.tasks._windows import EvaluationWindows, Labelled, labelled_windows, relatives_of

_BATCH = 256
Coverage = Annotated[float, Field(gt=0, lt=1)]


@config
class Config:
    """Settings of calibration.

    Args:
        labels: Labels as words, among which windows are told apart.
        windows: How recordings are cut.
        coverages: Coverages whose conformal quantiles are stored, rising.
        folds: Parts of the people for numbers of people that nothing was fitted on.
        seed: Decides between equally good divisions.
    """

    labels: Annotated[tuple[str, ...], Field(min_length=2)]
    windows: EvaluationWindows = field(default_factory=EvaluationWindows)
    coverages: Annotated[tuple[Coverage, ...], Field(min_length=1)] = (0.8, 0.9, 0.95)
    folds: Annotated[int, Field(ge=2)] = 5
    seed: int = 0


@dataclass(frozen=True)
class Calibrated:
    """A calibrated model.

    Args:
        system: A new system; the old one is unchanged.
        provenance: That of the old one, with `calibration`.
    """

    system: System
    provenance: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Windows of held-out people of one data set.

    Args:
        part: The data set.
        scorer: The model whose scores these are.
        scores_NC: Joined votes for the concepts, before calibration.
        statistics_NS: Statistics as the model that is calibrated standardises them.
        truth_N: Index into the labels.
        person_N: Person of each window.
        num_left_out: Windows of labels that are not among those given.
        warnings: What a reader must know.
    """

    part: DatasetPart
    scorer: Model
    scores_NC: Tensor
    statistics_NS: Tensor
    truth_N: np.ndarray
    person_N: np.ndarray
    num_left_out: int
    warnings: tuple[str, ...]


def calibrate(
    model: Model,
    on: Sequence[tuple[Model, DatasetPart]],
    settings: Config,
    known: Sequence[DatasetPart] = (),
) -> Calibrated:
    """Fit the temperature, conformal quantiles and novelty of a model.

    Args:
        model: The model, of the system otolith_imu.
        on: Per data set the model that scores it (the model itself, or another run that never
            saw it).
        settings: See `Config`.
        known: Data sets with what the model knows, for novelty; empty = novelty stays as it is.

    Raises:
        CheckpointError: A model is of another system.
        DataError: No window carries one of the labels, or a label means nothing to the model.
        LeakageError: All people were learned from, or there is one person only.
    """
    own = _concept_system(model)
    _check_words(own, settings.labels)
    held = [_held_out(model, scorer, part, settings) for scorer, part in on]
    scores_NC = torch.cat([h.scores_NC for h in held])
    truth_N = np.concatenate([h.truth_N for h in held])
    person_N = np.concatenate(
        [np.array([f"{h.part.name}/{p}" for p in h.person_N], dtype=object) for h in held]
    )
    found = _fit(own, scores_NC, truth_N, person_N, settings)
    system = _with(own, settings.coverages, found)
    facts = {
        "labels": list(settings.labels),
        "windows": len(truth_N),
        "windows_of_other_labels": sum(h.num_left_out for h in held),
        "datasets": {h.part.name: _facts_of(h) for h in held},
        **found,
        "settings": to_plain(settings),
        "warnings": [w for h in held for w in h.warnings],
    }
    if known:
        distances = [(h.part, h.statistics_NS, h.person_N) for h in held]
        facts["novelty"] = fit_novelty(system, distances, known, settings.windows)
    return Calibrated(system, {**model.provenance, "calibration": facts})


def match_labels(own: Sequence[str], wanted: Sequence[str]) -> np.ndarray:
    """Return which wanted label each class of a data set belongs to.

    A class belongs to the label of the same name, else to the label that stands for all of its
    concepts and as few others as possible.

    Args:
        own: Class names of a data set.
        wanted: Labels.

    Returns:
        int64, index into `wanted`; -1 = to none.

    Raises:
        DataError: A class belongs to two labels.
    """
    names = [tidy(w) for w in wanted]
    meant = [set(listed(w)) for w in wanted]
    found = []
    for label in own:
        if tidy(label) in names:
            found.append(names.index(tidy(label)))
            continue
        mine = set(listed(label))
        fitting = [i for i, m in enumerate(meant) if mine and mine <= m]
        size = min((len(meant[i]) for i in fitting), default=0)
        best = [i for i in fitting if len(meant[i]) == size]
        if len(best) > 1:
            raise DataError(
                f'The class "{label}" belongs to the labels {wanted[best[0]]} and {wanted[best[1]]}.',
                "Leave one of them out.",
            )
        found.append(best[0] if best else -1)
    return np.array(found, np.int64)


def _concept_system(model: Model) -> System:
    if not isinstance(model.system, System):
        raise CheckpointError(
            f'"{model.name}" is of the system {model.system_name}, which has nothing to calibrate.',
            "Give a model of the system otolith_imu.",
        )
    return model.system


def _check_words(system: System, words: Sequence[str]) -> None:
    """Refuse labels that mean nothing to the model, or the same as another."""
    far = system.far_words(words)
    if far or len({tidy(w) for w in words}) < len(words):
        fact = (
            f'The label "{next(iter(far))}" is near no concept.'
            if far
            else "A label is given twice."
        )
        raise DataError(fact, "Choose words that `otolith checkpoint card` lists.")


def _held_out(model: Model, scorer: Model, part: DatasetPart, settings: Config) -> HeldOut:
    """Windows of people that the scoring model did not learn from, with its scores."""
    data = labelled_windows(part, settings.windows)
    relatives = relatives_of(part)
    learned = learned_people(scorer.provenance, part.name, relatives)
    is_held_N = ~np.isin(data.subject_N, sorted(learned)) & (EVERYONE not in learned)
    if not is_held_N.any():
        raise LeakageError(
            f'"{scorer.name}" has learned from all people of "{part.name}".',
            "Give another data set, or with --scored-by a run that never saw this one.",
        )
    truth_N = match_labels(data.labels, settings.labels)[data.label_N]
    rows = np.flatnonzero(is_held_N & (truth_N >= 0))
    if not len(rows):
        raise DataError(
            f'No window of "{part.name}" belongs to one of the labels {", ".join(settings.labels)}.',
            f"Its classes are {', '.join(data.labels)}.",
        )
    scores_NC, statistics_NS = _scores(model, scorer, data, rows)
    return HeldOut(
        part=part,
        scorer=scorer,
        scores_NC=scores_NC,
        statistics_NS=statistics_NS,
        truth_N=truth_N[rows],
        person_N=data.subject_N[rows],
        num_left_out=int((is_held_N & (truth_N < 0)).sum()),
        warnings=_warnings(scorer, part, data, learned, relatives),
    )


def _warnings(
    scorer: Model, part: DatasetPart, data: Labelled, learned: set[str], relatives: tuple[str, ...]
) -> tuple[str, ...]:
    people = set(data.subject_N.tolist())
    seen = seen_people(scorer.provenance, part.name, relatives)
    chose = (people if EVERYONE in seen else people & seen) - learned
    found = []
    if people & learned:
        found.append(
            f"{len(people & learned)} people of {part.name} were learned from by {scorer.name} and "
            "are left out."
        )
    if chose:
        found.append(
            f"{len(chose)} people of {part.name} were held out in the training of {scorer.name} "
            "but chose its epoch, so scores may be a little too good."
        )
    if not scorer.provenance.get("data"):
        found.append(f"{scorer.name} does not say whom it has learned from.")
    return tuple(found)


@torch.inference_mode()
def _scores(model: Model, scorer: Model, data: Labelled, rows: np.ndarray) -> tuple[Tensor, Tensor]:
    """Joined votes of the scorer [N, C], and statistics standardised by the model [N, S]."""
    own, other = _concept_system(model), _concept_system(scorer)
    same_views = own.encoder.config == other.encoder.config
    scores, statistics = [], []
    with progress(len(rows), f"{scorer.name}: scoring {len(rows)} windows") as bar:
        for start in range(0, len(rows), _BATCH):
            batch = data.windows.batch(rows[start : start + _BATCH], epoch=0)
            views = other.encoder.views(batch)
            scores.append(other.uncalibrated_scores(views))
            views = views if same_views else own.encoder.views(batch)
            statistics.append(own.encoder.standardised(views))
            bar.advance(len(batch))
    return torch.cat(scores), torch.cat(statistics)


def _fit(
    system: System, scores_NC: Tensor, truth_N: np.ndarray, person_N: np.ndarray, settings: Config
) -> dict[str, Any]:
    """Temperature and quantiles, and numbers before and after."""
    words = settings.labels
    folds = subject_folds(person_N, num_folds=settings.folds, seed=settings.seed, labels_N=truth_N)
    probability_NL = np.empty((len(truth_N), len(words)))
    for fold in folds:
        temperature = fit_temperature(system, scores_NC[fold.train], truth_N[fold.train], words)
        named = label_scores(system, scores_NC[fold.test], temperature, words)
        probability_NL[fold.test] = named.double().exp().numpy()
    misfit_N = 1.0 - probability_NL[np.arange(len(truth_N)), truth_N]
    sets = {}
    for coverage in settings.coverages:
        limit_N = np.empty(len(truth_N))
        for fold in folds:
            limit_N[fold.test] = conformal_quantile(misfit_N[fold.train], coverage)
        sets[f"{coverage:g}"] = {
            "coverage": float((misfit_N <= limit_N).mean()),
            "labels_per_set": float((1.0 - probability_NL <= limit_N[:, None]).sum(1).mean()),
        }
    before = label_scores(system, scores_NC, float(system.temperature), words).double().exp()
    return {
        "temperature": fit_temperature(system, scores_NC, truth_N, words),
        "coverages": list(settings.coverages),
        "quantiles": [conformal_quantile(misfit_N, c) for c in settings.coverages],
        "before": numbers(before.numpy(), truth_N),
        "after": {**numbers(probability_NL, truth_N), "sets": sets},
    }


def _with(system: System, coverages: tuple[float, ...], found: dict[str, Any]) -> System:
    """A new system with the same weights and what was fitted."""
    made = System(dataclasses.replace(system.config, coverages=coverages))
    weights = {k: v for k, v in system.state_dict().items() if k != "conformal_Q"}
    made.load_state_dict(weights, strict=False)
    made.temperature.fill_(found["temperature"])
    # Rounding to float32 must not narrow a set.
    quantiles = np.asarray(found["quantiles"])
    rounded = quantiles.astype(np.float32)
    up = np.where(rounded < quantiles, np.nextafter(rounded, np.float32(2)), rounded)
    made.conformal_Q.copy_(torch.from_numpy(up))
    return made.eval()


def _facts_of(held: HeldOut) -> dict[str, Any]:
    origin = held.scorer.provenance
    return {
        "people": sorted(set(held.person_N.tolist())),
        "windows": len(held.truth_N),
        "derived_from": list(derived_from(held.part)),
        "scored_by": {
            "model": held.scorer.name,
            "recipe": origin.get("recipe", ""),
            "seed": origin.get("seed"),
            "datasets": sorted((origin.get("data") or {}).get("datasets", {})),
        },
    }
