"""WISDM 2019: two sensors on one grid, holes, order, and the real phones."""

import numpy as np
import pytest
from tests.fixtures import official_layouts as layouts
from tests.fixtures.tidy import close, signals, tidy

from otolith.core.errors import FileFormatError
from otolith.datasets import wisdm2019


def read(root, **settings):
    return list(wisdm2019.recordings(wisdm2019.Config(root=root, **settings)))


def write(root, times, acc, gyro_times=None, gyro=None, code="A", subject=1600):
    gyro = acc if gyro is None else gyro
    gyro_times = times if gyro_times is None else gyro_times
    sensors = {"accel": [(code, times, acc)], "gyro": [(code, gyro_times, gyro)]}
    layouts.write_wisdm2019(root, subject, "phone", sensors)


@pytest.fixture
def wave():
    times = 1000.0 + np.arange(400) / 20.0
    phase = np.arange(3)
    return times, np.sin(times[:, None] + phase) + 9.8


def test_regular_samples_stay_as_they_are(tmp_path, wave):
    times, acc = wave
    write(tmp_path, times, acc)
    (recording,) = read(tmp_path, devices=("phone",))
    stream = recording.streams["phone"]
    assert stream.rate_hz == 20.0
    close(stream.samples_TC, np.concatenate([acc, acc], axis=1))
    assert recording.id == "1600_A_phone"
    assert recording.annotations[0].labels == ("walking",)


def test_gyroscope_is_put_on_the_grid_of_the_accelerometer(tmp_path, wave):
    times, acc = wave
    shifted = times + 0.02
    write(tmp_path, times, acc, shifted, np.stack([shifted - 1000.0] * 3, axis=1))
    (recording,) = read(tmp_path, devices=("phone",))
    gyro = recording.streams["phone"].samples_TC[:, 3]
    steps = np.arange(len(gyro)) / recording.streams["phone"].rate_hz
    np.testing.assert_allclose(gyro, 0.02 + steps, atol=1e-3)


def test_holes_split_a_recording(tmp_path, wave):
    times, acc = wave
    keep = (times < 1005) | (times > 1009)
    write(tmp_path, times[keep], acc[keep])
    found = read(tmp_path, devices=("phone",))
    assert [r.id for r in found] == ["1600_A_phone_1", "1600_A_phone_2"]
    assert {r.attributes["source_recording"] for r in found} == {"1600_A_phone"}
    assert all("time.gap" in {f.check for f in r.findings} for r in found)
    assert found[0].duration_s == pytest.approx(5.0, abs=0.06)
    assert len(read(tmp_path, devices=("phone",), max_gap_s=10.0)) == 1


def test_backward_and_repeated_stamps_are_fixed_and_told(tmp_path, wave):
    times, acc = wave
    order = np.r_[200:400, 0:200, 10]
    write(tmp_path, times[order], acc[order])
    (recording,) = read(tmp_path, devices=("phone",))
    close(recording.streams["phone"].samples_TC[:, :3], acc)
    checks = {f.check for f in recording.findings}
    assert {"time.backward", "time.duplicate"} <= checks


def test_a_gyroscope_from_another_time_is_left_out_and_told(tmp_path, wave):
    times, acc = wave
    write(tmp_path, times, acc, times + 5000.0)
    (recording,) = read(tmp_path, devices=("phone",))
    assert recording.streams["phone"].samples_TC.shape[1] == 3
    assert "gyro.missing" in {f.check for f in recording.findings}


def test_acceleration_without_a_gyroscope_beside_it_is_told(tmp_path, wave):
    times, acc = wave
    write(tmp_path, times, acc, times[:200], acc[:200])
    (recording,) = read(tmp_path, devices=("phone",))
    assert recording.duration_s == pytest.approx(10.0, abs=0.1)
    (lost,) = [f.fact for f in recording.findings if f.check == "gyro.shorter"]
    assert lost.startswith("10.0 s")


def test_an_activity_without_two_neighbouring_samples_is_not_left_out_silently(tmp_path, wave):
    times, acc = wave
    write(tmp_path, times[::100], acc[::100])
    with pytest.warns(UserWarning, match="1600_A_phone has no two samples"):
        assert read(tmp_path, devices=("phone",)) == []


