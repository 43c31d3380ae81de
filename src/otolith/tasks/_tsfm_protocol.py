"""What the published protocols of TSFM share: tables, windows, patches, leak warnings."""

# B batch, T time, C channels, P patches, N windows, L labels, D width

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

import numpy as np
import torch
import yaml

from otolith.core.progress import progress
from otolith.datasets._labels import group_of
from otolith.datasets._part import DatasetPart
from otolith.encoders._imu_patches import PatchProcessor
from otolith.metrics.zero_shot import majority_vote
from otolith.recordings.recording import Channel
from otolith.signals.resampling import resample
from otolith.systems import System
from otolith.tasks._classifiers import similarity
from otolith.tasks._model import Model
from otolith.tasks._windows import EvaluationWindows, Labelled, labelled_windows
from otolith.windows.batch import Batch, StreamBatch
from otolith.windows.dataset import WindowDataset

RANDOM_WINDOWS = (
    "Windows are divided at random, as published, so the same people (and overlapping pieces of "
    "one recording) are on both sides. By the authors' own later count this is about 12 points too "
    "good; for claims use fine_tune or probe, which keep people apart."
)
OPEN_SET = (
    "Open-set macro-F1 is over the groups that occur in truth or prediction, so it punishes models "
    "that use many words, and values of different models have different denominators."
)
_SHIFTED = (
    "The published rows of HARTH were scored against labels that are shifted by two classes; here "
    "labels go by name."
)
_BATCH = 256


@functools.cache
def tables() -> dict[str, Any]:
    """Return the published facts of `_tsfm_published.yaml`."""
    file = resources.files("otolith.tasks").joinpath("_tsfm_published.yaml")
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def published(table: str, column: str, data: str) -> dict[str, Any]:
    """Return what a result compares with: the data set's own row, and the mean where there is one.

    Args:
        table: `zero_shot`, `supervised`, `still` or `seed_linear`.
        column: Column of that table, such as `open`.
        data: Name of the data set.
    """
    rows = tables()[table].get(column, {})
    found = {name: rows[name] for name in (data, "mean_of_five") if name in rows}
    return {"table": f"{table}/{column}", "of": tables()[table].get("size", ""), "percent": found}


def about_published(data: str) -> tuple[str, ...]:
    """Warnings about the published row of a data set."""
    return (_SHIFTED,) if data.startswith("harth") else ()


def groups_for(*names: Sequence[str]) -> dict[str, str]:
    """Return class name -> group of synonyms for all given names."""
    return {name: group_of(name) for some in names for name in some}


def protocol_windows(
    part: DatasetPart, window_s: float, streams: tuple[str, ...], labels: tuple[str, ...] = ()
) -> Labelled:
    """Cut a data set as the protocols do: no overlap, most frequent label, however frequent.

    Raises:
        DataError: See `labelled_windows`.
    """
    settings = EvaluationWindows(
        window_s=window_s, streams=streams, labels=labels, min_label_share=1e-6
    )
    return labelled_windows(part, settings)


@contextmanager
def fixed_patches(system: System, patch_s: float) -> Iterator[None]:
    """Let a system cut every window into patches of one duration for a while.

    Args:
        system: A system; one whose encoder takes no patches stays as it is.
        patch_s: Duration of a patch in s.
    """
    encoder = getattr(system, "encoder", None)
    processor = getattr(encoder, "processor", None)
    if encoder is None or not isinstance(processor, PatchProcessor):
        yield
        return
    encoder.processor = PatchProcessor(
        replace(
            processor.config,
            patch_s=patch_s,
            patch_s_by_dataset={},
            patch_range=None,
            patch_range_by_dataset={},
        )
    )
    try:
        yield
    finally:
        encoder.processor = processor


@dataclass(frozen=True)
class Choices:
    """What a text-aligned model says about windows, for one list of words.

    Args:
        pooled_NL: Similarity of the window's embedding and the words.
        votes_N: Word that most patches are nearest to, the first among equals; None for models
            that embed whole windows.
    """

    pooled_NL: np.ndarray
    votes_N: np.ndarray | None


