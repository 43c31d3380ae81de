"""Damaged releases of RevalExo, CMU-MMAC, Ego-Exo4D and WEAR: one sentence, and no data folder."""

import json
import shutil

import numpy as np
import pytest
import torch
from tests.fixtures.official_layouts import write_synthetic
from tests.support import release_damage as damage
from tests.support.command_line import otolith, refused

from otolith.recordings.store import DataFolder

NAMES = ("revalexo", "cmu_mmac", "egoexo4d", "wear", "wear_ssl")
LIST = "data_pairs/Subject01.json"
IMU = "trim_imus/Subject01/Subject01_clip0.csv"
VIDEO = "trim_videos/Subject01/Subject01_clip0.mp4"
LABELS = "cav_label/train_finetune/labels_4.json"
CLASSES = "cav_label/class_labels_indices.csv"
LEFT = "features/imu_aria01/kitchen_02_1/left.npy"
OMNIVORE = "features/omnivore_video/uid-2_aria01_rgb.pt"
STEPS = "annotations/keystep_train.json"
SPLIT = "annotations/wear_split_1.json"
RAW = "raw/inertial/50hz/sbj_3.csv"
I3D = "processed/i3d_features/120_frames_60_stride/sbj_3.npy"
COMBINED = "processed/combined_features/120_frames_60_stride/sbj_3.npy"


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("releases")
    for name in NAMES:
        write_synthetic(name, folder / name)
    return folder


def pair(change):
    return damage.edit_json(lambda content: change(content["pairs"]["0"]))


def segment(**values):
    return pair(lambda one: one["activity_segments"][0].update(values))


def entry(**values):
    return damage.edit_json(lambda content: content["data"][0].update(values))


def array(values):
    return lambda path: np.save(path, values)


def tensor(values):
    return lambda path: torch.save(values, path)


def motion(rate_hz=800.0, rows=100, fill=1.0):
    return np.c_[np.arange(rows) * 1e9 / rate_hz, np.full((rows, 6), fill)]


