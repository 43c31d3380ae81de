"""Made-up motion windows with gravity, as of a person who walks."""

import numpy as np
import torch

from otolith.core.randomness import sample_keys
from otolith.signals.rotations import apply_rotation, random_rotations

G = 9.80665


def walk(num=4, rows=100, rate_hz=20.0, seed=0, gravity=True):
    """Windows [B, T, 6]: steps of several harmonics in all axes, some noise, float64."""
    rng = np.random.default_rng(seed)
    t = np.arange(rows) / rate_hz
    x = rng.normal(size=(num, rows, 6)) * 0.3
    for b in range(num):
        step_hz = rng.uniform(1.5, 2.3)
        for m in (0.5, 1, 2):
            size, phase = rng.normal(size=6), rng.uniform(0, 6.28, 6)
            x[b] += size * np.cos(2 * np.pi * m * step_hz * t[:, None] + phase)
    if gravity:
        x[..., 2] += G
    return x


def turned(x, seed):
    """The same windows worn another way round: one rotation for every window."""
    rotations = random_rotations(sample_keys(seed, 0, np.arange(len(x))), "mount", 1)
    parts = [apply_rotation(x[..., k : k + 3], rotations) for k in (0, 3)]
    return torch.cat(parts, -1) if isinstance(x, torch.Tensor) else np.concatenate(parts, -1)
