"""Labels per row to annotated intervals; spellings, missing and suspicious labels."""

# N rows

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np

from otolith.recordings.inference.notes import Notes, plural, some
from otolith.recordings.inference.tracks import Track
from otolith.recordings.options import ReadOptions
from otolith.recordings.readers.raw_table import TextColumn
from otolith.recordings.recording import Annotation

MISSING = {
    "",
    "nan",
    "na",
    "n/a",
    "null",
    "none",
    "unlabelled",
    "unlabeled",
    "unknown",
    "-1",
    "?",
    "undefined",
    "no label",
}
_SHORTEST = 3


def label_names(column: TextColumn, options: ReadOptions, notes: Notes) -> list[str]:
    """Decide the name of every label value; "" means that there is no label.

    Args:
        column: The label column.
        options: Uses `on_label_spelling`, `on_unlabelled`.
        notes: Receives what was merged or looks odd.

    Returns:
        One name per value of the column.

    Raises:
        DataError: A policy refuses.
    """
    counts = np.bincount(column.codes_N[column.codes_N >= 0], minlength=len(column.values))
    names = [v.strip() for v in column.values]
    names = ["" if n.casefold() in MISSING else n for n in names]
    names = _merge(names, column, counts, options, notes)
    empty = int((column.codes_N < 0).sum()) + int(
        sum(c for n, c in zip(names, counts, strict=True) if not n)
    )
    words = sorted(
        {v.strip() for v, n in zip(column.values, names, strict=True) if not n and v.strip()}
    )
    if empty:
        notes.act(
            options.on_unlabelled,
            "labels.unlabelled",
            "inferred",
            f"{plural(empty, 'row')} have no label",
            f"{empty / len(column.codes_N):.1%} of the rows"
            + (f", written as {some(words)}" if words else ""),
            "Pass on_unlabelled='refuse' if every row must have one.",
        )
    used = sorted({n for n in names if n})
    if used and all(re.fullmatch(r"[-+]?\d+(\.\d+)?", n) for n in used):
        notes.add(
            "labels.numeric",
            "inferred",
            "Labels are numbers; what they mean is not in the file.",
            some(used, 8),
            "Replace them by words.",
        )
    elif any(re.fullmatch(r"[-+]?\d+(\.\d+)?", n) for n in used):
        notes.add(
            "labels.mixed",
            "warning",
            "Labels are words and numbers.",
            some(used, 8),
            "Check the label column.",
        )
    _note_similar(names, counts, notes)
    return names


def _merge(
    names: list[str], column: TextColumn, counts: np.ndarray, options: ReadOptions, notes: Notes
) -> list[str]:
    """Give labels that differ only in case, blanks or punctuation the most frequent spelling."""
    spellings: dict[str, Counter[str]] = {}
    keys = [re.sub(r"[\s_\-./]+", " ", n.casefold()).strip() for n in names]
    for key, value, count in zip(keys, column.values, counts, strict=True):
        if key:
            spellings.setdefault(key, Counter())[value] += int(count)
    several = {k: c for k, c in spellings.items() if len(c) > 1}
    if not several:
        return names
    shown = some(" = ".join(repr(s) for s in c) for c in several.values())
    merged = options.on_label_spelling == "merge"
    done = "each got its most frequent spelling" if merged else "they were kept"
    notes.act(
        options.on_label_spelling,
        "labels.spelling",
        "fixed" if merged else "warning",
        f"Labels differ only in spelling; {done}",
        shown,
        "Pass on_label_spelling='keep' if they are different classes.",
    )
    if not merged:
        return names
    best = {k: c.most_common(1)[0][0].strip() for k, c in several.items()}
    return [best.get(k, n) for k, n in zip(keys, names, strict=True)]