def test_unknown_code_is_refused(tmp_path, wave):
    write(tmp_path, *wave, code="N")
    with pytest.raises(FileFormatError, match='unknown activity "N"'):
        read(tmp_path, devices=("phone",))


def test_a_row_without_its_end_is_refused(tmp_path, wave):
    write(tmp_path, *wave)
    path = tmp_path / "wisdm-dataset/raw/phone/gyro/data_1600_gyro_phone.txt"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(FileFormatError, match="cut off"):
        read(tmp_path, devices=("phone",))


@pytest.mark.parametrize(("name", "rate"), [("1602_A_1", 20), ("1613_A_2", 25), ("1628_B_2", 50)])
def test_real_recordings_come_back(tmp_path, name, rate):
    table = tidy("wisdm2019_phone10/wisdm2019_phone10.parquet", ("recording_id", "==", name))
    subject, code, _ = name.split("_")
    times, numbers = table["t"].to_numpy(np.float64), signals(table)
    start = 252_000.0
    write(tmp_path, start + times, numbers[:, :3], gyro=numbers[:, 3:], code=code, subject=subject)
    (recording,) = read(tmp_path, devices=("phone",))
    stream = recording.streams["phone"]
    assert stream.rate_hz == pytest.approx(rate, rel=0.01)
    assert len(stream.samples_TC) == pytest.approx(len(times), abs=2)
    want = np.stack([np.interp(stream.times_s, times, x) for x in numbers.T], axis=1)
    close(stream.samples_TC, want, atol=5e-3)
    assert recording.subject == subject
    assert recording.annotations[0].labels == (table["label"].iloc[0],)


def test_all_18_activities_get_the_publishers_names(tmp_path, wave):
    times, acc = wave
    parts = [(code, times + 100.0 * i, acc) for i, code in enumerate("ABCDEFGHIJKLMOPQRS")]
    for device in ("phone", "watch"):
        layouts.write_wisdm2019(tmp_path, 1601, device, {"accel": parts, "gyro": parts})
    found = read(tmp_path)
    names = [
        "walking", "jogging", "stairs", "sitting", "standing", "typing", "brushing_teeth",
        "eating_soup", "eating_chips", "eating_pasta", "drinking", "eating_sandwich", "kicking",
        "playing_catch", "dribbling", "writing", "clapping", "folding_clothes",
    ]  # fmt: skip
    for device in ("phone", "watch"):
        mine = [r for r in found if device in r.streams]
        assert [r.annotations[0].labels for r in mine] == [(n,) for n in names]
        assert {len(r.streams[device].channels) for r in mine} == {6}
    assert list(wisdm2019.CARD.labels) == names


def test_the_rate_is_measured_for_every_phone_and_sensor_pair(tmp_path, wave):
    _, acc = wave
    for subject, rate in ((1600, 20.0), (1602, 49.3), (1603, 25.0)):
        times = 5.0 + np.arange(400) / rate
        write(tmp_path, times, acc, times[::2], acc[::2], subject=subject)
    found = {r.subject: r for r in read(tmp_path, devices=("phone",))}
    rates = {s: r.streams["phone"].rate_hz for s, r in found.items()}
    assert rates == pytest.approx({"1600": 20.0, "1602": 49.3, "1603": 25.0}, abs=1e-3)
    assert {len(r.streams["phone"].channels) for r in found.values()} == {6}


def test_angular_rate_alone_is_not_left_out_silently(tmp_path, wave):
    times, acc = wave
    sensors = {"accel": [("A", times, acc)], "gyro": [("A", times, acc), ("B", times + 99, acc)]}
    layouts.write_wisdm2019(tmp_path, 1600, "phone", sensors)
    with pytest.warns(UserWarning, match="1600_B_phone has angular rate but no acceleration"):
        assert [r.id for r in read(tmp_path, devices=("phone",))] == ["1600_A_phone"]


def test_rows_of_another_person_are_refused(tmp_path, wave):
    write(tmp_path, *wave)
    path = tmp_path / "wisdm-dataset/raw/phone/gyro/data_1600_gyro_phone.txt"
    path.write_text(path.read_text().replace("1600,", "1601,", 1))
    with pytest.raises(FileFormatError, match="rows of subject 1601"):
        read(tmp_path, devices=("phone",))