REVALEXO = {
    "no list": ("data_pairs", damage.remove, "data_pairs"),
    "no motion": (IMU, damage.remove, "Subject01_clip0.csv"),
    "no video": (VIDEO, damage.remove, "Subject01_clip0.mp4"),
    "half a table": (IMU, damage.halve, "columns"),
    "empty table": (IMU, damage.empty, "no column acc_"),
    "binary table": (IMU, damage.binary, "no column acc_"),
    "header alone": (IMU, damage.lines(lambda rows: rows[:1]), "damaged"),
    "ragged table": (IMU, damage.lines(lambda rows: [*rows[:9], "1,2", *rows[9:]]), "got 2"),
    "missing sensor": (IMU, damage.replace("acc_Left_Foot_X", "toe"), "acc_Left_Foot_X"),
    "half a video": (VIDEO, damage.halve, "Subject01_clip0.mp4 is not a video"),
    "empty video": (VIDEO, damage.empty, "is not a video"),
    "text as video": (VIDEO, damage.text("film"), "is not a video"),
    "half a list": (LIST, damage.halve, "is not JSON"),
    "list of numbers": (LIST, damage.text("[1]"), "no subject"),
    "binary list": (LIST, damage.binary, "is not JSON"),
    "pair without motion": (LIST, pair(lambda one: one.pop("imu")), "has no imu"),
    "pair is a number": (LIST, damage.edit_json(lambda c: c["pairs"].update({"0": 3})), "damaged"),
    "segment without end": (LIST, pair(lambda p: p["activity_segments"][0].pop("end")), "no end"),
    "segment goes back": (LIST, segment(start=5, end=1), "from 5 s to 1 s"),
    "segment at nan": (LIST, segment(start="nan"), "from nan s"),
    "absent clip": (LIST, pair(lambda one: one.update(video="nope.mp4")), "nope.mp4"),
    "leads outside": (LIST, pair(lambda one: one.update(imu="../../../no.csv")), "no.csv"),
    "listed twice": (LIST, lambda p: shutil.copy(p, p.with_name("Subject99.json")), "listed in"),
}
OTHERS = {
    ("cmu_mmac", "no labels"): (LABELS, damage.remove, "labels_<number>.json"),
    ("cmu_mmac", "no classes"): (CLASSES, damage.remove, "class_labels_indices.csv"),
    ("cmu_mmac", "binary classes"): (CLASSES, damage.binary, "class_labels_indices.csv"),
    ("cmu_mmac", "empty classes"): (CLASSES, damage.empty, "class_labels_indices.csv"),
    ("cmu_mmac", "half the labels"): (LABELS, damage.halve, "is not JSON"),
    ("cmu_mmac", "no list"): (LABELS, damage.text("{}"), "no list called data"),
    ("cmu_mmac", "empty list"): (LABELS, damage.text('{"data": []}'), "lists no pair"),
    ("cmu_mmac", "absent clip"): (LABELS, entry(imu="imu/none.csv"), "none.csv"),
    ("cmu_mmac", "number as path"): (LABELS, entry(imu=3), "imu 3"),
    ("cmu_mmac", "number as label"): (LABELS, entry(label=7), "label 7"),
    ("cmu_mmac", "unknown class"): (LABELS, entry(label="flying"), '"flying"'),
    ("egoexo4d", "no takes"): ("takes.json", damage.remove, "takes.json"),
    ("egoexo4d", "takes are no list"): ("takes.json", damage.text("{}"), "takes.json"),
    ("egoexo4d", "take without name"): ("takes.json", damage.text('[{"take_uid": "a"}]'), "take_name"),
    ("egoexo4d", "no steps"): (STEPS, damage.remove, "keystep_train.json"),
    ("egoexo4d", "steps are a list"): (STEPS, damage.text("[]"), "no annotations"),
    ("egoexo4d", "take without steps"): (STEPS, damage.text('{"annotations": {"uid-1": {}}}'), "uid-1"),
    ("egoexo4d", "step at x"): (
        STEPS, damage.text('{"annotations": {"u": {"segments": [{"start_time": "x"}]}}}'), "step 0",
    ),
    ("egoexo4d", "no motion"): (LEFT, damage.remove, "left.npy"),
    ("egoexo4d", "half the motion"): (LEFT, damage.halve, "left.npy"),
    ("egoexo4d", "text"): (LEFT, array(np.full((5, 7), "a")), "instead of numbers"),
    ("egoexo4d", "few columns"): (LEFT, array(np.zeros((5, 3))), r"\(5, 3\)"),
    ("egoexo4d", "time goes back"): (LEFT, array(motion()[::-1]), "do not increase"),
    ("egoexo4d", "wrong rate"): (LEFT, array(motion(10.0)), "10 Hz; the left sensor has 800 Hz"),
    ("egoexo4d", "no values"): (LEFT, array(motion(fill=np.nan)), "no acceleration"),
    ("egoexo4d", "half the features"): (OMNIVORE, damage.halve, "holds no features"),
    ("egoexo4d", "text as features"): (OMNIVORE, damage.text("x"), "holds no features"),
    ("egoexo4d", "other width"): (OMNIVORE, tensor(torch.ones(70, 1, 99)), r"\(70, 1, 99\)"),
    ("egoexo4d", "no rows"): (OMNIVORE, tensor(torch.ones(0, 1, 1536)), r"\(0, 1, 1536\)"),
    ("egoexo4d", "one axis"): (OMNIVORE, tensor(torch.ones(70)), r"\(70,\)"),
    ("egoexo4d", "a mapping"): (OMNIVORE, tensor({"a": torch.ones(2)}), "dict"),
    ("wear", "no annotations"): (SPLIT, damage.remove, "wear_split_1.json"),
    ("wear", "annotations are a list"): (SPLIT, damage.text("[]"), "wear_split_1.json"),
    ("wear", "person not annotated"): (SPLIT, damage.replace("sbj_3", "sbj_77"), "not name sbj_3"),
    ("wear", "no table"): (RAW, damage.remove, "sbj_3.csv"),
    ("wear", "half a table"): (RAW, damage.halve, "cut off"),
    ("wear", "binary table"): (RAW, damage.binary, "no column"),
    ("wear", "missing column"): (RAW, damage.replace("left_arm_acc_x", "x"), "left_arm_acc_x"),
    ("wear", "features of other width"): (I3D, array(np.ones((38, 99))), "width 99"),
    ("wear", "no features"): (I3D, array(np.ones((0, 2048))), "0 features"),
    ("wear", "too many features"): (I3D, array(np.ones((300, 2048))), "describe 301 s"),
    ("wear_ssl", "no windows"): (COMBINED, array(np.ones((0, 3248))), "sbj_3.npy"),
    ("wear_ssl", "other width"): (COMBINED, array(np.ones((38, 99))), "sbj_3.npy"),
    ("wear_ssl", "too short"): (COMBINED, array(np.ones((1, 3248))), "ends after 2 s"),
    ("wear_ssl", "not of one signal"): (
        COMBINED, array(np.random.default_rng(0).random((38, 3248))), "do not share",
    ),
}  # fmt: skip


