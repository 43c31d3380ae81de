"""Aria glasses: pairs of CSV tables, and VRS files by a provider of the same methods as the package's."""

import builtins
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tests.golden.harness import SHARED
from typer.testing import CliRunner

from otolith.cli.main import app
from otolith.core.errors import DataError, FileFormatError, MissingDependencyError, OtolithError
from otolith.recordings.options import ReadOptions
from otolith.recordings.readers.aria import CHANNELS, RATES_HZ, read_aria_csv, read_aria_vrs
from otolith.recordings.recording import Gravity
from otolith.recordings.store import DataFolder

START_NS = {"left": 2_400_000_000_321, "right": 2_400_000_250_000}


def rows(side, duration_s=0.5, seed=0):
    """Stamps in ns and samples of a still head."""
    count = int(duration_s * RATES_HZ[side])
    stamps = START_NS[side] + np.rint(np.arange(count) * 1e9 / RATES_HZ[side]).astype(np.int64)
    noise = np.random.default_rng(seed).normal(size=(count, 6)) * 0.1
    return stamps, noise + np.array([0.0, -9.8, 0.0, 0.0, 0.0, 0.0])


def write_table(path, stamps, samples, time="capture_timestamp_ns"):
    lines = [",".join((time, *CHANNELS))]
    lines += [
        ",".join(map(repr, (t, *x))) for t, x in zip(stamps.tolist(), samples.tolist(), strict=True)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def folder(tmp_path):
    for side in RATES_HZ:
        write_table(tmp_path / "take" / f"aria_imu_{side}.csv", *rows(side))
    return tmp_path / "take"


class Provider:
    """Answers as the provider of projectaria-tools does."""

    def __init__(self, sides=("left", "right"), invalid=()):
        self.rows = {f"imu-{s}": rows(s) for s in sides}
        self.invalid = set(invalid)

    def get_stream_id_from_label(self, label):
        return label if label in self.rows else None

    def get_num_data(self, stream):
        return len(self.rows[stream][0])

    def get_imu_configuration(self, stream):
        return SimpleNamespace(nominal_rate_hz=RATES_HZ[stream.removeprefix("imu-")])

    def get_imu_data_by_index(self, stream, index):
        stamps, samples = self.rows[stream]
        return SimpleNamespace(
            capture_timestamp_ns=int(stamps[index]),
            accel_msec2=samples[index, :3].tolist(),
            gyro_radsec=samples[index, 3:].tolist(),
            accel_valid=index not in self.invalid,
            gyro_valid=True,
        )


@pytest.fixture
def vrs(tmp_path):
    path = tmp_path / "take.vrs"
    path.write_bytes(b"VRS")
    return path


def test_both_sensors_keep_their_rate_and_length(folder):
    recording = read_aria_csv(folder)
    for side, rate_hz in RATES_HZ.items():
        stream = recording.imus[side]
        assert stream.rate_hz == pytest.approx(rate_hz, rel=1e-6)
        assert len(stream.samples_TC) == 0.5 * rate_hz
        assert stream.gravity is Gravity.INCLUDED
        assert {c.placement for c in stream.channels} == {f"head, {side} temple"}
        np.testing.assert_array_equal(stream.samples_TC, rows(side)[1].astype(np.float32))
    assert recording.imus["left"].offset_s == 0.0
    assert recording.imus["right"].offset_s == pytest.approx(249_679e-9, abs=1e-9)
    assert recording.id == "take"


def test_one_side_can_be_asked_for(folder):
    assert list(read_aria_csv(folder, "right").imus) == ["right"]
    assert list(read_aria_csv(folder / "aria_imu_left.csv").imus) == ["left"]
    with pytest.raises(DataError, match="not the right sensor"):
        read_aria_csv(folder / "aria_imu_left.csv", "right")


def test_what_is_missing_is_named(folder):
    (folder / "aria_imu_right.csv").unlink()
    with pytest.raises(DataError, match="no table of the right sensor"):
        read_aria_csv(folder)
    assert list(read_aria_csv(folder, "left").imus) == ["left"]
    write_table(folder / "imu_left_2.csv", *rows("left"))
    with pytest.raises(DataError, match="several tables of the left"):
        read_aria_csv(folder, "left")
    with pytest.raises(DataError, match="nowhere"):
        read_aria_csv(folder / "nowhere")


def test_damaged_tables_are_refused(folder):
    path = folder / "aria_imu_left.csv"
    whole = path.read_text(encoding="utf-8")
    for text in ("", whole[:-40], whole.replace("acc_y", "y"), whole.replace("capture_", "")[:40]):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(FileFormatError, match=r"aria_imu_left\.csv"):
            read_aria_csv(folder)


def test_times_in_other_units_give_the_same(folder, tmp_path):
    expected = read_aria_csv(folder, "left").imus["left"]
    stamps, samples = rows("left")
    for name, unit in (("t", 1e-9), ("tracking_timestamp_us", 1e-3), ("timestamp_ns", 1)):
        path = tmp_path / name / "imu_left.csv"
        write_table(path, stamps * unit, samples, name)
        stream = read_aria_csv(path).imus["left"]
        assert stream.rate_hz == pytest.approx(expected.rate_hz, rel=1e-6)
        np.testing.assert_array_equal(stream.samples_TC, expected.samples_TC)


def test_a_hole_stays_empty_and_stamps_that_go_back_follow_the_policy(folder):
    stamps, samples = rows("left", 2.0)
    keep = (np.arange(len(stamps)) < 400) | (np.arange(len(stamps)) >= 800)
    write_table(folder / "aria_imu_left.csv", stamps[keep], samples[keep])
    stream = read_aria_csv(folder, "left").imus["left"]
    assert len(stream.samples_TC) == 1600
    assert np.isnan(stream.samples_TC[410:790]).all()
    order = np.r_[1:400, 0, 400:1600]
    write_table(folder / "aria_imu_left.csv", stamps[order], samples[order])
    with pytest.raises(DataError, match="go back"):
        read_aria_csv(folder, "left")
    again = read_aria_csv(folder, "left", ReadOptions(on_backward_time="sort")).imus["left"]
    np.testing.assert_array_equal(again.samples_TC, samples.astype(np.float32))


def test_a_vrs_file_equals_its_tables(folder, vrs):
    by_tables = read_aria_csv(folder)
    by_vrs = read_aria_vrs(vrs, open_provider=lambda path: Provider())
    for side in RATES_HZ:
        ours, theirs = by_vrs.imus[side], by_tables.imus[side]
        np.testing.assert_array_equal(ours.samples_TC, theirs.samples_TC)
        assert ours.offset_s == pytest.approx(theirs.offset_s, abs=1e-9)


def test_samples_marked_invalid_are_empty(vrs):
    provider = Provider(invalid={3, 4})
    recording = read_aria_vrs(vrs, "left", open_provider=lambda path: provider)
    samples = recording.imus["left"].samples_TC
    assert np.isnan(samples[3:5, :3]).all()
    assert np.isfinite(samples[3:5, 3:]).all()
    assert "values.invalid" in {f.check for f in recording.findings}


def test_faults_of_vrs_files(vrs, tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"no samples of imu-right.*left sensor alone"):
        read_aria_vrs(vrs, open_provider=lambda path: Provider(("left",)))
    with pytest.raises(DataError, match=r"no samples of imu-left.*no motion sensors"):
        read_aria_vrs(vrs, open_provider=lambda path: Provider(()))
    with pytest.raises(FileFormatError, match=r"take\.vrs"):
        read_aria_vrs(vrs, open_provider=lambda path: None)

    def explode(path):
        raise RuntimeError("bad magic\nmore")

    with pytest.raises(FileFormatError, match="bad magic"):
        read_aria_vrs(vrs, open_provider=explode)
    with pytest.raises(DataError, match="There is no file"):
        read_aria_vrs(tmp_path / "none.vrs")
    usual = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("projectaria_tools"):
            raise ImportError(name)
        return usual(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError, match=r"otolith\[aria\]"):
        read_aria_vrs(vrs)


def test_the_command_writes_a_data_folder(folder, tmp_path):
    out = tmp_path / "out"
    words = [
        "data",
        "import",
        str(folder),
        "--name",
        "head",
        "--out",
        str(out),
        "--format",
        "aria-csv",
    ]
    run = CliRunner().invoke(app, [*words, "--subject", "p1", "--side", "right"])
    assert run.exit_code == 0, run.output
    recording = DataFolder.open(out).recording("take")
    assert list(recording.imus) == ["right"]
    assert (recording.subject, recording.dataset) == ("p1", "head")
    for more in (["--side", "top"], ["--rate", "100"]):
        run = CliRunner().invoke(app, [*words, "--overwrite", *more])
        assert isinstance(run.exception, OtolithError)
    run = CliRunner().invoke(app, [*words[:-1], "table", "--side", "left"])
    assert "side has no effect" in str(run.exception)


def test_the_usual_rate_is_that_of_the_file(vrs):
    """Glasses of the second generation have 800 Hz on both sides."""
    provider = Provider()
    provider.rows["imu-right"] = rows("left")
    fast = read_aria_vrs(vrs, open_provider=lambda path: provider)
    assert next(f.status for f in fast.findings if f.check == "time.rate.right") == "warning"
    provider.get_imu_configuration = lambda stream: SimpleNamespace(nominal_rate_hz=800.0)
    second = read_aria_vrs(vrs, open_provider=lambda path: provider)
    assert next(f.status for f in second.findings if f.check == "time.rate.right") == "ok"


def test_the_real_package_has_every_call_of_the_reader():
    """The provider above answers only what the package's does, under the same names."""
    package = pytest.importorskip("projectaria_tools.core", reason="projectaria-tools is absent")
    from projectaria_tools.core import data_provider, sensor_data  # pyrefly: ignore

    assert package is not None
    assert callable(data_provider.create_vrs_data_provider)
    calls = [name for name in vars(Provider) if name.startswith("get_")]
    assert len(calls) == 4
    real = data_provider.VrsDataProvider
    for name in calls:
        assert callable(getattr(real, name))
    for name in ("capture_timestamp_ns", "accel_msec2", "gyro_radsec", "accel_valid", "gyro_valid"):
        assert hasattr(sensor_data.MotionData, name)
    assert hasattr(sensor_data.MotionConfigRecord, "nominal_rate_hz")


def test_the_real_package_refuses_what_is_no_vrs_file(vrs):
    pytest.importorskip("projectaria_tools.core", reason="projectaria-tools is absent")
    with pytest.raises(FileFormatError, match=r"take\.vrs"):
        read_aria_vrs(vrs)


def test_a_real_vrs_file_equals_the_snippets_tables():
    """`OTOLITH_VRS` names `recording.vrs` of the Aria Everyday Activities test data."""
    pytest.importorskip("projectaria_tools.core", reason="projectaria-tools is absent")
    folder = SHARED / "data" / "video" / "aria_snippet"
    path = os.environ.get("OTOLITH_VRS", "")
    if not (path and folder.is_dir()):
        pytest.skip("OTOLITH_VRS names no file, or the real snippet is not at hand")
    tables, both = read_aria_csv(folder), read_aria_vrs(Path(path))
    for side, count in (("left", 319), ("right", 400)):
        ours, theirs = both.imus[side], tables.imus[side]
        assert ours.rate_hz == pytest.approx(theirs.rate_hz, rel=1e-5)
        assert len(ours.samples_TC) == count
        np.testing.assert_allclose(ours.samples_TC, theirs.samples_TC, atol=1e-4)
        assert ours.offset_s == pytest.approx(theirs.offset_s, abs=2e-6)
        alone = read_aria_vrs(Path(path), side).imus[side]
        np.testing.assert_array_equal(alone.samples_TC, ours.samples_TC)


def test_the_real_snippet():
    folder = SHARED / "data" / "video" / "aria_snippet"
    if not folder.is_dir():
        pytest.skip("the real snippet is not at hand")
    recording = read_aria_csv(folder)
    for side, count in (("left", 319), ("right", 400)):
        table = np.loadtxt(folder / f"aria_aea_imu_{side}.csv", delimiter=",", skiprows=1)
        stream = recording.imus[side]
        assert len(stream.samples_TC) == len(table) == count
        np.testing.assert_allclose(stream.samples_TC, table[:, 1:], atol=1e-6)
        zero_s = float(recording.attributes["start_time_s"])
        np.testing.assert_allclose(stream.times_s + zero_s, table[:, 0], atol=1e-4)
