"""Does acceleration contain gravity, and in which unit is it? Judged by what it shows at rest."""

# W excerpts, T samples of one

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from otolith.recordings.inference.excerpts import excerpts, log_spread, norms
from otolith.recordings.inference.tracks import Track
from otolith.signals.units import STANDARD_GRAVITY_M_S2

ACC_UNITS = {"g": 1.0, "m/s2": STANDARD_GRAVITY_M_S2, "mg": 1000.0}
"""One g in each unit."""

NEAR = 0.25
STEADY = 0.4
_QUIET_SHARE = 0.2


@dataclass(frozen=True)
class Rest:
    """What a three-axis sensor shows over one-second excerpts.

    Args:
        levels_W: Length of the mean vector of each excerpt, file units.
        rows_W: First row of each excerpt.
        quiet_level: Median level of the quietest fifth.
        quiet_spread: Relative spread of the level among the quietest fifth.
        spread: Relative spread of the level of all excerpts.
        shake: Median standard deviation within an excerpt.
        moved: 90 % quantile of the same.
        high: 99 % quantile of the length of single vectors.
        peak: Largest length of a single vector.
    """

    levels_W: np.ndarray
    rows_W: np.ndarray
    quiet_level: float
    quiet_spread: float
    spread: float
    shake: float
    moved: float
    high: float
    peak: float

    @property
    def is_steady(self) -> bool:
        """Whether the mean vector keeps its length, as gravity does."""
        return self.spread < STEADY and self.quiet_level > 0.5 * self.shake

    @property
    def unit(self) -> str:
        """Unit in which the quiet level is one g; empty if none fits."""
        if self.quiet_level <= 0:
            return ""
        for name, size in ACC_UNITS.items():
            if abs(np.log(self.quiet_level / size)) < NEAR:
                return name
        return ""


def at_rest(track: Track, sensor: str, rate_hz: float) -> Rest | None:
    """Measure a sensor over one-second excerpts; None without three axes or whole excerpts."""
    columns = track.columns(sensor)
    if len(columns) != 3:
        return None
    values, rows = excerpts(track, columns, max(6, round(rate_hz)))
    if not len(values):
        return None
    levels = norms(values.mean(1))
    shakes = np.sqrt(values.var(axis=1).sum(axis=-1))
    quiet = np.argsort(shakes)[: max(5, int(_QUIET_SHARE * len(shakes)))]
    lengths = norms(values)
    return Rest(
        levels_W=levels,
        rows_W=rows,
        quiet_level=float(np.median(levels[quiet])),
        quiet_spread=log_spread(levels[quiet]),
        spread=log_spread(levels),
        shake=float(np.median(shakes)),
        moved=float(np.quantile(shakes, 0.9)),
        high=float(np.quantile(lengths, 0.99)),
        peak=float(lengths.max()),
    )
