"""Charts: confusion matrix, bars per class, intervals, curves, counts."""

# K classes

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from otolith.reports.drawing import (
    PALETTE,
    clock,
    colours,
    legend,
    line,
    percent,
    shorten,
    span,
    svg,
    text,
    text_width,
    ticks,
)

_MANY_CLASSES = 8
_MARK_UP_TO = 60  # points of a curve that get a dot each


def confusion_matrix(
    counts: Sequence[Sequence[int]], labels: Sequence[str], support: Sequence[int] = ()
) -> Markup:
    """Return a confusion matrix as a table; the shade is the share of the true class.

    Args:
        counts: [K, K], rows = truth.
        labels: Names of the classes.
        support: Windows of each true class [K], if some were given none of the labels; these
            get a column of their own.
    """
    values = np.asarray(counts, dtype=float).reshape(len(labels), len(labels))
    columns = list(labels)
    if len(support) and (np.asarray(support) > values.sum(axis=1)).any():
        rest = np.maximum(np.asarray(support, float) - values.sum(axis=1), 0.0)
        values, columns = np.column_stack([values, rest]), [*columns, "none of them"]
    share = values / np.maximum(values.sum(axis=1, keepdims=True), 1)
    rows = []
    for row, truth in enumerate(labels):
        cells = [
            _cell(share[row, column], int(values[row, column]), truth, guess, row == column)
            for column, guess in enumerate(columns)
        ]
        rows.append(
            Markup('<tr><th scope="row">{}</th>{}</tr>').format(truth, Markup("").join(cells))
        )
    head = Markup("").join(
        Markup('<th scope="col"><span>{}</span></th>').format(name) for name in columns
    )
    css = "matrix" + (" small" if len(labels) > _MANY_CLASSES else "")
    css += "" if max(map(len, columns), default=0) <= 5 else " upright"
    return Markup(
        '<div class="scroll" tabindex="0" role="group" aria-label="Confusion matrix">'
        '<table class="{}"><caption class="hidden">Confusion matrix: rows are the truth, columns '
        "the choice, numbers are percent of the true class</caption>"
        '<thead><tr><td class="corner">truth ↓ choice →</td>{}</tr></thead>'
        "<tbody>{}</tbody></table></div>"
    ).format(css, head, Markup("").join(rows))


