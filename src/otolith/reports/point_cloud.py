"""Interactive map of points on a canvas; the page's script turns and colours it."""

# N points

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from otolith.reports.drawing import UNKNOWN, colours


def point_cloud(
    points: np.ndarray,
    groupings: Mapping[str, Sequence[str]],
    *,
    dims: int,
    label: str = "Map of points",
) -> Markup:
    """Return an interactive map; with `dims=3` it can be turned and zoomed.

    Args:
        points: float [N, >= dims], scaled to about [-1, 1].
        groupings: What the points can be coloured by -> one name per point; the first is shown
            first, and all of them when a point is pointed at.
        dims: 2 or 3.
        label: What it shows, for readers who cannot see it.
    """
    data = {
        "points": np.round(np.nan_to_num(points[:, :dims]), 3).tolist(),
        "groupings": [_grouping(name, values) for name, values in groupings.items()],
    }
    help_ = (
        "Drag or use the arrow keys to turn, plus and minus to zoom."
        if dims == 3
        else "Point at a dot to read what it is."
    )
    return Markup(
        '<div class="cloud" data-dims="{}"><div class="choices" role="group" '
        'aria-label="Colour by"></div><canvas tabindex="0" role="img" aria-label="{}"></canvas>'
        '<div class="legend" role="group" aria-label="Show or hide"></div>'
        '<script type="application/json">{}</script></div>'
    ).format(dims, f"{label}, {len(points)} points. {help_}", json_island(data))


def json_island(data: object) -> Markup:
    """Return JSON that can stand inside a `script` element whatever the texts in it."""
    plain = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        plain = plain.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(plain)  # noqa: S704  # JSON with <, > and & escaped


def _grouping(title: str, values: Sequence[str]) -> dict[str, object]:
    """Names in order of the alphabet (numbers by size), colours, and a name's index per point."""
    names = sorted(set(values), key=lambda v: (0, int(v), v) if v.isdecimal() else (1, 0, v))
    palette, index = colours(names), {name: i for i, name in enumerate(names)}
    return {
        "title": title,
        "names": [name or "unlabelled" for name in names],
        "colours": [palette.get(name, UNKNOWN) for name in names],
        "of": [index[value] for value in values],
    }
