"""A video with telemetry as a recording: axes, units, clocks, damage."""

import numpy as np
import pytest
from tests.fixtures.gpmf_payloads import GRAVITY, add_track, make_film, packet, stream, walk
from tests.golden.harness import SHARED

import otolith
from otolith.core.errors import DataError, FileFormatError
from otolith.recordings.reading import read_recordings
from otolith.recordings.recording import Gravity, ImuStream, VideoStream
from otolith.recordings.store import DataFolder, write_data_folder

TURN = [0, -1, 0, 1, 0, 0, 0, 0, 1]  # stored XzY -> ZXY


def with_telemetry(path, packets, starts_s=None):
    return add_track(make_film(path), packets, starts_s or [float(i) for i in range(len(packets))])


def checks(recording, status=None):
    return {f.check for f in recording.findings if status in (None, f.status)}


def test_a_film_with_telemetry_is_one_recording(tmp_path):
    packets, acc, gyro = walk()
    recording = otolith.open(with_telemetry(tmp_path / "walk.mp4", packets))
    imu, camera = recording.streams["imu"], recording.streams["camera"]
    assert recording.id == "walk"
    assert isinstance(camera, VideoStream)
    assert isinstance(imu, ImuStream)
    assert [c.name for c in imu.channels] == [f"{s}_{a}" for s in ("acc", "gyro") for a in "xyz"]
    assert imu.rate_hz == pytest.approx(50.0)
    assert imu.gravity is Gravity.INCLUDED
    assert imu.offset_s == camera.offset_s == 0.0
    # without ORIN components are z, x, y
    np.testing.assert_allclose(imu.samples_TC[:, [2, 0, 1]], acc, atol=2e-3)
    np.testing.assert_allclose(imu.samples_TC[:, [5, 3, 4]], gyro, atol=1e-3)
    assert recording.attributes["device"] == "Test Cam"
    assert "telemetry.unused" not in checks(recording)
    assert checks(recording, "inferred") >= {"axes.acc", "axes.gyro"}
    assert "telemetry.damaged" not in checks(recording)


def test_the_order_and_signs_of_the_axes_are_those_of_the_file(tmp_path):
    values = np.tile([1.0, -9.0, 2.0], (50, 1))
    packets = [packet(stream("ACCL", values, order_in="XzY", order_out="ZXY",
                             matrix=TURN)) for _ in range(3)]  # fmt: skip
    recording = otolith.open(with_telemetry(tmp_path / "a.mp4", packets))
    np.testing.assert_allclose(recording.imus["imu"].samples_TC[0], [1, 2, 9], atol=2e-3)
    assert "axes.acc" in checks(recording, "ok")


@pytest.mark.parametrize(
    ("facts", "expected", "status"),
    [
        ({"order_in": "zxY"}, [9, 2, -1], "ok"),
        ({"order_out": "ZXY", "matrix": TURN}, [1, 2, 9], "ok"),
        ({"order_in": "XzY", "order_out": "XYZ", "matrix": np.eye(3).ravel()}, [1, 2, 9], "warning"),
        ({"order_in": "XXY", "name": "Accelerometer (up/down, right/left, forward/back"},
         [-9, 2, 1], "inferred"),
        ({"order_in": "???", "matrix": [0.0] * 9, "order_out": "ZXY"}, [-9, 2, 1], "inferred"),
        ({"name": "Accelerometer (y,x,z)"}, [-9, 1, 2], "inferred"),
    ],
)  # fmt: skip
def test_ways_to_say_the_axes(tmp_path, facts, expected, status):
    values = np.tile([1.0, -9.0, 2.0], (50, 1))
    packets = [packet(stream("ACCL", values, **facts)) for _ in range(3)]
    recording = otolith.open(with_telemetry(tmp_path / "a.mp4", packets))
    np.testing.assert_allclose(recording.imus["imu"].samples_TC[0], expected, atol=3e-3)
    assert "axes.acc" in checks(recording, status)


def test_another_rate_of_the_gyroscope_is_brought_to_the_accelerometers_clock(tmp_path):
    times_s = np.arange(800) / 200.0
    turn = np.stack([np.sin(2 * np.pi * f * times_s) for f in (1.0, 2.0, 3.0)], axis=1)
    rest = np.tile([GRAVITY, 0.0, 0.0], (100, 1))
    packets = [
        packet(stream("ACCL", rest), stream("GYRO", turn[i * 200 : (i + 1) * 200], scale=3000))
        for i in range(4)
    ]
    recording = otolith.open(with_telemetry(tmp_path / "a.mp4", packets), unit_gyro="rad/s")
    imu = recording.imus["imu"]
    assert imu.samples_TC.shape == (400, 6)
    expected = turn[::2][20:-20]
    np.testing.assert_allclose(imu.samples_TC[20:-20, [5, 3, 4]], expected, atol=5e-3)
    assert "time.resampled" in checks(recording, "fixed")


