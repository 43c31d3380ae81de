"""Features of every window in the folders that the WEAR benchmark reads, for any model.

`<out>/inertial_features/<clip>/<name>/<variant>/<recording>.npy` holds the model's features [T, D],
`<out>/combined_features/...` the same rows followed by precomputed video features [T, D + V]. A clip is
named in frames of the camera: `120_frames_60_stride` at 60 frames per second is 2 s every second. One
pass over a recording fills both folders; whole files of a former run are kept.
"""

# T windows, D width of the model, V width of the video features

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field

from otolith.core.config import config, to_plain
from otolith.core.errors import ConfigError, DataError
from otolith.core.files import atomic_path, read_json, sha256_file, write_json
from otolith.core.progress import progress
from otolith.recordings.recording import FeatureStream, Recording
from otolith.tasks._model import Model
from otolith.windows.dataset import WindowDataset
from otolith.windows.memory import memory_part
from otolith.windows.sources import Part
from otolith.windows.spec import WindowSpec

_CLIP = re.compile(r"([1-9]\d*)_frames_([1-9]\d*)_stride")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
_TOLERANCE = 1e-6


@config
class Config:
    """Settings of a feature tree.

    Args:
        clip: Window and stride in frames of the camera, as the folder is called.
        fps: Frames per second that `clip` counts in.
        name: Folder of this kind of features.
        variant: Folders below it, such as `split_1/base`; empty = none.
        streams: Motion streams of a window; empty = all.
        video: Feature stream of the recordings that is put behind the model's features; empty = no
            combined features.
        drop_last: Leave out a last window that ends exactly with the recording, as WEAR does.
        batch_size: Windows per forward pass.
        precision: `bfloat16` computes matrix products in bfloat16, which is faster and changes the
            features in their third digit.
    """

    clip: str = "120_frames_60_stride"
    fps: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 60.0
    name: str = "mae"
    variant: str = ""
    streams: tuple[str, ...] = ()
    video: str = "i3d"
    drop_last: bool = True
    batch_size: Annotated[int, Field(gt=0)] = 256
    precision: Literal["float32", "bfloat16"] = "float32"


@dataclass(frozen=True, kw_only=True)
class TreeResult:
    """What was written.

    Args:
        folders: Folder of the features of motion, and of the combined ones where there are some.
        written: Recordings whose features were computed.
        kept: Recordings whose files of a former run were whole.
        num_windows: Windows of all recordings.
        width: Width of the model's features.
    """

    folders: tuple[Path, ...]
    written: tuple[str, ...]
    kept: tuple[str, ...]
    num_windows: int
    width: int


def clip_seconds(clip: str, fps: float) -> tuple[float, float]:
    """Return window and stride in s of a clip such as `120_frames_60_stride`.

    Raises:
        ConfigError: The name is not of that form.
    """
    match = _CLIP.fullmatch(clip)
    if match is None:
        raise ConfigError(f'"{clip}" does not name a clip.', "Write it as 120_frames_60_stride.")
    return int(match[1]) / fps, int(match[2]) / fps


def write_feature_tree(
    model: Model, part: Part, out: Path, settings: Config, *, overwrite: bool = False
) -> TreeResult:
    """Compute the features of all recordings and write them as the WEAR benchmark reads them.

    Args:
        model: Any model with an embedding.
        part: Recordings; their ids become file names.
        out: Folder `processed` of the release, or any other.
        settings: Clip, folders, streams.
        overwrite: Whether to replace features of another model or of other settings.

    Returns:
        Which files were written and which were there.

    Raises:
        ConfigError: A name cannot be a folder, or features of another model are there.
        DataError: A recording has no window, or its video features do not fit in length.
    """
    folders = _folders(out, settings)
    facts = _identity(model, settings)
    _refuse_mixing(folders, facts, overwrite=overwrite)
    written, kept, num_windows, width = [], [], 0, 0
    with progress(len(part.recording_ids), f"{model.name}: features") as bar:
        for name in part.recording_ids:
            targets = tuple(folder / f"{_plain(name)}.npy" for folder in folders)
            shape = _shape_of(targets) if _is_of(folders, facts) else None
            if shape is None:
                arrays = _features(model, part.folder.recording(name), settings)
                _claim(folders, facts)
                # the motion features come last: a recording counts as done when both files are there
                for target, values_TD in reversed(list(zip(targets, arrays, strict=True))):
                    _save(target, values_TD)
                shape = arrays[0].shape
                written.append(name)
            else:
                kept.append(name)
            num_windows, width = num_windows + shape[0], shape[1]
            bar.advance(1)
    return TreeResult(folders=folders, written=tuple(written), kept=tuple(kept),
                      num_windows=num_windows, width=width)  # fmt: skip


def cut_windows(recording: Recording, settings: Config) -> WindowDataset:
    """Return the windows of one recording with WEAR's starts.

    Window k of a stream at R Hz begins at row `floor(k * stride * R)`, so that half windows of 25 rows
    begin every 12 and 13 rows in turn.

    Raises:
        DataError: No window fits.
    """
    window_s, stride_s = clip_seconds(settings.clip, settings.fps)
    spec = WindowSpec(
        window_s=window_s, stride_s=stride_s, streams=settings.streams, label_rule="none"
    )
    windows = WindowDataset([memory_part([recording])], spec)
    table = windows.table
    step_N = np.arange(len(table))
    start_row, is_inside = table.start_row.copy(), np.ones(len(table), bool)
    for column, name in enumerate(table.streams):
        stream = recording.imus.get(name)
        if stream is None:
            continue
        first = int(start_row[0, column])
        start_row[:, column] = first + np.floor(step_N * stride_s * stream.rate_hz + _TOLERANCE)
        stop_N = start_row[:, column] + table.num_rows[:, column]
        is_inside &= stop_N <= len(stream.samples_TC) - int(settings.drop_last)
    chosen = copy.copy(windows)
    chosen.table = replace(table, start_row=start_row).select(is_inside)
    if not is_inside.any():
        raise DataError(
            f'Recording "{recording.id}" is shorter than a window of {window_s:g} s.',
            "Leave it out, or choose a shorter clip.",
        )
    return chosen


