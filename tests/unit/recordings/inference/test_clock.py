"""Stamps: units, dates, counters, order."""

from pathlib import Path

import numpy as np
import pytest

from otolith.core.errors import DataError
from otolith.recordings.inference import clock, rates
from otolith.recordings.inference.columns import ColumnPlan
from otolith.recordings.inference.notes import Notes
from otolith.recordings.inference.tracks import Session, Track
from otolith.recordings.options import ReadOptions
from otolith.recordings.readers.raw_table import RawTable, TextColumn


def make_track(times=None, counters=None, values=None, starts=(0,)):
    n = len(times if times is not None else counters)
    samples = np.arange(n, dtype=np.float32)[:, None] if values is None else values
    starts = np.array(starts)
    return Track(
        "imu", "", "", (), samples, starts, np.array([*starts[1:], n]),
        [f"r{i}" for i in range(len(starts))],
        times_N=None if times is None else np.array(times, float),
        counters_N=None if counters is None else np.array(counters, float),
    )  # fmt: skip


def table(texts=None, **kwargs):
    column = (
        {}
        if texts is None
        else {"t": TextColumn(np.arange(len(texts), dtype=np.int32), tuple(texts))}
    )
    return RawTable(Path("a.csv"), 0, ColumnPlan(roles={"t": "t"}), {}, column, **kwargs)


def clean(track, is_only=True, **options):
    notes = Notes(Path("a.csv"))
    sessions = {r: Session(subject="s") for r in track.recordings}
    clock.clean_stamps(track, sessions, ReadOptions(**options), notes, is_only=is_only)
    found = {f.check for r in [*track.recordings, "r0"] for f in notes.of(r)}
    return found, sessions


@pytest.mark.parametrize(
    ("step", "unit"),
    [(0.02, "s"), (20, "ms"), (20_000, "us"), (2e7, "ns"), (0.2, "s"), (100, "ms"), (1250, "us")],
)
def test_units(step, unit):
    track, notes = make_track(np.arange(100) * step), Notes(Path("a.csv"))
    clock.set_seconds(track, table(), ReadOptions(), notes)
    scale = {"s": 1, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}[unit]
    np.testing.assert_allclose(track.seconds, np.arange(100) * step * scale)
    assert f"are in {unit}." in notes.of("")[0].fact


def test_stated_unit_wins_with_a_warning():
    track, notes = make_track(np.arange(100) * 20.0), Notes(Path("a.csv"))
    clock.set_seconds(track, table(), ReadOptions(time_unit="s"), notes)
    assert track.seconds[1] == 20.0
    assert notes.of("")[0].status == "warning"


def test_steps_of_one_are_a_counter_unless_stated():
    track, notes = make_track(np.arange(100)), Notes(Path("a.csv"))
    clock.set_seconds(track, table(), ReadOptions(), notes)
    assert track.times_N is None
    assert track.counters_N[-1] == 99
    track = make_track(np.arange(100))
    clock.set_seconds(track, table(), ReadOptions(time_unit="ms"), notes)
    assert track.seconds[-1] == pytest.approx(0.099)


@pytest.mark.parametrize(
    ("texts", "seconds"),
    [
        (["1970-01-01T00:00:01.5", "1970-01-02 00:00"], [1.5, 86_400]),
        (["1970-01-01T02:00:00+02:00", "1970-01-01T00:00:01Z"], [0, 1]),
        (["1970-01-01 00:00:00,250", "1970-01-01 00:00:00,270"], [0.25, 0.27]),
        (["10:00:00.5", "10:00:00.52"], [36_000.5, 36_000.52]),
        (["1:02,5", "1:03"], [62.5, 63.0]),
    ],
)
def test_texts(texts, seconds):
    raw = table(texts)
    clock.read_text_times(raw, Notes(Path("a.csv")))
    np.testing.assert_allclose(raw.numbers["t"], seconds)


@pytest.mark.parametrize(
    "texts", [["noon", "later"], ["2024-13-45T00:00:00"] * 2, ["31.05.2024 12:00"] * 2]
)
def test_texts_of_unknown_form(texts):
    with pytest.raises(DataError, match=r"time\.format"):
        clock.read_text_times(table(texts), Notes(Path("a.csv")))


def test_repeated_rows_leave():
    values = np.array([0, 1, 1, 2], np.float32)[:, None]
    track = make_track([0, 0.02, 0.02, 0.04], values=values)
    assert "rows.duplicate" in clean(track)[0]
    assert track.samples_NC[:, 0].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("policy", "times"), [("spread", [0, 0.02, 0.03, 0.04]), ("keep_first", [0, 0.02, 0.04])]
)
def test_equal_stamps(policy, times):
    track = make_track([0, 0.02, 0.02, 0.04])
    assert "time.duplicate" in clean(track, on_duplicate_time=policy)[0]
    np.testing.assert_allclose(track.seconds, times)


