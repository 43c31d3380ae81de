"""Drawings as inline SVG: matrix, bars, lines, timeline; and the point cloud on a canvas.

All texts are escaped by `Markup.format`; coordinates are numbers of ours.
"""

# N points, K classes, S series

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

PALETTE = (
    "#2f7ed8", "#e07b39", "#3aa675", "#c44e6c", "#8a63d2", "#b59a1d", "#26a5b8", "#7a5c43",
    "#6b8e23", "#d16ba5", "#5470a8", "#a3453c", "#4c9f9f", "#9c7fce", "#c98a3d", "#607d6b",
)  # fmt: skip
UNKNOWN = "#9aa3ad"


def colours(labels: Sequence[str]) -> dict[str, str]:
    """Return one colour per label; `unknown` and the empty label are grey."""
    named = [name for name in dict.fromkeys(labels) if name not in {"", "unknown"}]
    out = {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(named)}
    return {**out, "": UNKNOWN, "unknown": UNKNOWN}


def legend(labels: Sequence[str], palette: Mapping[str, str]) -> Markup:
    """Return colour squares with names."""
    items = (
        Markup('<span><i style="background:{}"></i>{}</span>').format(palette[n], n or "unlabelled")
        for n in labels
    )
    return Markup('<div class="legend">{}</div>').format(Markup("").join(items))


def confusion_matrix(counts: Sequence[Sequence[int]], labels: Sequence[str]) -> Markup:
    """Return a confusion matrix; the shade is the share of the true class.

    Args:
        counts: [K, K], rows = truth.
        labels: Names of the classes.
    """
    values = np.asarray(counts, dtype=float)
    share = values / np.maximum(values.sum(axis=1, keepdims=True), 1)
    size, left, top = 38, 8 + 7 * max(map(len, labels)), 26 + 5 * max(map(len, labels))
    parts = []
    for row, truth in enumerate(labels):
        y = top + row * size
        parts.append(_text(left - 8, y + size / 2 + 4, truth, anchor="end"))
        for column, guess in enumerate(labels):
            x, value = left + column * size, share[row, column]
            tip = f"{truth} taken for {guess}: {int(values[row, column])} windows ({value:.0%})"
            parts.append(
                Markup(
                    '<rect x="{}" y="{}" width="{s}" height="{s}" rx="3" '
                    'style="fill:rgba(var(--cell),{a:.3f})" data-tip="{}"/>'
                ).format(x + 1, y + 1, tip, s=size - 2, a=0.05 + 0.95 * value)
            )
            if value >= 0.005:
                inner = _text(
                    x + size / 2, y + size / 2 + 4, f"{100 * value:.0f}", anchor="middle",
                    css="on" if value > 0.5 else "",
                )  # fmt: skip
                parts.append(inner)
    for column, guess in enumerate(labels):
        x, y = left + column * size + size / 2 + 4, top - 8
        parts.append(
            Markup('<text transform="translate({:.1f},{:.1f}) rotate(-40)">{}</text>').format(
                x, y, guess
            )
        )
    width = left + size * len(labels) + 5 * max(map(len, labels)) + 10
    return _svg(width, top + size * len(labels) + 8, parts, "Confusion matrix")


def class_bars(rows: Sequence[Mapping[str, object]], value: str = "f1") -> Markup:
    """Return one bar per class with its value and support (rows: label, f1, support, ...)."""
    lines = (
        Markup(
            "<tr><td>{}</td><td style='width:60%'><div class='track'><div class='bar' "
            "style='width:{:.1f}%'></div></div></td><td class='num'>{:.3f}</td>"
            "<td class='num'>{}</td></tr>"
        ).format(row["label"], 100 * float(row[value]), float(row[value]), row["support"])  # pyrefly: ignore  # numbers by contract of the table
        for row in rows
    )
    head = Markup(
        "<thead><tr><th>class</th><th></th><th class='num'>{}</th><th class='num'>windows</th></tr></thead>"
    ).format(value)
    return Markup("<table>{}<tbody>{}</tbody></table>").format(head, Markup("").join(lines))


