"""PAMAP2: 17 columns per place of which four are no signal, lost samples, labels."""

import numpy as np
import pytest
from tests.fixtures import official_layouts_ds1 as layouts
from tests.fixtures.tidy import SIX, close

from otolith.core.errors import DataError, FileFormatError
from otolith.datasets import pamap2

FIRST = {"hand": 3, "chest": 20, "ankle": 37}  # columns 4, 21 and 38 of the publishers' list


def read(root, **settings):
    return list(pamap2.recordings(pamap2.Config(root=root, **settings)))


def session(codes):
    return layouts.pamap2_session(np.random.default_rng(0), codes)


def checks(recording):
    return [f.check for f in recording.findings]


def test_columns_go_to_their_places_and_sensors(tmp_path):
    table = np.tile(np.arange(1.0, 55.0), (300, 1))
    table[:, 0] = 5.0 + np.arange(300) / 100.0
    table[:, 1] = 4
    layouts.write_pamap2(tmp_path, "Protocol", 101, table)
    (recording,) = read(tmp_path, acc6=True, magnetometer=True)
    want = {
        "hand": [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
        "chest": [22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33],
        "ankle": [39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50],
    }
    names = [f"{s}_{a}" for s in ("acc", "acc6", "gyro", "mag") for a in "xyz"]
    assert set(recording.streams) == set(want)
    for place, columns in want.items():
        stream = recording.streams[place]
        assert [c.name for c in stream.channels] == names
        close(stream.samples_TC, np.tile(columns, (len(stream.samples_TC), 1)))
        assert [c.unit for c in stream.channels][::3] == ["m/s^2", "m/s^2", "rad/s", "uT"]


def test_default_channels_are_those_of_the_good_sensors(tmp_path):
    table = session([4] * 200)
    layouts.write_pamap2(tmp_path, "Protocol", 108, table)
    (recording,) = read(tmp_path)
    assert (recording.id, recording.subject) == ("protocol_108", "108")
    for place, first in FIRST.items():
        stream = recording.streams[place]
        assert [c.name for c in stream.channels] == SIX
        close(stream.samples_TC, table[:, [first + i for i in (1, 2, 3, 7, 8, 9)]])
        assert stream.quality.valid_fraction == 1.0
    assert recording.streams["hand"].channels[0].placement == "wrist"
    assert "values.missing" not in checks(recording)


def test_zero_is_unlabelled_and_labels_are_not_filled(tmp_path):
    codes = [0] * 100 + [24] * 100 + [0] * 50 + [16] * 50
    layouts.write_pamap2(tmp_path, "Protocol", 101, session(codes))
    (recording,) = read(tmp_path)
    got = [(round(a.start_s, 3), round(a.end_s, 3), *a.labels) for a in recording.annotations]
    assert got == [(1.0, 2.0, "rope_jumping"), (2.5, 3.0, "vacuum_cleaning")]
    assert recording.duration_s == 3.0


def test_short_holes_are_bridged_and_told(tmp_path):
    table = session([1] * 400)
    table[100:130, 20:37] = np.nan
    table[:, 21] = np.arange(400)
    table[100:130, 21] = np.nan
    layouts.write_pamap2(tmp_path, "Protocol", 101, table)
    (recording,) = read(tmp_path)
    close(recording.streams["chest"].samples_TC[:, 0], np.arange(400), atol=1e-3)
    close(recording.streams["hand"].samples_TC[:, :3], table[:, 4:7])
    assert recording.streams["chest"].quality.valid_fraction == pytest.approx(0.925)
    assert recording.streams["hand"].quality.valid_fraction == 1.0
    (told,) = [f for f in recording.findings if f.check == "values.missing"]
    assert told.fact.startswith("30 of 400 samples at the chest")


def test_long_holes_split_and_are_not_interpolated(tmp_path):
    codes = [4] * 300 + [5] * 300
    table = session(codes)
    table[250:350, 37:54] = np.nan
    layouts.write_pamap2(tmp_path, "Protocol", 101, table)
    first, second = read(tmp_path)
    assert [first.id, second.id] == ["protocol_101_1", "protocol_101_2"]
    assert {first.attributes["source_recording"], second.attributes["source_recording"]} == {
        "protocol_101"
    }
    assert [a.labels for a in first.annotations] == [("walking",)]
    assert [a.labels for a in second.annotations] == [("running",)]
    close(second.streams["ankle"].samples_TC[:, :3], table[350:, 38:41])
    close(second.streams["chest"].samples_TC[:, :3], table[350:, 21:24])
    assert "time.gap" in checks(first)
    assert len(read(tmp_path, max_gap_s=2.0)) == 1


def test_pieces_shorter_than_asked_are_left_out_and_told(tmp_path):
    table = session([4] * 500)
    table[50:150, 3:20] = np.nan
    layouts.write_pamap2(tmp_path, "Protocol", 101, table)
    (recording,) = read(tmp_path)
    assert recording.duration_s == pytest.approx(3.5, abs=0.02)
    assert "time.gap" in checks(recording)
    assert len(read(tmp_path, min_piece_s=0.1)) == 2


def test_heart_rate_is_no_reason_for_missing_rows(tmp_path):
    table = session([4] * 300)
    table[:, 2] = np.nan
    layouts.write_pamap2(tmp_path, "Protocol", 101, table)
    (recording,) = read(tmp_path)
    assert len(recording.streams["hand"].samples_TC) == 300


def test_a_silent_sensor_is_refused(tmp_path):
    table = session([4] * 300)
    table[:, 3:20] = np.nan
    layouts.write_pamap2(tmp_path, "Protocol", 101, table)
    with pytest.raises(FileFormatError, match=r"subject101\.dat holds no 1 s in which all three"):
        read(tmp_path)


def test_optional_activities_on_request(tmp_path):
    layouts.write_pamap2(tmp_path, "Protocol", 101, session([4] * 200))
    with pytest.raises(DataError, match=r"subject101\.dat of pamap2 is missing"):
        read(tmp_path, parts=("Protocol", "Optional"))
    layouts.write_pamap2(tmp_path, "Optional", 101, session([18] * 200))
    found = read(tmp_path, parts=("Protocol", "Optional"))
    assert [r.id for r in found] == ["protocol_101", "optional_101"]
    assert found[1].annotations[0].labels == ("folding_laundry",)
    assert [r.id for r in read(tmp_path)] == ["protocol_101"]


@pytest.mark.parametrize("code", [8, 25])
def test_unknown_activities_are_refused(tmp_path, code):
    layouts.write_pamap2(tmp_path, "Protocol", 101, session([code] * 200))
    with pytest.raises(FileFormatError, match="unknown activity"):
        read(tmp_path)


def test_groups_of_the_further_activities():
    groups = pamap2.CARD.label_groups
    assert groups["nordic_walking"] == "walking"
    assert groups["folding_laundry"] == "folding_clothes"
    assert groups["playing_soccer"] == "sports"
