"""Files of WEAR: windows put together again, damage that is named."""

import json

import numpy as np
import pytest
from tests.fixtures.official_layouts_himu import wear_signals, write_wear
from tests.golden.harness import SHARED

from otolith.core.errors import ConfigError, DataError, FileFormatError
from otolith.datasets import make_dataset, wear, wear_ssl
from otolith.datasets._wear_files import clip_frames, read_annotations, read_processed, segments_of


@pytest.fixture
def signals():
    return wear_signals(1234, people=(0, 7))


def by_id(module, **settings):
    return {r.id: r for r in module.recordings(module.Config(**settings))}


@pytest.mark.parametrize(("frames", "stride"), [(120, 60), (60, 30), (30, 15)])
def test_processed_windows_give_the_signal_back(tmp_path, signals, frames, stride):
    window = round(frames / 60 * 50)
    starts = np.floor(np.arange(2000) * stride / 60 * 50 + 1e-9).astype(int)
    folder = tmp_path / "processed" / "inertial_features" / f"{frames}_frames_{stride}_stride"
    folder.mkdir(parents=True)
    acc = signals["sbj_7"]
    used = [s for s in starts if s < len(acc) - window]
    np.save(folder / "sbj_7.npy", np.stack([acc[s : s + window].T.ravel() for s in used]))
    found = read_processed(tmp_path, folder.name, "sbj_7", wear.SOURCE)
    assert len(found) == used[-1] + window > len(acc) - stride
    np.testing.assert_array_equal(found, acc[: len(found)])


def test_processed_and_raw_releases_agree(tmp_path, signals):
    write_wear(tmp_path, signals)
    raw, processed = by_id(wear, root=tmp_path), by_id(wear_ssl, root=tmp_path)
    for person in signals:
        theirs = processed[person].imus["imu"].samples_TC
        np.testing.assert_array_equal(raw[person].imus["imu"].samples_TC[: len(theirs)], theirs)
        i3d = [r[person].streams["i3d"].values_ND for r in (raw, processed)]
        np.testing.assert_array_equal(*i3d)
    assert {r.dataset for r in processed.values()} == {"wear_ssl"}
    assert wear_ssl.CARD.same_people_as == ("wear",)


def test_missing_limbs_of_processed_windows_are_missing(tmp_path, signals):
    signals["sbj_0"][70:75, 3:6] = -1.0
    signals["sbj_0"][80, 0] = -1.0  # one axis alone may really be -1 g
    write_wear(tmp_path, signals)
    samples = by_id(wear_ssl, root=tmp_path)["sbj_0"].imus["imu"].samples_TC
    missing = np.argwhere(np.isnan(samples))
    assert missing.min(axis=0).tolist() == [70, 3]
    assert missing.max(axis=0).tolist() == [74, 5]
    assert len(missing) == 15


def test_windows_that_contradict_each_other_are_refused(tmp_path, signals):
    write_wear(tmp_path, signals, raw=False)
    path = tmp_path / "processed" / "combined_features" / "120_frames_60_stride" / "sbj_7.npy"
    rows = np.load(path)
    rows[3, 60] += 0.5
    np.save(path, rows)
    with pytest.raises(FileFormatError, match=r"sbj_7\.npy do not share"):
        by_id(wear_ssl, root=tmp_path)
    np.save(path, rows[:, :900])
    with pytest.raises(DataError, match="no windows of 100"):
        by_id(wear_ssl, root=tmp_path)
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(FileFormatError, match=r"sbj_7\.npy is no array"):
        by_id(wear_ssl, root=tmp_path)


def test_a_release_without_video_features_says_so(tmp_path, signals):
    write_wear(tmp_path, signals, i3d=False, combined=False)
    recording = by_id(wear, root=tmp_path)["sbj_0"]
    assert list(recording.streams) == ["imu"]
    assert "features.none" in {f.check for f in recording.findings}


def test_clips_are_named_in_frames(tmp_path, signals):
    assert clip_frames("30_frames_15_stride") == (30, 15)
    write_wear(tmp_path, signals)
    for clip in ("2s", "0_frames_60_stride", "../x"):
        with pytest.raises(ConfigError, match="name a clip"):
            by_id(wear, root=tmp_path, clip=clip)


def test_rows_and_classes_that_are_wrong_are_named(tmp_path, signals):
    write_wear(tmp_path, signals)
    path = tmp_path / "raw" / "inertial" / "50hz" / "sbj_7.csv"
    whole = path.read_text(encoding="utf-8")
    for text, words in (
        (whole.replace("jogging", "jumping", 1), "unknown class"),
        (whole[:-3], "cut off"),
        (whole.replace("right_arm_acc_x", "x"), "no column"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(FileFormatError, match=rf"sbj_7\.csv.*{words}"):
            by_id(wear, root=tmp_path)


@pytest.mark.parametrize(
    "entry",
    [
        {"label": "swimming", "segment": [0, 1]},
        {"label": "jogging", "segment": [2, 1]},
        {"label": "jogging"},
        {"label": "jogging", "segment": ["a", 1]},
        {"label": "jogging", "segment": [1]},
    ],
)
def test_segments_that_are_wrong_are_named(entry):
    with pytest.raises(FileFormatError, match="Segment 0 of sbj_1"):
        segments_of("sbj_1", {"annotations": [entry]}, wear.LABELS)


def test_annotations_of_another_layout_are_refused(tmp_path):
    path = tmp_path / "annotations" / "wear_split_1.json"
    path.parent.mkdir()
    for content in ([], {}, {"database": {}}, {"database": {"sbj_0": {"annotations": 3}}}):
        path.write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(FileFormatError, match=r"wear_split_1\.json"):
            read_annotations(tmp_path, wear.SOURCE)


def test_parts_of_the_first_split(tmp_path):
    write_wear(tmp_path / "wear", wear_signals(600, people=range(18)), i3d=False, combined=False)
    home = tmp_path / "home"
    train = make_dataset("wear", split="train", root=tmp_path / "wear", home=home)
    test = make_dataset("wear", split="test", root=tmp_path / "wear", home=home)
    assert len(train.subjects) == 12
    assert set(test.subjects) == {f"sbj_{i}" for i in range(6)}


def test_the_real_annotations_fit_the_card_and_the_splits():
    folder = SHARED / "data" / "annotations" / "wear"
    if not folder.is_dir():
        pytest.skip("the real annotations are not at hand")
    for number in (1, 2, 3):
        content = json.loads((folder / f"wear_split_{number}.json").read_text(encoding="utf-8"))
        people = content["database"]
        assert tuple(content["label_dict"]) == wear.LABELS
        split = wear.splits()[f"split_{number}"]
        assert {p for p, f in people.items() if f["subset"] == "Validation"} == set(split.test)
        assert sum(len(segments_of(p, f, wear.LABELS)) for p, f in people.items()) == 597
