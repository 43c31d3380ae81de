import json

import numpy as np
import pytest
from tests.fixtures.official_layouts import write_synthetic
from tests.fixtures.official_layouts_evi import CMU_CLASSES, write_pairs

from otolith.core.errors import DataError, FileFormatError
from otolith.datasets import make_dataset, prepare
from otolith.datasets.cmu_mmac import COLUMNS, Config, recordings


@pytest.fixture
def root(tmp_path):
    return write_synthetic("cmu_mmac", tmp_path / "release").config.root


def test_columns_go_to_their_sensor_in_g(root):
    first = next(iter(recordings(Config(root=root))))
    (path,) = (root / "imu").glob(f"{first.id.removeprefix('train_')}.csv")
    table = np.loadtxt(path, delimiter=",", skiprows=1)
    for index, name in enumerate(("left_arm", "right_arm", "left_leg", "right_leg")):
        columns = list(COLUMNS[3 * index : 3 * index + 3])
        np.testing.assert_allclose(
            first.imus[name].samples_TC, table[:, columns] * 9.80665, rtol=1e-5
        )
    assert first.streams["camera"].fps == 10


def test_other_units_and_rates(root):
    plain = next(iter(recordings(Config(root=root))))
    other = next(iter(recordings(Config(root=root, unit="m/s^2", rate_hz=60.0))))
    np.testing.assert_allclose(
        plain.imus["left_leg"].samples_TC, 9.80665 * other.imus["left_leg"].samples_TC, rtol=1e-5
    )
    assert other.imus["left_leg"].rate_hz == 60.0


def test_classes_are_numbered_and_their_names_are_texts(root):
    (annotation,) = next(iter(recordings(Config(root=root)))).annotations
    assert annotation.labels == ("class 01", "class 05")
    assert annotation.text == "action-1, action-5"
    assert not next(iter(recordings(Config(root=root, task="pretrain")))).annotations


def test_people_come_from_the_names(root):
    assert {r.subject for r in recordings(Config(root=root))} == {
        "S07",
        "S08",
        "S09",
        "S12",
        "S13",
        "S14",
    }


def test_the_split_is_that_of_the_label_files(root, tmp_path):
    folder = prepare("cmu_mmac", root, tmp_path / "data", progress=False)
    train, test = (make_dataset(folder, split=part) for part in ("train", "test"))
    assert (len(train.recording_ids), len(test.recording_ids)) == (4, 2)
    assert all(name.startswith("train_") for name in train.recording_ids)
    assert make_dataset(folder, is_pretrain=True).recording_ids == train.recording_ids


def test_mistakes_name_the_file(root):
    path = next((root / "cav_label" / "train_finetune").glob("*.json"))
    content = json.loads(path.read_text())
    content["data"][0]["label"] = "juggling"
    path.write_text(json.dumps(content))
    with pytest.raises(FileFormatError, match='labelled "juggling"'):
        list(recordings(Config(root=root)))
    del content["data"][0]["imu"]
    path.write_text(json.dumps(content))
    with pytest.raises(FileFormatError, match=r"labels_4\.json has no imu"):
        list(recordings(Config(root=root)))
    path.unlink()
    with pytest.raises(DataError, match=r"labels_<number>\.json of cmu_mmac is missing"):
        list(recordings(Config(root=root)))


def test_narrow_tables_text_and_gaps_in_classes_are_refused(tmp_path):
    parts = {p: {"finetune": [(f"S01_{p}", "action-1")]} for p in ("train", "test")}
    write_pairs(
        tmp_path, CMU_CLASSES, parts, num_columns=64, columns=COLUMNS, rate_hz=30.0, gravity=1.0
    )
    table = tmp_path / "imu" / "S01_train.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join(",".join(line.split(",")[:10]) for line in lines))
    with pytest.raises(FileFormatError, match="10 columns"):
        list(recordings(Config(root=tmp_path)))
    cells = lines[2].split(",")
    cells[5] = "late"
    table.write_text("\n".join([lines[0], lines[1], ",".join(cells), *lines[3:]]))
    with pytest.raises(FileFormatError, match="text among its numbers"):
        list(recordings(Config(root=tmp_path)))
    classes = tmp_path / "cav_label" / "class_labels_indices.csv"
    classes.write_text(classes.read_text().replace("\n5,", "\n55,"))
    with pytest.raises(FileFormatError, match="does not list classes"):
        list(recordings(Config(root=tmp_path)))
