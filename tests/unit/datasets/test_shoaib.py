"""Shoaib: columns of five positions, activities by run, gravity with and without."""

import numpy as np
import pytest
from tests.fixtures import official_layouts_ds3 as ds3
from tests.fixtures.tidy import close

from otolith.core.errors import FileFormatError
from otolith.datasets import shoaib
from otolith.recordings import Gravity


def read(root, **settings):
    return list(shoaib.recordings(shoaib.Config(root=root, **settings)))


def numbered(num_rows):
    """Every cell says its position, column and row."""
    rows, columns = np.arange(num_rows)[:, None], np.arange(1, 13)[None, :]
    return [1000.0 * p + 10.0 * columns + rows / 100.0 for p in range(5)]


def test_every_column_goes_to_its_position_and_sensor(tmp_path):
    blocks = numbered(60)
    ds3.write_shoaib(tmp_path, 3, blocks, ["walking"] * 60)
    (recording,) = read(tmp_path, linear_acc=True)
    assert (recording.id, recording.subject) == ("P03_walking", "3")
    for block, name in zip(blocks, shoaib.POSITIONS, strict=True):
        stream, linear = recording.imus[name], recording.imus[f"{name}_linear"]
        close(stream.samples_TC, np.concatenate([block[:, :3], block[:, 6:]], axis=1), atol=1e-3)
        close(linear.samples_TC, block[:, 3:6], atol=1e-3)
        assert (stream.gravity, linear.gravity) == (Gravity.INCLUDED, Gravity.REMOVED)
        assert [c.name for c in stream.channels][::3] == ["acc_x", "gyro_x", "mag_x"]
        assert stream.channels[0].placement == shoaib.POSITIONS[name]
    assert "belt_linear" not in read(tmp_path)[0].streams


def test_every_run_of_an_activity_is_a_recording(tmp_path):
    labels = ["walking"] * 50 + ["biking"] * 40 + ["walking"] * 30 + ["upsatirs"] * 20
    ds3.write_shoaib(tmp_path, 10, numbered(140), labels)
    found = read(tmp_path)
    assert [(r.id, r.annotations[0].labels[0], r.annotations[0].end_s) for r in found] == [
        ("P10_walking_1", "walking", 1.0),
        ("P10_cycling", "cycling", 0.8),
        ("P10_walking_2", "walking", 0.6),
        ("P10_walking_upstairs", "walking_upstairs", 0.4),
    ]
    close(found[2].streams["belt"].samples_TC[0, :1], [4010.9], atol=1e-3)
    assert {r.attributes["source_recording"] for r in found} == {"P10"}
    assert "label.name" in {f.check for f in found[0].findings}


def test_people_come_in_the_order_of_their_numbers(tmp_path):
    for person in (10, 2):
        ds3.write_shoaib(tmp_path, person, numbered(5), ["standing"] * 5)
    assert [r.subject for r in read(tmp_path)] == ["2", "10"]


def test_unknown_activities_are_refused(tmp_path):
    ds3.write_shoaib(tmp_path, 1, numbered(5), ["dancing"] * 5)
    with pytest.raises(FileFormatError, match='unknown activity "dancing"'):
        read(tmp_path)


def test_other_positions_or_columns_are_refused(tmp_path):
    order = ("Right_pocket", "Left_pocket", "Wrist", "Upper_arm", "Belt")
    path = ds3.write_shoaib(tmp_path, 1, numbered(5), ["standing"] * 5, positions=order)
    with pytest.raises(FileFormatError, match="names the positions right_pocket, left_pocket"):
        read(tmp_path)
    ds3.write_shoaib(tmp_path, 1, numbered(5), ["standing"] * 5)
    path.write_text(path.read_text().replace("Lx,Ly,Lz,Gx", "Gx,Ly,Lz,Lx", 1))
    with pytest.raises(FileFormatError, match="second row.*columns 2 to 13"):
        read(tmp_path)


def test_the_card_says_what_the_tables_say():
    assert shoaib.CARD.label_groups == {
        "cycling": "cycling", "sitting": "sitting", "standing": "standing", "walking": "walking",
        "walking_upstairs": "ascending_stairs", "walking_downstairs": "descending_stairs",
        "jogging": "running",
    }  # fmt: skip
