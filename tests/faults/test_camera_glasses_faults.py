"""Damaged films of GoPro cameras and tables of Aria glasses through the command line."""

import re
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fixtures.gpmf_payloads import add_track, container, item, make_film, packet, stream, walk
from tests.support.command_line import otolith, refused

from otolith.core.errors import OtolithError
from otolith.recordings.inference.notes import Notes
from otolith.recordings.options import ReadOptions
from otolith.recordings.readers import gopro
from otolith.recordings.store import DataFolder

PACKETS = walk(4)[0]
ZERO = item("SCAL", "s", 2, 1, struct.pack(">h", 0))
SCALE = item("SCAL", "s", 2, 1, struct.pack(">h", 417))
NOT_A_NUMBER = packet(
    container("STRM", item("ACCL", "f", 12, 50, np.full((50, 3), np.nan, ">f4").tobytes()))
)
REVERSED = bytes(b ^ 0xFF if i < 8 else b for i, b in enumerate(PACKETS[1]))
BAD_PACKETS = {
    "reversed bits": REVERSED,
    "cut": PACKETS[1][:100],
    "zero scale": PACKETS[1].replace(SCALE, ZERO),
    "no numbers": NOT_A_NUMBER,
}


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return make_film(tmp_path_factory.mktemp("film") / "film.mp4")


def write(tmp_path, film, packets):
    path = shutil.copyfile(film, tmp_path / "walk.mp4")
    return add_track(path, packets, [float(i) for i in range(len(packets))])


def import_to(tmp_path, source, *options):
    return ("data", "import", source, "--name", "mine", "--out", tmp_path / "out", *options)


@pytest.mark.parametrize("case", BAD_PACKETS)
def test_one_bad_packet_is_left_out_and_said(tmp_path, film, case):
    path = write(tmp_path, film, [PACKETS[0], BAD_PACKETS[case], *PACKETS[2:]])
    assert otolith(*import_to(tmp_path, path)).code == 0
    recording = DataFolder.open(tmp_path / "out").recording("walk")
    assert {"telemetry.damaged", "time.gap"} <= {f.check for f in recording.findings}
    assert np.isnan(recording.imus["imu"].samples_TC[55:95]).all()


@pytest.mark.parametrize("case", BAD_PACKETS)
def test_bad_packets_alone_are_refused(tmp_path, film, case):
    bad = [BAD_PACKETS[case]] * 3
    if case == "zero scale":
        bad = [packet(stream("ACCL", np.ones((9, 3))).replace(SCALE, ZERO))] * 3
    lines = refused(*import_to(tmp_path, write(tmp_path, film, bad)))
    assert "walk.mp4 is damaged" in lines[0]
    assert len(lines) == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"hello", None], ids=["empty", "text", "truncated"])
def test_what_is_no_video_is_refused(tmp_path, film, content):
    path = tmp_path / "walk.mp4"
    path.write_bytes(film.read_bytes()[:1500] if content is None else content)
    for words in (import_to(tmp_path, path), ("label", path, "--out", tmp_path / "out")):
        assert re.search("walk.mp4 (is not a video|has a video track without)", refused(*words)[0])
        assert [p.name for p in tmp_path.iterdir()] == ["walk.mp4"]


def test_a_video_without_motion_names_the_recording(tmp_path, film):
    words = ("embed", film, "--model", "statistics", "--out", tmp_path / "e.parquet")
    lines = refused(*words)
    assert "film" in lines[0]
    assert "no motion stream, only camera" in lines[0]
    assert not list(tmp_path.iterdir())


@settings(max_examples=150, deadline=2000)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 2**16), st.integers(0, 255)),
        min_size=1, max_size=12,
    ),
    st.lists(st.integers(0, 2**12), max_size=2),
)  # fmt: skip
def test_random_damage_of_telemetry_is_read_or_refused(changes, cuts):
    packets = [bytearray(p) for p in PACKETS]
    for number, place, value in changes:
        packets[number][place % len(packets[number])] = value
    for number, length in enumerate(cuts):
        del packets[number][length:]
    notes = Notes(Path("walk.mp4"))
    timed = [(float(i), 1.0, bytes(p)) for i, p in enumerate(packets)]
    try:
        blocks = gopro.read_blocks(timed, notes)
        imu = gopro.motion(blocks, notes.path, ReadOptions(), notes) if blocks else None
    except OtolithError as error:
        assert error.fact.endswith(".")  # noqa: PT017  # hypothesis wants one test
        return
    assert imu is None or np.isfinite(imu.rate_hz)


