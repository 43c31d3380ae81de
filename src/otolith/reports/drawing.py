"""What all drawings share: colours, clock, scales and small SVG parts.

All texts are escaped by `Markup.format`; coordinates are finite numbers of ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from markupsafe import Markup

# Each has a contrast of at least 3 to the light and to the dark panel of the page.
PALETTE = (
    "#2f7ed8", "#e0702c", "#2f9e6e", "#d0487a", "#8a63d2", "#a8860f", "#1896ad", "#99663f",
    "#6f9428", "#c95fb6", "#5b7fa6", "#c2483a", "#3aa0a0", "#b07cc0", "#bb8133", "#5f8f7a",
    "#6a6fd0", "#a77a7a", "#7f8f1f", "#e0688c",
)  # fmt: skip
UNKNOWN = "#7d8794"
_CLOCK_STEPS_S = (
    0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600,
)  # fmt: skip


def colours(labels: Iterable[str]) -> dict[str, str]:
    """Return one colour per label; `unknown` and the empty label are grey."""
    named = [name for name in dict.fromkeys(labels) if name not in {"", "unknown"}]
    out = {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(named)}
    return {**out, "": UNKNOWN, "unknown": UNKNOWN}


def luminance(colour: str) -> float:
    """Return the relative luminance of `#rrggbb`, 0..1 (WCAG 2.2)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def ink_on(colour: str) -> str:
    """Return black or white, whichever reads better on `colour` (contrast at least 4.5)."""
    return "#000000" if luminance(colour) > 0.179 else "#ffffff"


def clock(seconds: float) -> str:
    """Return seconds as m:ss or h:mm:ss."""
    total = round(seconds)
    hours, rest = divmod(total, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def percent(share: float, digits: int = 0) -> str:
    """Return a share (0..1) in percent, with a space that does not break."""
    return f"{100 * share:.{digits}f}\u00a0%"


def legend(labels: Sequence[str], palette: Mapping[str, str]) -> Markup:
    """Return colour squares with names."""
    items = (
        Markup('<li><i style="background:{}"></i>{}</li>').format(palette[n], n or "unlabelled")
        for n in labels
    )
    return Markup('<ul class="legend">{}</ul>').format(Markup("").join(items))


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return round numbers within [low, high], about `count` of them."""
    if not high > low:
        return [low]
    raw = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def clock_ticks(duration_s: float, count: int = 10) -> list[float]:
    """Return round times from 0 to `duration_s` in s, at most `count` + 1 of them."""
    step = next(
        (s for s in _CLOCK_STEPS_S if duration_s / s <= count),
        86400.0 * max(1, math.ceil(duration_s / 86400 / count)),
    )
    return [i * step for i in range(math.floor(duration_s / step + 1e-9) + 1)]


def span(values: np.ndarray) -> tuple[float, float]:
    """Return lowest and highest value, with room around a single one."""
    low, high = float(values.min()), float(values.max())
    if high - low > 1e-9 * max(abs(low), abs(high), 1e-300):
        return low, high
    room = max(abs(low) * 0.05, 0.5)
    return low - room, high + room


def text(x: float, y: float, words: str, *, anchor: str = "start", css: str = "") -> Markup:
    """Return an SVG text."""
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}" class="{}">{}</text>').format(
        x, y, anchor, css, words
    )


def line(x0: float, y0: float, x1: float, y1: float, css: str) -> Markup:
    """Return an SVG line."""
    return Markup('<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" class="{}"/>').format(
        x0, y0, x1, y1, css
    )


def text_width(words: str, size_px: float = 12.0) -> float:
    """Return a generous estimate of the width of a text in px; wide scripts count double."""
    return size_px * sum(1.0 if ord(c) > 0x2E80 else 0.56 for c in words)


def shorten(words: str, limit: int = 34) -> str:
    """Return the text, with its middle left out if it is longer than `limit`."""
    if len(words) <= limit:
        return words
    head = (limit - 1) // 2
    return f"{words[:head]}…{words[head + 1 - limit :]}"


def svg(width: float, height: float, parts: Iterable[Markup], label: str) -> Markup:
    """Return a drawing that shrinks with the page to four fifths and then scrolls.

    Args:
        width: Width in px.
        height: Height in px.
        parts: Elements.
        label: What it shows, for readers who cannot see it.
    """
    return Markup(
        '<div class="scroll" tabindex="0" role="group" aria-label="{}">'
        '<svg viewBox="0 0 {:.0f} {:.0f}" width="{:.0f}" height="{:.0f}" '
        'style="min-width:{:.0f}px" role="img" aria-label="{}">{}</svg></div>'
    ).format(label, width, height, width, height, width * 0.8, label, Markup("").join(parts))
