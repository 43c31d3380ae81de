"""UMAFall: sensors by position, late stamps, damaged numbers, and real recordings."""

import numpy as np
import pytest
from tests.fixtures import official_layouts as layouts
from tests.fixtures.tidy import G, close, signals, tidy

from otolith.core.errors import FileFormatError
from otolith.datasets import umafall

WALK = "UMAFall_Subject_01_ADL_Walking_1_2017-04-14_23-25-52"
NUMBERS = {word.lower(): number for number, word in layouts.UMAFALL_POSITIONS.items()}


def read(root, **settings):
    return list(umafall.recordings(umafall.Config(root=root, **settings)))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def checks(recording):
    return [f.check for f in recording.findings]


def test_streams_by_position_and_facts_of_the_head(tmp_path, rng):
    layouts.write_umafall(tmp_path, WALK, layouts.umafall_streams(rng, numbers=(1, 2, 3, 4)))
    (recording,) = read(tmp_path)
    assert set(recording.streams) == {"chest", "waist", "wrist", "ankle"}
    assert recording.streams["ankle"].channels[0].placement == "ankle"
    assert (recording.id, recording.subject) == ("s01_ADL_Walking_1_2017-04-14_23-25-52", "1")
    facts = recording.attributes
    assert (facts["age"], facts["height"], facts["gender"]) == ("24", "179", "M")


def test_late_samples_are_kept_and_put_on_the_clock(tmp_path, rng):
    streams = layouts.umafall_streams(rng, numbers=(3,))
    layouts.write_umafall(tmp_path, WALK, streams)
    (recording,) = read(tmp_path)
    stream = recording.streams["wrist"]
    want = np.concatenate([streams[3, 0][1] * G, np.deg2rad(streams[3, 1][1])], axis=1)
    close(stream.samples_TC, want)
    assert stream.rate_hz == 20.0
    assert stream.quality.flag == "good"
    assert np.abs(stream.times_s - streams[3, 0][0] / 1000.0).max() < 0.2


def test_lost_samples_are_interpolated_and_marked(tmp_path, rng):
    acc, gyro = layouts.still_and_moving(rng, 300)
    keep = np.r_[0:100, 180:300]
    stamps = 50.0 * np.arange(300)[keep]
    layouts.write_umafall(
        tmp_path, WALK, {(3, 0): (stamps, acc[keep]), (3, 1): (stamps, gyro[keep])}
    )
    (recording,) = read(tmp_path)
    stream = recording.streams["wrist"]
    assert stream.quality.flag == "suspect"
    assert len(stream.samples_TC) == 300
    close(stream.samples_TC[200:, :3], acc[200:] * G)
    assert [f.status for f in recording.findings if f.check == "time.jitter"] == ["warning"]


def test_the_phone_is_read_on_request(tmp_path, rng):
    phone, _ = layouts.still_and_moving(rng, 2000)
    streams = layouts.umafall_streams(rng) | {(0, 0): (5.0 * np.arange(2000), phone)}
    layouts.write_umafall(tmp_path, WALK, streams)
    assert "pocket" not in read(tmp_path)[0].streams
    pocket = read(tmp_path, phone=True)[0].streams["pocket"]
    assert (pocket.rate_hz, pocket.samples_TC.shape) == (200.0, (2000, 3))


@pytest.mark.parametrize("keep", [slice(None, -5), slice(5, None), slice(0, None, 2)])
def test_unequal_sensor_rows_are_paired_by_arrival_and_told(tmp_path, rng, keep):
    acc, gyro = layouts.still_and_moving(rng, 300)
    stamps = 120 + 50.0 * np.arange(300)
    streams = {(3, 0): (stamps, acc), (3, 1): (stamps[keep], gyro[keep])}
    layouts.write_umafall(tmp_path, WALK, streams)
    (recording,) = read(tmp_path)
    assert "rows.unequal" in checks(recording)
    stream = recording.streams["wrist"]
    if keep.step is None:
        want = np.concatenate([acc[keep] * G, np.deg2rad(gyro[keep])], axis=1)
        close(stream.samples_TC, want)
    else:
        close(stream.samples_TC[::2, :3], acc[keep] * G, atol=1e-3)
        close(stream.samples_TC[::2, 3:], np.deg2rad(gyro[keep]), atol=1e-3)


def test_a_silent_sensor_is_told(tmp_path, rng):
    streams = layouts.umafall_streams(rng, numbers=(3,))
    layouts.write_umafall(tmp_path, WALK, streams, {1: "CHEST", 3: "WRIST"})
    (recording,) = read(tmp_path)
    assert set(recording.streams) == {"wrist"}
    assert "stream.missing" in checks(recording)


def test_damaged_decimal_separators_are_refused_or_left_out(tmp_path, rng):
    for name in (WALK, WALK.replace("01_ADL", "13_ADL")):
        path = layouts.write_umafall(tmp_path, name, layouts.umafall_streams(rng))
    lines = path.read_text().splitlines()
    cells = lines[30].split(";")
    cells[2] = "1.003.321.051.597.590"
    lines[30] = ";".join(cells)
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(FileFormatError, match="Subject_13.*decimal separators") as caught:
        read(tmp_path)
    assert "leave_out" in caught.value.remedy
    assert [r.subject for r in read(tmp_path, damaged="leave_out")] == ["1"]


def test_unknown_movement_is_refused(tmp_path, rng):
    layouts.write_umafall(
        tmp_path, WALK.replace("Walking", "Dancing"), layouts.umafall_streams(rng)
    )
    with pytest.raises(FileFormatError, match="Dancing"):
        read(tmp_path)


def test_a_file_without_positions_is_refused(tmp_path, rng):
    layouts.write_umafall(tmp_path, WALK, layouts.umafall_streams(rng), {})
    with pytest.raises(FileFormatError, match="which sensor is where"):
        read(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["s01_ADL_Aplausing_1_2017-04-14_23-38-23", "s18_ADL_Sitting_GettingUpOnAChair_4_2016-11-27_14-16-00",
     "s02_Fall_forwardFall_5_2016-06-13_20-54-39"],
)  # fmt: skip
def test_real_recordings_come_back(tmp_path, name):
    table = tidy("umafall/umafall_20hz.parquet", ("recording_id", "==", name))
    streams = {}
    for placement, rows in table.groupby("placement"):
        stamps, numbers = 1000.0 * rows["t"].to_numpy(np.float64), signals(rows)
        streams |= {(NUMBERS[placement], 0): (stamps, numbers[:, :3])}
        streams |= {(NUMBERS[placement], 1): (stamps, numbers[:, 3:])}
    layouts.write_umafall(tmp_path, f"UMAFall_Subject_{name[1:]}", streams)
    (recording,) = read(tmp_path)
    assert set(recording.streams) == set(table["placement"])
    kept = 0
    for placement, rows in table.groupby("placement"):
        stream, numbers = recording.streams[placement], signals(rows)
        want = np.concatenate([numbers[:, :3] * G, np.deg2rad(numbers[:, 3:])], axis=1)
        if stream.quality.flag == "good":
            close(stream.samples_TC, want)
            kept += 1
        assert (
            abs(
                stream.times_s
                - np.interp(np.arange(len(stream.times_s)), np.arange(len(rows)), rows["t"])
            ).max()
            < 1.0
        )
    assert kept >= 1
    assert (recording.id, recording.subject) == (name, str(table["subject"].iloc[0]))
    assert recording.annotations[0].labels == (table["label"].iloc[0],)
    assert recording.attributes["kind"] == table["kind"].iloc[0]
