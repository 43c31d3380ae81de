"""WEAR in EVI-MAE's layout: sensors, classes, people, and the two divisions of one data folder."""

import json

import numpy as np
import pytest
from tests.fixtures.official_layouts import write_synthetic

from otolith.core.errors import FileFormatError
from otolith.datasets import make_dataset, prepare, wear
from otolith.datasets.wear_evi import COLUMNS, Config, recordings, release_splits


@pytest.fixture
def root(tmp_path):
    return write_synthetic("wear_evi", tmp_path / "release").config.root


def label_file(root, part, task):
    (path,) = (root / "cav_label" / f"{part}_{task}").glob("labels_*.json")
    return path


def add_pretraining_pair(root, name, like, part="train"):
    """A pair that only pretraining lists, with the files of another one."""
    path = label_file(root, part, "pretrain")
    content = json.loads(path.read_text())
    entry = {"video_id": name, "imu": f"imu/{like}.csv", "frame_path": f"video/{like}.mp4"}
    path.write_text(json.dumps({"data": [*content["data"], entry | {"label": 0}]}))


def test_limbs_come_from_their_columns_in_g(root):
    first = next(iter(recordings(Config(root=root))))
    table = np.loadtxt(root / "imu" / "sbj_0_0.csv", delimiter=",", skiprows=1, usecols=range(13))
    for index, name in enumerate(("left_arm", "right_arm", "left_leg", "right_leg")):
        columns = list(COLUMNS[3 * index : 3 * index + 3])
        assert COLUMNS[3 * index] - 1 == wear_column(name)
        np.testing.assert_allclose(
            first.imus[name].samples_TC, table[:, columns] * 9.80665, rtol=1e-5
        )
    assert first.imus["left_arm"].rate_hz == 50.0


def wear_column(limb):
    """First column of a limb in WEAR's own order."""
    from otolith.datasets._wear_files import COLUMNS as NAMES

    return NAMES.index(f"{limb}_acc_x")


def test_classes_are_those_of_wear_whatever_their_spelling(root):
    labels = {r.id: r.annotations[0].labels for r in recordings(Config(root=root))}
    assert labels["train_sbj_0_0"] == ("jogging",)
    assert labels["train_sbj_1_1"] == ("jogging (rotating arms)",)


def test_other_classes_are_refused_or_taken_by_number(root):
    path = root / "cav_label" / "class_labels_indices.csv"
    text = path.read_text()
    path.write_text(text.replace(",Jogging\n", ",Trot\n"))
    for part in ("train", "test"):
        file = label_file(root, part, "finetune")
        file.write_text(file.read_text().replace('"Jogging"', '"Trot"'))
    with pytest.raises(FileFormatError, match='names the class "Trot"') as caught:
        list(recordings(Config(root=root)))
    assert "classes to number" in caught.value.remedy
    labels = {
        r.id: r.annotations[0].labels for r in recordings(Config(root=root, classes="number"))
    }
    assert labels["train_sbj_0_0"] == ("jogging",)
    path.write_text("\n".join(text.splitlines()[:10]) + "\n")
    with pytest.raises(FileFormatError, match="9 classes instead of 18"):
        list(recordings(Config(root=root, classes="number")))


def test_people_come_from_names_and_from_the_tables(root):
    found = {r.id: r.subject for r in recordings(Config(root=root))}
    assert found["train_sbj_3_3"] == "sbj_3"
    assert found["test_clip_4"] == "sbj_4"


def test_one_folder_holds_both_divisions(root, tmp_path):
    add_pretraining_pair(root, "sbj_1_more", "sbj_1_1")
    add_pretraining_pair(root, "sbj_2_2", "sbj_1_1")  # a name that fine-tuning uses for other files
    folder = prepare("wear_evi", root, tmp_path / "data", progress=False)
    part = make_dataset(folder)
    splits = part.folder.info["splits"]
    assert list(splits) == ["official", "pretrain"]
    assert {name: (len(s["train"]), len(s["test"])) for name, s in splits.items()} == {
        "official": (4, 2),
        "pretrain": (6, 2),
    }
    assert len(part) == 8
    assert "train_sbj_2_2_pretrain" in splits["pretrain"]["train"]
    assert not set(splits["official"]["train"]) & {"train_sbj_1_more", "train_sbj_2_2_pretrain"}
    assert part.labels == wear.LABELS


@pytest.mark.parametrize(
    ("task", "names"), [("finetune", ["official"]), ("pretrain", ["pretrain"])]
)
def test_one_task_alone(root, task, names):
    config = Config(root=root, task=task)
    assert list(release_splits(config)) == names
    labelled = [bool(r.annotations) for r in recordings(config)]
    assert labelled == [task == "finetune"] * 6


def test_a_release_of_one_task_is_read(root):
    import shutil

    for part in ("train", "test"):
        shutil.rmtree(root / "cav_label" / f"{part}_pretrain")
    assert list(release_splits(Config(root=root))) == ["official"]
    assert len(list(recordings(Config(root=root)))) == 6
