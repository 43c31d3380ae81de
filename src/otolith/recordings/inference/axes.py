"""Do the accelerometer's and the gyroscope's axes agree? Does their turning fit the units?

A direction that is fixed in the world, seen from a turning sensor, changes as
d(gravity)/dt = gravity x angular rate. Over short quiet excerpts the accelerometer shows
gravity, so its change tells scale, order and sign of the gyroscope's axes, and with a known
unit the sampling rate. Which way round the whole sensor was worn cannot be told this way.
"""

# W excerpts, T samples of one

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from otolith.recordings.inference.excerpts import excerpts, norms
from otolith.recordings.inference.notes import Notes
from otolith.recordings.inference.tracks import Track
from otolith.recordings.options import ReadOptions

_EPSILON = np.zeros((3, 3, 3))
for _i, _j, _k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
    _EPSILON[_i, _j, _k], _EPSILON[_i, _k, _j] = 1.0, -1.0
_MIN_EXCERPTS = 12
FIT = 0.35


@dataclass(frozen=True)
class Turning:
    """How the gyroscope explains the turning of gravity.

    Args:
        slope: Best factor of the gyroscope's values, in 1/sample (unit factor / rate).
        fit: Share of gravity's change that is explained with the axes as they are.
        best_slope: The same for the best arrangement of axes.
        best_fit: The same for the best arrangement of axes.
        axes: Best arrangement, a signed permutation [3, 3]: gyro -> accelerometer's frame.
        num_excerpts: Excerpts used.
    """

    slope: float
    fit: float
    best_slope: float
    best_fit: float
    axes: np.ndarray
    num_excerpts: int

    @property
    def agrees(self) -> bool:
        """Whether the axes as they are explain gravity's change about as well as any."""
        return self.fit > self.best_fit - 0.15 and self.slope > 0


def turning(track: Track, rate_hz: float | None) -> Turning | None:
    """Compare the change of gravity with the gyroscope.

    Args:
        track: Needs both sensors with three axes each, acceleration with gravity.
        rate_hz: Sampling rate in Hz; None if unknown.

    Returns:
        The comparison; None where too few excerpts turn without being shaken.
    """
    acc, gyro = track.columns("acc"), track.columns("gyro")
    if len(acc) != 3 or len(gyro) != 3:
        return None
    size = int(np.clip(round(0.5 * rate_hz), 20, 400)) if rate_hz else 24
    values, _ = excerpts(track, acc + gyro, size, limit=6000)
    if len(values) < _MIN_EXCERPTS:
        return None
    acc_WT3, gyro_WT3 = values[..., :3], values[..., 3:]
    half_edge = max(1, values.shape[1] // 8)
    edge = 2 * half_edge
    before, after = acc_WT3[:, :edge].mean(1), acc_WT3[:, -edge:].mean(1)
    usual = np.median(norms(acc_WT3.mean(1)))
    level = np.maximum(np.abs(norms(before) / usual - 1), np.abs(norms(after) / usual - 1))
    shaken = np.sqrt(np.square(norms(acc_WT3) / usual - 1).mean(1))
    turned = norms(after - before) / usual
    good = (level < 0.12) & (shaken < 0.15) & (turned > 0.05)
    if good.sum() < _MIN_EXCERPTS:
        return None
    # The averages at the edges stand for their middles, so the sum runs from middle to middle.
    inner = slice(half_edge, values.shape[1] - half_edge)
    moment = np.einsum("wti,wtj->wij", acc_WT3[good, inner], gyro_WT3[good, inner])
    return _fit((after - before)[good] / usual, moment / usual)


def _fit(change_W3: np.ndarray, moment_W33: np.ndarray) -> Turning:
    """Fit a factor for the axes as they are and for every signed permutation."""
    design = np.einsum("abc,wbd->wacd", _EPSILON, moment_W33)
    results = []
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            axes = np.zeros((3, 3))
            axes[np.arange(3), order] = signs
            slope, fit = _robust_fit(change_W3, np.einsum("wacd,cd->wa", design, axes))
            results.append((fit if slope > 0 else -1.0, slope, fit, axes))
    identity = next(r for r in results if np.array_equal(r[3], np.eye(3)))
    best = max(results, key=lambda r: r[0])
    return Turning(identity[1], identity[2], best[1], best[2], best[3], len(change_W3))


def _robust_fit(change_W3: np.ndarray, predicted_W3: np.ndarray) -> tuple[float, float]:
    """Slope, and share of explained change, without the excerpts that fit worst."""
    keep = np.ones(len(change_W3), bool)
    slope, fit = 0.0, 0.0
    for share in (1.0, 0.85, 0.75):
        power = float(np.square(predicted_W3[keep]).sum())
        slope = float((change_W3[keep] * predicted_W3[keep]).sum()) / power if power > 0 else 0.0
        error = np.square(change_W3 - slope * predicted_W3).sum(1)
        keep = error <= np.quantile(error, share)
        total = float(np.square(change_W3[keep]).sum())
        fit = 1.0 - float(error[keep].sum()) / total if total > 0 else 0.0
    return slope, fit


def check_axes(track: Track, found: Turning | None, options: ReadOptions, notes: Notes) -> None:
    """State whether both sensors share their axes; turn the gyroscope if the policy says so."""
    notes.add(
        "axes.orientation",
        "unknown",
        f'Which way round the sensor of "{track.stream}" was worn cannot be known from the file.',
        remedy="Use a gravity-aligned or rotation-robust model, or turn the axes yourself.",
    )
    if not track.columns("gyro"):
        return
    if found is None or found.best_fit < FIT:
        seen = (
            "too few excerpts turn without being shaken"
            if found is None
            else f"explained share {found.best_fit:.2f}"
        )
        notes.add(
            "axes.frame",
            "unknown",
            f'Whether accelerometer and gyroscope of "{track.stream}" share their axes cannot be judged here.',
            seen,
        )
        return
    evidence = f"{found.num_excerpts} excerpts, explained share {found.fit:.2f} as they are, {found.best_fit:.2f} at best"
    if found.agrees:
        notes.add(
            "axes.frame",
            "inferred",
            f'Accelerometer and gyroscope of "{track.stream}" share their axes.',
            evidence,
        )
        return
    gyro = track.columns("gyro")
    sources = ", ".join(
        f"{'xyz'[i]} = {'-' if row.sum() < 0 else ''}{'xyz'[int(np.argmax(np.abs(row)))]}"
        for i, row in enumerate(found.axes)
    )
    done = (
        "the gyroscope was turned into the accelerometer's frame"
        if options.on_axis_mismatch == "fix"
        else "nothing was changed"
    )
    status = "fixed" if options.on_axis_mismatch == "fix" else "warning"
    notes.act(
        options.on_axis_mismatch,
        "axes.frame",
        status,
        f'The axes of accelerometer and gyroscope of "{track.stream}" disagree (swapped or mirrored); {done}.',
        f"{evidence}, with gyro {sources}",
        'Pass on_axis_mismatch="fix" to turn the gyroscope, or repair the columns.',
    )
    if options.on_axis_mismatch == "fix":
        track.samples_NC[:, gyro] = track.samples_NC[:, gyro] @ found.axes.T.astype(np.float32)
