"""Sums of losses over samples, processes and steps: total, named parts, per data set."""

# B batch

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from otolith.objectives import LossOutput
from otolith.windows.batch import Batch

LOSS = "loss"
PART = "parts/"
DATASET = "datasets/"


class LossSums:
    """Weighted sums by name, from which means are taken; weights are numbers of samples.

    Args:
        values: Name -> (sum of loss * samples, samples).
    """

    def __init__(self, values: Mapping[str, Sequence[float]] | None = None) -> None:
        self.values: dict[str, tuple[float, float]] = {
            name: (float(pair[0]), float(pair[1])) for name, pair in (values or {}).items()
        }

    @classmethod
    def of(cls, output: LossOutput, batch: Batch, datasets: Sequence[str]) -> LossSums:
        """Measure one batch.

        Args:
            output: What the system returned for `batch`.
            batch: The samples of this process.
            datasets: Data sets whose losses are wanted.

        Returns:
            Sums of this process; those of a global loss have yet to go through `spread`.
        """
        names = sorted(output.parts)
        loss = output.total if output.logged is None else output.logged
        tensors = [loss, *(output.parts[n] for n in names)]
        if output.per_sample_B is not None and batch.datasets:
            tensors.append(output.per_sample_B)
        # one transfer for everything: on an accelerator each one waits for the device
        flat = torch.cat([t.detach().reshape(-1).float() for t in tensors]).cpu()
        numbers = flat.numpy().astype(np.float64)
        count = float(len(batch))
        weight = 1.0 if output.is_global else count
        sums = cls()
        for name, number in zip([LOSS, *(PART + n for n in names)], numbers, strict=False):
            sums.values[name] = (float(number) * weight, count)
        losses_B = numbers[1 + len(names) :]
        if len(losses_B):
            sums._add_datasets(losses_B, batch.datasets, datasets)
        return sums

    @property
    def num_samples(self) -> float:
        """Samples behind the total loss."""
        return self.values.get(LOSS, (0.0, 0.0))[1]

    def add(self, other: LossSums) -> None:
        """Add other sums to these."""
        for name, (total, count) in other.values.items():
            mine = self.values.get(name, (0.0, 0.0))
            self.values[name] = (mine[0] + total, mine[1] + count)

    def spread(self, num_processes: int) -> LossSums:
        """Turn sums over processes of a global loss into sums over samples."""
        values = {
            name: pair if name.startswith(DATASET) else (pair[0] / num_processes * pair[1], pair[1])
            for name, pair in self.values.items()
        }
        return LossSums(values)

    def means(self) -> dict[str, float]:
        """Return the mean per name, `loss` first; names without samples are left out."""
        return {n: total / count for n, (total, count) in self.values.items() if count}

    def record(self) -> dict[str, Any]:
        """Return the means as JSON can hold them: `loss`, `parts` and `datasets`."""
        means = self.means()
        result: dict[str, Any] = {LOSS: finite(means[LOSS])} if LOSS in means else {}
        for prefix in (PART, DATASET):
            inner = {
                n.removeprefix(prefix): finite(v) for n, v in means.items() if n.startswith(prefix)
            }
            if inner:
                result[prefix.rstrip("/")] = dict(sorted(inner.items()))
        return result

    def to_plain(self) -> dict[str, list[float]]:
        """Return the sums for a JSON file; floats survive it exactly."""
        return {name: list(pair) for name, pair in self.values.items()}

    def to_vector(self, names: Sequence[str]) -> np.ndarray:
        """Return sums and counts of `names` as float64 [2 * len(names)]; zeros where absent."""
        return np.array([x for n in names for x in self.values.get(n, (0.0, 0.0))])

    @classmethod
    def from_vector(cls, names: Sequence[str], vector: np.ndarray) -> LossSums:
        """Undo `to_vector`."""
        return cls(dict(zip(names, vector.reshape(-1, 2).tolist(), strict=True)))

    def _add_datasets(
        self, losses_B: np.ndarray, names_B: Sequence[str], datasets: Sequence[str]
    ) -> None:
        names, codes_B = np.unique(np.asarray(names_B), return_inverse=True)
        totals = np.bincount(codes_B, weights=losses_B, minlength=len(names))
        counts = np.bincount(codes_B, minlength=len(names))
        found = dict(
            zip(names.tolist(), zip(totals.tolist(), counts.tolist(), strict=True), strict=True)
        )
        for name in datasets:
            if name in found:
                self.values[DATASET + name] = (found[name][0], float(found[name][1]))


def finite(value: float) -> float | None:
    """Return the number, or None where JSON has no word for it."""
    return value if math.isfinite(value) else None