def interval_chart(
    rows: Sequence[tuple[str, float, tuple[float, float] | None]], low: float = 0.0
) -> Markup:
    """Return horizontal bars with interval whiskers: (name, value, (low, high))."""
    names_px = 10 + 6.6 * max(len(name) for name, _, _ in rows)
    wide, height = 460.0, 26
    parts = []
    for tick in np.linspace(low, 1.0, 6):
        x = names_px + wide * (tick - low) / (1 - low)
        parts.append(_line(x, 4, x, 8 + height * len(rows), "grid"))
        parts.append(_text(x, 24 + height * len(rows), f"{tick:.1f}", anchor="middle", css="soft"))
    for number, (name, value, interval) in enumerate(rows):
        y = 8 + height * number
        parts.append(_text(names_px - 8, y + 14, name, anchor="end"))
        length = max(0.0, wide * (value - low) / (1 - low))
        tip = f"{name}: {value:.3f}" + (
            f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""
        )
        parts.append(
            Markup(
                '<rect x="{:.1f}" y="{}" width="{:.1f}" height="15" rx="3" fill="{}" data-tip="{}"/>'
            ).format(names_px, y + 2, length, PALETTE[number % len(PALETTE)], tip)
        )
        if interval:
            a, b = (names_px + wide * (v - low) / (1 - low) for v in interval)
            parts.append(
                Markup(
                    '<path d="M{a:.1f} {t}V{e}M{a:.1f} {m}H{b:.1f}M{b:.1f} {t}V{e}" '
                    'stroke="currentColor" stroke-width="1.4" fill="none"/>'
                ).format(a=a, b=b, t=y + 5, e=y + 14, m=y + 9.5)
            )
        parts.append(_text(names_px + wide + 8, y + 14, f"{value:.3f}"))
    return _svg(names_px + wide + 60, 30 + height * len(rows), parts, "Comparison")


def lines(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, x_name: str, y_name: str
) -> Markup:
    """Return a line chart.

    Args:
        series: Name -> (x values, y values); points that are not finite are left out.
        x_name: What x is, with unit.
        y_name: What y is, with unit.
    """
    clean = {name: _finite(xs, ys) for name, (xs, ys) in series.items()}
    clean = {name: pair for name, pair in clean.items() if len(pair[0])}
    if not clean:
        return Markup("<p class='note'>Nothing to draw.</p>")
    all_x = np.concatenate([x for x, _ in clean.values()])
    all_y = np.concatenate([y for _, y in clean.values()])
    (x0, x1), (y0, y1) = _span(all_x), _span(all_y)
    left, top, wide, high = 62, 10, 640, 240
    parts = []
    for tick in np.linspace(y0, y1, 5):
        y = top + high * (1 - (tick - y0) / (y1 - y0))
        parts += [
            _line(left, y, left + wide, y, "grid"),
            _text(left - 6, y + 4, f"{tick:.3g}", anchor="end", css="soft"),
        ]
    for tick in np.linspace(x0, x1, 6):
        x = left + wide * (tick - x0) / (x1 - x0)
        parts.append(_text(x, top + high + 18, f"{tick:.4g}", anchor="middle", css="soft"))
    parts += [
        _text(left + wide / 2, top + high + 36, x_name, anchor="middle", css="soft"),
        Markup(
            '<text class="soft" transform="translate(12,{:.0f}) rotate(-90)" text-anchor="middle">{}</text>'
        ).format(top + high / 2, y_name),
    ]
    for number, (name, (xs, ys)) in enumerate(clean.items()):
        px = left + wide * (xs - x0) / (x1 - x0)
        py = top + high * (1 - (ys - y0) / (y1 - y0))
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(px, py, strict=True))
        parts.append(
            Markup(
                '<polyline points="{}" fill="none" stroke="{}" stroke-width="2" data-tip="{}"/>'
            ).format(points, PALETTE[number % len(PALETTE)], f"{name}: last {ys[-1]:.4g}")
        )
    palette = {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(clean)}
    return _svg(left + wide + 16, top + high + 44, parts, y_name) + legend(list(clean), palette)