def damaged(releases, tmp_path, name, path, change):
    root = shutil.copytree(releases / name, tmp_path / "release")
    change(root / path)
    return root


def check(lines, what):
    import re

    assert len(lines) == 2, lines
    assert re.search(what, lines[0]), lines


@pytest.mark.parametrize("case", REVALEXO)
def test_revalexo_and_its_pairs_are_refused(releases, tmp_path, case):
    path, change, what = REVALEXO[case]
    root = damaged(releases, tmp_path, "revalexo", path, change)
    out = ("--format", "revalexo", "--name", "revalexo", "--out", tmp_path / "data")
    check(refused("data", "import", root, *out), what)
    check(refused("data", "revalexo-pairs", root, tmp_path / "pairs"), what)
    assert [p.name for p in tmp_path.iterdir()] == ["release"]


@pytest.mark.parametrize(("name", "case"), OTHERS)
def test_other_releases_are_refused(releases, tmp_path, name, case):
    path, change, what = OTHERS[name, case]
    root = damaged(releases, tmp_path, name, path, change)
    check(
        refused(
            "data", "import", root, "--format", name, "--name", name, "--out", tmp_path / "data"
        ),
        what,
    )
    assert [p.name for p in tmp_path.iterdir()] == ["release"]


def test_a_clip_without_values_does_not_move_the_statistics_of_pairs(releases, tmp_path):
    def blank(rows):
        return [rows[0], *(",".join(["nan"] * len(row.split(","))) for row in rows[1:])]

    means = {}
    for name, change in (("whole", lambda _: None), ("blank", damage.lines(blank))):
        root = damaged(releases, tmp_path / name, "revalexo", IMU, change)
        assert otolith("data", "revalexo-pairs", root, tmp_path / f"{name} pairs").code == 0
        found = json.loads((tmp_path / f"{name} pairs" / "imu_statistics.json").read_text("utf-8"))
        means[name] = found["mean"]
    assert means["blank"] == pytest.approx(means["whole"], abs=1.5)


def test_short_video_features_are_said(releases, tmp_path):
    root = damaged(releases, tmp_path, "wear", I3D, array(np.ones((2, 2048))))
    out = tmp_path / "data"
    ran = otolith("data", "import", root, "--format", "wear", "--name", "wear", "--out", out)
    assert ran.code == 0
    checks = {f.check for f in DataFolder.open(out).recording("sbj_3").findings}
    assert "features.end" in checks


def test_a_folder_that_exists_is_kept(releases, tmp_path):
    out = tmp_path / "data"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    for words in (
        ("import", releases / "wear", "--format", "wear", "--name", "wear", "--out", out),
        ("revalexo-pairs", releases / "revalexo", out),
    ):
        lines = refused("data", *words)
        assert str(out) in lines[0]
    assert [p.name for p in tmp_path.rglob("*")] == ["data", "mine.txt"]


def test_a_full_disk_leaves_no_pairs(releases, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device", str(tmp_path / "pairs"))

    monkeypatch.setattr("shutil.copyfile", fail)
    lines = refused("data", "revalexo-pairs", releases / "revalexo", tmp_path / "pairs")
    assert "No space left" in lines[0]
    assert not list(tmp_path.iterdir())
