"""Resized power maps of frames of a few dozen samples, in float64.

The power of a frame of L samples is, at every frequency, a fixed combination of its L + 1 powers at
the multiples of 1 / (2 L): those determine its autocorrelation, and that the power. So a transform
of 2 L points is enough; the columns are resized there, where the map has few rows, and the rows
within the matrix that leads to all frequencies. Nearly all of it is two small matrix products, each
of half its size: cosines see only the sum of two samples that lie alike about the middle of a frame,
sines their difference; and a power at f and one at half the rate minus f are the sum and the
difference of the same two parts.

The combination cancels: beside a constant, quiet frequencies are 1e-10 of the loud ones, which
float64 holds with four digits to spare and float32 does not hold at all.
"""

# N signals, T samples, L samples of a frame, P pairs of them, K kept powers, H half of those,
# M frames, R rows, U upper rows, W columns

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from otolith.signals._frames import TransformSizes, hann_window, mirrored, resize

_MIN_MAPS = 8  # maps per thread that are worth starting it
_MAX_DIAGONALS = 3  # resizing by so many shifted copies is faster than the general way


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Matrices of one size of map.

    Args:
        skip: First samples of a frame whose weight is zero.
        transform_2KP: Windowed cosines of the sums and sines of the differences of mirrored samples,
            the middle first; the second half of the frequencies mirrors the first.
        rows_RK: From kept powers to rows.
        even_UH: From sums of mirrored powers to the part that mirrored rows share.
        odd_UH: From their differences to the part that differs in sign; None = rows do not mirror.
    """

    skip: int
    transform_2KP: np.ndarray
    rows_RK: np.ndarray
    even_UH: np.ndarray
    odd_UH: np.ndarray | None


@lru_cache(maxsize=32)
def plan(num_fft: int, frame: int, num_rows: int | None) -> Plan:
    """Return the matrices of a transform whose bins are resized to so many rows."""
    skip = int(frame > 1)
    length = frame - skip
    half = length // 2 + 1
    bins = np.concatenate([np.arange(half), length - np.arange(half)])
    window = hann_window(frame)[skip:][length // 2 :].copy()
    if length % 2:  # the middle is its own mirror image, so it is there twice
        window[0] /= 2.0
    distance_P = np.arange(len(window)) + (0.0 if length % 2 else 0.5)
    angle = np.pi / length * np.outer(bins, distance_P)
    # a frequency that is its own mirror image is there twice
    share = np.where(2 * bins == length, 0.5, 1.0)
    share *= np.where((bins == 0) | (bins == length), 1.0, 2.0) / (2 * length)
    lags_LK = np.cos(np.pi / length * np.outer(np.arange(length), bins)) * share
    lags_LK[1:] *= 2.0
    at = np.outer(np.arange(num_fft // 2 + 1), np.arange(length)) % num_fft
    powers_FK = np.cos(2.0 * np.pi / num_fft * at) @ lags_LK
    rows_RK = resize(torch.from_numpy(powers_FK), num_rows, None).numpy()
    upper = rows_RK[: (len(rows_RK) + 1) // 2]
    return Plan(
        skip=skip,
        transform_2KP=np.stack([np.cos(angle), np.sin(angle)]) * window,
        rows_RK=rows_RK,
        even_UH=(upper[:, :half] + upper[:, half:]) / 2,
        odd_UH=(upper[:, :half] - upper[:, half:]) / 2 if num_fft % 2 == 0 else None,
    )


def power_map(
    x_NT: Tensor, sizes: TransformSizes, num_rows: int | None, num_columns: int | None
) -> Tensor:
    """Return the power of all frames, resized, [N, R, W], of the signals' type.

    This form can be differentiated and runs on any device; `fill_maps` is the fast one.

    Args:
        x_NT: Signals in float64.
        sizes: Lengths in samples.
        num_rows: Rows of the map; None = one per bin.
        num_columns: Columns of the map; None = one per frame.
    """
    found = plan(sizes.num_fft, sizes.frame, num_rows)
    frames_NLM = _frames(x_NT, sizes, found.skip)
    after, before = _halves(frames_NLM.shape[1])
    later, earlier = frames_NLM[:, after], frames_NLM[:, before].flip(1)
    cosines, sines = torch.from_numpy(found.transform_2KP).to(x_NT)
    real, imaginary = cosines @ (later + earlier), sines @ (later - earlier)
    power_NKM = real.square().addcmul(imaginary, imaginary)
    return torch.from_numpy(found.rows_RK).to(x_NT) @ resize(power_NKM, None, num_columns)


def fill_maps(
    out_NRW: Tensor,
    x_NT: Tensor,
    sizes: TransformSizes,
    finish: Callable[[Tensor, int], None] | None = None,
) -> None:
    """Write the same, map by map, so that all that is needed at a time stays in the cache.

    Args:
        out_NRW: Receives the maps, in float32 on the CPU.
        x_NT: Signals in float64 on the CPU.
        sizes: Lengths in samples.
        finish: Called with every map [R, W] and its number as soon as it is there.
    """
    num_rows, num_columns = out_NRW.shape[1:]
    found = plan(sizes.num_fft, sizes.frame, num_rows)
    frames_NLM = _frames(x_NT, sizes, found.skip).numpy()

    def fill(numbers: range) -> None:
        columns = _Columns(found, frames_NLM.shape[2], num_columns)
        rows = _Rows(found, num_columns)
        for number in numbers:
            rows.write(out_NRW[number].numpy(), columns.powers(frames_NLM[number]))
            if finish is not None:
                finish(out_NRW[number], number)

    num_threads = min(torch.get_num_threads(), len(out_NRW) // _MIN_MAPS)
    if num_threads <= 1:
        fill(range(len(out_NRW)))
        return
    with ThreadPoolExecutor(num_threads) as pool:
        list(pool.map(fill, [range(i, len(out_NRW), num_threads) for i in range(num_threads)]))


class _Columns:
    """Frames [L, M] -> kept powers [K, W], with buffers of its own."""

    def __init__(self, found: Plan, num_frames: int, num_columns: int) -> None:
        self.plan = found
        num_kept, num_pairs = found.transform_2KP.shape[1:]
        self.pairs = np.empty((2, num_pairs, num_frames))
        self.parts = np.empty((2, num_kept, num_frames))
        self.power = np.empty((num_kept, num_frames))
        self.num_columns = num_columns
        # weights over the whole buffer, since that is one run of memory
        diagonals = _diagonals(num_frames, num_columns)
        self.diagonals = [(shift, np.tile(weight, num_kept)) for shift, weight in diagonals]
        self.sum, self.part = np.zeros((2, *self.power.shape))

    def powers(self, frames_LM: np.ndarray) -> np.ndarray:
        """Return the powers, in a buffer."""
        after, before = _halves(len(frames_LM))
        later, earlier = frames_LM[after], frames_LM[before][::-1]
        np.add(later, earlier, out=self.pairs[0])
        np.subtract(later, earlier, out=self.pairs[1])
        np.matmul(self.plan.transform_2KP, self.pairs, out=self.parts)
        np.multiply(self.parts, self.parts, out=self.parts)
        np.add(self.parts[0], self.parts[1], out=self.power)
        if self.power.shape[1] == self.num_columns:
            return self.power
        if not self.diagonals:
            return resize(torch.from_numpy(self.power), None, self.num_columns).numpy()
        source, target, part = (v.reshape(-1) for v in (self.power, self.sum, self.part))
        for number, (shift, weight) in enumerate(self.diagonals):
            stop = len(source) - shift
            np.multiply(source[shift:], weight[:stop], out=(part if number else target)[:stop])
            if number:
                np.add(target[:stop], part[:stop], out=target[:stop])
        return self.sum[:, : self.num_columns]


class _Rows:
    """Kept powers [K, W] -> rows [R, W], with buffers of its own."""

    def __init__(self, found: Plan, num_columns: int) -> None:
        self.plan = found
        num_upper, self.half = found.even_UH.shape
        self.both = np.empty((2, self.half, num_columns))
        self.even, self.odd, self.sum = np.empty((3, num_upper, num_columns))

    def write(self, out_RW: np.ndarray, power_KW: np.ndarray) -> None:
        """Overwrite `out_RW`."""
        found, half = self.plan, self.half
        if found.odd_UH is None:
            np.copyto(out_RW, found.rows_RK @ power_KW, casting="same_kind")
            return
        np.add(power_KW[:half], power_KW[half:], out=self.both[0])
        np.subtract(power_KW[:half], power_KW[half:], out=self.both[1])
        np.matmul(found.even_UH, self.both[0], out=self.even)
        np.matmul(found.odd_UH, self.both[1], out=self.odd)
        np.add(self.even, self.odd, out=self.sum)
        np.copyto(out_RW[: len(self.sum)], self.sum, casting="same_kind")
        np.subtract(self.even, self.odd, out=self.sum)
        num_lower = len(out_RW) // 2
        lower = out_RW[len(out_RW) - num_lower :][::-1]
        np.copyto(lower, self.sum[:num_lower], casting="same_kind")


def _frames(x_NT: Tensor, sizes: TransformSizes, skip: int) -> Tensor:
    """View of all frames [N, L, M] of signals with mirrored ends, without what weighs nothing."""
    first, last = mirrored(x_NT.shape[-1], sizes)
    padded = F.pad(x_NT[:, None], (first, last), mode="reflect").squeeze(1)[:, skip:]
    num_frames = x_NT.shape[-1] // sizes.hop + 1
    return padded.unfold(1, sizes.frame - skip, sizes.hop)[:, :num_frames].transpose(1, 2)


def _halves(length: int) -> tuple[slice, slice]:
    """Samples from the middle on, and those up to it, of which there are as many."""
    return slice(length // 2, None), slice(None, (length + 1) // 2)


@lru_cache(maxsize=32)
def _diagonals(num_frames: int, num_columns: int) -> tuple[tuple[int, np.ndarray], ...]:
    """Shifts and weights [M] of resizing; none if it needs more than few shifted copies."""
    if not 0 < num_frames - num_columns < _MAX_DIAGONALS:
        return ()
    matrix_MW = resize(torch.eye(num_frames, dtype=torch.float64), None, num_columns).numpy()
    source, target = np.nonzero(matrix_MW)
    shifts = np.unique(source - target)
    if len(shifts) > _MAX_DIAGONALS or shifts[0] < 0 or shifts[-1] > num_frames - num_columns:
        return ()
    columns = np.arange(num_columns)
    missing = (0, num_frames - num_columns)
    return tuple(
        (int(shift), np.pad(matrix_MW[columns + shift, columns], missing)) for shift in shifts
    )
