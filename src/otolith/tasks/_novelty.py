"""Fit how unusual windows are: known windows, and how far those of left-out data sets lie."""

# N windows, S statistics

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from otolith.core.errors import DataError
from otolith.core.progress import progress
from otolith.datasets._part import DatasetPart, derived_from
from otolith.systems._concepts import concepts, label_matrix
from otolith.systems.otolith_imu import System
from otolith.tasks._people import EVERYONE, seen_people
from otolith.tasks._windows import EvaluationWindows, labelled_windows, relatives_of

_BATCH = 256


@dataclass(frozen=True, kw_only=True)
class Known:
    """Windows of one data set that show one concept each.

    Args:
        part: The data set.
        statistics_NS: Standardised statistics.
        concept_N: int64, index of the concept.
        person_N: `data set/person` of each window; a simulation names the person it was made from.
    """

    part: DatasetPart
    statistics_NS: Tensor
    concept_N: Tensor
    person_N: np.ndarray


def fit_novelty(
    system: System,
    held: Sequence[tuple[DatasetPart, Tensor, np.ndarray]],
    known: Sequence[DatasetPart],
    windows: EvaluationWindows,
) -> dict[str, Any]:
    """Fit `system.novelty` to all known windows, and its quantiles to left-out ones.

    The distance of a held-out window is measured to known windows of the *other* data sets (where
    there is no other, of the other people), since a new user is new in both ways.

    Args:
        system: Changed in place.
        held: Data set, standardised statistics [N, S] and people [N] of held-out windows.
        known: Data sets that hold what is known.
        windows: How recordings are cut.

    Returns:
        Plain facts: data sets, numbers of windows, and what the quantiles were measured against.

    Raises:
        DataError: There are no known windows besides those of the held-out people.
    """
    found = [_known_windows(system, part, windows) for part in known]
    distances, against = [], {}
    for part, statistics_NS, person_N in held:
        others = [k for k in found if not _is_related(k.part, part)]
        against[part.name] = [k.part.name for k in others] or "other people"
        chosen = _joined(others or _without(found, {f"{part.name}/{p}" for p in person_N}))
        if not len(chosen[1]):
            raise DataError(
                f'Nothing is known besides the people of "{part.name}" themselves.',
                "Give further data sets with --known.",
            )
        fitted = copy.deepcopy(system.novelty)
        fitted.fit(*chosen)
        distances.append(fitted.distance(statistics_NS))
    statistics_NS, concept_N = _joined(found)
    system.novelty.fit(statistics_NS, concept_N)
    system.novelty.set_quantiles(torch.cat(distances))
    return {
        "datasets": [k.part.name for k in found],
        "windows": len(concept_N),
        "concepts": [c.name for i, c in enumerate(concepts()) if bool((concept_N == i).any())],
        "held_out_windows": sum(len(d) for d in distances),
        "measured_against": against,
    }


def _known_windows(system: System, part: DatasetPart, windows: EvaluationWindows) -> Known:
    """Windows whose class allows for one concept; pauses of moving concepts are left out."""
    data = labelled_windows(part, windows)
    allowed_LC = label_matrix(data.labels)
    rows = np.flatnonzero((allowed_LC.sum(1) == 1)[data.label_N])
    if not len(rows):
        raise DataError(
            f'No class of "{part.name}" stands for one concept.', "Leave it out of --known."
        )
    concept_N = torch.from_numpy(allowed_LC.argmax(1)[data.label_N[rows]])
    moves = torch.tensor([c.moves for c in concepts()])
    statistics, is_used = [], []
    with torch.inference_mode(), progress(len(rows), f"Reading {part.name}") as bar:
        for start in range(0, len(rows), _BATCH):
            batch = data.windows.batch(rows[start : start + _BATCH], epoch=0)
            views = system.encoder.views(batch)
            statistics.append(system.encoder.standardised(views))
            is_used.append(system.is_moving(views))
            bar.advance(len(batch))
    used = torch.cat(is_used) | ~moves[concept_N]
    origins = derived_from(part)
    people = [
        p if p.partition("/")[0] in origins else f"{part.name}/{p}" for p in data.subject_N[rows]
    ]
    return Known(
        part=part,
        statistics_NS=torch.cat(statistics)[used],
        concept_N=concept_N[used],
        person_N=np.array(people, dtype=object)[used.numpy()],
    )


def _is_related(known: DatasetPart, part: DatasetPart) -> bool:
    """Whether people of `known` may be people of `part`."""
    facts = {"train_subjects": [EVERYONE, ""], "derived_from": derived_from(known)}
    provenance = {"data": {"datasets": {known.name: facts}}}
    return bool(seen_people(provenance, part.name, relatives_of(part)))


def _without(known: Sequence[Known], people: set[str]) -> list[Known]:
    """Known windows of other people."""
    left = []
    for k in known:
        keep = torch.from_numpy(~np.isin(k.person_N.astype(str), sorted(people)))
        left.append(
            Known(
                part=k.part,
                statistics_NS=k.statistics_NS[keep],
                concept_N=k.concept_N[keep],
                person_N=k.person_N[keep.numpy()],
            )
        )
    return left


def _joined(known: Sequence[Known]) -> tuple[Tensor, Tensor]:
    return torch.cat([k.statistics_NS for k in known]), torch.cat([k.concept_N for k in known])
