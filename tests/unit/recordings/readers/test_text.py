"""Text tables as columns."""

import numpy as np
import pytest

from otolith.core.errors import DataError, FileFormatError
from otolith.recordings.inference.notes import Notes
from otolith.recordings.options import ReadOptions
from otolith.recordings.readers.table import read_table

HEADER = "t,acc_x,acc_y,acc_z,label"
ROWS = [f"{i / 50:.2f},{i}.5,-1,9.81,walk" for i in range(40)]


def read(tmp_path, content, name="a.csv", **options):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    notes = Notes(path)
    return read_table(path, ReadOptions(**options), notes), {f.check for f in notes.of("")}


def table(rows=ROWS, header=HEADER, end="\n"):
    return end.join([header, *rows]) + end


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(end, tmp_path):
    found, _ = read(tmp_path, table(end=end))
    assert found.num_rows == 40
    np.testing.assert_array_equal(found.numbers["acc_x"], np.arange(40) + np.float32(0.5))
    assert found.numbers["t"].dtype == np.float64
    assert found.numbers["acc_y"].dtype == np.float32
    assert found.texts["label"].values == ("walk",)


def test_blank_lines_are_no_rows(tmp_path):
    assert read(tmp_path, table([*ROWS[:5], "", *ROWS[5:]]))[0].num_rows == 40


def test_policies_of_rows_and_values(tmp_path):
    ragged = table([*ROWS, "1,2"])
    assert "rows.truncated" in read(tmp_path, ragged)[1]
    with pytest.raises(DataError, match=r"rows\.truncated"):
        read(tmp_path, ragged, on_bad_row="refuse")
    words = table([*ROWS, "0.8,oops,1,1,walk"])
    found, checks = read(tmp_path, words)
    assert "values.text" in checks
    assert np.isnan(found.numbers["acc_x"][-1])
    with pytest.raises(DataError, match="oops"):
        read(tmp_path, words, on_bad_value="refuse")


def test_many_ragged_rows_are_refused(tmp_path):
    with pytest.raises(DataError, match="wrong number of fields"):
        read(tmp_path, table([*ROWS, *["1,2"] * 15]))


def test_a_word_in_the_time_column_costs_one_stamp(tmp_path):
    found, checks = read(tmp_path, table([*ROWS[:20], "x" + ROWS[20], *ROWS[21:]]))
    assert "values.text" in checks
    assert np.flatnonzero(np.isnan(found.numbers["t"])).tolist() == [20]


def test_missing_words_become_nan(tmp_path):
    found, _ = read(tmp_path, table([*ROWS, "0.8,NaN,NA,null,walk", "0.82,,n/a,-nan,walk"]))
    assert np.isnan(found.numbers["acc_x"][-2:]).all()
    assert np.isnan(found.numbers["acc_z"][-2:]).all()


def test_unknown_columns_are_named(tmp_path):
    rows = [f"{r},36.6,indoor" for r in ROWS]
    found, checks = read(tmp_path, table(rows, HEADER + ",temperature,room"))
    assert "columns.unused" in checks
    assert found.texts["room"].values == ("indoor",)
    assert "temperature" not in found.numbers


def test_latin1_beyond_the_first_block(tmp_path):
    content = table(ROWS * 9000).encode() + "800.0,1,1,1,größe\n".encode("latin1")
    found, checks = read(tmp_path, content)
    assert "file.encoding" in checks
    assert found.texts["label"].values == ("walk", "größe")


def test_utf8_letters_across_blocks_are_no_latin1(tmp_path):
    content = table([*ROWS * 9000, *["800.0,1,1,1,größe"] * 2]).encode()
    found, checks = read(tmp_path, content)
    assert "file.encoding" not in checks
    assert "größe" in found.texts["label"].values


def test_comments_and_repeated_headers(tmp_path):
    found, checks = read(tmp_path, table([*ROWS[:9], "# pause", *ROWS[9:], HEADER, *ROWS]))
    assert found.num_rows == 80
    assert {"rows.comment", "rows.repeated_header"} <= checks
    with pytest.raises(DataError, match="repeated"):
        read(tmp_path, table([*ROWS, HEADER, *ROWS]), on_bad_row="refuse")


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 zip", b"\x00" * 100 + b"\x01\x02", b"\x02\x03" * 500]
)
def test_what_is_no_text(content, tmp_path):
    with pytest.raises(DataError, match=r"file\.(empty|binary|rows|zero_bytes)"):
        read(tmp_path, content)


def test_absent_file(tmp_path):
    with pytest.raises(FileFormatError, match="no file"):
        read_table(tmp_path / "no.csv", ReadOptions(), Notes(tmp_path / "no.csv"))


def test_ids_that_look_like_numbers_stay_texts(tmp_path):
    rows = [f"007,{r}" for r in ROWS]
    found, _ = read(tmp_path, table(rows, "recording_id," + HEADER))
    assert found.texts["recording_id"].values == ("007",)
