"""Seven sensors to four: what is written, how it is divided, what reads it back."""

import csv
import json
import random

import numpy as np
import pytest
import torch
from tests.fixtures.official_layouts_evi import write_revalexo
from tests.support.command_line import otolith, refused

from otolith.core.errors import DataError
from otolith.core.files import check_manifest, read_json
from otolith.datasets import make_dataset, prepare
from otolith.datasets._revalexo_files import Clip
from otolith.datasets._revalexo_pairs import Config, convert, divide
from otolith.datasets.revalexo import SOURCE
from otolith.signals import fbank

PEOPLE = tuple(f"Subject{i:02d}" for i in (1, 2, 3, 5, 6))
SLOTS = [
    f"{slot}_acc_{a}" for slot in ("left_arm", "right_arm", "left_leg", "right_leg") for a in "xyz"
]


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    root = tmp_path_factory.mktemp("release")
    rows = [(0.0, 2.0, "level ground"), (2.0, 4.0, "stair up")]
    people = {name: (True, [("0", rows), ("1", rows[:1])]) for name in PEOPLE}
    write_revalexo(root, people | {"Subject04": (False, [("0", rows)])}, seconds=4.0)
    return root


def entries(folder, part, task):
    (path,) = (folder / "cav_label" / f"{part}_{task}").glob("labels_*.json")
    found = read_json(path)["data"]
    assert path.name == f"labels_{len(found)}.json"
    return found


def table(path):
    with path.open() as file:
        return list(csv.reader(file))


def test_pairs_are_written_with_header_labels_and_statistics(release, tmp_path):
    written = convert(Config(source=release, target=tmp_path / "pairs"), SOURCE)
    folder = written.folder
    assert not check_manifest(folder)
    assert written.num_pairs == {"train": 8, "test": 2}
    assert written.skipped == ("Subject04",)
    assert not set(written.people["train"]) & set(written.people["test"])
    entry = entries(folder, "train", "finetune")[0]
    assert entry["label"] == "level ground,stair up"
    assert entries(folder, "train", "pretrain")[0]["label"] == 0
    rows = table(folder / entry["imu"])
    assert rows[0] == SLOTS
    subject = entry["subject"]
    source = table(release / "trim_imus" / subject / f"{subject}_clip0.csv")
    at = [
        source[0].index(f"acc_{s}_X")
        for s in ("Left_Foot", "Right_Foot", "Left_Upper_Leg", "Right_Upper_Leg")
    ]
    expected = np.array([[float(r[c + k]) for c in at for k in range(3)] for r in source[1:]])
    np.testing.assert_allclose(np.array(rows[1:], float), expected, atol=5e-7)
    assert all(len(cell.partition(".")[2]) == 6 for cell in rows[1])
    assert (folder / entry["frame_path"]).stat().st_size > 100


def test_statistics_are_those_of_the_training_maps(release, tmp_path):
    written = convert(Config(source=release, target=tmp_path / "pairs"), SOURCE)
    maps = []
    for entry in entries(written.folder, "train", "pretrain"):
        samples = np.array(table(written.folder / entry["imu"])[1:], np.float32)
        for start in (0, 120):
            segment = torch.from_numpy(samples[start : start + 120].T.copy())
            maps.append(fbank.fbank(segment, fbank.Config()))
    stored = read_json(written.folder / "imu_statistics.json")
    assert stored["mean"] == pytest.approx(torch.stack(maps).mean().item(), abs=0.01)
    assert stored["std"] == pytest.approx(torch.stack(maps).std().item(), abs=0.01)
    assert "training part" in stored["of"]


def test_the_way_of_the_authors_on_request(release, tmp_path):
    quirks = ("split_by_clip", "no_header_row", "raw_statistics", "dummy_labels")
    written = convert(
        Config(source=release, target=tmp_path / "pairs", upstream_quirks=quirks), SOURCE
    )
    assert written.num_pairs == {"train": 8, "test": 2}
    found = entries(written.folder, "train", "finetune") + entries(
        written.folder, "test", "finetune"
    )
    assert {e["label"] for e in found} == {0}
    tables = [np.array(table(written.folder / e["imu"]), float) for e in found]
    assert {t.shape for t in tables} == {(240, 12)}
    values = np.concatenate(tables)
    assert written.mean == pytest.approx(values.mean(), abs=1e-4)
    assert written.std == pytest.approx(values.std(), abs=1e-4)
    classes = table(written.folder / "cav_label" / "class_labels_indices.csv")
    assert classes == [["index", "mid", "display_name"], ["0", "/m/00", "dummy"]]