def class_table(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Return one line per class: bar of F1, F1, precision, recall, number of windows.

    Args:
        rows: Each with label, f1, precision, recall and support.
    """
    lines = (
        Markup(
            '<tr><th scope="row">{}</th><td class="wide">{}</td><td class="num">{:.3f}</td>'
            '<td class="num">{:.3f}</td><td class="num">{:.3f}</td><td class="num">{:,}</td></tr>'
        ).format(
            row["label"], bar(row["f1"]), row["f1"], row["precision"], row["recall"], row["support"]
        )
        for row in rows
    )
    return Markup(
        '<div class="scroll" tabindex="0" role="group" aria-label="Scores per class">'
        '<table class="classes"><thead><tr><th scope="col">class</th><td class="wide"></td>'
        '<th scope="col" class="num">F1</th><th scope="col" class="num">precision</th>'
        '<th scope="col" class="num">recall</th><th scope="col" class="num">windows</th></tr>'
        "</thead><tbody>{}</tbody></table></div>"
    ).format(Markup("").join(lines))


def count_bars(counts: Mapping[str, float], *, unit: str, digits: int = 0) -> Markup:
    """Return one bar per name, scaled to the largest.

    Args:
        counts: Name -> value >= 0.
        unit: What is counted, as head of the column.
        digits: Decimals to show.
    """
    top = max(counts.values(), default=0.0) or 1.0
    return _bars(
        [(name, value / top, (f"{value:,.{digits}f}",)) for name, value in counts.items()], (unit,)
    )


def time_bars(seconds: Mapping[str, float], palette: Mapping[str, str]) -> Markup:
    """Return one bar per name with its time and its share of the whole.

    Args:
        seconds: Name -> time in s.
        palette: Name -> colour.
    """
    total = sum(seconds.values()) or 1.0
    rows = [
        (name, value / total, (clock(value), percent(value / total)))
        for name, value in seconds.items()
    ]
    return _bars(rows, ("time", "share"), palette)


def bar(share: float, colour: str = "var(--accent)") -> Markup:
    """Return a bar that fills `share` (0..1) of its cell."""
    return Markup(
        '<div class="track"><div class="bar" style="width:{:.1f}%;background:{}"></div></div>'
    ).format(100 * min(max(float(share), 0.0), 1.0), colour)


def interval_chart(
    rows: Sequence[tuple[str, float, tuple[float, float] | None]],
    *,
    groups: Sequence[str] = (),
    low: float = 0.0,
    high: float = 1.0,
) -> Markup:
    """Return values as dots with their intervals as whiskers.

    Args:
        rows: (name, value, (low, high) of the interval or None).
        groups: One name per row; rows of the same name get the same colour.
        low: Left end of the axis.
        high: Right end of the axis.
    """
    names = [shorten(name, 46) for name, _, _ in rows]
    palette = colours(groups or names)
    left = 16 + max((text_width(name, 13) for name in names), default=0.0)
    wide, step, top = 560.0, 30, 10

    def place(value: float) -> float:
        return left + wide * (min(max(value, low), high) - low) / (high - low)

    bottom = top + step * len(rows)
    parts = []
    for tick in ticks(low, high):
        parts.append(line(place(tick), top - 4, place(tick), bottom, "grid"))
        parts.append(text(place(tick), bottom + 18, f"{tick:.1f}", anchor="middle", css="soft"))
    for number, (name, value, interval) in enumerate(rows):
        y = top + step * (number + 0.5)
        parts.append(text(left - 12, y + 4, names[number], anchor="end"))
        parts.append(_whisker(place, y, name, value, interval, palette[(groups or names)[number]]))
        shown = f"{value:.3f}" if math.isfinite(value) else "-"
        parts.append(text(left + wide + 14, y + 4, shown, css="strong"))
    return svg(left + wide + 64, bottom + 26, parts, "Values with intervals")


def curves(
    series: Mapping[str, tuple[Sequence[float], Sequence[float | None]]],
    *,
    x_name: str,
    y_name: str,
    dashed: Collection[str] = (),
    wide: int = 640,
) -> Markup:
    """Return a line chart.

    Args:
        series: Name -> (x values, y values); points that are missing or not finite are left out.
        x_name: What x is, with unit.
        y_name: What y is, with unit.
        dashed: Names of the curves to draw dashed.
        wide: Width of the plot in px.
    """
    clean = {name: _finite(xs, ys) for name, (xs, ys) in series.items()}
    clean = {name: pair for name, pair in clean.items() if len(pair[0])}
    if not clean:
        return Markup('<p class="note">There are no finite values to draw.</p>')
    is_whole = all((x == np.round(x)).all() for x, _ in clean.values())
    x0, x1 = span(np.concatenate([x for x, _ in clean.values()]))
    y0, y1 = span(np.concatenate([y for _, y in clean.values()]))
    y0, y1 = y0 - 0.04 * (y1 - y0), y1 + 0.04 * (y1 - y0)
    top, high = 12, 250
    left = 40 + max(text_width(f"{tick:.6g}") for tick in ticks(y0, y1))
    parts = _axes((x0, x1), (y0, y1), (left, top, wide, high), x_name, y_name, is_whole=is_whole)
    palette = {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(clean)}
    for name, (xs, ys) in clean.items():
        px = left + wide * (xs - x0) / (x1 - x0)
        py = top + high * (1 - (ys - y0) / (y1 - y0))
        parts.append(
            Markup(
                '<polyline points="{}" class="curve{}" stroke="{}" data-tip="{}"/>'
            ).format(
                " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(px, py, strict=True)),
                " dashed" if name in dashed else "", palette[name], name,
            )
        )  # fmt: skip
        if len(xs) <= _MARK_UP_TO:
            parts += [
                Markup('<circle cx="{:.1f}" cy="{:.1f}" r="3" fill="{}" data-tip="{}"/>').format(
                    a, b, palette[name], f"{name}\n{x_name} {x:g}: {y:.4g}"
                )
                for a, b, x, y in zip(px, py, xs, ys, strict=True)
            ]
    chart = svg(left + wide + 20, top + high + 48, parts, f"{y_name} against {x_name}")
    return chart + (legend(list(clean), palette) if len(clean) > 1 else Markup(""))


def _cell(share: float, count: int, truth: str, guess: str, is_right: bool) -> Markup:
    """One cell of the confusion matrix; black or white numbers, whichever reads better."""
    depth = 0.93 * share + (0.05 if count else 0.02)
    css = "hi" if depth >= 0.85 else "mid" if depth >= 0.62 else "lo"
    return Markup(
        '<td class="{}{}" style="background:rgba(var(--cell),{:.3f})" data-tip="{}">{}</td>'
    ).format(
        css,
        " right" if is_right else "",
        depth,
        f"{truth} taken for {guess}\n{count:,} windows, {percent(share, 1)} of {truth}",
        f"{100 * share:.0f}" if share >= 0.005 else Markup('<span class="hidden">0</span>'),
    )


def _whisker(
    place: Any, y: float, name: str, value: float, interval: tuple[float, float] | None, fill: str
) -> Markup:
    """Dot and interval of one value; the whole row tells the numbers when pointed at."""
    if not math.isfinite(value):
        return Markup("")
    tip = f"{name}: {value:.3f}"
    bounds = Markup("")
    if interval is not None:
        tip += f"\n95 % interval {interval[0]:.3f} to {interval[1]:.3f}"
        a, b = place(interval[0]), place(interval[1])
        bounds = Markup(
            '<path d="M{a:.1f} {t:.1f}V{e:.1f}M{a:.1f} {y:.1f}H{b:.1f}M{b:.1f} {t:.1f}V{e:.1f}" '
            'stroke="{c}" stroke-width="2" fill="none"/>'
        ).format(a=a, b=b, t=y - 5, e=y + 5, y=y, c=fill)
    return Markup(
        '<g data-tip="{}"><rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="24" fill="transparent"/>'
        '{}<circle cx="{:.1f}" cy="{:.1f}" r="6" fill="{}"/></g>'
    ).format(tip, place(-1e9), y - 12, place(1e9) - place(-1e9), bounds, place(value), y, fill)


def _bars(
    rows: Sequence[tuple[str, float, Sequence[str]]],
    heads: Sequence[str],
    palette: Mapping[str, str] = {},
) -> Markup:
    """Table of names with bars (share 0..1) and numbers behind them."""
    lines = (
        Markup('<tr><th scope="row">{}</th><td class="wide">{}</td>{}</tr>').format(
            name or "unlabelled",
            bar(share, palette.get(name, "var(--accent)")),
            Markup("").join(Markup('<td class="num">{}</td>').format(n) for n in numbers),
        )
        for name, share, numbers in rows
    )
    head = Markup("").join(Markup('<th scope="col" class="num">{}</th>').format(h) for h in heads)
    return Markup(
        '<table class="classes"><thead><tr><th scope="col">class</th><td class="wide"></td>{}</tr>'
        "</thead><tbody>{}</tbody></table>"
    ).format(head, Markup("").join(lines))


def _axes(
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    box: tuple[float, float, float, float],
    x_name: str,
    y_name: str,
    *,
    is_whole: bool,
) -> list[Markup]:
    """Grid, ticks and names of a chart whose plot lies in box = (left, top, width, height).

    With `is_whole` x counts something, so that only whole numbers are marked.
    """
    left, top, wide, high = box
    parts = []
    for tick in ticks(*y_range):
        y = top + high * (1 - (tick - y_range[0]) / (y_range[1] - y_range[0]))
        shown = f"{tick:.6g}"
        parts += [
            line(left, y, left + wide, y, "grid"),
            text(left - 8, y + 4, shown, anchor="end", css="soft"),
        ]
    for tick in ticks(*x_range, count=max(4, int(wide / 80))):
        x = left + wide * (tick - x_range[0]) / (x_range[1] - x_range[0])
        if is_whole and tick != round(tick):
            continue
        parts.append(text(x, top + high + 20, f"{tick:g}", anchor="middle", css="soft"))
    parts.append(line(left, top + high, left + wide, top + high, "axis"))
    parts.append(text(left + wide / 2, top + high + 40, x_name, anchor="middle", css="soft"))
    parts.append(
        Markup(
            '<text class="soft" transform="translate(14,{:.0f}) rotate(-90)" text-anchor="middle">'
            "{}</text>"
        ).format(top + high / 2, y_name)
    )
    return parts


def _finite(xs: Sequence[float], ys: Sequence[float | None]) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(xs, float), np.asarray([np.nan if v is None else v for v in ys], float)
    keep = np.isfinite(x) & np.isfinite(y)
    return x[keep], y[keep]
