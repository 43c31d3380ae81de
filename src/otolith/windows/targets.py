"""Targets and texts of a batch, read from the annotations that touch its windows."""

# B batch, N windows, A annotations, P pairs of a window and an annotation, K classes

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from otolith.windows.batch import Ragged
from otolith.windows.building import Built
from otolith.windows.columns import codes, distinct, list_codes, number_column, text_column
from otolith.windows.cutting import spread
from otolith.windows.spec import WindowSpec

_TOLERANCE = 1e-9


class TargetMaker:
    """Makes the targets of `WindowSpec.targets`.

    | target | in the batch |
    |---|---|
    | `label` | `label` int64 [B], -1 = unknown; text `label` with the class name |
    | `multi_label` | `multi_label` float32 [B, K], 1 = the label covers `min_label_share` |
    | `intervals` | `intervals` Ragged float64 [M, 2] in s on the recording's clock, clipped to the |
    | | window, and `interval_labels` Ragged int64 [M], -1 = not in the list |
    | `verb_noun` | `verb`, `noun` int64 [B] of the annotation that covers most of the window |
    | `text` | text `text`: all texts that touch the window, by start |

    Args:
        built: Table, annotations and pairs.
        spec: Says which targets are wanted.
    """

    def __init__(self, built: Built, spec: WindowSpec) -> None:
        table = built.annotations
        self._spec = spec
        self._labels = built.table.labels
        self._first_N = np.searchsorted(built.pairs.window_P, np.arange(len(built.table) + 1))
        self._annotation_P = built.pairs.annotation_P
        self._overlap_s_P = built.pairs.overlap_s_P
        self._start_s_A = number_column(table, "start_s", np.nan)
        end_A = number_column(table, "end_s", np.nan)
        self._end_s_A = np.where(np.isnan(end_A), self._start_s_A, end_A)
        self._first_A, self._code = list_codes(table["labels"], self._labels)
        track_A = text_column(table, "track")
        self._is_label_A = track_A == spec.label_track
        self._is_text_A = (track_A == spec.text_track) | (spec.text_track == "")
        self._text_A = table["text"].cast(pa.string())
        self._has_text_A = text_column(table, "text") != ""
        self.verbs = self._names(table, "verb", spec.verbs)
        self.nouns = self._names(table, "noun", spec.nouns)
        self._verb_A = codes(table["verb"], self.verbs)
        self._noun_A = codes(table["noun"], self.nouns)

    def _names(self, table: pa.Table, column: str, given: Sequence[str]) -> tuple[str, ...]:
        """The names that are given, or else those that occur on the track, sorted."""
        if given or "verb_noun" not in self._spec.targets:
            return tuple(given)
        return tuple(distinct(table.filter(pa.array(self._is_text_A))[column]))

    def targets(
        self, ids_B: np.ndarray, start_s_B: np.ndarray, end_s_B: np.ndarray, label_B: np.ndarray
    ) -> dict[str, Tensor | Ragged]:
        """Return the targets of a batch.

        Args:
            ids_B: Numbers of the windows in the table they were cut into.
            start_s_B: Their start in s.
            end_s_B: Their end in s.
            label_B: Their label.
        """
        made: dict[str, Tensor | Ragged] = {}
        wanted = self._spec.targets
        if "label" in wanted:
            made["label"] = torch.from_numpy(np.asarray(label_B, np.int64))
        if "multi_label" in wanted:
            made["multi_label"] = self._multi_label(ids_B, end_s_B - start_s_B)
        if "intervals" in wanted:
            made |= self._intervals(ids_B, start_s_B, end_s_B)
        if "verb_noun" in wanted:
            made["verb"] = self._longest(ids_B, self._verb_A)
            made["noun"] = self._longest(ids_B, self._noun_A)
        return made

    def texts(
        self, ids_B: np.ndarray, label_B: np.ndarray
    ) -> dict[str, tuple[tuple[str, ...], ...]]:
        """Return the texts of a batch; see `targets` for the arguments."""
        made: dict[str, tuple[tuple[str, ...], ...]] = {}
        if "label" in self._spec.targets and self._labels:
            made["label"] = tuple((self._labels[i],) if i >= 0 else () for i in label_B)
        if "text" in self._spec.targets:
            sample_P, annotation_P, _ = self._pairs(ids_B, self._has_text_A & self._is_text_A)
            words = self._text_A.take(pa.array(annotation_P)).to_pylist()
            ends = np.cumsum(np.bincount(sample_P, minlength=len(ids_B))).tolist()
            starts = [0, *ends[:-1]]
            made["text"] = tuple(tuple(words[a:b]) for a, b in zip(starts, ends, strict=True))
        return made

    def _pairs(
        self, ids_B: np.ndarray, wanted_A: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(sample, annotation, common seconds) of the wanted annotations of a batch."""
        first, last = self._first_N[ids_B], self._first_N[ids_B + 1]
        at = spread(first, last - first)
        at_sample = np.repeat(np.arange(len(ids_B)), last - first)
        keep = wanted_A[self._annotation_P[at]]
        at = at[keep]
        return at_sample[keep], self._annotation_P[at], self._overlap_s_P[at]

    def _label_rows(
        self, ids_B: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(sample, annotation, label, common seconds), one entry per label of an annotation."""
        sample, annotation, overlap = self._pairs(ids_B, self._is_label_A)
        count = np.diff(self._first_A)[annotation]
        code = self._code[spread(self._first_A[annotation], count)]
        return (
            np.repeat(sample, count),
            np.repeat(annotation, count),
            code,
            np.repeat(overlap, count),
        )

    def _multi_label(self, ids_B: np.ndarray, length_s_B: np.ndarray) -> Tensor:
        sample, _, code, overlap = self._label_rows(ids_B)
        covered_BK = np.zeros((len(ids_B), len(self._labels) + 1))
        np.add.at(covered_BK, (sample, code), overlap)
        needed = self._spec.min_label_share * length_s_B[:, None] - _TOLERANCE
        is_on = (covered_BK > 0) & (covered_BK >= needed)
        return torch.from_numpy(is_on[:, :-1].astype(np.float32))

    def _intervals(
        self, ids_B: np.ndarray, start_s_B: np.ndarray, end_s_B: np.ndarray
    ) -> dict[str, Ragged]:
        sample, annotation, code, _ = self._label_rows(ids_B)
        start = np.maximum(self._start_s_A[annotation], start_s_B[sample])
        end = np.minimum(self._end_s_A[annotation], end_s_B[sample])
        lengths = torch.from_numpy(np.bincount(sample, minlength=len(ids_B)))
        code = np.where(code < len(self._labels), code, -1)
        return {
            "intervals": Ragged(
                values=torch.from_numpy(np.stack([start, end], 1)), lengths_B=lengths
            ),
            "interval_labels": Ragged(values=torch.from_numpy(code), lengths_B=lengths),
        }

    def _longest(self, ids_B: np.ndarray, code_A: np.ndarray) -> Tensor:
        """Code of the annotation that covers most of each window; of equals the earliest."""
        sample, annotation, overlap = self._pairs(ids_B, (code_A >= 0) & self._is_text_A)
        order = np.lexsort((np.arange(len(sample)), -overlap, sample))
        first = order[np.r_[True, np.diff(sample[order]) > 0][: len(order)]]
        code_B = np.full(len(ids_B), -1, np.int64)
        code_B[sample[first]] = code_A[annotation[first]]
        return torch.from_numpy(code_B)
