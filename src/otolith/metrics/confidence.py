"""What makes confidence mean what it says: the temperature of scores, the level of conformal sets."""

# N windows

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

_LOWEST, _HIGHEST = 0.05, 20.0


def fit_temperature(log_loss: Callable[[float], float]) -> float:
    """Return the temperature with the least log loss (Guo et al., ICML 2017).

    Args:
        log_loss: Temperature -> mean negative log probability of the truth.

    Returns:
        A temperature between 0.05 and 20.
    """
    from scipy.optimize import minimize_scalar

    bounds = (math.log(_LOWEST), math.log(_HIGHEST))
    found = minimize_scalar(lambda t: log_loss(math.exp(t)), bounds=bounds, method="bounded")
    return math.exp(found.x)


def conformal_quantile(misfit_N: np.ndarray, coverage: float) -> float:
    """Return the quantile of 1 - p(truth) with the correction for the number of windows.

    Split conformal prediction (Vovk et al., 2005; Sadinle et al., JASA 2019): sets of the labels with
    1 - p of at most this hold the truth as often as wanted.

    Args:
        misfit_N: 1 - p(truth) of calibration windows.
        coverage: Wanted share of windows whose set holds the truth, 0..1.

    Returns:
        The quantile; 1 (every label is in every set) with too few windows.
    """
    # products such as 0.55 * 100 may come out a little above the whole number that they are
    rank = math.ceil((len(misfit_N) + 1) * coverage - 1e-9)
    return float(np.sort(misfit_N)[rank - 1]) if 0 < rank <= len(misfit_N) else 1.0
