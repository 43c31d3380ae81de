"""From the data settings of a recipe to loaders; the only place where the loop's data are built."""

# N windows

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from otolith.core.errors import ConfigError, suggest
from otolith.core.randomness import rng
from otolith.datasets._part import derived_from
from otolith.training.loaders import BatchLoader
from otolith.training.recipe import DataConfig, Recipe, SamplingConfig
from otolith.windows.dataset import WindowDataset
from otolith.windows.loader import make_loader
from otolith.windows.sampling import GlobalBatchSampler
from otolith.windows.spec import WindowSpec
from otolith.windows.streams import IMU, read_streams
from otolith.windows.table import WindowTable
from otolith.windows.transforms import Augmenter
from otolith.windows.weights import group_balanced_weights

if TYPE_CHECKING:
    from otolith.datasets._part import DatasetPart

Loaders = tuple[BatchLoader, BatchLoader | None, dict[str, Any]]


def build_data(recipe: Recipe, rank: int = 0, world_size: int = 1) -> Loaders:
    """Build the loaders of a recipe.

    Args:
        recipe: Its `data`, `seed`, batch size and number of workers are used.
        rank: Number of this process.
        world_size: Number of processes.

    Returns:
        Loader for training, loader for validation (None if nobody is held out), and plain facts:
        people per data set and part, numbers of windows, labels.

    Raises:
        ConfigError: The settings do not fit the data.
        DataError: A data set cannot be used.
    """
    return build_loaders(load_parts(recipe.data), recipe, rank, world_size)


def load_parts(config: DataConfig) -> list[DatasetPart]:
    """Open the data sets of a recipe."""
    from otolith.datasets import make_dataset

    return [
        make_dataset(
            choice.name,
            is_pretrain=config.is_pretrain,
            split=choice.split,
            division=choice.division,
            subjects=choice.subjects,
            root=choice.root or None,
            **choice.settings,
        )
        for choice in config.datasets
    ]


def build_loaders(
    parts: Sequence[DatasetPart], recipe: Recipe, rank: int = 0, world_size: int = 1
) -> Loaders:
    """Cut parts into windows, hold people out, and load; see `build_data`."""
    config = recipe.data
    spec = config.window
    if config.is_pretrain:
        spec = replace(spec, label_rule="none", keep_unlabelled=True)
    labels = None if config.is_pretrain else _wanted_labels(recipe, parts)
    everything = WindowDataset(parts, spec, labels=labels, seed=recipe.seed)
    origins = {part.name: derived_from(part) for part in parts}
    held_out = hold_out(everything.table, config.validation_fraction, recipe.seed, origins)
    train = everything.select(~held_out).with_transform(
        Augmenter(config.augment) if config.augment.steps else None
    )
    weights = _weights(config.sampling, train.table, parts)
    buckets = _channel_counts(train.table, parts, spec) if config.sampling.by_channels else None
    shared = {"rank": rank, "world_size": world_size, "seed": recipe.seed, "shuffle": True}
    size = recipe.training.batch_size
    sampler = GlobalBatchSampler(len(train), size, weights=weights, buckets=buckets, **shared)
    loading = {
        "num_workers": recipe.training.num_workers,
        "pin_memory": recipe.training.device in {"auto", "cuda"} and torch.cuda.is_available(),
    }
    validation = None
    if held_out.any():
        chosen = everything.select(held_out)
        buckets = (
            _channel_counts(chosen.table, parts, spec) if config.sampling.by_channels else None
        )
        validation = make_loader(
            chosen, GlobalBatchSampler(len(chosen), size, buckets=buckets, **shared), **loading
        )
    facts = _facts(everything.table, held_out, origins)
    return make_loader(train, sampler, **loading), validation, facts


