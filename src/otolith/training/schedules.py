"""Learning-rate schedules as pure functions from a position to a factor.

The loop multiplies the base rate with the factor of the current step (or epoch), so a
schedule has no state and a resumed run needs only its position. `warmup_linear` and
`warmup_cosine` are the two schedules of TSFM (stage 1 per step, stage 2 per epoch).
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def constant(position: float, warmup: float, total: float, floor: float = 0.0) -> float:
    """Return position / warmup during the warm-up, then 1.

    Args:
        position: Step or epoch, 0-based.
        warmup: Length of the warm-up in the unit of `position`.
        total: Length of the run; not used, all schedules share one signature.
        floor: Not used.
    """
    return min(1.0, position / warmup) if warmup > 0 else 1.0


def warmup_linear(
    step: float, warmup_steps: float, total_steps: float, floor: float = 0.0
) -> float:
    """Rise linearly from 0 at step 0 to 1, then fall linearly to `floor` at `total_steps`.

    Args:
        step: Step, 0-based.
        warmup_steps: Steps of the warm-up.
        total_steps: Steps of the run.
        floor: Factor at the end.

    Returns:
        Factor in [0, 1].
    """
    if step < warmup_steps:
        return step / warmup_steps
    rest = max(total_steps - warmup_steps, 1.0)
    return floor + (1.0 - floor) * min(1.0, max(0.0, (total_steps - step) / rest))


def warmup_cosine(epoch: float, warmup_epochs: float, epochs: float, floor: float = 0.0) -> float:
    """Rise as (epoch + 1) / warmup_epochs, then fall along half a cosine to `floor`.

    Args:
        epoch: Epoch (or step), 0-based.
        warmup_epochs: Length of the warm-up.
        epochs: Length of the run; the cosine would reach `floor` there.
        floor: Factor at the end.

    Returns:
        Factor in [0, 1].
    """
    if epoch < warmup_epochs:
        return (epoch + 1.0) / warmup_epochs
    progress = min(1.0, (epoch - warmup_epochs) / max(epochs - warmup_epochs, 1.0))
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * progress))


def half_cosine(position: float, warmup: float, total: float, floor: float = 0.0) -> float:
    """Rise linearly from 0 at position 0 to 1, then fall along half a cosine to `floor`.

    The schedule of masked autoencoders (He et al., CVPR 2022); unlike `warmup_cosine` it starts at 0.

    Args:
        position: Step or epoch, 0-based.
        warmup: Length of the warm-up in the unit of `position`.
        total: Length of the run.
        floor: Factor at the end; the warm-up does not know it.

    Returns:
        Factor in [0, 1].
    """
    if position < warmup:
        return position / warmup
    progress = min(1.0, (position - warmup) / (total - warmup)) if total > warmup else 1.0
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * progress))


def steps(
    position: float, warmup: float, total: float, floor: float = 0.0, *,
    milestones: Sequence[float] = (), factor: float = 0.5,
) -> float:  # fmt: skip
    """Rise as position / warmup, then multiply by `factor` at every milestone that was reached.

    Args:
        position: Step or epoch, 0-based.
        warmup: Length of the warm-up in the unit of `position`.
        total: Length of the run; not used.
        floor: Smallest factor.
        milestones: Positions at which the rate falls.
        factor: What it is multiplied by.
    """
    rise = min(1.0, position / warmup) if warmup > 0 else 1.0
    return max(floor, rise * factor ** sum(position >= at for at in milestones))


SCHEDULES = {
    "constant": constant,
    "linear": warmup_linear,
    "cosine": warmup_cosine,
    "half_cosine": half_cosine,
    "steps": steps,
}
