"""KU-HAR: two clocks in one file, padding, unit of time, labels of folders."""

import numpy as np
import pytest
from tests.fixtures.official_layouts_ds2 import write_ku_har

from otolith.core.errors import FileFormatError
from otolith.datasets import ku_har
from otolith.recordings import Gravity


def read(root, **settings):
    return list(ku_har.recordings(ku_har.Config(root=root, **settings)))


def wave(times):
    return np.sin(times[:, None] + np.arange(3)) + 0.1


@pytest.fixture
def times():
    return np.arange(500) / 100.0


def test_regular_samples_stay_as_they_are(tmp_path, times):
    write_ku_har(tmp_path, "14.Run", "1003_O_1", times, wave(times), times, -wave(times))
    (recording,) = read(tmp_path)
    stream = recording.streams["phone"]
    assert stream.rate_hz == 100.0
    assert stream.gravity is Gravity.REMOVED
    np.testing.assert_allclose(stream.samples_TC[:, :3], wave(times), atol=1e-6)
    np.testing.assert_allclose(stream.samples_TC[:, 3:], -wave(times), atol=1e-6)
    assert {c.placement for c in stream.channels} == {"waist"}
    assert (recording.id, recording.subject) == ("Run_1003_O_1", "1003")
    assert recording.annotations[0].labels == ("running",)


def test_each_sensor_is_read_by_its_own_stamps(tmp_path, times):
    late = times[:490] + 0.03
    write_ku_har(tmp_path, "14.Run", "1003_O_1", times, wave(times), late, wave(late))
    (recording,) = read(tmp_path)
    stream = recording.streams["phone"]
    instants = 0.03 + np.arange(len(stream.samples_TC)) / stream.rate_hz
    np.testing.assert_allclose(stream.samples_TC[:, :3], wave(instants), atol=1e-4)
    np.testing.assert_allclose(stream.samples_TC[:, 3:], wave(instants), atol=1e-4)


def test_padding_is_no_data(tmp_path, times):
    write_ku_har(tmp_path, "14.Run", "1003_O_1", times, wave(times), times[:450], wave(times[:450]))
    (recording,) = read(tmp_path)
    assert recording.duration_s == pytest.approx(4.5, abs=0.02)
    assert (
        np.abs(recording.streams["phone"].samples_TC[-5:, 3:] - wave(times[445:450])).max() < 1e-5
    )
    (padding,) = [f.fact for f in recording.findings if f.check == "rows.padding"]
    assert padding.startswith("50 rows of the gyroscope")


@pytest.mark.parametrize(("factor", "unit"), [(1.0, "s"), (1000.0, "ms")])
def test_the_unit_of_time_is_seen_in_the_steps(tmp_path, times, factor, unit):
    stamps = times * factor
    write_ku_har(tmp_path, "14.Run", "1003_O_1", stamps, wave(times), stamps, wave(times))
    (recording,) = read(tmp_path)
    assert recording.streams["phone"].rate_hz == pytest.approx(100.0)
    (finding,) = [f for f in recording.findings if f.check == "time.unit"]
    assert finding.status == "inferred"
    assert finding.fact.endswith(f"in {unit}.")


def test_a_time_that_fits_no_unit_is_refused(tmp_path, times):
    write_ku_har(tmp_path, "14.Run", "1_O_1", 1e6 * times, wave(times), times, wave(times))
    with pytest.raises(FileFormatError, match="neither s nor ms"):
        read(tmp_path)


def test_the_measured_rate_is_stated(tmp_path):
    times = np.arange(500) / 97.0
    write_ku_har(tmp_path, "0.Stand", "1003_A_1", times, wave(times), times, wave(times))
    (recording,) = read(tmp_path)
    assert recording.streams["phone"].rate_hz == pytest.approx(97.0, abs=1e-3)


def test_a_hole_is_marked_and_told(tmp_path, times):
    keep = (times < 1.0) | (times > 3.0)
    write_ku_har(tmp_path, "14.Run", "1003_O_1", times[keep], wave(times[keep]), times, wave(times))
    (recording,) = read(tmp_path)
    stream = recording.streams["phone"]
    missing = np.isnan(stream.samples_TC).all(axis=1)
    assert missing.sum() == pytest.approx(200, abs=3)
    assert not missing[:100].any()
    assert stream.quality.valid_fraction == pytest.approx(0.6, abs=0.01)
    assert "time.gap" in {f.check for f in recording.findings}
    (whole,) = read(tmp_path, max_gap_s=5.0)
    assert not np.isnan(whole.streams["phone"].samples_TC).any()


def test_repeated_activities_of_a_person_do_not_replace_each_other(tmp_path, times):
    for trial in ("1", "2", "3_1"):
        write_ku_har(
            tmp_path, "4.Stand-sit", f"1001_E_{trial}", times, wave(times), times, wave(times)
        )
    found = read(tmp_path)
    assert [r.attributes["trial"] for r in found] == ["1", "2", "3_1"]
    assert len({r.id for r in found}) == 3


def test_folders_give_the_labels_of_tsfm(tmp_path, times):
    names = [
        "Stand", "Sit", "Talk-sit", "Talk-stand", "Stand-sit", "Lay", "Lay-stand", "Pick", "Jump",
        "Push-up", "Sit-up", "Walk", "Walk-backwards", "Walk-circle", "Run", "Stair-up",
        "Stair-down", "Table-tennis",
    ]  # fmt: skip
    for i, name in enumerate(names):
        write_ku_har(
            tmp_path, f"{i}.{name}", f"1001_{chr(65 + i)}_1", times, wave(times), times, wave(times)
        )
    found = read(tmp_path)
    assert [r.attributes["activity"] for r in found] == names, "in the order of the numbers"
    assert [r.annotations[0].labels[0] for r in found] == [
        "standing", "sitting", "talking_sitting", "talking_standing", "standing_up_from_sitting",
        "lying", "standing_up_from_laying", "picking_up", "jumping", "push_up", "sit_up", "walking",
        "walking_backwards", "walking", "running", "walking_upstairs", "walking_downstairs",
        "playing_sports",
    ]  # fmt: skip
    assert len(ku_har.CARD.labels) == 17


def test_strange_names_and_cells_are_refused(tmp_path, times):
    path = write_ku_har(tmp_path, "14.Run", "1003_O_1", times, wave(times), times, wave(times))
    lines = path.read_text().splitlines()
    for text in ("\n".join([*lines, "0.1,x,0,0,0,0,0,0"]), "\n".join([*lines, "0.1,0,0"]), ""):
        path.write_text(text)
        with pytest.raises(FileFormatError, match=r"1003_O_1\.csv"):
            read(tmp_path)
    path.rename(path.with_name("notes.csv"))
    with pytest.raises(FileFormatError, match=r"notes\.csv is not named"):
        read(tmp_path)


def test_people_are_divided_once():
    split = ku_har.splits()["subjects"]
    assert len(split.train) == 68
    assert len(split.test) == 21
    assert "1101" in split.test
    assert not {"1012", "1059"} & {*split.train, *split.test}