def clips(count, people=13):
    return [
        Clip(id=f"S{i % people}_{i}", subject=f"S{i % people}", imu=None, video=None,
             activities=(), transitions=(), file=None)
        for i in range(count)
    ]  # fmt: skip


def test_the_published_numbers_follow_from_the_clips(tmp_path):
    settings = Config(source=tmp_path, target=tmp_path / "x", upstream_quirks=("split_by_clip",))
    found = clips(2279)
    parts = divide(found, settings)
    assert {part: len(c) for part, c in parts.items()} == {"train": 1823, "test": 456}
    order = list(found)
    random.Random(42).shuffle(order)
    assert parts["test"] == order[1823:]
    assert {c.subject for c in parts["train"]} & {c.subject for c in parts["test"]}


@pytest.mark.parametrize("seed", [1, 2, 42])
def test_nobody_is_in_both_parts(tmp_path, seed):
    parts = divide(clips(260), Config(source=tmp_path, target=tmp_path / "x", seed=seed))
    people = {part: {c.subject for c in found} for part, found in parts.items()}
    assert not people["train"] & people["test"]
    assert len(people["test"]) == 3


def test_one_person_cannot_be_divided(tmp_path):
    with pytest.raises(DataError, match="1 people have video"):
        divide(clips(5, people=1), Config(source=tmp_path, target=tmp_path / "x"))


def test_pairs_are_read_back_by_the_same_streams(release, tmp_path):
    written = convert(Config(source=release, target=tmp_path / "pairs", videos="link"), SOURCE)
    part = make_dataset(prepare("revalexo", written.folder, tmp_path / "data", progress=False))
    split = part.folder.info["splits"]["official"]
    assert (len(split["train"]), len(split["test"])) == (8, 2)
    recording = part.folder.recording(split["train"][0])
    assert set(recording.imus) == {"left_foot", "right_foot", "left_upper_leg", "right_upper_leg"}
    assert recording.subject.startswith("Subject")
    assert len(recording.imus["left_foot"].samples_TC) == 240


@pytest.mark.parametrize(("quirk", "rows"), [((), 240), (("first_row_is_header",), 239)])
def test_a_table_without_header_keeps_its_first_sample(release, tmp_path, quirk, rows):
    written = convert(
        Config(source=release, target=tmp_path / "pairs", upstream_quirks=("no_header_row",)),
        SOURCE,
    )
    from otolith.datasets import revalexo

    settings = revalexo.Config(root=written.folder, task="pretrain", upstream_quirks=quirk)
    recording = next(iter(revalexo.recordings(settings)))
    assert len(recording.imus["left_foot"].samples_TC) == rows
    assert "columns.header" in {f.check for f in recording.findings}


def test_nothing_half_written_is_left(release, tmp_path):
    broken = tmp_path / "broken"
    write_revalexo(broken, {n: (True, [("0", [(0.0, 2.0, "grass")])]) for n in PEOPLE}, seconds=3.0)
    bad = broken / "trim_imus" / "Subject06" / "Subject06_clip0.csv"
    bad.write_text(bad.read_text()[:-40] + "\n1,2\n")
    lines = refused("data", "revalexo-pairs", broken, tmp_path / "pairs")
    assert "Subject06_clip0.csv" in " ".join(lines).replace("\n", "")
    assert not [p for p in tmp_path.iterdir() if "pairs" in p.name]


def test_the_command_says_what_it_wrote(release, tmp_path):
    ran = otolith("data", "revalexo-pairs", release, tmp_path / "pairs", "--test-share", "0.4")
    assert ran.code == 0, ran.err
    assert "6 train, 4 test" in ran.out
    assert "Subject04" in ran.out
    assert "exists already" in " ".join(
        refused("data", "revalexo-pairs", release, tmp_path / "pairs")
    )
    wrong = refused(
        "data", "revalexo-pairs", release, tmp_path / "other", "--upstream-quirk", "split_by_clips"
    )
    assert "split_by_clip" in " ".join(wrong)


def test_pair_lists_stay_as_they_are(release):
    content = json.loads((release / "data_pairs" / "Subject01.json").read_text())
    assert set(content["pairs"]) == {"0", "1"}
