"""Small data folders in memory, with the tables of the real store."""

import json
from dataclasses import asdict, dataclass, field

import numpy as np
import pyarrow as pa

from otolith.recordings import (
    Annotation,
    Channel,
    FeatureStream,
    ImuStream,
    Recording,
    VideoStream,
)

SIX = tuple(f"{s}_{a}" for s in ("acc", "gyro") for a in "xyz")


class MemoryFolder:
    """Stands in for `DataFolder`: the same tables, rows from memory."""

    def __init__(self, recordings):
        self._recordings = {r.id: r for r in recordings}
        self._samples = [_values(s) for r in recordings for s in r.streams.values()]
        self.recordings = pa.table(
            {
                "recording_id": [r.id for r in recordings],
                "subject": [r.subject for r in recordings],
                "attributes": [json.dumps(r.attributes) for r in recordings],
            }
        )
        pairs = [(r, s) for r in recordings for s in r.streams.values()]
        self.streams = pa.table(
            {
                "recording_id": [r.id for r, _ in pairs],
                "stream": [s.name for _, s in pairs],
                "kind": [_kind(s) for _, s in pairs],
                "rate_hz": [_rate(s) for _, s in pairs],
                "width": [_values(s).shape[1] for _, s in pairs],
                "num_rows": [len(_values(s)) for _, s in pairs],
                "offset_s": [s.offset_s for _, s in pairs],
                "drift_ppm": [s.drift_ppm for _, s in pairs],
                "channels": [_channels(s) for _, s in pairs],
                "quality": [json.dumps(asdict(s.quality)) for _, s in pairs],
                "extra": [_extra(s) for _, s in pairs],
            }
        )
        notes = [(r, a) for r in recordings for a in r.annotations]
        columns = ("track", "stream", "start_s", "end_s", "text", "verb", "noun", "source")
        self.annotations = pa.table(
            {
                "recording_id": pa.array([r.id for r, _ in notes], pa.string()),
                "labels": pa.array([list(a.labels) for _, a in notes], pa.list_(pa.string())),
                **{
                    c: pa.array(
                        [getattr(a, c) for _, a in notes],
                        pa.float64() if c.endswith("_s") else pa.string(),
                    )
                    for c in columns
                },
            }
        )

    def recording(self, recording_id):
        return self._recordings[recording_id]

    def rows(self, stream_row, start, stop):
        values = self._samples[stream_row]
        if not 0 <= start <= stop <= len(values):
            raise IndexError(f"rows {start}..{stop} of {len(values)}")
        return values[start:stop]


@dataclass(frozen=True, kw_only=True)
class MemoryPart:
    """Stands in for `DatasetPart`."""

    name: str
    folder: MemoryFolder
    recording_ids: tuple
    labels: tuple = ()
    is_pretrain: bool = False
    subjects: tuple = field(default=())


def part_of(recordings, name="toy", labels=("walk", "sit"), is_pretrain=False):
    recordings = list(recordings)
    return MemoryPart(
        name=name,
        folder=MemoryFolder(recordings),
        recording_ids=tuple(r.id for r in recordings),
        labels=() if is_pretrain else labels,
        is_pretrain=is_pretrain,
    )


def imu(num_rows, rate_hz=50.0, *, name="imu", channels=SIX, seed=0, placement="", **stream):
    """A motion stream of random numbers."""
    samples = np.random.default_rng(seed).normal(size=(num_rows, len(channels)))
    return ImuStream(
        name=name,
        samples_TC=samples.astype(np.float32),
        rate_hz=rate_hz,
        channels=tuple(Channel.from_name(c, placement=placement) for c in channels),
        **stream,
    )


def features(num_rows, *, name="clip", width=4, window_s=1.0, stride_s=0.5, **stream):
    """A feature stream whose row i holds the number i."""
    values = np.repeat(np.arange(num_rows, dtype=np.float32)[:, None], width, axis=1)
    return FeatureStream(
        name=name, values_ND=values, extractor="toy", window_s=window_s, stride_s=stride_s, **stream
    )


def recording(id_, *streams, subject="s1", bouts=(), annotations=(), **attributes):
    """A recording; `bouts` are (start_s, end_s, label)."""
    notes = tuple(Annotation(start_s=a, end_s=b, labels=(label,)) for a, b, label in bouts)
    return Recording(
        id=id_,
        subject=subject,
        streams={s.name: s for s in streams},
        annotations=notes + tuple(annotations),
        attributes=attributes,
    )


def toy_parts(seed=0):
    """Two data sets: 50 Hz with six channels, 25 Hz with three; four and three subjects."""
    first = [
        recording(
            f"a{i}",
            imu(1000 + 130 * i, seed=seed + i),
            subject=f"p{i % 4}",
            bouts=[(0, 9, "walk"), (9, 40, "sit")],
        )
        for i in range(6)
    ]
    second = [
        recording(
            f"b{i}",
            imu(400 + 70 * i, 25.0, channels=SIX[:3], seed=seed + 10 + i),
            subject=f"p{i}",
            bouts=[(0, 30, "sit" if i % 2 else "jump")],
        )
        for i in range(3)
    ]
    return part_of(first), part_of(second, "other", labels=("sit", "jump"))


def _values(stream):
    if isinstance(stream, ImuStream):
        return stream.samples_TC
    if isinstance(stream, VideoStream):
        return stream.frame_times_s[:, None]
    return stream.values_ND


def _kind(stream):
    return {ImuStream: "imu", VideoStream: "video", FeatureStream: "features"}[type(stream)]


def _rate(stream):
    if isinstance(stream, ImuStream):
        return stream.rate_hz
    return stream.fps if isinstance(stream, VideoStream) else 1.0 / stream.stride_s


def _channels(stream):
    return json.dumps([asdict(c) for c in getattr(stream, "channels", ())])


def _extra(stream):
    if isinstance(stream, FeatureStream):
        return json.dumps({"window_s": stream.window_s, "stride_s": stream.stride_s})
    return json.dumps({"path": str(getattr(stream, "path", ""))})