def choose_words(
    model: Model, windows: WindowDataset, words: Sequence[Sequence[str]]
) -> list[Choices]:
    """Compare all windows with several lists of words in one pass.

    Args:
        model: A text-aligned model.
        windows: N windows.
        words: Lists of words.

    Raises:
        CheckpointError: The model was not aligned with text.
    """
    texts = [model.embed_texts(some) for some in words]
    pooled: list[list[np.ndarray]] = [[] for _ in texts]
    votes: list[list[np.ndarray]] = [[] for _ in texts]
    with progress(len(windows), f"{model.name}: embedding windows") as bar:
        for start in range(0, len(windows), _BATCH):
            ids = np.arange(start, min(start + _BATCH, len(windows)))
            batch = windows.batch(ids, epoch=0)
            features_ND, patches = _embed(model, batch)
            for number, text in enumerate(texts):
                pooled[number].append(similarity(features_ND, text))
                if patches is not None:
                    votes[number].append(_vote(*patches, text))
            bar.advance(len(ids))
    return [
        Choices(np.concatenate(p), np.concatenate(v) if v else None)
        for p, v in zip(pooled, votes, strict=True)
    ]


def _embed(model: Model, batch: Batch) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray] | None]:
    """Embeddings [B, D], and those of patches [B, P, D] with their mask where there are some."""
    head = getattr(model.system.config, "head", None)
    features_ND = model.embed_batch(batch)
    if not getattr(head, "per_patch", False):
        return features_ND, None
    embed_patches: Any = getattr(model.system, "embed_patches")  # noqa: B009  # only some systems
    with torch.inference_mode():
        patches_BPD, mask_BP = embed_patches(batch)
    return features_ND, (patches_BPD.cpu().numpy(), mask_BP.cpu().numpy())


def _vote(patches_BPD: np.ndarray, mask_BP: np.ndarray, texts: np.ndarray) -> np.ndarray:
    flat = similarity(patches_BPD.reshape(-1, patches_BPD.shape[-1]), texts)
    return majority_vote(flat.reshape(*mask_BP.shape, -1), mask_BP)


def as_benchmark(rate_hz: float) -> Callable[[Batch], Batch]:
    """Return a transform to the baselines' windows: one rate, channels without descriptions.

    Args:
        rate_hz: Rate in Hz. The signals are resampled without aliasing (the authors average bins).
    """

    def change(batch: Batch) -> Batch:
        streams = {name: _resampled(stream, rate_hz) for name, stream in batch.streams.items()}
        return replace(batch, streams=streams, datasets=("",) * len(batch))

    return change


def _resampled(stream: StreamBatch, rate_hz: float) -> StreamBatch:
    rates_B = stream.rate_hz_B.numpy()
    lengths_B = np.maximum(np.rint(stream.mask_BT.shape[1] * rate_hz / rates_B), 1).astype(int)
    shape = (len(rates_B), int(lengths_B.max(initial=1)), stream.values.shape[2])
    values = torch.zeros(shape)
    mask_BT = torch.zeros(shape[:2], dtype=torch.bool)
    gaps = stream.values.masked_fill(~stream.mask_BT[..., None], torch.nan)
    for rate in np.unique(rates_B):
        rows = torch.from_numpy(np.flatnonzero(rates_B == rate))
        new = resample(gaps[rows], float(rate), rate_hz)
        length = new.shape[1]
        real = torch.isfinite(new).all(dim=2)
        values[rows, :length] = torch.nan_to_num(new).float()
        mask_BT[rows, :length] = real
    values = values.masked_fill(~mask_BT[..., None], 0.0)
    return replace(
        stream,
        values=values,
        mask_BT=mask_BT,
        rate_hz_B=torch.full_like(stream.rate_hz_B, rate_hz),
        channels=tuple(tuple(_plain(c) for c in channels) for channels in stream.channels),
    )


def _plain(channel: Channel) -> Channel:
    return Channel.from_name(channel.name)
