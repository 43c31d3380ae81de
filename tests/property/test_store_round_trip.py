"""Any recordings go through a data folder unchanged."""

import dataclasses
import tempfile

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from otolith.recordings.recording import (
    Annotation,
    Channel,
    FeatureStream,
    Finding,
    Gravity,
    ImuStream,
    Quality,
    Recording,
)
from otolith.recordings.store import write_data_folder
from otolith.recordings.store_tables import measured_quality

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
TIME_S = st.floats(-1e6, 1e6)
F32 = st.floats(width=32, allow_nan=True, allow_infinity=True)
QUALITY = st.builds(
    Quality,
    flag=st.sampled_from(["good", "suspect", "bad"]),
    valid_fraction=st.floats(0, 1),
    notes=st.lists(TEXT, max_size=2).map(tuple),
)
CHANNEL = st.builds(
    Channel,
    name=TEXT,
    sensor=st.sampled_from(["acc", "gyro", "other"]),
    axis=st.sampled_from(["x", "norm", "other"]),
    placement=TEXT,
    description=TEXT,
    unit=TEXT,
)
LABELS = st.lists(TEXT, max_size=3).map(tuple)
ANNOTATION = st.builds(
    Annotation,
    start_s=TIME_S,
    end_s=st.none() | TIME_S,
    labels=LABELS,
    text=TEXT,
    verb=TEXT,
    noun=TEXT,
    source=TEXT,
    track=TEXT,
    stream=TEXT,
)
FINDING = st.builds(Finding, check=TEXT, status=st.just("ok"), fact=TEXT, evidence=TEXT)


def values(width):
    rows = st.integers(0, 3) | st.just(40)
    return rows.flatmap(lambda n: hnp.arrays(np.float32, (n, width), elements=F32, fill=F32))


@st.composite
def streams(draw):
    found = {}
    for name in draw(st.lists(TEXT, unique=True, max_size=3)):
        shared = {
            "name": name, "offset_s": draw(TIME_S), "drift_ppm": draw(TIME_S),
            "quality": draw(QUALITY),
        }  # fmt: skip
        if draw(st.booleans()):
            channels = draw(st.lists(CHANNEL, unique_by=lambda c: c.name, max_size=4))
            found[name] = ImuStream(
                samples_TC=draw(values(len(channels))), rate_hz=draw(st.floats(1e-3, 1e5)),
                channels=tuple(channels), gravity=draw(st.sampled_from(Gravity)), **shared,
            )  # fmt: skip
        else:
            found[name] = FeatureStream(
                values_ND=draw(values(draw(st.integers(0, 5)))), extractor=draw(TEXT),
                window_s=draw(st.floats(0.01, 9)), stride_s=draw(st.floats(0.01, 9)), **shared,
            )  # fmt: skip
    return found


RECORDING = st.builds(
    Recording,
    id=TEXT,
    subject=TEXT,
    dataset=TEXT,
    streams=streams(),
    annotations=st.lists(ANNOTATION, max_size=3).map(tuple),
    attributes=st.dictionaries(TEXT, TEXT, max_size=3),
    findings=st.lists(FINDING, max_size=2).map(tuple),
)


def frozen(value):
    """A comparable form in which arrays are their bits, so that NaN equals NaN."""
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, np.ascontiguousarray(value).tobytes()
    if isinstance(value, dict):
        return [(k, frozen(v)) for k, v in value.items()]
    return (type(value), frozen(vars(value))) if hasattr(value, "__dict__") else value


def as_measured(recording):
    """The recording with the shares of measured values that the store finds."""
    streams = {
        name: dataclasses.replace(stream, quality=measured_quality(stream))
        for name, stream in recording.streams.items()
    }
    return dataclasses.replace(recording, streams=streams)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(RECORDING, unique_by=lambda r: r.id, max_size=5),
    st.sampled_from([1, 500, 10_000]),
)
def test_round_trip(recordings, shard_bytes):
    with tempfile.TemporaryDirectory() as folder:
        data = write_data_folder(
            f"{folder}/x", iter(recordings), name="x", card={}, shard_bytes=shard_bytes,
            progress=False,
        )  # fmt: skip
        assert data.verify() == []
        assert data.recording_ids == tuple(r.id for r in recordings)
        for wanted in recordings:
            assert frozen(data.recording(wanted.id)) == frozen(as_measured(wanted))
        row = 0
        for recording in recordings:
            for stream in recording.streams.values():
                array = stream.samples_TC if isinstance(stream, ImuStream) else stream.values_ND
                half = len(array) // 2
                got = data.rows(row, half, len(array))
                assert frozen(got) == frozen(array[half:])
                row += 1
