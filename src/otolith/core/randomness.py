"""Random numbers that are pure functions of (seed, epoch, sample id, purpose).

A counter-based generator (SplitMix64, Steele et al., OOPSLA 2014) maps a 64-bit key and a
counter to a number, so that one call draws for a whole batch, and a sample gets the same
draws whatever batch, process or worker it lands in. That makes resuming bit-exact and
global batches independent of the number of processes.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def _mix(x: np.ndarray) -> np.ndarray:
    """SplitMix64 output function on uint64 values."""
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * _MIX_1
        x = (x ^ (x >> np.uint64(27))) * _MIX_2
        return x ^ (x >> np.uint64(31))


def _word(text: str) -> np.uint64:
    """A 64-bit word for a purpose, stable across runs and machines."""
    return np.uint64(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little"))


def sample_keys(seed: int, epoch: int, sample_ids: np.ndarray | Sequence[int]) -> np.ndarray:
    """Return one key per sample.

    Args:
        seed: Seed of the run.
        epoch: Epoch, 0-based.
        sample_ids: Integer ids [B], unique within the data.

    Returns:
        Keys [B], uint64.
    """
    ids = np.asarray(sample_ids, dtype=np.int64).astype(np.uint64)
    with np.errstate(over="ignore"):
        base = _mix(np.asarray([seed], dtype=np.int64).astype(np.uint64) + _GOLDEN)
        base = _mix(base + np.uint64(epoch + 1) * _GOLDEN)
        return _mix(base ^ _mix(ids + _GOLDEN))


def uniform(keys: np.ndarray, purpose: str, shape: Sequence[int] = ()) -> np.ndarray:
    """Draw numbers in [0, 1).

    Args:
        keys: Keys [B] from `sample_keys`.
        purpose: What the numbers are for; another purpose gives independent numbers.
        shape: Shape of the draws of one sample.

    Returns:
        Draws [B, *shape], float64.
    """
    count = math.prod(shape)
    with np.errstate(over="ignore"):
        start = _mix(np.asarray(keys, dtype=np.uint64) ^ _word(purpose))
        counters = (np.arange(count, dtype=np.uint64) + np.uint64(1)) * _GOLDEN
        bits = _mix(start[:, None] + counters[None, :])
    return ((bits >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(len(start), *shape)


def normal(keys: np.ndarray, purpose: str, shape: Sequence[int] = ()) -> np.ndarray:
    """Draw standard normal numbers [B, *shape], float64 (Box-Muller transform)."""
    u = uniform(keys, purpose, (2, math.prod(shape)))
    radius = np.sqrt(-2.0 * np.log1p(-u[:, 0]))
    return (radius * np.cos(2.0 * np.pi * u[:, 1])).reshape(len(u), *shape)


def noise(keys: np.ndarray, purpose: str, count: int) -> np.ndarray:
    """Draw many standard normal numbers quickly, for additive noise on signals.

    One 64-bit word gives both numbers of a Box-Muller pair in float32, several times faster than
    `normal`; the tails end at 6.8 standard deviations.

    Args:
        keys: Keys [B] from `sample_keys`.
        purpose: What the numbers are for.
        count: Draws per sample; the first numbers do not depend on it.

    Returns:
        Draws [B, count], float32.
    """
    num_pairs = (count + 1) // 2
    with np.errstate(over="ignore"):
        start = _mix(np.asarray(keys, dtype=np.uint64) ^ _word(purpose))
        bits = (np.arange(num_pairs, dtype=np.uint64) + np.uint64(1)) * _GOLDEN
        bits = _mix(start[:, None] + bits)
    scale = np.float32(2.0**-32)
    radius = (bits >> np.uint64(32)).astype(np.float32)
    radius = np.sqrt(np.float32(-2.0) * np.log((radius + np.float32(0.5)) * scale))
    angle = (bits & np.uint64(0xFFFFFFFF)).astype(np.float32) * np.float32(2.0 * np.pi * scale)
    draws = np.empty((len(bits), num_pairs, 2), np.float32)
    np.multiply(radius, np.cos(angle), out=draws[..., 0])
    np.multiply(radius, np.sin(angle), out=draws[..., 1])
    return draws.reshape(len(bits), -1)[:, :count]


def integers(
    keys: np.ndarray, purpose: str, high: np.ndarray | int, shape: Sequence[int] = ()
) -> np.ndarray:
    """Draw integers in [0, high) as int64 [B, *shape]; `high` is a number or [B]."""
    top = np.asarray(high, dtype=np.float64).reshape(-1, *([1] * len(shape)))
    return np.floor(uniform(keys, purpose, shape) * top).astype(np.int64)


def permutation(seed: int, epoch: int, size: int, purpose: str = "order") -> np.ndarray:
    """Return a permutation of range(size), a pure function of the arguments."""
    return rng(seed, epoch, purpose).permutation(size)


def rng(seed: int, epoch: int = 0, purpose: str = "") -> np.random.Generator:
    """Return a numpy generator for (seed, epoch, purpose)."""
    return np.random.default_rng([seed & 0xFFFFFFFF, epoch, int(_word(purpose)) & 0xFFFFFFFF])


def step_seed(seed: int, epoch: int, step: int, rank: int = 0) -> int:
    """Return a 63-bit seed for torch's generator at one step of one process (dropout)."""
    key = sample_keys(seed, epoch, [step * 65_536 + rank])
    return int(key[0] >> np.uint64(1))
