"""RealWorld: archives in archives, parts, phones with their own clocks, what is missing."""

import zipfile

import numpy as np
import pytest
from tests.fixtures import official_layouts_ds2 as layouts

from otolith.core.errors import DataError, FileFormatError
from otolith.datasets import real_world
from otolith.recordings import Gravity

START = layouts.REAL_WORLD_START_MS


def read(root, **settings):
    return list(real_world.recordings(real_world.Config(root=root, **settings)))


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture
def phones(rng):
    return layouts.real_world_phones(rng, START, placements=real_world.PLACEMENTS)


def test_every_phone_is_a_stream_with_all_its_sensors(tmp_path, phones):
    layouts.write_real_world(tmp_path, 3, "climbingup", phones)
    (recording,) = read(tmp_path)
    assert list(recording.streams) == list(real_world.PLACEMENTS)
    assert (recording.id, recording.subject) == ("proband3_climbingup", "3")
    assert recording.annotations[0].labels == ("stairs_up",)
    for name, stream in recording.imus.items():
        sensors = [c.sensor for c in stream.channels]
        assert sensors == ["acc"] * 3 + ["gyro"] * 3 + ["mag"] * 3, (
            "upstream kept acceleration only"
        )
        assert [c.unit for c in stream.channels[::3]] == ["m/s^2", "rad/s", "uT"]
        assert stream.rate_hz == pytest.approx(50.0)
        assert stream.gravity is Gravity.INCLUDED
        assert {c.placement for c in stream.channels} == {name.replace("upperarm", "upper arm")}


def test_samples_are_where_their_stamps_are(tmp_path):
    stamps = START + 20.0 * np.arange(300)
    t = 0.02 * np.arange(300)[:, None]
    ramp = np.array([1.0, 2.0, 3.0])
    sensors = {"acc": (stamps, t * ramp + 9.8), "gyr": (stamps + 8, (t + 0.008) * ramp)}
    later = {k: (s + 1000, x) for k, (s, x) in sensors.items()}
    layouts.write_real_world(tmp_path, 1, "walking", {"waist": sensors, "shin": later})
    (recording,) = read(tmp_path, sensors=("acc", "gyro"))
    waist, shin = recording.imus["waist"], recording.imus["shin"]
    assert (waist.offset_s, shin.offset_s) == pytest.approx((0.0, 1.0), abs=1e-6)
    times = waist.times_s[:, None] + 0.008  # the shared time of a phone begins with its gyroscope
    np.testing.assert_allclose(waist.samples_TC[:, :3], times * ramp + 9.8, atol=1e-3)
    np.testing.assert_allclose(waist.samples_TC[:, 3:], times * ramp, atol=1e-3)
    assert recording.duration_s == pytest.approx(1.0 + 6.0, abs=0.05)
    assert float(recording.attributes["start_s"]) == pytest.approx(START / 1000 + 0.008)


def test_parts_in_archives_inside_archives_are_recordings(tmp_path, rng):
    parts = [layouts.real_world_phones(rng, START + 60_000 * i) for i in range(3)]
    layouts.write_real_world_parts(tmp_path, 4, "climbingdown", parts)
    found = read(tmp_path)
    assert [r.id for r in found] == [
        "proband4_climbingdown", "proband4_climbingdown_2", "proband4_climbingdown_3",
    ]  # fmt: skip
    for recording, part in zip(found, parts, strict=True):
        first = np.stack([recording.imus["waist"].samples_TC[k, :3] for k in (5, 90)])
        acc = part["waist"]["acc"][1]
        assert np.abs(first[0] - acc[5:8].mean(0)).max() < 1.5
        assert {c.sensor for c in recording.imus["waist"].channels} == {"acc", "gyro", "mag"}
    assert {r.attributes["part"] for r in found} == {"1", "2", "3"}


def test_a_number_in_the_name_of_the_tables_is_read(tmp_path, phones):
    layouts.write_real_world(tmp_path, 8, "standing", phones, number="_2")
    (recording,) = read(tmp_path)
    assert recording.id == "proband8_standing_2"
    assert len(recording.streams) == 7


def test_placements_and_sensors_are_settings(tmp_path, phones):
    layouts.write_real_world(tmp_path, 3, "lying", phones)
    (recording,) = read(tmp_path, placements=("thigh", "head"), sensors=("gyro",))
    assert list(recording.streams) == ["thigh", "head"]
    assert {c.sensor for s in recording.imus.values() for c in s.channels} == {"gyro"}


