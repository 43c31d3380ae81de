"""The TSFM layout is read with SI units and honest findings, and survives a round trip."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from otolith.core.errors import DataError, FileFormatError
from otolith.recordings.recording import (
    Annotation,
    Channel,
    FeatureStream,
    Gravity,
    ImuStream,
    Recording,
)
from otolith.recordings.tsfm_format import TsfmOptions, is_tsfm_folder, read_tsfm
from otolith.recordings.tsfm_writer import write_tsfm

CHANNELS = [
    {"name": "waist_acc_x", "description": "Acceleration along x in g", "sampling_rate_hz": 50},
    {"name": "waist_gyro_z", "description": "Rotation about z (deg/s)", "sampling_rate_hz": 50.0},
    {"name": "heart_rate", "description": "Beats per minute", "sampling_rate_hz": 50.0},
]


def table(num_rows=100, rate_hz=50.0, **columns):
    data = {"timestamp_sec": np.arange(num_rows) / rate_hz}
    names = columns or {"waist_acc_x": 1.0, "waist_gyro_z": 180.0, "heart_rate": 70.0}
    return pd.DataFrame(data | {k: np.broadcast_to(v, num_rows) for k, v in names.items()})


def make(folder, tables, channels=CHANNELS, labels=None, **manifest):
    manifest = {
        "dataset_name": "gym",
        "description": "People train.",
        "channels": channels,
    } | manifest
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    labels = {name: ["walking"] for name in tables} if labels is None else labels
    (folder / "labels.json").write_text(json.dumps(labels))
    for name, data in tables.items():
        (folder / "sessions" / name).mkdir(parents=True)
        data.to_parquet(folder / "sessions" / name / "data.parquet", index=False)
    return folder


def only(folder, **options):
    (recording,) = read_tsfm(folder, TsfmOptions(**options))
    return recording


def checks(recording, *, status=None):
    return {f.check: f for f in recording.findings if status in (None, f.status)}


def test_sessions_become_recordings_in_si_units(tmp_path):
    folder = make(tmp_path / "gym", {"s2": table(), "s1": table(10)}, source="a gym")
    assert is_tsfm_folder(folder)
    assert not is_tsfm_folder(tmp_path)
    two, one = read_tsfm(folder)
    assert (two.id, one.id, two.dataset) == ("s2", "s1", "gym")
    stream = two.imus["imu"]
    np.testing.assert_allclose(stream.samples_TC[0], [9.80665, np.pi, 70.0], rtol=1e-6)
    assert stream.samples_TC.shape == (100, 3)
    assert stream.rate_hz == 50.0
    assert [c.sensor for c in stream.channels] == ["acc", "gyro", "other"]
    assert [c.unit for c in stream.channels] == ["m/s^2", "rad/s", ""]
    assert stream.channels[0].description == "Acceleration along x in g"
    assert two.annotations == (Annotation(start_s=0.0, end_s=2.0, labels=("walking",)),)
    assert two.attributes == {"description": "People train.", "source": "a gym"}
    assert checks(two)["units.acc"].status == "fixed"
    assert "converted to rad/s" in checks(two)["units.gyro"].fact
    assert stream.quality.flag == "good"


@pytest.mark.parametrize(
    ("text", "factor", "unit"),
    [
        ("acceleration in m/s^2", 1.0, "m/s^2"),
        ("acceleration (m/s²)", 1.0, "m/s^2"),
        ("total acceleration [g]", 9.80665, "m/s^2"),
        ("acceleration in units of g", 9.80665, "m/s^2"),
        ("in g, later m/s^2", 1.0, ""),
        ("swinging arm", 1.0, ""),
    ],
)
def test_units_are_read_from_texts_only_where_they_are_plain(tmp_path, text, factor, unit):
    channels = [{"name": "acc_x", "description": text, "sampling_rate_hz": 50}]
    recording = only(make(tmp_path / "d", {"a": table(acc_x=2.0)}, channels))
    assert recording.imus["imu"].samples_TC[0, 0] == pytest.approx(2.0 * factor)
    assert recording.imus["imu"].channels[0].unit == unit
    status = checks(recording)["units.acc"].status
    assert status == ("fixed" if factor > 1 else "ok" if unit else "unknown")


def test_options_and_manifest_keys_decide_units(tmp_path):
    channels = [
        {"name": "acc_x", "sampling_rate_hz": 50, "unit": "m/s^2", "description": "in g"},
        {"name": "gyro_x", "sampling_rate_hz": 50, "unit": "cubits"},
    ]
    folder = make(tmp_path / "d", {"a": table(acc_x=2.0, gyro_x=90.0)}, channels)
    plain = only(folder)
    np.testing.assert_allclose(plain.imus["imu"].samples_TC[0], [2.0, 90.0])
    assert checks(plain)["units.acc"].status == "ok"
    assert checks(plain)["units.gyro"].status == "unknown"
    assert "gyro_unit" in checks(plain)["units.gyro"].remedy
    chosen = only(folder, acc_unit="g", gyro_unit="deg/s", gravity=Gravity.REMOVED)
    np.testing.assert_allclose(chosen.imus["imu"].samples_TC[0], [19.6133, np.pi / 2], rtol=1e-6)
    assert chosen.imus["imu"].gravity is Gravity.REMOVED


def test_the_unit_may_stand_in_the_description_of_the_data_set(tmp_path):
    channels = [{"name": "acc_x", "description": "x", "sampling_rate_hz": 50}]
    folder = make(tmp_path / "d", {"a": table(acc_x=1.0)}, channels, description="All in g.")
    assert "data set's description" in checks(only(folder))["units.acc"].fact


def stamps(kind):
    t = np.arange(200) / 50.0
    match kind:
        case "backward":
            t[100:] -= 0.5
        case "duplicate":
            t[100] = t[99]
        case "gap":
            t[100:] += 3.0
        case "jitter":
            t[1:-1] += np.random.default_rng(0).uniform(-0.006, 0.006, 198)
        case "rate":
            t *= 1.2
        case "start":
            t += 17.25
        case "missing":
            t[3] = np.nan
    return t


@pytest.mark.parametrize(
    "kind", ["backward", "duplicate", "gap", "jitter", "rate", "start", "missing"]
)
def test_irregular_stamps_are_reported(tmp_path, kind):
    data = table(200)
    data["timestamp_sec"] = stamps(kind)
    recording = only(make(tmp_path / "d", {"a": data}))
    found = [c for c in checks(recording) if c.startswith("time.")]
    assert f"time.{kind}" in found
    assert len(recording.imus["imu"].samples_TC) == 200
    assert recording.imus["imu"].rate_hz == 50.0
    suspect = kind != "start"
    assert recording.imus["imu"].quality.flag == ("suspect" if suspect else "good")
    if kind == "start":
        assert recording.attributes["source_start_s"] == "17.25"
    if kind == "gap":
        assert "row 100" in checks(recording)["time.gap"].evidence
    if kind == "rate":
        fixed = only(tmp_path / "d", rate_hz=50 / 1.2)
        assert fixed.imus["imu"].rate_hz == pytest.approx(41.667, abs=1e-3)
        assert "time.rate" not in checks(fixed)


def test_regular_stamps_give_no_finding(tmp_path):
    tables = {"a": table(200), "b": table(1), "c": table(0)}
    for recording in read_tsfm(make(tmp_path / "d", tables)):
        assert [c for c in checks(recording) if c.startswith("time.")] == []


def test_columns_that_do_not_fit_the_manifest_are_reported(tmp_path):
    data = table(5, waist_acc_x=1.0, mag_x=3.0, note="text")
    recording = only(make(tmp_path / "d", {"a": data}))
    assert [c.name for c in recording.imus["imu"].channels] == ["waist_acc_x", "mag_x"]
    found = checks(recording)
    assert found["channels.absent"].evidence == "waist_gyro_z, heart_rate"
    assert found["channels.unlisted"].evidence == "mag_x"
    assert found["channels.left_out"].evidence == "note"


def test_rates_that_differ_are_reported(tmp_path):
    channels = [{**CHANNELS[2], "sampling_rate_hz": 9}, *CHANNELS[:2]]
    recording = only(make(tmp_path / "d", {"a": table()}, channels))
    assert recording.imus["imu"].rate_hz == 50.0
    assert checks(recording)["rate.mixed"].evidence == "9 Hz, 50 Hz"


def test_missing_values_and_unlisted_sessions_are_reported(tmp_path):
    data = table(10)
    data.loc[[2, 3], "waist_acc_x"] = None
    folder = make(tmp_path / "d", {"a": data, "b": data}, labels={"a": ["x", "y"]})
    recording = only(folder)
    assert checks(recording)["values.missing"].evidence == "2 of 30"
    assert np.isnan(recording.imus["imu"].samples_TC[2, 0])
    assert recording.imus["imu"].quality.valid_fraction == pytest.approx(0.8)
    assert checks(recording)["sessions.unlisted"].evidence == "1 folders"
    assert recording.annotations[0].labels == ("x", "y")


@pytest.mark.parametrize("name", ["../a", "..", "a/b", "", "a\\b"])
def test_session_names_never_lead_out_of_the_folder(tmp_path, name):
    folder = make(tmp_path / "d", {}, labels={name: ["walking"]})
    with pytest.raises(DataError, match="plain folder name"):
        only(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("no manifest", r"no file .*manifest\.json"),
        ("no channels", "lists no channels"),
        ("no name", r"channels\[1\] has no name"),
        ("no rate", r"channels\[1\]\.sampling_rate_hz is None"),
        ("label text", "no list of labels"),
        ("labels list", "holds no mapping"),
        ("no table", r"data\.parquet is missing"),
        ("torn table", "not a readable Parquet"),
        ("no stamps", "has no column timestamp_sec"),
    ],
)
def test_damaged_folders_have_clear_errors(tmp_path, damage, message):
    folder = make(tmp_path / "d", {"a": table()})
    path = folder / "sessions" / "a" / "data.parquet"
    match damage:
        case "no manifest":
            (folder / "manifest.json").unlink()
        case "no channels":
            make(folder, {}, [], labels={})
        case "no name":
            make(folder, {}, [CHANNELS[0], {"sampling_rate_hz": 50}], labels={})
        case "no rate":
            make(folder, {}, [CHANNELS[0], {"name": "acc_y"}], labels={})
        case "label text":
            make(folder, {}, labels={"a": "walking"})
        case "labels list":
            make(folder, {}, labels=["a"])
        case "no table":
            path.unlink()
        case "torn table":
            path.write_bytes(path.read_bytes()[:200])
        case "no stamps":
            table().drop(columns="timestamp_sec").to_parquet(path)
    with pytest.raises(FileFormatError, match=message):
        list(read_tsfm(folder))


def imu(num_rows=100, *, name="imu", rate_hz=50.0, placement="left wrist"):
    names = ("wrist_acc_x", "wrist_acc_y", "wrist_acc_z", "wrist_gyro_x")
    channels = tuple(
        Channel.from_name(n, placement=placement, description=f"“{n}” of a watch") for n in names
    )
    samples = np.random.default_rng(num_rows).normal(size=(num_rows, 4)).astype(np.float32)
    return ImuStream(
        name=name, samples_TC=samples, rate_hz=rate_hz, channels=channels, gravity=Gravity.INCLUDED
    )


def label(start_s, end_s, *labels, **kwargs):
    return Annotation(start_s=start_s, end_s=end_s, labels=labels, **kwargs)


def test_round_trip(tmp_path):
    recordings = [
        Recording(
            id=f"r{n}", subject=f"s{n}", dataset="gym", streams={"imu": imu(n)},
            annotations=(label(0.0, n / 50, "walking", "talking"),),
            attributes={"description": "People train."},
        )
        for n in (1, 77, 500)
    ]  # fmt: skip
    folder = tmp_path / "gym"
    assert write_tsfm(folder, iter(recordings), name="gym", description="People train.") == ()
    for wanted, got in zip(recordings, read_tsfm(folder), strict=True):
        a, b = wanted.imus["imu"], got.imus["imu"]
        np.testing.assert_array_equal(a.samples_TC, b.samples_TC)
        assert (a.channels, a.rate_hz, a.gravity) == (b.channels, b.rate_hz, b.gravity)
        assert replace(wanted, streams={}) == replace(got, streams={}, findings=())
        assert checks(got, status="warning") == {}
    written = pd.read_parquet(folder / "sessions" / "r77" / "data.parquet")
    assert next(iter(written)) == "timestamp_sec"
    np.testing.assert_allclose(written["timestamp_sec"], np.arange(77) / 50)
    again = tmp_path / "again"
    write_tsfm(again, read_tsfm(folder), name="gym", description="People train.")
    for name in ("manifest.json", "labels.json"):
        assert (again / name).read_text() == (folder / name).read_text()


def test_intervals_become_sessions_and_the_rest_is_reported(tmp_path):
    recording = Recording(
        id="day", streams={
            "imu": replace(imu(500), offset_s=1.0),
            "i3d": FeatureStream(name="i3d", values_ND=np.ones((1, 1), np.float32),
                                 extractor="i3d", window_s=1.0, stride_s=1.0),
        },
        annotations=(
            label(1.0, 3.0, "sit"), label(4.0, 6.0, "walk"), label(50.0, 60.0, "late"),
            label(2.0, None, "point"), label(1.0, 9.0, "other", track="mood"),
        ),
    )  # fmt: skip
    findings = write_tsfm(tmp_path / "d", [recording], name="d")
    assert {f.check: f.evidence for f in findings} == {
        "streams.left_out": "1",
        "annotations.left_out": "2",
        "labels.too_short": "1",
        "rows.unlabelled": "300",
    }
    sit, walk = read_tsfm(tmp_path / "d")
    assert (sit.id, walk.id) == ("day_0000", "day_0001")
    np.testing.assert_array_equal(
        walk.imus["imu"].samples_TC, recording.imus["imu"].samples_TC[150:250]
    )
    assert walk.annotations[0].labels == ("walk",)


def test_recordings_without_labels_are_said(tmp_path):
    (finding,) = write_tsfm(tmp_path / "d", [Recording(id="a", streams={"imu": imu()})], name="d")
    assert finding.check == "labels.missing"
    assert only(tmp_path / "d").annotations == ()


@pytest.mark.parametrize(
    ("recordings", "options", "message"),
    [
        ([Recording(id="a")], {}, "has 0 motion streams"),
        ([Recording(id="a", streams={"l": imu(name="l"), "r": imu(name="r")})], {}, "has 2 motion"),
        ([Recording(id="a", streams={"imu": imu()})], {"stream": "imo"}, 'Did you mean "imu"'),
        ([Recording(id="a/b", streams={"imu": imu()})], {}, "cannot name a folder"),
        ([Recording(id="a", streams={"imu": imu()})] * 2, {}, "Two sessions"),
        (
            [Recording(id=str(r), streams={"imu": imu(rate_hz=r)}) for r in (50.0, 20.0)], {},
            "sampling_rate_hz 20.0, others have 50.0",
        ),
        (
            [Recording(id=p, streams={"imu": imu(placement=p)}) for p in ("hip", "arm")], {},
            "placement 'arm'",
        ),
    ],
)  # fmt: skip
def test_what_the_layout_cannot_hold_is_refused(tmp_path, recordings, options, message):
    with pytest.raises(DataError, match=message):
        write_tsfm(tmp_path / "d", recordings, name="d", **options)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_replaced_on_request(tmp_path):
    recordings = [Recording(id="a", streams={"imu": imu()})]
    write_tsfm(tmp_path / "d", recordings, name="d")
    with pytest.raises(DataError, match="overwrite"):
        write_tsfm(tmp_path / "d", [], name="d")
    write_tsfm(tmp_path / "d", [], name="d2", overwrite=True, extra={"source": "x"})
    manifest = json.loads((tmp_path / "d" / "manifest.json").read_text())
    assert (manifest["dataset_name"], manifest["source"]) == ("d2", "x")
