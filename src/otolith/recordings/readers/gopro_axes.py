"""Which axis of a GoPro camera each stored component is."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from otolith.recordings.inference.notes import Notes
from otolith.recordings.readers.gpmf import SensorBlock

_HERO5_ORDER = "ZXY"
_DIRECTIONS = {"up/down": "Z", "right/left": "X", "left/right": "X", "forward/back": "Y"}
_SAME_AXES = 0.2  # how far a calibrated matrix may be from the permutation that ORIN names


def order_matrix(order: str) -> np.ndarray | None:
    """Return the matrix [3, 3] that takes stored components to x, y, z.

    Args:
        order: Axis of each stored component, such as `ZXY`; a small letter is a reversed axis.

    Returns:
        A signed permutation, or None if the text names no three different axes.
    """
    if sorted(order.upper()) != ["X", "Y", "Z"]:
        return None
    matrix = np.zeros((3, 3))
    for stored, letter in enumerate(order):
        matrix["XYZ".index(letter.upper()), stored] = 1.0 if letter.isupper() else -1.0
    return matrix


GRAVITY_AXES = np.asarray(order_matrix("XZY"))
"""`GRAV` is stored as x, z, y."""


def camera_axes(block: SensorBlock, path: Path, notes: Notes) -> np.ndarray:
    """Return the matrix [3, 3] from stored components to the camera's x, y, z.

    Args:
        block: What a packet says about the sensor: `ORIN`; `MTRX` with `ORIO`; its name.
        path: The file, for messages.
        notes: Receives how the axes were decided.
    """
    check = f"axes.{'acc' if block.key == 'ACCL' else 'gyro'}"
    order = order_matrix(block.order_in)
    turned = _by_matrix(block)
    if order is None and turned is None:
        named = _order_in_name(block.name)
        known = named or _HERO5_ORDER
        why = "its name says so" if named else "HERO5 stored them so and did not say it"
        notes.add(check, "inferred", f"Components of {block.key} were taken as {known}; {why}.",
                  block.name)  # fmt: skip
        return np.asarray(order_matrix(known))
    if order is None:
        notes.add(check, "ok", f"Axes of {block.key} come from MTRX and ORIO {block.order_out}.")
        return np.asarray(turned)
    if turned is None or np.array_equal(turned, order):
        notes.add(check, "ok", f"Axes of {block.key} come from ORIN {block.order_in}.")
        return order
    if np.abs(turned - order).max() <= _SAME_AXES:
        notes.add(check, "ok", f"Axes of {block.key} come from the calibrated matrix MTRX.")
        return turned
    notes.add(
        check,
        "warning",
        f"ORIN {block.order_in} and MTRX with ORIO {block.order_out} of {path.name} disagree about {block.key}; ORIN was taken.",
    )
    return order


def _by_matrix(block: SensorBlock) -> np.ndarray | None:
    """Axes by the matrix of the file, whose rows give the components that `ORIO` names."""
    out = order_matrix(block.order_out)
    if out is None or len(block.matrix) != 9:
        return None
    matrix = out @ np.reshape(block.matrix, (3, 3))
    is_rotation = np.allclose(matrix @ matrix.T, np.eye(3), atol=_SAME_AXES)
    return matrix if is_rotation else None


def _order_in_name(name: str) -> str:
    """Order that a stream's name gives in brackets, in letters or in words; empty if none."""
    inside = re.search(r"\(([^)]*)\)?$", name.strip())
    if inside is None:
        return ""
    parts = [part.strip().lower() for part in inside[1].split(",")]
    order = "".join(_DIRECTIONS.get(part, part.upper()) for part in parts)
    # the name is cut off at 50 characters, so the last word may lack its end
    return order if order_matrix(order) is not None else ""
