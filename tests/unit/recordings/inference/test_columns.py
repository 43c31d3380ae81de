"""The plan of a table."""

from pathlib import Path

import pytest

from otolith.core.errors import DataError
from otolith.recordings.inference.columns import plan_columns
from otolith.recordings.inference.notes import Notes
from otolith.recordings.options import ReadOptions


def plan(names, **options):
    notes = Notes(Path("a.csv"))
    return plan_columns(names, ReadOptions(**options), notes), {f.check for f in notes.of("")}


def test_channels_come_in_our_order():
    found, checks = plan(["gyro_z", "acc_y", "gyro_x", "acc_x", "t", "acc_z", "gyro_y", "note"])
    order = [s.channel for s in found.signals[""]]
    assert order == ["acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z"]
    assert found.roles == {"t": "t"}
    assert found.extras == ("note",)
    assert checks == set()


def test_bare_axes_are_the_accelerometer():
    found, checks = plan(["time", "x", "y", "z"])
    assert [s.channel for s in found.signals[""]] == ["acc_x", "acc_y", "acc_z"]
    assert "columns.bare_axes" in checks


def test_second_time_column_is_left_over():
    found, _ = plan(["t", "timestamp", "ax", "ay", "az"])
    assert found.roles["t"] == "t"
    assert found.extras == ("timestamp",)


def test_mapping_wins():
    found, _ = plan(["t", "timestamp", "ax", "ay", "az"], columns={"t": "timestamp"})
    assert found.roles["t"] == "timestamp"


@pytest.mark.parametrize(
    ("names", "options", "check"),
    [
        (["t", "ax", "ax", "ay", "az"], {}, "columns.duplicate"),
        (["t", "ax", "acc_x", "ay", "az"], {}, "columns.ambiguous"),
        (["t", "ax", "ay"], {}, "columns.missing_axis"),
        (["t", "gx", "gy", "gz"], {}, "columns.signals"),
        (["t", "b", "c"], {}, "columns.signals"),
        (["t", "ax", "ay", "az"], {"columns": {"acc_z": "q"}}, "columns.mapping"),
        (["t", "ax", "ay", "az"], {"columns": {"speed": "az"}}, "columns.mapping"),
    ],
)
def test_refusals(names, options, check):
    with pytest.raises(DataError, match=check.replace(".", r"\.")):
        plan(names, **options)


def test_missing_axis_may_be_kept():
    found, checks = plan(["t", "ax", "ay"], on_missing_axis="keep")
    assert [s.channel for s in found.signals[""]] == ["acc_x", "acc_y"]
    assert {"columns.missing_axis", "columns.no_gyro"} <= checks
