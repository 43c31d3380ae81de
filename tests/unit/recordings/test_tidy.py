"""Tidy Parquet tables of recordings, and the choice of stream and rate."""

import dataclasses

import numpy as np
import pyarrow.parquet as pq
import pytest

from otolith.core.errors import DataError
from otolith.recordings import Annotation, Channel, ImuStream, Recording
from otolith.recordings.options import ReadOptions
from otolith.recordings.reading import read_recordings
from otolith.recordings.tidy import labels_of_samples, select_motion, write_tidy

SIX = ("acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z")


def stream(name="watch", names=SIX, rate_hz=10.0, count=30, offset_s=0.0, placement=""):
    samples = np.arange(count * len(names), dtype=np.float32).reshape(count, -1)
    channels = tuple(Channel.from_name(n, placement=placement) for n in names)
    return ImuStream(
        name=name, samples_TC=samples, rate_hz=rate_hz, channels=channels, offset_s=offset_s
    )


def recording(*streams, annotations=(), name="r1"):
    return Recording(
        id=name, subject="s1", dataset="d", streams={s.name: s for s in streams},
        annotations=annotations,
    )  # fmt: skip


def read(path):
    return pq.read_table(path).to_pydict()


def test_a_row_per_sample_with_time_label_and_place(tmp_path):
    note = Annotation(start_s=1.0, end_s=2.0, labels=("walking",))
    worn = stream(placement="left wrist", offset_s=0.5)
    count = write_tidy(tmp_path / "t.parquet", [recording(worn, annotations=(note,))])
    table = read(tmp_path / "t.parquet")
    assert count == 30
    assert set(table["placement"]) == {"left wrist"}
    np.testing.assert_allclose(table["t"], 0.5 + np.arange(30) / 10)
    walking = [t for t, label in zip(table["t"], table["label"], strict=True) if label]
    np.testing.assert_allclose(walking, np.arange(1.0, 2.0, 0.1))
    np.testing.assert_array_equal(table["gyro_z"], worn.samples_TC[:, 5])


def test_streams_follow_each_other_and_lacking_channels_are_null(tmp_path):
    watch, phone = stream(), stream("phone", SIX[:3], rate_hz=20.0)
    write_tidy(tmp_path / "t.parquet", [recording(watch, phone), recording(watch, name="r2")])
    table = read(tmp_path / "t.parquet")
    assert table["placement"] == ["watch"] * 30 + ["phone"] * 30 + ["watch"] * 30
    assert table["gyro_x"][30:60] == [None] * 30
    assert table["recording_id"][-1] == "r2"


def test_channels_that_the_first_stream_lacks_are_refused_and_leave_nothing(tmp_path):
    streams = (stream("phone", SIX[:3]), stream())
    with pytest.raises(DataError, match="gyro_x"):
        write_tidy(tmp_path / "t.parquet", [recording(*streams)])
    with pytest.raises(DataError, match="no motion stream"):
        write_tidy(tmp_path / "t.parquet", [])
    assert list(tmp_path.iterdir()) == []


def test_labels_belong_to_their_stream_and_track():
    notes = (
        Annotation(start_s=0.0, end_s=1.0, labels=("a",), stream="watch"),
        Annotation(start_s=1.0, end_s=2.0, labels=("b",), stream="phone"),
        Annotation(start_s=2.0, end_s=3.0, labels=("c",), track="other"),
        Annotation(start_s=2.5, end_s=None, labels=("d",)),
    )
    watch = stream()
    labels = labels_of_samples(recording(watch, annotations=notes), watch)
    assert list(labels) == ["a"] * 10 + [""] * 20
    other = labels_of_samples(recording(watch, annotations=notes), watch, track="other")
    assert list(other) == [""] * 20 + ["c"] * 10


def test_labels_that_touch_do_not_share_a_sample():
    notes = tuple(
        Annotation(start_s=i * 0.7, end_s=(i + 1) * 0.7, labels=(str(i),)) for i in range(4)
    )
    labels = labels_of_samples(recording(stream(), annotations=notes), stream())
    assert [list(labels).count(str(i)) for i in range(4)] == [7, 7, 7, 7]


def test_one_stream_is_chosen_by_name():
    both = recording(stream(), stream("phone"))
    assert list(select_motion(both).streams) == ["watch", "phone"]
    assert list(select_motion(both, stream="phone").streams) == ["phone"]
    with pytest.raises(DataError, match='no motion stream "phnoe"') as caught:
        select_motion(both, stream="phnoe")
    assert 'Did you mean "phone"' in caught.value.remedy


def test_another_rate_keeps_length_and_level():
    flat = dataclasses.replace(stream(count=40), samples_TC=np.full((40, 6), 3.0, np.float32))
    found = select_motion(recording(flat), rate_hz=25.0).imus["watch"]
    assert (found.rate_hz, len(found.samples_TC)) == (25.0, 100)
    np.testing.assert_allclose(found.samples_TC, 3.0, rtol=1e-6)
    same = select_motion(recording(flat), rate_hz=10.0).imus["watch"]
    assert same.samples_TC is flat.samples_TC
    with pytest.raises(DataError, match="impossible"):
        select_motion(recording(flat), rate_hz=-1.0)


def test_a_table_whose_device_lacks_a_sensor_is_read_back(tmp_path):
    rng = np.random.default_rng(0)
    values = rng.normal([0, 0, 9.8, 0, 0, 0], 1, (400, 6))
    watch = dataclasses.replace(stream(rate_hz=50.0), samples_TC=values.astype(np.float32))
    phone = dataclasses.replace(
        stream("phone", SIX[:3], rate_hz=50.0), samples_TC=values[:, :3].astype(np.float32)
    )
    write_tidy(tmp_path / "t.parquet", [recording(watch, phone)])
    (back,) = read_recordings(tmp_path / "t.parquet", ReadOptions(unit_acc="m/s2", gravity="included", unit_gyro="rad/s"))  # fmt: skip
    assert {name: len(s.channels) for name, s in back.imus.items()} == {"watch": 6, "phone": 3}
    np.testing.assert_allclose(back.imus["phone"].samples_TC, phone.samples_TC, atol=1e-5)
    assert "columns.lacking" in {f.check for f in back.findings}
