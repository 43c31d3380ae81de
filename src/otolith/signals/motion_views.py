"""Motion as seen by the body: signals along and across gravity that no mounting changes.

A sensor in a pocket may lie in any direction. The mean acceleration of a window points up, which
splits acceleration and angular rate into a vertical part and a horizontal plane; in the plane the
principal axis of the movement stands for the direction of walking. What is left of the mounting
is the direction of gravity in the sensor's own axes, kept apart as `orientation_B3`.

| signal | what | unit |
|---|---|---|
| vertical | acceleration along gravity, with gravity | g |
| horizontal | length of the horizontal acceleration | g |
| horizontal_principal | horizontal acceleration along its principal axis | g |
| norm | length of the acceleration | g |
| gyro_norm | length of the angular rate | rad/s |
| gyro_horizontal | length of the angular rate about horizontal axes | rad/s |
| gyro_vertical | angular rate about the vertical | rad/s |
| gyro_principal | horizontal angular rate about its principal axis | rad/s |

An axis has no sign of its own: each principal axis points to where its signal is skewed.
"""

# B batch, T time, S signals, C channels, A axes

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from otolith.core.errors import DataError
from otolith.signals._arrays import to_tensor
from otolith.signals.gravity import gravity_rotation
from otolith.signals.units import STANDARD_GRAVITY_M_S2

SIGNALS = (
    "vertical",
    "horizontal",
    "norm",
    "gyro_norm",
    "gyro_horizontal",
    "gyro_vertical",
    "gyro_principal",
    "horizontal_principal",
)
CHANNELS = (
    "vertical",
    "horizontal",
    "horizontal_principal",
    "gyro_vertical",
    "gyro_horizontal",
    "gyro_principal",
)
"""Signals that a network sees, in the order of `MotionViews.channels`."""
MIN_ROWS = 8
_GYRO_SCALE = 0.3  # brings walking's angular rates (rad/s) to the size of its accelerations (g)
_TINY = 1e-20
_MIN_SCATTER = 1e-9


@dataclass(frozen=True, kw_only=True)
class MotionViews:
    """Signals of windows that do not depend on how the sensor was turned.

    Args:
        signals_BST: One row per entry of `SIGNALS`; gyroscope rows are 0 without one.
        orientation_B3: Absolute values of the direction of gravity in the sensor's own axes;
            0 without gravity.
        mean_norm_B: Length of the mean acceleration in g; 1 without gravity.
        principal_share_B: Share of the horizontal acceleration's variance along its principal
            axis, 0.5..1; 0 without movement.
        gyro_principal_share_B: The same of the horizontal angular rate.
        tilt_B: Angle in rad between the mean acceleration of the two halves of the window.
        has_gyro_B: bool, whether there is angular rate.
        has_gravity_B: bool, whether the acceleration contains gravity, which tells the vertical.
    """

    signals_BST: Tensor
    orientation_B3: Tensor
    mean_norm_B: Tensor
    principal_share_B: Tensor
    gyro_principal_share_B: Tensor
    tilt_B: Tensor
    has_gyro_B: Tensor
    has_gravity_B: Tensor

    def signal(self, name: str) -> Tensor:
        """Return one signal [B, T] by its name in `SIGNALS`."""
        return self.signals_BST[:, SIGNALS.index(name)]

    @property
    def channels(self) -> Tensor:
        """Signals for a network [B, 6, T]: `CHANNELS`, without gravity, all of the order of 1."""
        offsets = {"vertical": 1.0}
        rows = [self.signal(name) - offsets.get(name, 0.0) for name in CHANNELS]
        scaled = [
            row * (_GYRO_SCALE if "gyro" in name else 1.0)
            for name, row in zip(CHANNELS, rows, strict=True)
        ]
        return torch.stack(scaled, dim=1)


