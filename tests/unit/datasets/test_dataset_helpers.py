"""Shared parts of the readers: number files, clocks, streams, pickled tables."""

import gzip
import pickle

import numpy as np
import pytest
from tests.fixtures import old_pandas

from otolith.core.errors import DataError, FileFormatError
from otolith.datasets import Source
from otolith.datasets._clocks import covered, grid, in_order, mean_rate_hz, overlap, sample_at
from otolith.datasets._files import find_in_package, find_root, need, read_numbers, where_to_get
from otolith.datasets._frames import columns, read_gzipped
from otolith.datasets._streams import bouts, motion_stream, unit_findings
from otolith.recordings import Gravity

HERE = Source(licence="x", cite="y", homepage="https://Example.org/A", package="apackage")


@pytest.fixture
def numbers(tmp_path):
    def write(text):
        path = tmp_path / "numbers.txt"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("text", "options"),
    [("1 2\n3 4\n", {}), ("  1.0e+00   2\r\n3\t4", {}), ("1,2;\n3, 4;\n\n", {"separator": ",", "end": ";"}),
     (b"\xef\xbb\xbf1 2\n3 4\n", {})],
)  # fmt: skip
def test_numbers_are_read(numbers, text, options):
    assert read_numbers(numbers(text), 2, **options).tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("text", "options", "says"),
    [
        ("", {}, "holds no rows"),
        ("1 2\n3\n", {}, "damaged"),
        ("1 2\n3 x\n", {}, "damaged"),
        ("1 2 3\n", {}, "3 columns instead of 2"),
        ("1 2;\n3 4\n", {"end": ";"}, 'Row 2 of .* does not end with ";"'),
        ("1 2\n3 4;\n", {"end": ";"}, "Row 1"),
    ],
)
def test_damaged_numbers_are_refused(numbers, text, options, says):
    with pytest.raises(FileFormatError, match=says) as caught:
        read_numbers(numbers(text), 2, **options)
    assert "numbers.txt" in str(caught.value)


def test_missing_things_say_where_to_get_them(tmp_path):
    assert where_to_get(HERE) == (
        "Install the package apackage or get the release from https://Example.org/A "
        "and give its folder as root."
    )
    with pytest.raises(DataError, match="nothing of mine is missing"):
        need(tmp_path / "nothing", "mine", HERE)
    with pytest.raises(DataError, match="carries mine is missing"):
        find_in_package(None, "no_such_package_at_all", "data", "mine", HERE)


def test_roots_may_be_the_folder_of_the_archive_or_its_parent(tmp_path):
    (tmp_path / "Inner").mkdir()
    assert find_root(tmp_path, ("Inner",), "mine", HERE) == tmp_path / "Inner"
    assert find_root(tmp_path / "Inner", ("Inner",), "mine", HERE) == tmp_path / "Inner"
    assert find_in_package(None, "json", "decoder.py", "mine", HERE).name == "decoder.py"


def test_order_of_time():
    times = np.array([3.0, 1.0, 2.0, 2.0])
    values = np.arange(4.0)[:, None]
    ordered, samples, found = in_order(times, values, "it")
    assert ordered.tolist() == [1, 2, 3]
    assert samples[:, 0].tolist() == [1, 2, 0]
    assert [f.check for f in found] == ["time.backward", "time.duplicate"]
    assert in_order(ordered, samples, "it")[2] == ()


def test_spans_and_grids():
    times = np.array([0, 1, 2, 5, 6, 9.0])
    assert covered(times, 1.5) == [(0.0, 2.0), (5.0, 6.0)]
    assert covered(times, 10.0) == [(0.0, 9.0)]
    assert covered(times[:1], 1.0) == []
    assert overlap([(0, 2), (5, 6)], [(1, 5.5)]) == [(1, 2), (5, 5.5)]
    assert mean_rate_hz(times, (0.0, 2.0)) == 1.0
    assert grid((1.0, 2.0), 4.0).tolist() == [1, 1.25, 1.5, 1.75, 2]
    assert len(grid((0.0, 0.3), 10.0)) == 4
    got = sample_at(
        np.array([0.0, 2.0]), np.array([[0.0, 1.0], [4.0, 1.0]]), np.array([-1, 0.5, 9])
    )
    assert got.tolist() == [[0, 1], [1, 1], [4, 1]]


def test_streams_are_converted_and_say_so():
    one = np.ones((3, 3))
    stream = motion_stream(
        "s", {"acc": one, "gyro": one, "mag": one}, {"acc": "g", "gyro": "deg/s", "mag": "uT"},
        rate_hz=10.0, gravity=Gravity.INCLUDED, placement="ear",
    )  # fmt: skip
    np.testing.assert_allclose(stream.samples_TC[0], [9.80665] * 3 + [np.pi / 180] * 3 + [1] * 3)
    assert [c.name for c in stream.channels][::3] == ["acc_x", "gyro_x", "mag_x"]
    assert {c.placement for c in stream.channels} == {"ear"}
    facts = [f.fact for f in unit_findings("g", "rad/s")]
    assert "multiplied by 9.80665" in facts[0]
    assert "kept as it is" in facts[1]
    assert len(unit_findings("m/s^2", None)) == 1


def test_bouts_of_codes():
    found = bouts(np.array([-1, 2, 2, 1, 1, 1, 0, 2]), {1: "a", 2: "b"}, 2.0)
    assert [(a.start_s, a.end_s, *a.labels) for a in found] == [
        (0.5, 1.5, "b"), (1.5, 3.0, "a"), (3.5, 4.0, "b"),
    ]  # fmt: skip


def test_pickled_tables_of_old_pandas(tmp_path):
    path = tmp_path / "t.pkl.gz"
    old_pandas.write(
        path, old_pandas.table({"b": np.arange(3), "a": np.ones(3), "c": np.arange(3) + 5})
    )
    got = columns(read_gzipped(path), path)
    assert list(got) == ["b", "a", "c"]
    assert got["c"].tolist() == [5, 6, 7]
    assert got["a"].dtype == np.float64


@pytest.mark.parametrize("value", [{"a": 1}, 3, None, [1]])
def test_other_pickles_are_no_tables(tmp_path, value):
    path = tmp_path / "t.pkl.gz"
    path.write_bytes(gzip.compress(pickle.dumps(value)))
    with pytest.raises(FileFormatError, match="t.pkl.gz holds no table"):
        columns(read_gzipped(path), path)


@pytest.mark.parametrize(
    "data",
    [b"", b"abc", gzip.compress(b"abc"), gzip.compress(pickle.dumps([1] * 99))[:-9]],
    ids=["empty", "text", "no-pickle", "cut"],  # compressed bytes hold the time and name no test
)
def test_damaged_pickles_are_refused(tmp_path, data):
    path = tmp_path / "t.pkl.gz"
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match="t.pkl.gz is damaged"):
        read_gzipped(path)
