"""Timeline: tracks of coloured segments on one time axis, with a signal above them."""

# T samples, G grid steps

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from otolith.reports.drawing import (
    PALETTE,
    UNKNOWN,
    clock,
    clock_ticks,
    colours,
    ink_on,
    legend,
    line,
    shorten,
    svg,
    text,
    text_width,
)

_LEFT, _WIDE, _SIGNAL_HIGH, _TRACK_HIGH, _SURE_HIGH = 130, 890, 84, 32, 26


@dataclass(frozen=True)
class Bar:
    """One coloured segment.

    Args:
        start_s: Start in s.
        end_s: End in s.
        label: Name that chooses the colour; empty = unlabelled.
        tip: Further words that are shown when it is pointed at.
    """

    start_s: float
    end_s: float
    label: str
    tip: str = ""


def timeline(
    tracks: Mapping[str, Sequence[Bar]],
    duration_s: float,
    labels: Sequence[str],
    *,
    signal: tuple[np.ndarray, np.ndarray] | None = None,
    confidence: tuple[np.ndarray, np.ndarray] | None = None,
) -> Markup:
    """Return tracks of coloured segments on a common time axis.

    Args:
        tracks: Track name -> its segments, drawn from top to bottom.
        duration_s: Length of the axis in s.
        labels: Labels in the order of the legend.
        signal: Optional (times [T] in s, acceleration [T] in m/s^2), drawn above the tracks.
        confidence: Optional (times [G] in s, 0..1 [G]), drawn below the first track.
    """
    duration_s = max(duration_s, 1e-3)
    palette = colours(labels)
    parts, y = [], 6.0
    if signal is not None and np.isfinite(signal[1]).any():
        parts += _envelope(*signal, duration_s, y)
        y += _SIGNAL_HIGH + 12
    marks = clock_ticks(duration_s)
    top = y
    for number, (name, bars) in enumerate(tracks.items()):
        parts.append(text(_LEFT - 10, y + 19, shorten(name, 14), anchor="end"))
        parts += [part for item in bars for part in _bar(item, duration_s, y, palette)]
        y += _TRACK_HIGH
        if number == 0 and confidence is not None and len(confidence[0]):
            parts += _confidence(*confidence, duration_s, y)
            y += _SURE_HIGH + 8
    grid = [line(_x(t, duration_s), top, _x(t, duration_s), y + 3, "grid") for t in marks]
    shown = (f"{t:g} s" if duration_s < 5 else clock(t) for t in marks)
    parts += [
        text(_x(t, duration_s), y + 19, words, anchor="middle", css="soft")
        for t, words in zip(marks, shown, strict=True)
    ]
    found = {bar.label for bars in tracks.values() for bar in bars}
    used = [name for name in dict.fromkeys([*labels, "unknown", ""]) if name in found]
    chart = svg(_LEFT + _WIDE + 28, y + 28, [*grid, *parts], "Timeline of activities")
    return chart + legend(used, palette)


def _x(time_s: float, duration_s: float) -> float:
    return _LEFT + _WIDE * min(max(time_s / duration_s, 0.0), 1.0)


def _bar(item: Bar, duration_s: float, y: float, palette: Mapping[str, str]) -> list[Markup]:
    """Rectangle of a segment, with its name where there is room."""
    x = _x(item.start_s, duration_s)
    wide = max(0.8, _x(item.end_s, duration_s) - x)
    fill = palette.get(item.label, UNKNOWN)
    name = item.label or "unlabelled"
    parts = [
        Markup(
            '<rect x="{:.2f}" y="{:.1f}" width="{:.2f}" height="26" rx="{}" class="segment{}" '
            'fill="{}" data-tip="{}"/>'
        ).format(
            x,
            y + 1,
            wide,
            2 if wide > 8 else 0,
            " edged" if wide > 6 else "",
            fill,
            f"{name}\n{item.tip}".strip(),
        )
    ]
    if item.label and wide > text_width(item.label) + 10:
        parts.append(
            Markup(
                '<text x="{:.1f}" y="{:.1f}" text-anchor="middle" class="on" style="fill:{}">{}</text>'
            ).format(x + wide / 2, y + 18, ink_on(fill), item.label)
        )
    return parts


def _envelope(
    times_T: np.ndarray, values_T: np.ndarray, duration_s: float, y: float
) -> list[Markup]:
    """Range of the signal in every pixel column, so that no peak is lost."""
    keep = np.isfinite(values_T)
    times_T, values_T = times_T[keep], values_T[keep]
    columns = np.clip((times_T / duration_s * _WIDE).astype(int), 0, _WIDE - 1)
    low, high = np.full(_WIDE, np.inf), np.full(_WIDE, -np.inf)
    np.minimum.at(low, columns, values_T)
    np.maximum.at(high, columns, values_T)
    bottom, top = (float(v) for v in np.percentile(values_T, [0.2, 99.8]))
    scale = _SIGNAL_HIGH / max(top - bottom, 1e-6)
    upper = y + _SIGNAL_HIGH - np.clip((high - bottom) * scale, 0, _SIGNAL_HIGH)
    lower = y + _SIGNAL_HIGH - np.clip((low - bottom) * scale, 0, _SIGNAL_HIGH)
    filled = np.flatnonzero(np.isfinite(low))
    if len(filled) < _WIDE / 2:  # fewer samples than pixels: join them
        middle = (upper[filled] + lower[filled]) / 2
        path = "M" + "L".join(f"{_LEFT + i} {v:.1f}" for i, v in zip(filled, middle, strict=True))
    else:
        path = "".join(
            f"M{_LEFT + i} {upper[i] - 0.4:.1f}V{max(lower[i], upper[i]) + 0.4:.1f}" for i in filled
        )
    return [
        Markup('<path d="{}" stroke="{}" fill="none" stroke-width="1"/>').format(path, PALETTE[0]),
        text(_LEFT - 10, y + 36, "|acceleration|", anchor="end"),
        text(_LEFT - 10, y + 52, f"{bottom:.1f} to {top:.1f} m/s²", anchor="end", css="soft"),
    ]


def _confidence(
    times_G: np.ndarray, values_G: np.ndarray, duration_s: float, y: float
) -> list[Markup]:
    """Area under the confidence; thinned to pixels by the lowest value, the honest side."""
    columns = np.clip((times_G / duration_s * _WIDE).astype(int), 0, _WIDE - 1)
    lowest = np.full(_WIDE, np.inf)
    np.minimum.at(lowest, columns, np.nan_to_num(values_G))
    filled = np.flatnonzero(np.isfinite(lowest))
    heights = y + _SURE_HIGH * (1 - np.clip(lowest[filled], 0, 1))
    base = y + _SURE_HIGH
    points = "L".join(f"{_LEFT + i} {v:.1f}" for i, v in zip(filled, heights, strict=True))
    first, last = _LEFT + filled[0], _LEFT + filled[-1]
    return [
        Markup('<path d="M{} {:.1f}L{}L{} {:.1f}Z" class="sure"/>').format(
            first, base, points, last, base
        ),
        line(_LEFT, y, _LEFT + _WIDE, y, "grid"),
        line(_LEFT, base, _LEFT + _WIDE, base, "axis"),
        text(_LEFT - 10, y + 17, "confidence", anchor="end", css="soft"),
    ]
