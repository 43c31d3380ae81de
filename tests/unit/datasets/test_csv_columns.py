"""Named columns of CSV files."""

import numpy as np
import pytest

from otolith.core.errors import FileFormatError
from otolith.datasets._csv_columns import header, read_columns


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "table.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_columns_are_found_by_name_in_any_order(file):
    path = file(",b,when,a,who\n0,1.5,2020-01-01 00:00:00.020,,Al \n1,2,2020-01-01 00:00:01,3,Bo\n")
    got = read_columns(path, {"a": "number", "b": "number", "when": "time", "who": "text"})
    assert got["b"].tolist() == [1.5, 2.0]
    assert np.isnan(got["a"]).tolist() == [True, False]
    assert got["who"].tolist() == ["Al", "Bo"]
    assert (got["when"][1] - got["when"][0]) / np.timedelta64(1, "ms") == 980
    assert header(path) == ["", "b", "when", "a", "who"]


def test_names_may_be_given_instead_of_a_header(file):
    path = file("x,,y\nignored,ignored\n1,2,3\n4,5,6\n")
    got = read_columns(path, {"q": "number"}, names=["p", "", "q"], skip_rows=2)
    assert got["q"].tolist() == [3, 6]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no rows"),
        ("a,b\n", "holds no rows|damaged"),
        ("b\n1\n", 'has no column "a"'),
        ("a,a\n1,2\n", 'more than one column "a"'),
        ("a,b\n1,2\n3\n", "damaged.*Expected 2 columns"),
        ("a,b\nx,2\n", "damaged"),
    ],
)
def test_damaged_files_are_refused(file, text, says):
    with pytest.raises(FileFormatError, match=says) as caught:
        read_columns(file(text), {"a": "number"})
    assert "table.csv" in str(caught.value)


def test_empty_times_are_refused(file):
    with pytest.raises(FileFormatError, match='"a".*empty cells'):
        read_columns(file("a,b\n,2\n2020-01-01 00:00:00,3\n"), {"a": "time"})


def test_the_content_may_come_from_an_archive(tmp_path):
    path = tmp_path / "a.csv in b.zip"
    table = read_columns(path, {"x": "number", "w": "text"}, data=b"w,x\n up,1\nup ,\n,3\n")
    assert table["w"].tolist() == ["up", "up", ""]
    assert np.isnan(table["x"]).tolist() == [False, True, False]
    for data in (b"", b"w\n", b"w,x\n1\n", b"w,x\n1,y\n", b"w,x\n"):
        with pytest.raises(FileFormatError, match=r"a\.csv in b\.zip"):
            read_columns(path, {"x": "number"}, data=data)
