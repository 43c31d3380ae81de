"""Seglearn watch: the installed package, all recordings against the tidy copy."""

import importlib.util
import sys

import numpy as np
import pytest
from tests.fixtures import official_layouts as layouts
from tests.fixtures.tidy import G, close, signals, tidy

from otolith.core.errors import DataError, FileFormatError
from otolith.datasets import seglearn_watch

NAMES = ["PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW"]


def read(root=None):
    return list(seglearn_watch.recordings(seglearn_watch.Config(root=root)))


@pytest.fixture(scope="module")
def real():
    if importlib.util.find_spec("seglearn") is None:
        pytest.skip("the package seglearn is not installed")
    return read()


def test_the_package_holds_ten_people_and_twenty_recordings_per_exercise(real):
    assert len(real) == 140
    assert {r.subject for r in real} == {str(n) for n in range(1, 11)}
    labels = [r.annotations[0].labels[0] for r in real]
    assert {labels.count(name) for name in NAMES} == {20}
    norms = [np.median(np.linalg.norm(r.streams["imu"].samples_TC[:, :3], axis=1)) for r in real]
    assert np.median(norms) == pytest.approx(G, rel=0.15)


def test_the_package_is_not_imported(real):
    assert real
    assert "seglearn" not in sys.modules


def test_all_recordings_are_those_of_the_tidy_copy(real):
    table = tidy("seglearn_watch/seglearn_watch.parquet")
    by_id = dict(list(table.groupby("recording_id")))
    assert {r.id for r in real} == set(by_id)
    for recording in real:
        rows = by_id[recording.id]
        want = signals(rows)
        want[:, :3] *= G
        close(recording.streams["imu"].samples_TC, want)
        assert recording.subject == str(rows["subject"].iloc[0])
        assert recording.annotations[0].labels == (rows["label"].iloc[0],)
        assert recording.attributes["side"] == rows["side"].iloc[0]


def test_words_stand_beside_the_codes(tmp_path):
    layouts.write_synthetic("seglearn_watch", tmp_path)
    found = read(tmp_path)
    assert [r.annotations[0].labels for r in found] == [("PEN",), ("ROW",), ("FEL",)]
    assert found[0].annotations[0].text == "pendulum"
    assert found[1].streams["imu"].channels[0].placement == "left wrist"


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(DataError, match="Install the package seglearn"):
        read()


def test_columns_of_different_length_are_refused(tmp_path):
    layouts.write_seglearn_watch(tmp_path, [np.ones((9, 6))] * 2, [0, 1], NAMES, [1], [0, 1])
    with pytest.raises(FileFormatError, match="differ in length"):
        read(tmp_path)


def test_another_dictionary_is_refused(tmp_path):
    np.save(tmp_path / "watch_dataset.npy", np.array({"X": []}, dtype=object), allow_pickle=True)
    with pytest.raises(FileFormatError, match="does not hold"):
        read(tmp_path)


def test_another_width_is_refused(tmp_path):
    layouts.write_seglearn_watch(tmp_path, [np.ones((9, 3))], [0], NAMES, [1], [0])
    with pytest.raises(FileFormatError, match=r"Recording 0 .* shape \(9, 3\)"):
        read(tmp_path)