def test_a_missing_phone_and_a_missing_sensor_are_told(tmp_path, phones):
    del phones["forearm"]
    del phones["shin"]["gyr"]
    layouts.write_real_world(tmp_path, 2, "climbingup", phones)
    (recording,) = read(tmp_path)
    assert "forearm" not in recording.streams
    assert len(recording.imus["shin"].channels) == 6
    told = {(f.check, f.status) for f in recording.findings}
    assert {("stream.missing", "warning"), ("gyro.missing", "warning")} <= told
    assert any("forearm" in f.fact for f in recording.findings if f.check == "stream.missing")


def test_a_hole_of_one_phone_does_not_cut_the_others(tmp_path, phones):
    stamps, acc = phones["head"]["acc"]
    keep = np.r_[0:50, 170 : len(stamps)]
    phones["head"]["acc"] = (stamps[keep], acc[keep])
    layouts.write_real_world(tmp_path, 2, "running", phones)
    (recording,) = read(tmp_path)
    missing = {n: np.isnan(s.samples_TC).all(axis=1).mean() for n, s in recording.imus.items()}
    assert missing.pop("head") == pytest.approx(120 / 250, abs=0.02)
    assert not any(missing.values())
    assert recording.imus["head"].quality.flag == "suspect"
    assert "time.gap" in {f.check for f in recording.findings}


def test_a_phone_of_another_time_is_a_recording_of_its_own(tmp_path, phones):
    phones["head"] = {k: (s + 3.6e6, x) for k, (s, x) in phones["head"].items()}
    layouts.write_real_world(tmp_path, 2, "running", phones)
    first, second = read(tmp_path)
    assert (len(first.streams), list(second.streams)) == (6, ["head"])
    assert first.duration_s < 10
    assert second.duration_s < 10
    assert "time.apart" in {f.check for f in first.findings}


def test_unpacked_archives_are_read_too(tmp_path, phones, rng):
    layouts.write_real_world(tmp_path, 3, "walking", phones)
    parts = [layouts.real_world_phones(rng, START + 60_000 * i) for i in range(2)]
    layouts.write_real_world_parts(tmp_path, 3, "climbingup", parts)
    packed = read(tmp_path)
    folder = tmp_path / "realworld2016_dataset" / "proband3" / "data"
    for path in [*folder.glob("*.zip")]:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder / path.stem)
        path.unlink()
    for path in [*folder.rglob("*.zip")]:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(path.with_suffix(""))
        path.unlink()
    unpacked = read(tmp_path)
    assert [r.id for r in unpacked] == [r.id for r in packed]
    for a, b in zip(packed, unpacked, strict=True):
        for name in a.streams:
            assert np.array_equal(a.imus[name].samples_TC, b.imus[name].samples_TC)


def test_other_files_of_the_release_are_no_trouble(tmp_path, phones):
    path = layouts.write_real_world(tmp_path, 3, "walking", phones)
    (path.parent / "gps_walking_csv.zip").write_bytes(b"no archive")
    (path.parent / "acc_walking_sql.zip").write_bytes(b"no archive")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("readMe", "text")
        archive.writestr("__MACOSX/._MagneticField_walking_chest.csv", b"\0")
    assert len(read(tmp_path)) == 1
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("MagneticField_walking_hand.csv", "id\n")
    with pytest.warns(UserWarning, match=r"MagneticField_walking_hand\.csv .* left out"):
        assert len(read(tmp_path)) == 1


def test_damage_names_archive_and_table(tmp_path, phones):
    path = layouts.write_real_world(tmp_path, 3, "walking", phones)
    whole = path.read_bytes()
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("again/MagneticField_walking_chest.csv", "id\n")
    with pytest.raises(FileFormatError, match="same part"):
        read(tmp_path)
    path.write_bytes(
        layouts.zipped({"MagneticField_walking_chest.csv": "id,attr_time,attr_x\n1,2,3\n"})
    )
    with pytest.raises(
        FileFormatError, match=r"MagneticField_walking_chest\.csv in .*mag_walking_csv\.zip"
    ):
        read(tmp_path)
    path.write_bytes(whole[:-20])
    with pytest.raises(FileFormatError, match="no whole archive"):
        read(tmp_path)
    path.write_bytes(layouts.zipped({"mag_walking_csv.zip": b"no archive"}))
    with pytest.raises(FileFormatError, match="no whole archive"):
        read(tmp_path)


def test_a_person_without_data_is_named(tmp_path):
    (tmp_path / "proband2" / "data").mkdir(parents=True)
    with pytest.raises(DataError, match="acc_walking_csv"):
        read(tmp_path)