def timeline(
    tracks: Mapping[str, Sequence[tuple[float, float, str, str]]],
    duration_s: float,
    labels: Sequence[str],
    signal: tuple[np.ndarray, np.ndarray] | None = None,
) -> Markup:
    """Return tracks of coloured segments on a common time axis.

    Args:
        tracks: Track name -> segments (start_s, end_s, label, tip).
        duration_s: Length of the axis in s.
        labels: Labels in the order of the legend.
        signal: Optional (times in s, values in m/s^2) drawn above the tracks.
    """
    palette = colours(labels)
    left, wide, high = 96, 900, 30
    parts, y = [], 6.0
    if signal is not None:
        parts += _signal(signal, duration_s, left, wide, y)
        y += 96
    for name, segments in tracks.items():
        parts.append(_text(left - 8, y + high / 2 + 4, name, anchor="end"))
        for start, end, label, tip in segments:
            x, w = left + wide * start / duration_s, max(0.6, wide * (end - start) / duration_s)
            parts.append(
                Markup(
                    '<rect x="{:.2f}" y="{}" width="{:.2f}" height="{}" fill="{}" data-tip="{}"/>'
                ).format(
                    x,
                    y,
                    w,
                    high - 4,
                    palette.get(label, UNKNOWN),
                    f"{label or 'unlabelled'}\n{tip}",
                )
            )
            if w > 7 * len(label) + 6 and label:
                parts.append(_text(x + w / 2, y + high / 2 + 2, label, anchor="middle", css="on"))
        y += high + 4
    for tick in np.linspace(0, duration_s, 9):
        x = left + wide * tick / duration_s
        parts.append(_text(x, y + 14, clock(tick), anchor="middle", css="soft"))
    used = [n for n in labels if any(n == s[2] for segments in tracks.values() for s in segments)]
    return _svg(left + wide + 30, y + 22, parts, "Timeline") + legend(used, palette)


def point_cloud(
    points_N3: np.ndarray,
    groups: Sequence[int],
    names: Sequence[str],
    tips: Sequence[str],
    *,
    dims: int,
) -> Markup:
    """Return an interactive map of points; with `dims=3` it can be turned and zoomed.

    Args:
        points_N3: float [N, >= dims], scaled to about [-1, 1].
        groups: Index into `names` per point.
        names: Group names.
        tips: One text per point; may be empty.
        dims: 2 or 3.
    """
    palette = colours(names)
    data = {
        "points": np.round(points_N3[:, :dims], 4).tolist(),
        "groups": list(map(int, groups)),
        "names": list(names),
        "colours": [palette[n] for n in names],
        "tips": list(tips),
    }
    text = json.dumps(data).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return Markup(
        '<div class="cloud" data-dims="{}"><canvas></canvas>{}'
        '<script type="application/json">{}</script></div>'
    ).format(dims, legend(list(names), palette), Markup(text))  # noqa: S704  # JSON with <, > and & escaped


def clock(seconds: float) -> str:
    """Return seconds as m:ss or h:mm:ss."""
    total = round(seconds)
    hours, rest = divmod(total, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def _signal(
    signal: tuple[np.ndarray, np.ndarray], duration_s: float, left: float, wide: float, y: float
) -> list[Markup]:
    """Envelope of a signal: per pixel column the range of its values."""
    times, values = signal
    columns = np.clip((times / duration_s * wide).astype(int), 0, wide - 1)
    low, high = np.full(int(wide), np.inf), np.full(int(wide), -np.inf)
    np.minimum.at(low, columns, values)
    np.maximum.at(high, columns, values)
    have = np.isfinite(low)
    bottom, top = (float(v) for v in np.nanpercentile(values, [0.5, 99.5]))
    scale = 84 / max(top - bottom, 1e-6)
    upper = y + 84 - np.clip((high - bottom) * scale, 0, 84)
    lower = y + 84 - np.clip((low - bottom) * scale, 0, 84)
    path = "".join(
        f"M{left + i} {upper[i]:.1f}V{max(lower[i], upper[i] + 0.8):.1f}"
        for i in np.flatnonzero(have)
    )
    return [
        Markup('<path d="{}" stroke="{}" stroke-width="1" opacity="0.75"/>').format(
            path, PALETTE[0]
        ),
        _text(left - 8, y + 40, "|acc|", anchor="end"),
        _text(left - 8, y + 56, f"{bottom:.0f}-{top:.0f} m/s²", anchor="end", css="soft"),
    ]


def _finite(xs: Sequence[float], ys: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(xs, float), np.asarray([np.nan if v is None else v for v in ys], float)
    keep = np.isfinite(x) & np.isfinite(y)
    return x[keep], y[keep]


def _span(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _text(x: float, y: float, text: str, *, anchor: str = "start", css: str = "") -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}" class="{}">{}</text>').format(
        x, y, anchor, css, text
    )


def _line(x0: float, y0: float, x1: float, y1: float, css: str) -> Markup:
    return Markup('<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" class="{}"/>').format(
        x0, y0, x1, y1, css
    )


def _svg(width: float, height: float, parts: Sequence[Markup], label: str) -> Markup:
    return Markup(
        '<svg viewBox="0 0 {:.0f} {:.0f}" width="{:.0f}" height="{:.0f}" role="img" aria-label="{}">{}</svg>'
    ).format(width, height, width, height, label, Markup("").join(parts))
