"""Features of WEAR in its own tree: rows of combined features in, encoder features out, once per person.

`combined/<clip>/<person>.npy` [N, 1200 + 2048] gives
`combined/<clip>/mae/<variant>/<person>.npy` = [feature | video] and
`inertial/<clip>/mae/<variant>/<person>.npy` = the feature alone, which localisation reads.
"""

# N rows, C channels, T samples of a window, D width

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch

from otolith.core.errors import DataError, FileFormatError
from otolith.core.files import atomic_path
from otolith.datasets._wear_rows import RATE_HZ, split_row
from otolith.signals.units import STANDARD_GRAVITY_M_S2
from otolith.systems.himu_mae import System

CLIP = "120_frames_60_stride"


@torch.no_grad()
def write_wear_features(
    system: System,
    processed: Path,
    variant: str,
    *,
    clip: str = CLIP,
    scale: float = STANDARD_GRAVITY_M_S2,
    batch_size: int = 32,
) -> list[Path]:
    """Write the features of all people.

    Args:
        system: A pretrained model for twelve channels.
        processed: WEAR's folder `processed`, with `combined_features/<clip>/<person>.npy`.
        variant: Folder name of the result, such as `imu/split_1/mask_ratio0.9_mae_vit_base_patch16`.
        clip: Folder name of the windows, in frames of 60 per second.
        scale: Factor from the unit of the rows (g) to that of the model; 1.0 for the authors' weights
            with the released statistics.
        batch_size: Windows that are encoded at a time.

    Returns:
        The files with features and video, one per person.

    Raises:
        DataError: There are no rows, or they are no windows of this length.
        FileFormatError: A file is damaged.
    """
    source = processed / "combined_features" / clip
    people = sorted(source.glob("*.npy"))
    if not people:
        raise DataError(f"{source} holds no rows.", "Give the folder processed of WEAR.")
    num_samples = int(float(clip.partition("_frames_")[0]) / 60.0 * RATE_HZ)
    system.eval()
    written = []
    for path in people:
        motion, video = split_row(_read(path), num_samples)
        signals = torch.from_numpy(np.nan_to_num(motion).astype(np.float32)) * scale
        parts = [system.embed_signals(part, RATE_HZ) for part in signals.split(batch_size)]
        feature = torch.cat(parts).double().numpy()
        both = np.concatenate([feature, video.astype(np.float64)], axis=1)
        written.append(_write(source / "mae" / variant / path.name, both))
        _write(processed / "inertial_features" / clip / "mae" / variant / path.name, feature)
    return written


def _read(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise FileFormatError(f"{path} is no array ({error}).", "Fetch it again.") from None


def _write(path: Path, rows: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.save(buffer, rows)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())
    return path