def test_units_are_converted_and_unknown_ones_refused(tmp_path):
    values = np.tile([1.0, 0.0, 0.0], (50, 1))
    for unit, factor in (("g", GRAVITY), ("", 1.0)):
        path = with_telemetry(
            tmp_path / f"u{unit}.mp4", [packet(stream("ACCL", values, unit=unit))] * 3
        )
        imu = otolith.open(path).imus["imu"]
        assert imu.samples_TC[0, 2] == pytest.approx(factor, rel=1e-3)
    path = with_telemetry(tmp_path / "f.mp4", [packet(stream("ACCL", values, unit="furlong"))] * 3)
    with pytest.raises(DataError, match="furlong"):
        otolith.open(path)
    assert otolith.open(path, unit_acc="g").imus["imu"].samples_TC[0, 2] == pytest.approx(GRAVITY)


def test_gravity_of_the_camera_becomes_channels_if_it_agrees(tmp_path):
    acc = np.tile([GRAVITY, 0.0, 0.0], (100, 1))
    up, down = np.tile([0.0, 1.0, 0.0], (30, 1)), np.tile([0.0, -1.0, 0.0], (30, 1))
    for name, vector in (("up", up), ("down", down)):
        made = packet(stream("ACCL", acc), stream("GRAV", vector, scale=32767, unit=""))
        recording = otolith.open(with_telemetry(tmp_path / f"{name}.mp4", [made] * 4))
        names = [c.name for c in recording.imus["imu"].channels]
        if name == "up":
            assert names[3:] == ["gravity_x", "gravity_y", "gravity_z"]
            gravity = recording.imus["imu"].samples_TC[:, 3:]
            np.testing.assert_allclose(gravity, np.tile([0, 0, GRAVITY], (400, 1)), atol=1e-2)
        else:
            assert names == ["acc_x", "acc_y", "acc_z"]
            assert "gravity.vector" in checks(recording, "warning")


def test_a_film_without_telemetry_is_a_camera_alone(tmp_path):
    recording = otolith.open(make_film(tmp_path / "plain.mp4"))
    assert list(recording.streams) == ["camera"]
    assert "telemetry.none" in checks(recording, "warning")


def test_a_damaged_packet_is_a_finding_and_a_gap(tmp_path):
    packets, acc, _ = walk(num_packets=5)
    packets[2] = packets[2][:40] + b"\xff" * 60 + packets[2][100:]
    recording = otolith.open(with_telemetry(tmp_path / "a.mp4", packets))
    imu = recording.imus["imu"]
    assert {"telemetry.damaged", "time.count"} <= checks(recording, "warning")
    assert np.isnan(imu.samples_TC[100:150]).all()
    np.testing.assert_allclose(imu.samples_TC[150:, 2], acc[150:, 0], atol=2e-3)
    assert imu.quality.valid_fraction == pytest.approx(0.8)
    with pytest.raises(DataError, match="gap"):
        otolith.open(tmp_path / "a.mp4", on_gap="refuse")


def test_telemetry_that_is_all_damaged_is_one_error(tmp_path):
    path = with_telemetry(tmp_path / "a.mp4", [b"DEVC" + b"\xff" * 40] * 3)
    with pytest.raises(FileFormatError, match=r"a\.mp4.*damaged"):
        otolith.open(path)


def test_packets_that_disagree_with_the_rest_are_left_out(tmp_path):
    values = np.tile([GRAVITY, 0.0, 0.0], (50, 1))
    packets = [packet(stream("ACCL", values, order_in="ZXY")) for _ in range(4)]
    packets[1] = packet(stream("ACCL", values, order_in="XYZ"))
    recording = otolith.open(with_telemetry(tmp_path / "a.mp4", packets))
    assert "telemetry.inconsistent" in checks(recording, "warning")
    assert np.nanmin(recording.imus["imu"].samples_TC[:, 2]) > 9.0


def test_options_that_mean_nothing_for_a_film_are_refused(tmp_path):
    path = make_film(tmp_path / "plain.mp4")
    with pytest.raises(DataError, match=r"plain\.mp4.*rate"):
        otolith.open(path, rate_hz=100.0)


