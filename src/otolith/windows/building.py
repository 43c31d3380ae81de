"""Build the table of windows from parts: cut, measure, label, leave out, join."""

# R recordings, N windows, S streams, A annotations, P pairs, V rows of the streams table

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from otolith.core.errors import ConfigError, DataError, suggest
from otolith.windows.columns import codes, distinct, list_codes, number_column, text_column
from otolith.windows.cutting import Cut, Rows, Units, arrange, cut, cut_around, locate, spread
from otolith.windows.labelling import Pairs, decide, join
from otolith.windows.sources import Part
from otolith.windows.spec import WindowSpec
from otolith.windows.streams import IMU, StreamInfo, read_streams
from otolith.windows.table import WindowTable


@dataclass(frozen=True, kw_only=True)
class Built:
    """A table and what a batch needs besides it.

    Args:
        table: The windows.
        infos: Streams of every part.
        annotations: Annotations of every part, in the order of `pairs`' numbers; all parts joined.
        pairs: Windows (by `id`) and the annotations they touch.
    """

    table: WindowTable
    infos: tuple[StreamInfo, ...]
    annotations: pa.Table
    pairs: Pairs


def build(parts: Sequence[Part], spec: WindowSpec, labels: Sequence[str] | None = None) -> Built:
    """Cut all recordings of all parts into windows.

    Args:
        parts: Where the recordings come from.
        spec: How to cut and label.
        labels: Class names in the order of their numbers; None = those of the parts.

    Raises:
        ConfigError: A stream that is asked for exists nowhere.
        DataError: A recording is missing, or no window is left.
    """
    if not parts:
        raise ConfigError("There is no data to cut windows from.", "Give at least one data set.")
    infos = tuple(read_streams(part, spec) for part in parts)
    names = _stream_names(parts, infos, spec)
    classes = tuple(labels) if labels is not None else _class_names(parts, spec)
    pieces = [_cut_part(p, i, names, spec, classes) for p, i in zip(parts, infos, strict=True)]
    table = _joined(parts, pieces, ("imu",) if spec.separate else names, classes)
    if not len(table):
        longest = max((float(i.end_s_V.max()) for i in infos if len(i.end_s_V)), default=0.0)
        reasons = "".join(f" {n} left out: {why}." for why, n in table.dropped.items())
        raise DataError(
            f"No window of {spec.window_s:g} s can be cut; the longest stream lasts "
            f"{longest:.3g} s.{reasons}",
            "Choose a shorter window_s, set min_s, or see label_rule and keep_unlabelled.",
        )
    return Built(table=table, infos=infos, **_joined_annotations(pieces))


@dataclass(frozen=True, kw_only=True)
class _Piece:
    """Windows of one part."""

    recording_N: np.ndarray
    start_s_N: np.ndarray
    end_s_N: np.ndarray
    label_N: np.ndarray
    rows: Rows
    annotations: pa.Table
    pairs: Pairs
    dropped: Counter[str]


def _cut_part(
    part: Part, info: StreamInfo, names: tuple[str, ...], spec: WindowSpec, classes: Sequence[str]
) -> _Piece:
    num_recordings = len(part.recording_ids)
    known = codes(part.folder.recordings["recording_id"], part.recording_ids)
    lost = sorted(set(range(num_recordings)) - set(known.tolist()))
    if lost:
        raise DataError(
            f"Data set {part.name} has no recording {part.recording_ids[lost[0]]}.",
            "Check the names of the recordings.",
        )
    units = arrange(info, names, num_recordings, spec)
    windows = _around(part, units, spec) if spec.around else cut(units, spec)
    rows = _without_gaps(part, info, locate(windows, units, info), spec)
    is_measured = (rows.stream_row_NS >= 0).any(1)
    annotations, pairs, own_N = _annotate(part, info, units, windows, rows, spec)
    label_N = _labels(annotations, pairs, own_N, windows, spec, classes)
    is_labelled = (label_N >= 0) | (
        spec.keep_unlabelled or spec.label_rule == "none" or part.is_pretrain
    )
    keep = is_measured & is_labelled
    dropped = Counter(
        {
            "recordings without the streams": num_recordings - len(np.unique(units.recording_U)),
            f"pieces {'without' if spec.around else 'shorter than'} a window": int(
                (windows.count_U == 0).sum()
            ),
            "windows without enough measured values": int((~is_measured).sum()),
            "windows without a label": int((is_measured & ~is_labelled).sum()),
        }
    )
    new_number = np.cumsum(keep) - 1
    kept_P = keep[pairs.window_P]
    return _Piece(
        recording_N=units.recording_U[windows.unit_N][keep],
        start_s_N=windows.start_s_N[keep],
        end_s_N=windows.end_s_N[keep],
        label_N=label_N[keep],
        rows=Rows(
            stream_row_NS=rows.stream_row_NS[keep],
            start_row_NS=rows.start_row_NS[keep],
            num_rows_NS=rows.num_rows_NS[keep],
        ),
        annotations=annotations,
        pairs=Pairs(
            window_P=new_number[pairs.window_P[kept_P]],
            annotation_P=pairs.annotation_P[kept_P],
            overlap_s_P=pairs.overlap_s_P[kept_P],
        ),
        dropped=+dropped,
    )


