"""OPPORTUNITY: columns by name, units by name, lost packets, tracks, challenge division."""

import numpy as np
import pytest
from tests.fixtures import official_layouts_ds3 as ds3
from tests.fixtures.tidy import close

from otolith.core.errors import FileFormatError
from otolith.datasets import make_dataset, opportunity
from otolith.windows.building import build
from otolith.windows.table import WindowSpec


def read(root, **settings):
    return list(opportunity.recordings(opportunity.Config(root=root, **settings)))


@pytest.fixture
def rows():
    return ds3.opportunity_rows(np.random.default_rng(0), np.repeat([1, 0, 5], 30), np.zeros(90))


def checks(recording):
    return [f.check for f in recording.findings]


def test_milli_g_and_thousandths_become_si_units(tmp_path, rows):
    ds3.write_opportunity(tmp_path, "S2-ADL3", rows)
    (recording,) = read(tmp_path)
    assert (recording.id, recording.subject) == ("S2-ADL3", "2")
    assert list(recording.streams) == ["back", "rua", "rla", "lua", "lla"]
    for i, stream in enumerate(recording.imus.values()):
        column = 37 + 13 * i
        want = np.c_[rows[:, column : column + 3] * 0.0098, rows[:, column + 3 : column + 6] / 1000]
        close(stream.samples_TC, want)
        assert stream.rate_hz == 30.0
    assert recording.streams["lla"].channels[0].placement == "left lower arm"
    status = {f.check: f.status for f in recording.findings}
    assert status["units.gyro"] == "inferred"


def test_columns_are_found_by_name_wherever_they_stand(tmp_path, rows):
    ds3.write_opportunity(tmp_path, "S1-ADL1", rows)
    (before,) = read(tmp_path)
    order = np.random.default_rng(1).permutation(250)
    ds3.write_opportunity(tmp_path, "S1-ADL1", rows[:, order])
    lines = ds3.opportunity_columns()
    ds3.write_opportunity_names(tmp_path, [lines[i] for i in order])
    (after,) = read(tmp_path)
    close(after.streams["rla"].samples_TC, before.streams["rla"].samples_TC)
    assert after.annotations == before.annotations


def test_accelerometers_are_read_on_request_with_their_own_factor(tmp_path, rows):
    ds3.write_opportunity(tmp_path, "S1-ADL1", rows)
    (recording,) = read(tmp_path, accelerometers=True)
    assert len(recording.streams) == 17
    assert {"acc_rkn_upper", "acc_rkn_lower", "acc_hip"} <= set(recording.streams)
    close(recording.streams["acc_rkn_upper"].samples_TC, rows[:, 1:4] * 9.80665e-3)
    assert "0.0098 or 0.00980665" in next(
        f.fact for f in recording.findings if f.check == "units.acc"
    )


def test_lost_packets_stay_missing(tmp_path, rows):
    rows[10:20, 50:56] = np.nan
    rows[:, 63:69] = np.nan
    ds3.write_opportunity(tmp_path, "S1-ADL1", rows)
    (recording,) = read(tmp_path)
    stream = recording.streams["rua"]
    assert np.isnan(stream.samples_TC[10:20]).all()
    assert np.isfinite(np.delete(stream.samples_TC, range(10, 20), axis=0)).all()
    assert stream.quality.valid_fraction == pytest.approx(80 / 90)
    assert stream.quality.flag == "suspect"
    assert "rla" not in recording.streams
    assert {"values.missing", "stream.missing"} <= set(checks(recording))
    assert recording.streams["back"].quality.valid_fraction == 1.0


def test_missing_rows_become_missing_values_on_the_clock(tmp_path, rows):
    ds3.write_opportunity(tmp_path, "S1-ADL1", np.delete(rows, range(40, 45), axis=0))
    (recording,) = read(tmp_path)
    samples = recording.streams["back"].samples_TC
    assert len(samples) == 90
    assert np.isnan(samples[40:45]).all()
    close(samples[45:, :3], rows[45:, 37:40] * 0.0098)
    assert "time.gap" in checks(recording)
    assert recording.annotations[-1].start_s == 2.0


