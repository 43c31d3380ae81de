"""Rotations: uniform draws, application, and the mirror image of a recording.

Uniform rotations come from the QR decomposition of Gaussian matrices (Mezzadri, Notices of the
AMS 54, 2007), with the column rule of TSFM (reference specification, section 4.6).
"""

# B batch, N rotations, T time, C channels

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from otolith.core.errors import DataError
from otolith.core.randomness import normal
from otolith.signals._arrays import to_tensor
from otolith.signals.triads import axis_name, body_site, sensor_name, triad_name

__all__ = [
    "apply_rotation",
    "body_site",
    "mirror_left_right",
    "random_rotations",
    "rotation_from_gaussian",
]

_POLAR = {"acc", "mag", "gravity"}  # vectors that a mirror reflects like a displacement
_AXIAL = {"gyro", "ori"}  # turning senses: a mirror flips the components within its plane


def rotation_from_gaussian(gauss_33: Any) -> Any:
    """Turn matrices of independent standard normal numbers into uniform rotations.

    Q of the QR decomposition, columns times the sign of the diagonal of R; where the
    determinant is -1 the first column is negated.

    Args:
        gauss_33: Standard normal numbers [..., 3, 3].

    Returns:
        Rotations [..., 3, 3], uniform over SO(3).
    """
    gauss, back = to_tensor(gauss_33)
    q, r = torch.linalg.qr(gauss)
    signs = torch.where(r.diagonal(dim1=-2, dim2=-1) < 0, -1.0, 1.0).to(q)
    q = q * signs[..., None, :]
    first = torch.where(torch.linalg.det(q) < 0, -1.0, 1.0).to(q)
    return back(torch.cat([q[..., :1] * first[..., None, None], q[..., 1:]], dim=-1))


def random_rotations(keys_B: np.ndarray, purpose: str, num: int) -> np.ndarray:
    """Draw rotations for every sample, one per body site.

    Args:
        keys_B: Sample keys [B] from `otolith.core.randomness.sample_keys`.
        purpose: What they are for; another purpose gives independent rotations.
        num: Rotations per sample.

    Returns:
        Rotations [B, num, 3, 3], float64, uniform over SO(3).
    """
    return rotation_from_gaussian(normal(keys_B, purpose, (num, 3, 3)))


def apply_rotation(x: Any, rotation: Any) -> Any:
    """Rotate vectors: y = R v.

    Args:
        x: Vectors [..., 3] in any unit.
        rotation: Rotations [..., 3, 3]; leading dimensions broadcast against those of `x`
            (one rotation per sample of x [B, T, 3] is given as [B, 1, 3, 3]).

    Returns:
        Vectors of the broadcast shape, of the type of `x`.
    """
    vectors, back = to_tensor(x)
    matrix, _ = to_tensor(rotation)
    return back(torch.einsum("...ij,...j->...i", matrix.to(vectors), vectors))


def mirror_left_right(x_TC: Any, channels: Sequence[str], *, lateral_axis: str = "y") -> Any:
    """Mirror a recording at the body's sagittal plane: left becomes right.

    Acceleration and magnetic field change the sign of their lateral component; angular
    rate and orientation quaternions change the sign of the other two components, as a turning
    sense does in a mirror. Other channels stay.

    Args:
        x_TC: Signal [..., T, C].
        channels: Names of the columns.
        lateral_axis: Sensor axis that points to the side of the body: `x`, `y` or `z`.

    Returns:
        Signal of the same shape.

    Raises:
        DataError: The axis is unknown, or orientation is given otherwise than as a quaternion.
    """
    if lateral_axis not in ("x", "y", "z"):
        raise DataError(f'lateral_axis is "{lateral_axis}".', "Give x, y or z.")
    x, back = to_tensor(x_TC)
    signs = [_mirror_sign(channel, channels, lateral_axis) for channel in channels]
    return back(x * torch.tensor(signs, dtype=x.dtype, device=x.device))


def _mirror_sign(channel: str, channels: Sequence[str], lateral_axis: str) -> float:
    axis, sensor = axis_name(channel), sensor_name(channel)
    if sensor == "ori":
        family = {axis_name(c) for c in channels if triad_name(c) == triad_name(channel)}
        if family not in ({"w", "x", "y", "z"}, {"1", "2", "3", "4"}):
            raise DataError(
                f'Orientation "{triad_name(channel)}" is not a quaternion.',
                "Leave it out, or give its four components w, x, y, z.",
            )
        axis = {"1": "w", "2": "x", "3": "y", "4": "z"}.get(axis, axis)
    if axis not in ("x", "y", "z"):
        return 1.0
    if sensor in _POLAR:
        return -1.0 if axis == lateral_axis else 1.0
    if sensor in _AXIAL:
        return 1.0 if axis == lateral_axis else -1.0
    return 1.0