def hold_out(
    table: WindowTable,
    fraction: float,
    seed: int,
    origins: Mapping[str, Sequence[str]] | None = None,
) -> np.ndarray:
    """Choose people for validation in every data set; nobody is in both parts.

    Args:
        table: Windows.
        fraction: Share of the people of each data set; at least one person if there are two.
        seed: Seed of the choice.
        origins: Data set -> those that it was derived from. A person of a simulation is on the side
            of the person that it was made from.

    Returns:
        bool [N], True = validation. A data set with one (or no known) person gives none.
    """
    held_out = np.zeros(len(table), dtype=bool)
    if fraction == 0.0:
        return held_out
    origins = origins or {}
    side: dict[str, bool] = {}  # person, as `<origin>/<person>` -> whether held out
    # Stable sort: simulations come last, the others in their order.
    for name in sorted(table.dataset_names, key=lambda n: bool(origins.get(n))):
        mine = table.dataset == table.dataset_names.index(name)
        people = np.unique(table.subject[mine])
        names = {p: _origin_person(table.subject_names[p], origins) for p in people.tolist()}
        open_ = np.asarray([p for p in people.tolist() if names[p] not in side], people.dtype)
        count = max(1, round(fraction * len(people))) if len(people) > 1 else 0
        count = max(0, count - sum(side.get(n, False) for n in names.values()))
        chosen = rng(seed, purpose=f"validation/{name}").permutation(open_)[:count]
        side |= {names[p]: p in chosen for p in open_.tolist()}
        held_out |= mine & np.isin(table.subject, [p for p in names if side[names[p]]])
    return held_out


def _origin_person(subject: str, origins: Mapping[str, Sequence[str]]) -> str:
    """`simulation/origin/person` -> `origin/person`; other names stay."""
    dataset, _, person = subject.partition("/")
    is_derived = person.partition("/")[0] in origins.get(dataset, ())
    return person if is_derived else subject


def _wanted_labels(recipe: Recipe, parts: Sequence[DatasetPart]) -> tuple[str, ...] | None:
    """Class names of a system that fixes them and their order, such as a classifier; else None."""
    wanted = tuple(getattr(recipe.system.config, "labels", ()))
    known = {label for part in parts for label in part.labels}
    if unknown := [label for label in wanted if known and label not in known]:
        raise ConfigError(
            f'system.labels names "{unknown[0]}", which no data set of the run has.',
            suggest(unknown[0], known, limit=30),
        )
    return wanted or None


def _weights(
    config: SamplingConfig, table: WindowTable, parts: Sequence[DatasetPart]
) -> np.ndarray | None:
    if config.name == "plain":
        return None
    groups_N = table.dataset
    if config.name == "group_balanced":
        if (table.label < 0).all():
            raise ConfigError(
                'data.sampling is "group_balanced" but no window has a label.',
                'Choose "plain" or "dataset_balanced", or set data.is_pretrain to false.',
            )
        groups_N = _label_groups(table, parts)
    return group_balanced_weights(groups_N, config.temperature, config.max_oversample)


def _label_groups(table: WindowTable, parts: Sequence[DatasetPart]) -> np.ndarray:
    """Group name of every window: the canonical label of its data set's card, else the label."""
    groups: dict[tuple[str, str], str] = {
        (part.name, label): group
        for part in parts
        for label, group in part.folder.info.get("card", {}).get("label_groups", {}).items()
    }
    labels = [*table.labels, ""]
    names = np.array(
        [[groups.get((d, label), label) for label in labels] for d in table.dataset_names], object
    )
    return names[table.dataset, table.label].astype(str)


def _channel_counts(
    table: WindowTable, parts: Sequence[DatasetPart], spec: WindowSpec
) -> np.ndarray:
    """Number of motion channels of every window, int64 [N]."""
    counts = np.zeros(len(table), np.int64)
    for number, part in enumerate(parts):
        info = read_streams(part, spec)
        widths = [layout.width if layout.kind == IMU else 0 for layout in info.layouts]
        width_V = np.asarray([*widths, 0], np.int64)[info.layout_V]
        rows = table.stream_row[table.part == number]
        counts[table.part == number] = np.where(rows >= 0, width_V[rows], 0).sum(1)
    return counts


def _facts(
    table: WindowTable, held_out: np.ndarray, origins: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    subjects, datasets = table.subjects.astype(str), table.datasets.astype(str)
    return {
        "datasets": {
            name: {
                "train_subjects": _people(subjects[(datasets == name) & ~held_out]),
                "validation_subjects": _people(subjects[(datasets == name) & held_out]),
                **({"derived_from": list(origins[name])} if origins.get(name) else {}),
            }
            for name in table.dataset_names
        },
        "recordings": sorted({table.recording_names[r] for r in np.unique(table.recording)}),
        "num_train": int((~held_out).sum()),
        "num_validation": int(held_out.sum()),
        "labels": list(table.labels),
        "dropped": dict(table.dropped),
    }


def _people(names: np.ndarray) -> list[str]:
    return [name.partition("/")[2] for name in np.unique(names).tolist()]
