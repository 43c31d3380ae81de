"""HARTH: both sensors, label codes by name, columns more, holes."""

import numpy as np
import pytest
from tests.fixtures import official_layouts as layouts
from tests.fixtures import official_layouts_ds3 as ds3
from tests.fixtures.tidy import G, close

from otolith.core.errors import FileFormatError
from otolith.datasets import harth


def read(root, **settings):
    return list(harth.recordings(harth.Config(root=root, **settings)))


@pytest.fixture
def signals():
    rng = np.random.default_rng(0)
    return [layouts.still_and_moving(rng, 400)[0] for _ in range(2)]


CLOCK = np.arange(400) / 50.0


def test_both_sensors_are_streams_in_si_units(tmp_path, signals):
    ds3.write_harth(tmp_path, 8, CLOCK, *signals, np.full(400, 7))
    (recording,) = read(tmp_path)
    assert (recording.id, recording.subject) == ("S008", "8")
    assert list(recording.streams) == ["back", "thigh"]
    for stream, want in zip(recording.imus.values(), signals, strict=True):
        close(stream.samples_TC, want * G)
        assert stream.rate_hz == 50.0
    assert recording.streams["back"].channels[0].placement == "lower back"


def test_every_code_keeps_its_own_name(tmp_path, signals):
    codes = [1, 2, 3, 4, 5, 6, 7, 8, 13, 14, 130, 140]
    rows = np.repeat(codes, 30)
    ds3.write_harth(tmp_path, 6, CLOCK[:360], *(s[:360] for s in signals), rows)
    (recording,) = read(tmp_path)
    assert [a.labels[0] for a in recording.annotations] == [
        "walking", "running", "shuffling", "stairs_up", "stairs_down", "standing", "sitting",
        "lying", "cycling_sit", "cycling_stand", "cycling_sit_inactive", "cycling_stand_inactive",
    ]  # fmt: skip
    assert [round(a.start_s * 50) for a in recording.annotations] == [30 * i for i in range(12)]


def test_labels_do_not_depend_on_which_others_occur(tmp_path, signals):
    """The lowest label that occurs must not become the first class."""
    ds3.write_harth(tmp_path, 6, CLOCK, *signals, np.repeat([6, 8], 200))
    (recording,) = read(tmp_path)
    assert [a.labels[0] for a in recording.annotations] == ["standing", "lying"]


def test_cycling_is_one_group():
    groups = harth.CARD.label_groups
    assert {groups[x] for x in groups if x.startswith("cycling")} == {"cycling"}
    assert groups["shuffling"] == "walking"
    assert len(groups) == 12


@pytest.mark.parametrize("index", ["index", ""])
def test_a_column_that_counts_rows_is_left_out_and_told(tmp_path, signals, index):
    ds3.write_harth(tmp_path, 15, CLOCK, *signals, np.full(400, 1), index=index)
    (recording,) = read(tmp_path)
    close(recording.streams["thigh"].samples_TC, signals[1] * G)
    facts = {f.check: f.fact for f in recording.findings}
    assert f'"{index}"' in facts["columns.extra"]


def test_holes_split_the_recording(tmp_path, signals):
    times = CLOCK + 30.0 * (CLOCK >= 4.0)
    ds3.write_harth(tmp_path, 6, times, *signals, np.repeat([7, 6], 200))
    found = read(tmp_path)
    assert [r.id for r in found] == ["S006_1", "S006_2"]
    assert [r.annotations[0].labels[0] for r in found] == ["sitting", "standing"]
    assert {r.attributes["source_recording"] for r in found} == {"S006"}
    assert "time.gap" in {f.check for f in found[1].findings}
    assert found[1].attributes["start_s"] == "34.000"


def test_irregular_stamps_are_flagged(tmp_path, signals):
    times = CLOCK + 0.5 * (CLOCK >= 4.0)
    ds3.write_harth(tmp_path, 6, times, *signals, np.full(400, 7))
    (recording,) = read(tmp_path)
    assert {s.quality.flag for s in recording.streams.values()} == {"suspect"}
    assert len(recording.streams["back"].samples_TC) == 425
    assert read(tmp_path, max_clock_error_s=0.6)[0].streams["back"].quality.flag == "good"


@pytest.mark.parametrize("code", [0, 9, 12])
def test_unknown_codes_are_refused(tmp_path, signals, code):
    ds3.write_harth(tmp_path, 6, CLOCK, *signals, np.full(400, code))
    with pytest.raises(FileFormatError, match=f"S006.csv holds the unknown label {code}"):
        read(tmp_path)


def test_division_holds_all_people_of_the_release():
    split = harth.splits()["subjects"]
    assert set(split.train) | set(split.test) == {str(n) for n in range(6, 30)} - {"7", "11"}