def test_backward_stamps():
    times = [0, 0.02, 0.04, 0.0, 0.02]
    with pytest.raises(DataError, match="goes back 1 time"):
        clean(make_track(times))
    track = make_track(times)
    _, sessions = clean(track, on_backward_time="split")
    assert track.recordings == ["r0_part1", "r0_part2"]
    assert track.starts_G.tolist() == [0, 3]
    assert sessions["r0_part2"].attributes == {"source_recording": "r0"}
    with pytest.raises(DataError, match=r"time\.backward"):
        clean(make_track(times), is_only=False, on_backward_time="split")
    track = make_track([0, 0.04, 0.02, 0.06])
    clean(track, on_backward_time="sort")
    assert track.samples_NC[:, 0].tolist() == [0, 2, 1, 3]


def test_a_part_may_not_take_the_name_of_another_recording():
    track = make_track([0, 0.02, 0.0, 0.02, 0, 1], starts=(0, 4))
    track.recordings = ["r0", "r0_part1"]
    with pytest.raises(DataError, match="already is"):
        clean(track, on_backward_time="split")


def test_missing_stamps_leave():
    track = make_track([0, np.nan, 0.04])
    assert "time.missing_stamp" in clean(track)[0]
    assert track.samples_NC[:, 0].tolist() == [0, 2]
    with pytest.raises(DataError, match=r"time\.missing_stamp"):
        clean(make_track([0, np.nan, 0.04]), on_bad_time="refuse")


def test_only_damaged_recordings_are_touched():
    track = make_track([0, 0.02, 0.04, 0, 0.02, 0.02], starts=(0, 3))
    clean(track, on_duplicate_time="keep_first")
    assert track.stops_G.tolist() == [3, 5]
    assert track.recordings == ["r0", "r1"]


def test_counters_go_on_after_an_overflow():
    track = make_track(counters=np.arange(600) % 256)
    assert "time.counter_wrap" in clean(track)[0]
    np.testing.assert_array_equal(track.counters_N, np.arange(600))


@pytest.mark.parametrize(
    ("rate", "nominal"), [(19.86, 20), (49.65, 50), (101.3, 100), (22.4, 22.4), (1 / 0.0156, 64)]
)
def test_nominal_rates(rate, nominal):
    assert rates.nearest_nominal(rate) == pytest.approx(nominal)


def decide(track, stated_hz=None, **options):
    notes = Notes(Path("a.csv"))
    rates.decide_rates(track, stated_hz, ReadOptions(**options), notes)
    return {f.check: f.status for f in notes.of("")}


def test_rates_of_recordings_are_joined_where_they_agree():
    times = [np.arange(200) / r for r in (49.8, 50.3, 25.0)]
    track = make_track(np.concatenate(times), starts=(0, 200, 400))
    decide(track)
    assert track.rates_G.tolist() == [50, 50, 25]


def test_lost_rows_do_not_change_the_rate():
    keep = np.random.default_rng(0).random(2000) > 0.3
    track = make_track(np.arange(2000)[keep] / 50)
    decide(track)
    assert track.rates_G.tolist() == [50]


def test_bursts_do_not_change_the_rate():
    times = np.sort(np.arange(2000) / 20 + np.random.default_rng(0).uniform(0, 0.08, 2000))
    track = make_track(times)
    decide(track)
    assert track.rates_G.tolist() == [20]


def test_rate_of_the_user():
    track = make_track(np.arange(100) / 50)
    assert decide(track, rate_hz=100.0)["rate.contradiction"] == "warning"
    np.testing.assert_allclose(track.seconds, np.arange(100) / 100)
    track = make_track(np.arange(100) / 50)
    assert decide(track, rate_hz=50.0) == {"rate": "ok"}
    track = make_track(counters=10 + 4 * np.arange(100))
    assert decide(track, stated_hz=25.0)["time.counter_step"] == "fixed"
    np.testing.assert_allclose(track.seconds, np.arange(100) / 25)


@pytest.mark.parametrize("start", [1.7e9, 1e15, -5.0])
def test_any_start_of_time(start):
    track, notes = make_track(start + np.arange(100) * 0.25), Notes(Path("a.csv"))
    clock.set_seconds(track, table(), ReadOptions(time_unit="s"), notes)
    assert ("time.epoch" in {f.check for f in notes.of("")}) is (start == 1.7e9)


def test_infinite_stamps_are_missing():
    track = make_track([0.0, 0.02, 0.04, np.inf])
    clock.set_seconds(track, table(), ReadOptions(), Notes(Path("a.csv")))
    assert "time.missing_stamp" in clean(track)[0]
    assert len(track.samples_NC) == 3