RATES_HZ = {"left": 800, "right": 1000}


def table(side, seconds=0.5):
    rng = np.random.default_rng(0)
    count = int(seconds * RATES_HZ[side])
    values = rng.normal(size=(count, 6)) + np.array([0, 0, 9.81, 0, 0, 0])
    rows = np.c_[np.arange(count) / RATES_HZ[side], values]
    header = "t,acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z"
    return [header, *(",".join(f"{v:.6f}" for v in row) for row in rows)]


def cell(row, column, text):
    def change(rows):
        cells = rows[row].split(",")
        cells[column] = text
        return [*rows[:row], ",".join(cells), *rows[row + 1 :]]

    return change


ARIA = {
    "no rows": (lambda rows: [], "no whole CSV table"),
    "header alone": (lambda rows: rows[:1], "no rows"),
    "one row": (lambda rows: rows[:2], "one sample"),
    "missing column": (lambda rows: [r.rpartition(",")[0] for r in rows], "lacks gyro_z"),
    "no time": (lambda rows: [r.partition(",")[2] for r in rows], "lacks one time column"),
    "column twice": (lambda rows: [rows[0].replace("acc_y", "acc_x"), *rows[1:]], "lacks acc_y"),
    "not sorted": (lambda rows: [rows[0], *rows[200:], *rows[1:200]], "go back"),
    "text": (cell(100, 3, "abc"), "'abc'"),
    "ragged": (lambda rows: [*rows[:9], "1,2", *rows[9:]], "got 2"),
    "no time in a row": (cell(100, 0, "nan"), "has no time"),
    "endless time": (cell(100, 0, "inf"), "has no time"),
    "no acceleration": (
        lambda rows: [rows[0], *(r.split(",")[0] + ",nan" * 6 for r in rows[1:])],
        "whole acceleration",
    ),
}


def glasses(folder, change=lambda rows: rows):
    folder.mkdir()
    for side, own in (("left", change), ("right", lambda rows: rows)):
        text = "\n".join(own(table(side))) + "\n"
        (folder / f"imu_{side}.csv").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("case", ARIA)
def test_damaged_tables_of_glasses_are_refused(tmp_path, case, recwarn):
    change, what = ARIA[case]
    folder = glasses(tmp_path / "take", change)
    lines = refused(*import_to(tmp_path, folder, "--format", "aria-csv"))
    assert what in lines[0]
    assert "left" in lines[0]
    assert len(lines) == 2
    assert not (tmp_path / "out").exists()
    assert not recwarn.list


def test_repeated_rows_of_glasses_are_said_or_refused(tmp_path):
    folder = glasses(
        tmp_path / "take", lambda rows: [rows[0], *(r for r in rows[1:] for _ in "ab")]
    )
    words = import_to(tmp_path, folder, "--format", "aria-csv")
    fact = refused(*words, "--policy", "on_duplicate_time=refuse")[0]
    assert "400 rows of the left sensor repeat a time." in fact
    assert "kept" not in fact
    ran = otolith(*words)
    assert ran.code == 0
    found = DataFolder.open(tmp_path / "out").recording("take").findings
    (duplicate,) = (f for f in found if f.check == "time.duplicate")
    assert "first of each was kept" in duplicate.evidence


def test_a_missing_sensor_and_bytes_that_are_no_text(tmp_path):
    folder = glasses(tmp_path / "take")
    (folder / "imu_left.csv").write_bytes(b"\xff\xfe\xe9\n1,2\n")
    words = import_to(tmp_path, folder, "--format", "aria-csv")
    assert "imu_left.csv is no whole CSV table" in refused(*words)[0]
    (folder / "imu_left.csv").unlink()
    assert "no table of the left sensor" in refused(*words)[0]
    assert not (tmp_path / "out").exists()


def test_a_vrs_file_without_its_package(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "projectaria_tools.core", None)
    path = tmp_path / "take.vrs"
    path.write_bytes(b"no vrs")
    lines = refused(*import_to(tmp_path, path, "--format", "aria-vrs"))
    assert "projectaria-tools" in lines[0]
    assert "otolith[aria]" in lines[1]
    assert not (tmp_path / "out").exists()
