"""Small recordings for tests of windows, in memory."""

import numpy as np

from otolith.recordings import (
    Annotation,
    Channel,
    FeatureStream,
    ImuStream,
    Recording,
)
from otolith.windows.memory import MemoryFolder, MemoryPart

SIX = tuple(f"{s}_{a}" for s in ("acc", "gyro") for a in "xyz")


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