def test_cut_off_films_are_refused(tmp_path):
    packets, _, _ = walk()
    path = with_telemetry(tmp_path / "a.mp4", packets)
    data = path.read_bytes()
    for share in (0.0, 0.3, 0.9):
        path.write_bytes(data[: int(share * len(data))])
        with pytest.raises(DataError, match=r"a\.mp4"):
            otolith.open(path)


def test_folders_of_films_and_the_way_to_disk(tmp_path):
    packets, _, _ = walk()
    (tmp_path / "films").mkdir()
    for name in ("one", "two"):
        with_telemetry(tmp_path / "films" / f"{name}.mp4", packets)
    recordings = read_recordings(tmp_path / "films")
    assert [r.id for r in recordings] == ["one", "two"]
    write_data_folder(tmp_path / "out", recordings, name="mine", card={"title": "mine"})
    again = DataFolder.open(tmp_path / "out").recording("two")
    np.testing.assert_array_equal(
        again.imus["imu"].samples_TC, recordings[1].imus["imu"].samples_TC
    )
    assert again.streams["camera"].path == (tmp_path / "films" / "two.mp4").resolve()


REFERENCE = {
    # the order in which our x, y, z stand in the file, with signs; most distant time in s
    "gopro_max_walk": ([0, 2, 1], [1, 1, -1], 197.455, 0.006),
    "gopro_hero5_drone": ([1, 2, 0], [1, 1, 1], 198.58, 0.03),
}


@pytest.mark.parametrize("name", REFERENCE)
def test_real_files_equal_their_decoded_tables(name):
    folder = SHARED / "data" / "video" / "gopro"
    if not folder.is_dir():
        pytest.skip("the real videos are not at hand")
    order, signs, rate_hz, most_s = REFERENCE[name]
    recording = otolith.open(folder / f"{name}.mp4")
    imu = recording.imus["imu"]
    unused = next(f.evidence for f in recording.findings if f.check == "telemetry.unused")
    assert ("MAGN" in unused) == (name == "gopro_max_walk")
    table = np.loadtxt(folder / f"{name}_accl.csv", delimiter=",", skiprows=1)
    assert imu.rate_hz == pytest.approx(rate_hz, abs=0.01)
    np.testing.assert_allclose(imu.samples_TC[:, :3], table[:, 1:][:, order] * signs, atol=2e-4)
    assert np.abs(imu.times_s - table[:, 0]).max() < most_s
    gyro = np.loadtxt(folder / f"{name}_gyro.csv", delimiter=",", skiprows=1)[:, 1:]
    gyro = gyro[:, order] * signs
    if name == "gopro_max_walk":
        np.testing.assert_allclose(imu.samples_TC[:, 3:6], gyro, atol=1e-5)
        grav = np.loadtxt(folder / f"{name}_grav.csv", delimiter=",", skiprows=1)[:, 1:]
        mean = imu.samples_TC[:, 6:].mean(axis=0) / GRAVITY
        np.testing.assert_allclose(mean, grav.mean(axis=0)[[0, 2, 1]], atol=5e-3)
    else:
        table = np.loadtxt(folder / f"{name}_gyro.csv", delimiter=",", skiprows=1)
        # turning about z, the only axis with more than the propellers' hum below 5 Hz
        fine = np.convolve(gyro[:, 2], np.full(80, 1 / 80), "same")
        ours = np.convolve(imu.samples_TC[:, 5], np.full(40, 1 / 40), "same")
        wanted = np.interp(imu.times_s, table[:, 0], fine)
        assert np.corrcoef(wanted, ours)[0, 1] > 0.99


def test_labelling_embedding_and_drawing_a_film(tmp_path):
    from otolith.reports.recording_picture import draw_recording
    from otolith.tasks._model import load_model

    packets, _, _ = walk(8)
    recording = otolith.open(with_telemetry(tmp_path / "walk.mp4", packets))
    features = load_model("statistics").embed(recording, window_s=2.0)
    assert len(features) == 4
    assert np.isfinite(features).all()
    assert draw_recording(recording, tmp_path / "walk.png").stat().st_size > 10_000
    plain = otolith.open(make_film(tmp_path / "plain.mp4"))
    for use in (
        lambda: load_model("statistics").embed(plain, window_s=2.0),
        lambda: draw_recording(plain, tmp_path / "plain.png"),
    ):
        with pytest.raises(DataError, match="motion"):
            use()
