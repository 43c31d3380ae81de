"""Tables of every allowed shape become recordings."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.faults.imu_tables import CHANNELS, G, Table, synthetic

from otolith.core.config import parse
from otolith.core.errors import ConfigError, DataError, FileFormatError
from otolith.recordings.reading import ReadOptions, read_recordings, summarize_files
from otolith.recordings.recording import Gravity

BASE = synthetic(seconds=60)


def write(path, table, **kwargs):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(table.text(**kwargs))
    return path


def checks(recording):
    return {f.check: f for f in recording.findings}


def test_single_recording(tmp_path):
    [recording] = read_recordings(write(tmp_path / "walk.csv", BASE))
    stream = recording.streams["imu"]
    assert recording.id == "walk"
    assert stream.rate_hz == 50
    assert stream.gravity is Gravity.INCLUDED
    assert [c.name for c in stream.channels] == CHANNELS
    assert {c.unit for c in stream.channels} == {"m/s^2", "rad/s"}
    np.testing.assert_allclose(stream.samples_TC, BASE.signals(), atol=1e-5)
    assert recording.attributes == {
        "file": "walk.csv", "source_unit_acc": "m/s2", "source_unit_gyro": "rad/s",
    }  # fmt: skip


def test_labels_become_intervals(tmp_path):
    [recording] = read_recordings(write(tmp_path / "walk.csv", BASE))
    spans = [(a.start_s, a.end_s, a.labels[0]) for a in recording.annotations]
    expected = [
        (10.0 * i, 10.0 * i + 10.0, ["standing", "walking", "reaching"][i % 3]) for i in range(6)
    ]
    assert [s[2] for s in spans] == [e[2] for e in expected]
    np.testing.assert_allclose([s[:2] for s in spans], [e[:2] for e in expected], atol=1e-6)
    assert {a.track for a in recording.annotations} == {"activity"}


def tidy():
    """Two recordings of two people with two placements each, interleaved by row."""
    half = BASE.rows(slice(0, 1500))
    parts = []
    for recording, subject in (("r1", "anna"), ("r2", "bert")):
        for placement, scale in (("left wrist", 1.0), ("waist", -1.0)):
            columns = {"recording_id": np.full(1500, recording), "subject": np.full(1500, subject)}
            columns["placement"] = np.full(1500, placement)
            columns |= half.columns
            columns |= {c: half.columns[c] * (scale if c[-1] in "xy" else 1.0) for c in CHANNELS}
            parts.append(columns)
    table = Table({k: np.concatenate([p[k] for p in parts]) for k in parts[0]})
    order = np.argsort(np.tile(np.arange(1500), 4), kind="stable")
    return table.rows(order), half


def test_tidy_table_with_placements(tmp_path):
    table, half = tidy()
    first, second = read_recordings(write(tmp_path / "t.csv", table))
    assert [r.id for r in (first, second)] == ["r1", "r2"]
    assert [r.subject for r in (first, second)] == ["anna", "bert"]
    assert list(first.streams) == ["left_wrist", "waist"]
    assert {c.placement for c in first.streams["left_wrist"].channels} == {"left wrist"}
    np.testing.assert_allclose(second.streams["left_wrist"].samples_TC, half.signals(), atol=1e-5)
    np.testing.assert_allclose(
        second.streams["waist"].samples_TC[:, 0], -half.columns["acc_x"], atol=1e-5
    )
    # Both streams tell the same labels, so there is one set of intervals.
    assert len(first.annotations) == 3
    assert all(a.stream == "" for a in first.annotations)


def test_placement_that_never_varies_within_a_recording_is_a_fact_about_it(tmp_path):
    table, _ = tidy()
    keep = (table.columns["recording_id"] == "r1") == (table.columns["placement"] == "waist")
    first, second = read_recordings(write(tmp_path / "t.csv", table.rows(keep)))
    assert list(first.streams) == list(second.streams) == ["imu"]
    assert first.streams["imu"].channels[0].placement == "waist"
    assert second.attributes["placement"] == "left wrist"


def test_prefixed_devices_become_streams(tmp_path):
    columns = {"t": BASE.columns["t"]}
    columns |= {f"phone_{c}": BASE.columns[c] for c in CHANNELS}
    columns |= {f"watch_{c}": BASE.columns[c] / (G if c.startswith("acc") else 1) for c in CHANNELS}
    [recording] = read_recordings(write(tmp_path / "t.csv", Table(columns)))
    assert list(recording.streams) == ["phone", "watch"]
    for stream in recording.imus.values():
        np.testing.assert_allclose(stream.samples_TC, BASE.signals(), atol=1e-4)
        assert stream.channels[0].placement == stream.name
    assert checks(recording)["columns.devices"].status == "inferred"


def test_devices_of_different_rates_in_one_table(tmp_path):
    columns = {"t": BASE.columns["t"]}
    columns |= {f"phone_{c}": BASE.columns[c] for c in CHANNELS}
    columns |= {f"watch_{c}": BASE.columns[c].copy() for c in CHANNELS}
    for channel in CHANNELS:
        columns[f"watch_{channel}"][1::2] = np.nan
    [recording] = read_recordings(write(tmp_path / "t.csv", Table(columns)))
    assert recording.imus["phone"].rate_hz == 50
    assert recording.imus["watch"].rate_hz == 25
    np.testing.assert_allclose(recording.imus["watch"].samples_TC, BASE.signals()[::2], atol=1e-5)
    assert "rows.other_device" in checks(recording)


def test_side_and_source_recording_are_kept(tmp_path):
    n = len(BASE)
    ids = np.repeat(["w1", "w2", "w3"], n // 3)
    columns = {"recording_id": ids, "source_recording": np.full(n, "s"), "side": np.full(n, "left")}
    recordings = read_recordings(write(tmp_path / "t.csv", Table({**columns, **BASE.columns})))
    assert [r.attributes["source_recording"] for r in recordings] == ["s"] * 3
    assert recordings[0].attributes["side"] == "left"
    assert recordings[0].streams["imu"].channels[0].placement == "left"
    assert recordings[1].attributes["start_time_s"] == "20.000000"
    assert recordings[1].annotations[0].start_s == pytest.approx(0.0)


def test_simultaneous_sides_become_streams(tmp_path):
    n = len(BASE)
    columns = {k: np.repeat(v, 2) for k, v in BASE.columns.items()}
    columns = {"side": np.tile(["left", "right"], n), **columns}
    [recording] = read_recordings(write(tmp_path / "t.csv", Table(columns)))
    assert sorted(recording.streams) == ["left", "right"]


def test_streams_that_start_later_get_an_offset(tmp_path):
    table, _ = tidy()
    late = (table.columns["placement"] == "waist") & (table.columns["t"] < 2.0)
    first, _ = read_recordings(write(tmp_path / "t.csv", table.rows(~late)))
    assert first.streams["left_wrist"].offset_s == 0
    assert first.streams["waist"].offset_s == pytest.approx(2.0)


def test_different_labels_of_streams_stay_apart(tmp_path):
    table, _ = tidy()
    labels = table.columns["label"].astype("<U20")
    labels[table.columns["placement"] == "waist"] = "resting"
    first, _ = read_recordings(write(tmp_path / "t.csv", Table({**table.columns, "label": labels})))
    assert {(a.stream, a.labels[0]) for a in first.annotations} == {
        ("", "standing"), ("", "walking"), ("", "reaching"), ("waist", "resting"),
    }  # fmt: skip


def test_folder_of_files(tmp_path):
    for subject in ("s1", "s2"):
        write(tmp_path / subject / "walk.csv", BASE)
    (tmp_path / "notes.md").write_text("hello")
    recordings = read_recordings(tmp_path)
    assert [r.id for r in recordings] == ["s1_walk", "s2_walk"]
    assert checks(recordings[0])["folder.other_files"].evidence == "notes.md"
    assert recordings[1].attributes["file"] == "s2/walk.csv"
    with pytest.raises(DataError, match=r"notes\.md"):
        read_recordings(tmp_path, ReadOptions(on_other_file="refuse"))


def test_folder_without_tables(tmp_path):
    with pytest.raises(DataError, match="holds no table"):
        read_recordings(tmp_path)
    with pytest.raises(FileFormatError, match="no file or folder"):
        read_recordings(tmp_path / "absent.csv")


def test_recordings_of_one_id_are_refused(tmp_path):
    write(tmp_path / "a.csv", BASE)
    write(tmp_path / "sub" / "a.tsv", BASE, separator="\t")
    assert len({r.id for r in read_recordings(tmp_path)}) == 2
    write(tmp_path / "a.tsv", BASE, separator="\t")
    with pytest.raises(DataError, match="occur twice"):
        read_recordings(tmp_path)


def test_parquet_with_time_stamps(tmp_path):
    stamps = (BASE.columns["t"] * 1e9).astype("datetime64[ns]") + np.timedelta64(19_000, "D")
    columns = {"t": pa.array(stamps), **{c: pa.array(BASE.columns[c]) for c in CHANNELS}}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    [recording] = read_recordings(tmp_path / "t.parquet")
    np.testing.assert_allclose(recording.streams["imu"].samples_TC, BASE.signals(), atol=1e-5)
    assert "1970" in checks(recording)["time.epoch"].fact


def test_stated_facts_are_used(tmp_path):
    options = ReadOptions(placement="left ankle", subject="7", dataset="mine", gravity="included")
    [recording] = read_recordings(write(tmp_path / "t.csv", BASE), options)
    assert recording.subject == "7"
    assert recording.dataset == "mine"
    assert recording.streams["imu"].channels[3].placement == "left ankle"
    assert checks(recording)["gravity"].status == "ok"


def test_column_mapping(tmp_path):
    text = BASE.text().replace("t,acc_x", "Zeit,Kanal 1", 1)
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match="acc_x"):
        read_recordings(tmp_path / "t.csv")
    options = ReadOptions(columns={"t": "Zeit", "acc_x": "Kanal 1"})
    [recording] = read_recordings(tmp_path / "t.csv", options)
    np.testing.assert_allclose(recording.streams["imu"].samples_TC, BASE.signals(), atol=1e-5)


def test_linear_acceleration_beside_total(tmp_path):
    columns = dict(BASE.columns)
    for axis in "xyz":
        columns[f"body_acc_{axis}"] = columns[f"acc_{axis}"] - columns[f"acc_{axis}"].mean()
    [recording] = read_recordings(write(tmp_path / "t.csv", Table(columns)))
    assert recording.imus["imu"].gravity is Gravity.INCLUDED
    assert recording.imus["linear"].gravity is Gravity.REMOVED


def test_split_keeps_labels_and_names_the_source(tmp_path):
    table = BASE.copy()
    table.columns["t"][1500:] += 4000.0
    first, second = read_recordings(write(tmp_path / "t.csv", table), ReadOptions(on_gap="split"))
    assert [first.id, second.id] == ["t_part1", "t_part2"]
    assert second.attributes["source_recording"] == "t"
    assert second.annotations[0].start_s == pytest.approx(0.0)
    assert sum(len(r.streams["imu"].samples_TC) for r in (first, second)) == len(BASE)


def test_gap_is_empty_and_lowers_the_quality(tmp_path):
    table = BASE.rows(np.r_[np.arange(500), np.arange(1500, 3000)])
    [recording] = read_recordings(write(tmp_path / "t.csv", table))
    stream = recording.streams["imu"]
    assert len(stream.samples_TC) == 3000
    assert np.isnan(stream.samples_TC[501:1499]).all()
    assert stream.quality.flag == "suspect"
    assert stream.quality.valid_fraction == pytest.approx(2 / 3, abs=0.01)
    with pytest.raises(DataError, match=r"time\.gap"):
        read_recordings(tmp_path / "t.csv", ReadOptions(on_gap="refuse"))


REFUSALS = {
    "on_duplicate_row": (lambda t: t.rows(np.r_[0:100, 99:3000]), "rows.duplicate"),
    "on_jitter": (lambda t: Table({**t.columns, "t": t.columns["t"] + 0.008 * np.sin(np.arange(3000))}), "time.jitter"),
    "on_unlabelled": (lambda t: Table({**t.columns, "label": np.full(3000, "")}), "labels.unlabelled"),
    "on_constant": (lambda t: Table({**t.columns, "gyro_x": np.zeros(3000)}), "values.constant"),
    "on_spike": (lambda t: Table({**t.columns, "acc_x": t.columns["acc_x"] + 500.0 * (np.arange(3000) == 700)}), "values.spike"),
}  # fmt: skip


@pytest.mark.parametrize("policy", REFUSALS)
def test_refuse_is_always_possible(policy, tmp_path):
    damage, check = REFUSALS[policy]
    path = write(tmp_path / "t.csv", damage(BASE.copy()))
    assert check in checks(read_recordings(path)[0])
    with pytest.raises(DataError, match=check.replace(".", r"\.")):
        read_recordings(path, ReadOptions(**{policy: "refuse"}))


def test_every_policy_can_refuse():
    for name, value in ReadOptions.__dataclass_fields__.items():
        if name.startswith("on_"):
            assert getattr(ReadOptions(**{name: "refuse"}), name) == "refuse"
            assert value.default is not None


def test_wrong_options_are_all_reported():
    with pytest.raises(ConfigError) as caught:
        parse(ReadOptions, {"unit_acc": "furlong", "on_gap": "ignore", "rate": 3})
    assert "furlong" in str(caught.value)
    assert "on_gap" in str(caught.value)
    assert "rate" in str(caught.value)


def test_estimated_rate(tmp_path):
    table = BASE.copy()
    del table.columns["t"]
    path = write(tmp_path / "t.csv", table)
    with pytest.raises(DataError, match="about (4|5)\\d Hz"):
        read_recordings(path)
    [recording] = read_recordings(path, ReadOptions(on_unknown_rate="estimate"))
    assert recording.streams["imu"].rate_hz == pytest.approx(50, rel=0.2)
    assert checks(recording)["rate.estimated"].status == "warning"


def test_summary_for_the_screen(tmp_path):
    table = BASE.copy()
    for channel in CHANNELS[:3]:
        table.columns[channel] /= G
    write(tmp_path / "a.csv", table)
    write(tmp_path / "b.csv", BASE.rows(slice(0, 1500)))
    first, second = summarize_files(read_recordings(tmp_path))
    assert (first.unit_acc, second.unit_acc) == ("g", "m/s2")
    assert first.unit_gyro == "rad/s"
    assert first.rates_hz == (50.0,)
    assert second.duration_s == pytest.approx(30.0)
    assert first.gravity == "included"
    assert first.warnings == 0
    assert first.labels == ("reaching", "standing", "walking")


def test_orientation_is_said_to_be_unknown(tmp_path):
    [recording] = read_recordings(write(tmp_path / "t.csv", BASE))
    assert checks(recording)["axes.orientation"].status == "unknown"
