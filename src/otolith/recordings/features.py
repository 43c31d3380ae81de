"""Precomputed features from .npy, .npz, .pt and .safetensors files; the width is read."""

# N feature windows, D width

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from otolith.core.errors import DataError, FileFormatError, suggest
from otolith.recordings.recording import FeatureStream, Quality


def read_features(
    path: Path | str,
    *,
    extractor: str,
    window_s: float,
    stride_s: float,
    name: str = "",
    key: str = "",
) -> FeatureStream:
    """Read precomputed features.

    Args:
        path: File with an array [N, D]; .npy, .npz, .pt, .pth or .safetensors.
        extractor: What computed them, such as "omnivore".
        window_s: Length of the window that one row describes, in s.
        stride_s: Distance of neighbouring rows in s.
        name: Name of the stream; by default the extractor's.
        key: Which array, for a file that holds several.

    Returns:
        A stream that starts at time 0; rows that are not finite make its quality `suspect`.

    Raises:
        DataError: The file is missing, of another type, holds no [N, D] array or several.
        FileFormatError: The file is truncated, corrupt or would run code.
    """
    path = Path(path)
    for word, seconds in (("window_s", window_s), ("stride_s", stride_s)):
        if not (np.isfinite(seconds) and seconds > 0):
            raise DataError(f"{word} of {path.name} is {seconds}.", "Give a positive number.")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(
            f'{path} is of the type "{path.suffix}".', suggest(path.suffix.lower(), _READERS)
        )
    if not path.is_file():
        raise DataError(f"There is no file {path}.", "Check the path.")
    try:
        content = reader(path)
    # The readers raise many types; all mean the same to the user.
    except Exception as error:  # noqa: BLE001
        reason = str(error).split("\n", 1)[0]
        raise FileFormatError(
            f"{path} is not a readable {path.suffix} file ({reason}).", "Copy it again."
        ) from None
    values_ND = _as_float32(_choose(content, key, path), path)
    is_finite_N = np.asarray(np.isfinite(values_ND).all(axis=1))
    return FeatureStream(
        name=name or extractor,
        values_ND=values_ND,
        extractor=extractor,
        window_s=float(window_s),
        stride_s=float(stride_s),
        quality=_quality(is_finite_N),
    )


def _read_npy(path: Path) -> np.ndarray:
    return np.load(path, allow_pickle=False)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def _read_torch(path: Path) -> Any:
    import torch

    content = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(content, Mapping):
        return {str(k): _to_numpy(v) for k, v in content.items() if isinstance(v, torch.Tensor)}
    return _to_numpy(content)


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors.torch import load_file

    return {k: _to_numpy(v) for k, v in load_file(path).items()}


def _to_numpy(value: Any) -> Any:
    """Turn a torch tensor into an array; bfloat16, which numpy lacks, becomes float32."""
    import torch

    if not isinstance(value, torch.Tensor):
        return value
    value = value.detach()
    return (value.float() if value.dtype == torch.bfloat16 else value).numpy()


_READERS = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".pt": _read_torch,
    ".pth": _read_torch,
    ".safetensors": _read_safetensors,
}


def _choose(content: Any, key: str, path: Path) -> Any:
    """The wanted array of a file."""
    if not isinstance(content, Mapping):
        if key:
            raise DataError(f"{path} holds one array without a name.", "Leave key out.")
        return content
    if key:
        if key not in content:
            raise DataError(f'{path} holds no array "{key}".', suggest(key, content))
        return content[key]
    if len(content) != 1:
        raise DataError(
            f"{path} holds {len(content)} arrays.",
            f"Say which by key. {suggest('', content)}" if content else "Give another file.",
        )
    return next(iter(content.values()))


def _as_float32(values: Any, path: Path) -> np.ndarray:
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.dtype.kind not in "fiu":
        found = (
            f"an array of shape {values.shape} and type {values.dtype}"
            if isinstance(values, np.ndarray)
            else f"a {type(values).__name__}"
        )
        raise DataError(f"{path} holds {found}.", "Give numbers [windows, width].")
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values, dtype=np.float32)


def _quality(is_finite_N: np.ndarray) -> Quality:
    if is_finite_N.all():
        return Quality()
    missing = int((~is_finite_N).sum())
    return Quality(
        flag="suspect",
        valid_fraction=float(is_finite_N.mean()),
        notes=(f"{missing} of {len(is_finite_N)} rows are not finite",),
    )