def _note_similar(names: list[str], counts: np.ndarray, notes: Notes) -> None:
    """Warn about rare labels that are one letter away from a frequent one."""
    totals: Counter[str] = Counter()
    for name, count in zip(names, counts, strict=True):
        if name:
            totals[name] += int(count)
    if len(totals) > 500:
        return
    pairs = [
        f"{a!r} and {b!r}"
        for a in totals
        for b in totals
        if totals[a] < 0.05 * totals[b]
        and len(a) > 4
        and not re.search(r"\d", a + b)
        and _one_letter(a.casefold(), b.casefold())
    ]
    if pairs:
        notes.add(
            "labels.similar",
            "warning",
            "A rare label is one letter away from a frequent one; it may be a typing error.",
            some(pairs),
            "Correct the labels.",
        )


def _one_letter(a: str, b: str) -> bool:
    """Whether one insertion, deletion, replacement or swap turns `a` into `b`."""
    if abs(len(a) - len(b)) > 1 or a == b:
        return False
    start = next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )
    rest_a, rest_b = a[start:], b[start:]
    is_swap = len(a) == len(b) and rest_a[:2] == rest_b[1::-1] and rest_a[2:] == rest_b[2:]
    return is_swap or rest_a[1:] == rest_b or rest_a == rest_b[1:] or rest_a[1:] == rest_b[1:]


def intervals(track: Track, names: list[str], notes: Notes) -> dict[str, list[Annotation]]:
    """Turn runs of equal labels into annotations, per recording, on the track's own times.

    Args:
        track: With labels, times in s and rates.
        names: Name of every label code; "" = none.
        notes: Receives runs that are suspiciously short.

    Returns:
        Recording id -> annotations in order of time.
    """
    # Values that share a name share a code, so that merging spellings merges runs.
    distinct = sorted(set(names))
    code_of = {n: i for i, n in enumerate(distinct)}
    table = np.array([code_of[n] if n else -1 for n in names] + [-1], dtype=np.int64)
    if track.labels_N is None:
        return {}
    codes = table[track.labels_N]
    change = np.r_[True, codes[1:] != codes[:-1]]
    change[track.starts_G] = True
    first = np.flatnonzero(change)
    stop = np.r_[first[1:], len(codes)]
    group = track.group_of(first)
    result: dict[str, list[Annotation]] = {r: [] for r in track.recordings}
    period = 1.0 / track.rates_G
    for a, b, g in zip(first, stop, group, strict=True):
        if codes[a] < 0:
            continue
        is_last = b == track.stops_G[g]
        end = track.seconds[b - 1] + period[g]
        if not is_last:
            end = min(end + period[g], track.seconds[b])
        result[track.recordings[g]].append(
            Annotation(
                start_s=float(track.seconds[a]), end_s=float(end), labels=(distinct[codes[a]],)
            )
        )
    short = (stop - first < _SHORTEST) & (codes[first] >= 0)
    if short.any():
        notes.add(
            "labels.short",
            "warning",
            f"{plural(int(short.sum()), 'label')} last less than {_SHORTEST} rows.",
            some(distinct[codes[a]] for a in first[short]),
            "Check the label column.",
            recordings=[track.recordings[g] for g in group[short]],
        )
    return result


def merge_intervals(
    per_track: list[tuple[str, list[Annotation]]],
) -> list[Annotation]:
    """Join the annotations of the streams of one recording.

    Streams that tell the same sequence of labels give one set of intervals (from the earliest
    start to the latest end); a stream that tells another keeps its own, marked by its name.
    """
    base = max((a for _, a in per_track), key=len, default=[])
    joined = list(base)
    rest: list[Annotation] = []
    for stream, own in per_track:
        same = [a.labels for a in own] == [a.labels for a in base]
        if same and all(
            a.start_s < (b.end_s or 0) and b.start_s < (a.end_s or 0)
            for a, b in zip(own, base, strict=True)
        ):
            joined = [
                replace(
                    j, start_s=min(j.start_s, a.start_s), end_s=max(j.end_s or 0.0, a.end_s or 0.0)
                )
                for j, a in zip(joined, own, strict=True)
            ]
        else:
            rest += [replace(a, stream=stream) for a in own]
    return joined + rest
