"""RecGym: visits stay apart, numbers stay as they are, nothing is claimed about units."""

import numpy as np
import pytest
from tests.fixtures.official_layouts_ds2 import write_recgym

from otolith.core.errors import FileFormatError
from otolith.datasets import recgym
from otolith.recordings import Gravity


def read(root, **settings):
    return list(recgym.recordings(recgym.Config(root=root, **settings)))


@pytest.fixture
def values():
    return np.random.default_rng(0).uniform(size=(100, 7))


def test_values_stay_and_have_no_unit(tmp_path, values):
    write_recgym(tmp_path, [("1", 1, "wrist", ["Squat"] * 100, values)])
    (recording,) = read(tmp_path)
    stream = recording.imus["wrist"]
    np.testing.assert_allclose(stream.samples_TC, values[:, :6], atol=1e-6)
    assert {c.unit for c in stream.channels} == {""}
    assert stream.gravity is Gravity.UNKNOWN
    assert stream.rate_hz == 20.0
    units = {f.check: f for f in recording.findings if f.check.startswith("units.")}
    assert {f.status for f in units.values()} == {"unknown"}
    assert set(units) == {"units.acc", "units.gyro"}
    assert "from 0.0" in units["units.acc"].evidence
    assert ("time.rate", "inferred") in {(f.check, f.status) for f in recording.findings}


def test_visits_and_positions_are_recordings_of_their_own(tmp_path, values):
    blocks = [
        (person, session, position, ["Squat"] * 100, values + i)
        for i, (person, session, position) in enumerate(
            [("2", 1, "wrist"), ("2", 2, "wrist"), ("1", 1, "leg"), ("1", 1, "pocket")]
        )
    ]
    write_recgym(tmp_path, blocks)
    found = read(tmp_path)
    assert [r.id for r in found] == [
        "2_session_1_wrist", "2_session_2_wrist", "1_session_1_leg", "1_session_1_pocket",
    ]  # fmt: skip
    for i, recording in enumerate(found):
        stream = next(iter(recording.imus.values()))
        np.testing.assert_allclose(stream.samples_TC, values[:, :6] + i, atol=1e-6)
    assert {r.attributes["source_recording"] for r in found[2:]} == {"1_session_1"}
    assert found[2].imus["leg"].channels[0].placement == "calf"
    assert [r.subject for r in found] == ["2", "2", "1", "1"], "as published, not a hash"
    assert [r.id for r in read(tmp_path, positions=("leg",))] == ["1_session_1_leg"]


def test_workouts_are_annotations_and_null_is_none(tmp_path, values):
    workouts = ["Null"] * 20 + ["ArmCurl"] * 30 + ["Null"] * 10 + ["ArmCurl"] * 20 + ["Riding"] * 20
    write_recgym(tmp_path, [("1", 1, "wrist", workouts, values)])
    (recording,) = read(tmp_path)
    assert [(a.start_s, a.end_s, a.labels[0]) for a in recording.annotations] == [
        (1.0, 2.5, "arm_curl"), (3.0, 4.0, "arm_curl"), (4.0, 5.0, "cycling"),
    ]  # fmt: skip


def test_all_workouts_get_their_labels_in_both_spellings(tmp_path, values):
    names = [*recgym.WORKOUTS, "StairClimber"]
    write_recgym(tmp_path, [("1", 1, "wrist", [n for n in names for _ in range(5)], values[:60])])
    (recording,) = read(tmp_path)
    assert [a.labels[0] for a in recording.annotations] == [
        "adductor_machine", "arm_curl", "bench_press", "leg_curl", "leg_press", "cycling",
        "rope_skipping", "running", "squat", "stairclimber", "walking", "stairclimber",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["Object", "Subject"])
def test_both_names_of_the_persons_column_are_known(tmp_path, values, name):
    path = write_recgym(tmp_path, [("7", 1, "leg", ["Squat"] * 100, values)], person_column=name)
    assert [r.subject for r in read(path)] == ["7"], "the file itself may be the root"


def test_interleaved_rows_are_joined_in_order_and_told(tmp_path, values):
    blocks = [
        ("1", 1, position, ["Squat"] * 10, values[10 * i : 10 * i + 10])
        for i, position in enumerate(["wrist", "leg"] * 3)
    ]
    write_recgym(tmp_path, blocks)
    wrist, _ = read(tmp_path)
    expected = np.concatenate([values[0:10], values[20:30], values[40:50]])[:, :6]
    np.testing.assert_allclose(wrist.imus["wrist"].samples_TC, expected, atol=1e-6)
    (told,) = [f for f in wrist.findings if f.check == "rows.scattered"]
    assert "3 places" in told.fact


def test_empty_cells_are_missing_values(tmp_path, values):
    values[5, 1] = np.nan
    write_recgym(tmp_path, [("1", 1, "wrist", ["Squat"] * 100, values)])
    (recording,) = read(tmp_path)
    assert np.isnan(recording.imus["wrist"].samples_TC).sum() == 1
    assert "values.missing" in {f.check for f in recording.findings}


def test_unknown_words_and_damage_are_refused(tmp_path, values):
    path = write_recgym(tmp_path, [("1", 1, "wrist", ["Squat"] * 100, values)])
    text = path.read_text()
    cases = {
        text.replace("Squat", "Yoga", 1): 'unknown workout "Yoga"',
        text.replace("wrist", "ear", 1): 'unknown position "ear"',
        text.replace("Object", "Who", 1): "does not name the column Object",
        text.replace("A_x", "Ax", 1): "A_x",
        text + "1,wrist,1,0.1\n": "damaged",
        "": "holds no rows",
    }
    for broken, says in cases.items():
        path.write_text(broken)
        with pytest.raises(FileFormatError, match=says):
            read(tmp_path)