def _without_gaps(part: Part, info: StreamInfo, rows: Rows, spec: WindowSpec) -> Rows:
    """Mark streams as absent in windows where too few of their rows were measured."""
    stream_NS = rows.stream_row_NS.copy()
    is_gappy = info.is_gappy_V & (info.kind_V == IMU)
    for row in np.unique(stream_NS[(stream_NS >= 0) & is_gappy[stream_NS]]):
        samples = part.folder.rows(int(row), 0, int(info.num_rows_V[row]))
        total = np.r_[0, np.cumsum(~np.isnan(samples).all(1))]
        at = np.nonzero(stream_NS == row)
        start, count = rows.start_row_NS[at], rows.num_rows_NS[at]
        share = (total[start + count] - total[start]) / count
        is_bad = (share < spec.min_measured) | (share == 0)
        stream_NS[at[0][is_bad], at[1][is_bad]] = -1
    is_there = stream_NS >= 0
    return Rows(
        stream_row_NS=stream_NS,
        start_row_NS=np.where(is_there, rows.start_row_NS, 0),
        num_rows_NS=np.where(is_there, rows.num_rows_NS, 0),
    )


def _around(part: Part, units: Units, spec: WindowSpec) -> Cut:
    """Windows around the annotations of a track; where they lie is no label."""
    table = part.folder.annotations
    is_there = text_column(table, "track") == spec.around
    if not is_there.any():
        raise ConfigError(
            f'Data set {part.name} has no annotation track "{spec.around}".',
            suggest(spec.around, sorted(set(text_column(table, "track")))),
        )
    recording_A = np.where(is_there, codes(table["recording_id"], part.recording_ids), -1)
    start_A = number_column(table, "start_s", np.nan)
    end_A = number_column(table, "end_s", np.nan)
    return cut_around(units, spec, recording_A, start_A, np.where(np.isnan(end_A), start_A, end_A))


def _annotate(
    part: Part, info: StreamInfo, units: Units, windows: Cut, rows: Rows, spec: WindowSpec
) -> tuple[pa.Table, Pairs, np.ndarray]:
    """The part's annotations, the windows they touch, and the one that a window lies around.

    There are none for pretraining.
    """
    table = part.folder.annotations
    recording_A = codes(table["recording_id"], part.recording_ids)
    unused = part.is_pretrain or (spec.label_rule == "none" and set(spec.targets) <= {"label"})
    wanted = np.zeros(len(table), bool) if unused else recording_A >= 0
    number_A = np.where(wanted, np.cumsum(wanted) - 1, -1)
    own_N = np.where(windows.own_N >= 0, np.r_[number_A, -1][windows.own_N], -1)
    table, recording_A = table.filter(pa.array(wanted)), recording_A[wanted]
    start_A = number_column(table, "start_s", np.nan)
    end_A = number_column(table, "end_s", np.nan)
    end_A = np.where(np.isnan(end_A), start_A, end_A)
    pairs = join(windows, units, recording_A, start_A, end_A)
    stream_A = text_column(table, "stream")
    if not (stream_A != "").any():
        return table, pairs, own_N
    # An annotation of one stream says nothing about windows without that stream.
    names_NS = np.where(rows.stream_row_NS >= 0, info.name_V[rows.stream_row_NS], "")
    wanted_P = stream_A[pairs.annotation_P]
    fits = (wanted_P == "") | (names_NS[pairs.window_P] == wanted_P[:, None]).any(1)
    kept = Pairs(
        window_P=pairs.window_P[fits],
        annotation_P=pairs.annotation_P[fits],
        overlap_s_P=pairs.overlap_s_P[fits],
    )
    return table, kept, own_N


def _labels(
    annotations: pa.Table,
    pairs: Pairs,
    own_N: np.ndarray,
    windows: Cut,
    spec: WindowSpec,
    classes: Sequence[str],
) -> np.ndarray:
    if spec.label_rule == "none":
        return np.full(len(windows.unit_N), -1, np.int64)
    first_A, code = list_codes(annotations["labels"], classes)
    counts_A = np.diff(first_A) * (text_column(annotations, "track") == spec.label_track)
    counts_P, overlap_s_P = counts_A[pairs.annotation_P], pairs.overlap_s_P
    length_s_N = windows.end_s_N - windows.start_s_N
    if spec.around == spec.label_track:
        # windows of a list overlap, and each carries its own label, not that of its neighbours
        counts_P = counts_P * (pairs.annotation_P == own_N[pairs.window_P])
        overlap_s_P = length_s_N[pairs.window_P]
    return decide(
        np.repeat(pairs.window_P, counts_P),
        code[spread(first_A[pairs.annotation_P], counts_P)],
        np.repeat(overlap_s_P, counts_P),
        length_s_N,
        num_labels=len(classes),
        is_pure=spec.label_rule == "pure",
        min_share=spec.min_label_share,
    )