def motion_views(
    imu_BT6: Any,
    *,
    has_gyro_B: Any = None,
    is_removed_B: Any = None,
    min_gravity_g: float = 0.3,
) -> MotionViews:
    """Split motion windows into parts along and across gravity.

    Where the mean acceleration is shorter than `min_gravity_g`, gravity was removed (or the
    sensor fell or tumbled) and nobody knows the vertical. Then the principal axis of the acceleration
    stands for it, or that of the angular rate where acceleration is constant, and 1 g is added
    along it, so that all signals keep their usual size.

    Args:
        imu_BT6: Windows [B, T, 6] without missing values: acceleration in m/s^2 (x, y, z), then
            angular rate in rad/s (x, y, z). A missing channel is 0. At least 8 rows.
        has_gyro_B: bool [B], whether the angular rate is real; None = everywhere.
        is_removed_B: bool [B], whether gravity is known to be removed, whatever the mean; None =
            nowhere.
        min_gravity_g: Shortest mean acceleration in g that counts as gravity.

    Returns:
        The views, as tensors of the input's float type. Gradients flow to the signals; axes and
        shares count as constants.

    Raises:
        DataError: The windows have another shape or are too short.
    """
    imu, _ = to_tensor(imu_BT6)
    if imu.ndim != 3 or imu.shape[2] != 6 or imu.shape[1] < MIN_ROWS:
        raise DataError(
            f"Windows have shape {tuple(imu.shape)}.",
            f"Give them as [batch, time, 6] with at least {MIN_ROWS} rows.",
        )
    has_gyro_B = torch.as_tensor(
        torch.ones(len(imu), dtype=torch.bool) if has_gyro_B is None else has_gyro_B,
        device=imu.device,
    ).bool()
    imu_BCT = imu.transpose(1, 2).contiguous()
    acc, gyro = imu_BCT[:, :3] / STANDARD_GRAVITY_M_S2, imu_BCT[:, 3:]
    gyro = torch.where(has_gyro_B[:, None, None], gyro, 0.0)
    has_gravity_B = acc.detach().mean(2).norm(dim=1) >= min_gravity_g
    if is_removed_B is not None:
        has_gravity_B = has_gravity_B & ~torch.as_tensor(is_removed_B, device=imu.device).bool()
    acc, mean_B3 = _with_gravity(acc, gyro, has_gravity_B)
    turn = gravity_rotation(mean_B3)
    acc, gyro = turn @ acc, turn @ gyro
    principal, share = _principal(acc[:, :2])
    gyro_principal, gyro_share = _principal(gyro[:, :2])
    made = {
        "vertical": acc[:, 2],
        "horizontal": _length(acc[:, :2]),
        "norm": _length(acc),
        "gyro_norm": _length(gyro),
        "gyro_horizontal": _length(gyro[:, :2]),
        "gyro_vertical": gyro[:, 2],
        "gyro_principal": gyro_principal,
        "horizontal_principal": principal,
    }
    norm_B = mean_B3.norm(dim=1)
    direction_B3 = mean_B3 / norm_B.clamp(min=1e-6)[:, None]
    return MotionViews(
        signals_BST=torch.stack([made[name] for name in SIGNALS], dim=1),
        orientation_B3=torch.where(has_gravity_B[:, None], direction_B3.abs(), 0.0),
        mean_norm_B=norm_B,
        principal_share_B=share,
        gyro_principal_share_B=gyro_share,
        tilt_B=_tilt(acc),
        has_gyro_B=has_gyro_B,
        has_gravity_B=has_gravity_B,
    )


def _with_gravity(acc: Tensor, gyro: Tensor, has_gravity: Tensor) -> tuple[Tensor, Tensor]:
    """Acceleration with gravity [B, 3, T], and its mean [B, 3]."""
    mean = acc.detach().mean(2)
    if bool(has_gravity.all()):
        return acc, mean
    rows = (~has_gravity).nonzero()[:, 0]
    stand_in = torch.zeros_like(mean).index_copy(0, rows, _main_axis(acc[rows], gyro[rows]))
    return acc + stand_in[:, :, None], torch.where(has_gravity[:, None], mean, stand_in)


@torch.no_grad()
def _main_axis(acc: Tensor, gyro: Tensor) -> Tensor:
    """Unit vectors [B, 3] along which acceleration (else angular rate) varies most."""
    acc, gyro = (x - x.mean(2, keepdim=True) for x in (acc, gyro))
    is_still = acc.square().sum((1, 2)) < _MIN_SCATTER
    x = torch.where(is_still[:, None, None], gyro, acc)
    axis = torch.linalg.eigh(x @ x.transpose(1, 2)).eigenvectors[:, :, 2]
    along = (axis[:, None] @ x)[:, 0]
    return axis * _sign(along)[:, None]


def _principal(flat_BAT: Tensor) -> tuple[Tensor, Tensor]:
    """Component [B, T] of a plane's vectors along their principal axis, and its share [B]."""
    with torch.no_grad():
        a, b = (flat_BAT - flat_BAT.mean(2, keepdim=True)).unbind(1)
        aa, bb, ab = a.square().sum(1), b.square().sum(1), (a * b).sum(1)
        angle = torch.atan2(2 * ab, aa - bb) / 2
        cos, sin = angle.cos(), angle.sin()
        sign = _sign(a * cos[:, None] + b * sin[:, None])
        axis = torch.stack([cos * sign, sin * sign], dim=1)
        spread = torch.hypot(aa - bb, 2 * ab)
        share = (aa + bb + spread) / 2 / (aa + bb).clamp(min=_MIN_SCATTER)
    return (flat_BAT * axis[:, :, None]).sum(1), share


def _sign(centred_BT: Tensor) -> Tensor:
    """The sign that makes the skewness positive, [B]."""
    third = (centred_BT * centred_BT.square()).sum(1)
    return torch.where(third < 0, -1.0, 1.0).to(centred_BT)


def _length(vectors_BAT: Tensor) -> Tensor:
    """Length [B, T] with a finite gradient at the zero vector."""
    return vectors_BAT.square().sum(1).clamp(min=_TINY).sqrt()


@torch.no_grad()
def _tilt(acc_BAT: Tensor) -> Tensor:
    """Angle [B] between the means of the halves; exact for small angles, unlike the arc cosine."""
    half = acc_BAT.shape[2] // 2
    a, b = acc_BAT[:, :, :half].mean(2), acc_BAT[:, :, half:].mean(2)
    return torch.atan2(torch.linalg.cross(a, b).norm(dim=1), (a * b).sum(1))
