"""Layout of text tables."""

from pathlib import Path

import pytest

from otolith.core.errors import DataError
from otolith.recordings.inference.notes import Notes
from otolith.recordings.readers.layout import (
    count_numbers,
    find_layout,
    split_line,
    stated_rate,
)

ROWS = ["0.00,0.1,9.7,walk", "0.02,0.2,9.8,walk", "0.04,0.3,9.9,sit", "0.06,0.1,9.6,sit"]


def layout(lines, **kwargs):
    notes = Notes(Path("a.csv"))
    return find_layout("\n".join(lines).encode(), "utf8", is_whole=True, notes=notes), notes


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", " "])
def test_separators(separator):
    lines = [line.replace(",", separator) for line in ["t,acc_x,acc_y,label", *ROWS]]
    found, _ = layout(lines)
    assert found.separator == separator
    assert found.names == ("t", "acc_x", "acc_y", "label")
    assert found.decimal == "."
    assert found.sample == ("0.00", "0.1", "9.7", "walk")


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_decimal_comma(separator):
    lines = ["t;acc_x;acc_y;label", *[r.replace(",", ";").replace(".", ",") for r in ROWS]]
    found, notes = layout([line.replace(";", separator) for line in lines])
    assert (found.separator, found.decimal) == (separator, ",")
    assert "file.decimal" in {f.check for f in notes.of("")}


def test_whole_numbers_are_no_decimal_commas():
    found, _ = layout(["t;acc_x", "0;1", "1;2", "2;3"])
    assert found.decimal == "."


def test_offset_skips_everything_above_the_data():
    lines = ["Exported by X", "", "rate: 50 Hz", "t,acc_x,acc_y,label", "s,g,g,", *ROWS]
    found, notes = layout(lines)
    text = "\n".join(lines)
    assert text[found.data_offset :].startswith("0.00,")
    assert found.units == ("s", "g", "g", "")
    assert found.stated_rate_hz == 50
    assert {"file.header_rows", "file.units_row"} <= {f.check for f in notes.of("")}


def test_header_behind_a_hash():
    assert layout(["# t,acc_x,acc_y,label", *ROWS])[0].names[0] == "t"


def test_names_are_needed():
    with pytest.raises(DataError, match=r"file\.header"):
        layout(ROWS)


def test_header_of_another_width():
    with pytest.raises(DataError, match="header has 3 names but the rows have 4"):
        layout(["t,acc_x,acc_y", *ROWS])


def test_nothing_but_words():
    with pytest.raises(DataError, match=r"file\.rows"):
        layout(["dear reader", "this is, no table", "at all"])


def test_unnamed_columns_get_names():
    found, _ = layout([",t,acc_x,label", *ROWS])
    assert found.names == ("unnamed_0", "t", "acc_x", "label")


@pytest.mark.parametrize(
    ("text", "rate"),
    [("Sampling rate: 100 Hz", 100), ("fs=25", 25), ("frequency 0.1 kHz", 100), ("50Hz export", 50),
     ("Serial number 4711", None), ("rate unknown", None)],
)  # fmt: skip
def test_stated_rate(text, rate):
    assert stated_rate([text]) == rate


def test_quotes_protect_separators():
    assert split_line('1,"2,5",3', ",") == ["1", "2,5", "3"]
    assert split_line("  1   2 ", " ") == ["1", "2"]


def test_count_numbers():
    assert count_numbers(["1", "-2.5e-3", " .5", "x", "", "1,5"], ".") == 3
    assert count_numbers(["1,5", "2", "1.5"], ",") == 2