def _stream_names(
    parts: Sequence[Part], infos: Sequence[StreamInfo], spec: WindowSpec
) -> tuple[str, ...]:
    present = dict.fromkeys(str(n) for i in infos for n in i.name_V[i.recording_V >= 0])
    for name in spec.streams:
        if name not in present:
            raise ConfigError(f'No recording has a stream "{name}".', suggest(name, present))
    motion = dict.fromkeys(str(n) for i in infos for n in i.name_V[i.kind_V == IMU])
    names = spec.streams or tuple(motion)
    if not names:
        first = next((name for part in parts for name in part.recording_ids), "none")
        others = f", only {', '.join(present)}" if present else ""
        raise DataError(
            f"The recordings ({first}, ...) hold no motion stream{others}.",
            "Give recordings of a motion sensor, such as a video with the camera's telemetry, or "
            "name the streams to use.",
        )
    return names


def _class_names(parts: Sequence[Part], spec: WindowSpec) -> tuple[str, ...]:
    """Labels of the parts; where none lists any, the names on the label track, sorted."""
    labelled = [part for part in parts if not part.is_pretrain]
    names = tuple(dict.fromkeys(label for part in labelled for label in part.labels))
    if names or not labelled or spec.label_rule == "none":
        return names
    found: set[str] = set()
    for part in labelled:
        table = part.folder.annotations
        inside = codes(table["recording_id"], part.recording_ids) >= 0
        mine = table.filter(pa.array(inside & (text_column(table, "track") == spec.label_track)))
        found |= set(distinct(mine["labels"]))
    return tuple(sorted(found))


def _joined(
    parts: Sequence[Part],
    pieces: Sequence[_Piece],
    streams: tuple[str, ...],
    classes: tuple[str, ...],
) -> WindowTable:
    counts = [len(piece.label_N) for piece in pieces]
    part_N = np.repeat(np.arange(len(parts)), counts)
    first_R = np.cumsum([0, *(len(part.recording_ids) for part in parts)])
    recording_N = np.concatenate([p.recording_N for p in pieces]) + first_R[part_N]
    facts = [_recording_facts(part) for part in parts]
    recordings = [f"{p.name}/{r}" for p in parts for r in p.recording_ids]
    subject_names, subject_R = _numbered([s for subjects, _ in facts for s in subjects])
    source_names, source_R = _numbered([s for _, sources in facts for s in sources])
    dataset_names, dataset_P = _numbered([part.name for part in parts])
    dropped: Counter[str] = sum((p.dropped for p in pieces), Counter())
    return WindowTable(
        id=np.arange(sum(counts)),
        part=part_N,
        recording=recording_N,
        source=source_R[recording_N],
        subject=subject_R[recording_N],
        dataset=dataset_P[part_N],
        label=np.concatenate([p.label_N for p in pieces]),
        start_s=np.concatenate([p.start_s_N for p in pieces]),
        end_s=np.concatenate([p.end_s_N for p in pieces]),
        stream_row=np.concatenate([p.rows.stream_row_NS for p in pieces]),
        start_row=np.concatenate([p.rows.start_row_NS for p in pieces]),
        num_rows=np.concatenate([p.rows.num_rows_NS for p in pieces]),
        streams=streams,
        labels=classes,
        recording_names=tuple(recordings),
        source_names=source_names,
        subject_names=subject_names,
        dataset_names=dataset_names,
        dropped=dict(dropped),
    )


def _recording_facts(part: Part) -> tuple[list[str], list[str]]:
    """Subject and source recording of every recording, as `dataset/name`."""
    table = part.folder.recordings
    order = codes(table["recording_id"], part.recording_ids)
    row_R = np.zeros(len(part.recording_ids), np.int64)
    row_R[order[order >= 0]] = np.flatnonzero(order >= 0)
    subjects = text_column(table, "subject")[row_R]
    attributes = text_column(table, "attributes")[row_R]
    sources = [
        json.loads(text).get("source_recording") or own if '"source_recording"' in text else own
        for text, own in zip(attributes, part.recording_ids, strict=True)
    ]
    return [f"{part.name}/{s}" for s in subjects], [f"{part.name}/{s}" for s in sources]


def _numbered(names: Sequence[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """Distinct names in order of first appearance, and the number of each entry."""
    distinct = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return tuple(distinct), np.asarray([distinct[name] for name in names], np.int64)


def _joined_annotations(pieces: Sequence[_Piece]) -> dict[str, pa.Table | Pairs]:
    first_N = np.cumsum([0, *(len(p.label_N) for p in pieces)])
    first_A = np.cumsum([0, *(len(p.annotations) for p in pieces)])
    pairs = [
        (p.pairs.window_P + w, p.pairs.annotation_P + a, p.pairs.overlap_s_P)
        for p, w, a in zip(pieces, first_N, first_A, strict=False)
    ]
    window_P, annotation_P, overlap_P = (np.concatenate(x) for x in zip(*pairs, strict=True))
    return {
        "annotations": pa.concat_tables([p.annotations for p in pieces]),
        "pairs": Pairs(window_P=window_P, annotation_P=annotation_P, overlap_s_P=overlap_P),
    }