def test_locomotion_and_gestures_are_two_tracks(tmp_path):
    locomotion = np.repeat([0, 1, 2, 4, 5], 30)
    gestures = np.repeat([0, 406516, 404516, 0, 405506], 30)
    rows = ds3.opportunity_rows(np.random.default_rng(0), locomotion, gestures)
    ds3.write_opportunity(tmp_path, "S1-Drill", rows)
    (recording,) = read(tmp_path)
    found = [(a.track, a.start_s, *a.labels) for a in recording.annotations]
    assert found == [
        ("activity", 1.0, "standing"), ("activity", 2.0, "walking"), ("activity", 3.0, "sitting"),
        ("activity", 4.0, "lying"), ("gesture", 1.0, "open_door_1"),
        ("gesture", 2.0, "close_door_1"), ("gesture", 4.0, "toggle_switch"),
    ]  # fmt: skip


@pytest.mark.parametrize(("column", "code"), [(243, 3), (249, 406500)])
def test_unknown_codes_are_refused(tmp_path, rows, column, code):
    rows[5, column] = code
    ds3.write_opportunity(tmp_path, "S1-ADL1", rows)
    with pytest.raises(FileFormatError, match=f"label {code}"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("BACK accX; value = round(original_value / 9.8 * 1000), unit = milli g",
         "BACK accX; value = round(original_value), unit = m/s^2", 'BACK accX" as .*m/s'),
        ("LLA gyroZ; value = round(original_value * 1000)", "LLA gyroZ; value = original_value",
         "LLA gyroZ"),
        ("Locomotion", "Moving", 'no column "Locomotion"'),
        ("InertialMeasurementUnit RUA gyroY", "Other RUA gyroY", "no column .*RUA gyroY"),
    ],
)  # fmt: skip
def test_columns_of_another_kind_are_refused(tmp_path, rows, old, new, says):
    ds3.write_opportunity(tmp_path, "S1-ADL1", rows)
    ds3.write_opportunity_names(tmp_path, [x.replace(old, new) for x in ds3.opportunity_columns()])
    with pytest.raises(FileFormatError, match=says):
        read(tmp_path)


@pytest.mark.parametrize("change", [lambda t: t[::-1], lambda t: t * 1.2, lambda t: t * 0])
def test_another_clock_is_refused(tmp_path, rows, change):
    rows[:, 0] = change(rows[:, 0])
    ds3.write_opportunity(tmp_path, "S1-ADL1", rows)
    with pytest.raises(FileFormatError, match="Time in .*S1-ADL1.dat"):
        read(tmp_path)


def test_the_challenge_division():
    splits = opportunity.splits()
    challenge = splits["challenge"]
    assert next(iter(splits)) == "challenge"
    assert (challenge.by, challenge.origin) == ("recording", "publisher")
    assert challenge.test == ("S2-ADL4", "S2-ADL5", "S3-ADL4", "S3-ADL5")
    assert len(challenge.train) == 14
    assert not any(name.startswith("S4") for name in (*challenge.train, *challenge.test))


def test_parts_and_gesture_windows_of_a_stored_release(tmp_path):
    rng = np.random.default_rng(0)
    for session in ("S1-ADL1", "S2-ADL4", "S4-ADL1"):
        rows = ds3.opportunity_rows(rng, np.full(120, 2), np.repeat([0, 407521], 60))
        rows[30:33, 37:43] = np.nan
        ds3.write_opportunity(tmp_path, session, rows)
    home = tmp_path / "home"
    ids = {
        split: make_dataset("opportunity", root=tmp_path, home=home, split=split).recording_ids
        for split in ("train", "test")
    }
    assert ids == {"train": ("S1-ADL1",), "test": ("S2-ADL4",)}
    part = make_dataset("opportunity", home=home)
    assert part.labels == ("standing", "walking", "sitting", "lying")
    spec = WindowSpec(window_s=2.0, label_track="gesture", streams=("back",), keep_unlabelled=True)
    table = build([part], spec, tuple(opportunity.GESTURES.values())).table
    drink = list(opportunity.GESTURES.values()).index("drink_from_cup")
    assert table.label.tolist() == [-1, drink] * 3