def _features(model: Model, recording: Recording, settings: Config) -> tuple[np.ndarray, ...]:
    """Features of one recording in one pass, and the combined ones where there are some."""
    windows = cut_windows(recording, settings)
    with torch.autocast(
        next(model.system.parameters(), torch.zeros(0)).device.type,
        torch.bfloat16,
        enabled=settings.precision == "bfloat16",
    ):
        features_TD = model.embed_windows(windows, batch_size=settings.batch_size, show=False)
    if not np.isfinite(features_TD).all():
        raise DataError(
            f'The features of recording "{recording.id}" are not finite.',
            "Look at the model's training, or at missing samples of the recording.",
        )
    if not settings.video:
        return (features_TD,)
    return features_TD, _combined(recording, features_TD, settings)


def _combined(recording: Recording, features_TD: np.ndarray, settings: Config) -> np.ndarray:
    """The model's features, cut to the length of the video's, and the video's behind them."""
    video = recording.streams.get(settings.video)
    if not isinstance(video, FeatureStream):
        raise DataError(
            f'Recording "{recording.id}" has no features "{settings.video}".',
            'Give the stream of its video features, or video="" for motion alone.',
        )
    wanted = clip_seconds(settings.clip, settings.fps)
    if not np.allclose((video.window_s, video.stride_s), wanted):
        raise DataError(
            f'Features "{video.name}" of "{recording.id}" describe {video.window_s:g} s every '
            f"{video.stride_s:g} s, not {wanted[0]:g} s every {wanted[1]:g} s.",
            "Read the features of the same clip.",
        )
    if len(video.values_ND) > len(features_TD):
        raise DataError(
            f'Recording "{recording.id}" has {len(video.values_ND)} windows of "{video.name}" but '
            f"{len(features_TD)} of motion.",
            "The motion ends before the video; fetch it again.",
        )
    return np.concatenate([features_TD[: len(video.values_ND)], video.values_ND], axis=1)


def _save(target: Path, values_TD: np.ndarray) -> None:
    with atomic_path(target) as temporary:
        np.save(temporary, np.ascontiguousarray(values_TD, np.float32), allow_pickle=False)


def _folders(out: Path, settings: Config) -> tuple[Path, ...]:
    """Folder of the motion features, then of the combined ones."""
    clip_seconds(settings.clip, settings.fps)
    words = [settings.name, *(w for w in settings.variant.split("/") if w)]
    for word in words:
        _plain(word)
    kinds = ("inertial_features", *(("combined_features",) if settings.video else ()))
    return tuple(out.joinpath(kind, settings.clip, *words) for kind in kinds)


def _plain(word: str) -> str:
    if not _WORD.fullmatch(word):
        raise ConfigError(
            f'"{word}" cannot name a file or folder of features.',
            "Use letters, digits, dots, hyphens and underscores.",
        )
    return word


def _note(folder: Path) -> Path:
    """The file beside a folder that says whose features it holds."""
    return folder.with_name(f"{folder.name}.json")


def _is_of(folders: tuple[Path, ...], facts: dict[str, Any]) -> bool:
    """Whether all folders hold features of this model and these settings."""
    return all(_note(f).is_file() and read_json(_note(f)) == facts for f in folders)


def _refuse_mixing(folders: tuple[Path, ...], facts: dict[str, Any], *, overwrite: bool) -> None:
    """Refuse to mix two models, before any work."""
    for folder in folders:
        holds_some = folder.is_dir() and any(folder.glob("*.npy"))
        if holds_some and not overwrite and not _is_of((folder,), facts):
            raise ConfigError(
                f"{folder} holds features of another model or of other settings.",
                "Choose another variant, or pass overwrite=True.",
            )


def _claim(folders: tuple[Path, ...], facts: dict[str, Any]) -> None:
    """Note whose features follow; others go only now, when the first new ones are there."""
    for folder in folders:
        if not _is_of((folder,), facts):
            for file in sorted(folder.glob("*.npy")) if folder.is_dir() else ():
                file.unlink()
            write_json(_note(folder), facts)


def _identity(model: Model, settings: Config) -> dict[str, Any]:
    """What decides the numbers: the weights, and the settings but for the batch size."""
    weights = model.path / "model.safetensors" if model.path else None
    chosen = {k: v for k, v in to_plain(settings).items() if k != "batch_size"}
    return {
        "model": model.name,
        "system": model.system_name,
        "weights_sha256": sha256_file(weights) if weights and weights.is_file() else "",
        "settings": chosen,
    }


def _shape_of(targets: tuple[Path, ...]) -> tuple[int, int] | None:
    """Shape of the motion features if all files of a recording are whole."""
    shapes = []
    for path in targets:
        try:
            shapes.append(np.load(path, mmap_mode="r", allow_pickle=False).shape)
        except (OSError, ValueError, EOFError):
            return None
    return shapes[0] if len(shapes[0]) == 2 else None
