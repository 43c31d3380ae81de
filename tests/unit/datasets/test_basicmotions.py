"""BasicMotions: rows of the archive, and the real recordings."""

import numpy as np
import pytest
from tests.fixtures import official_layouts as layouts
from tests.fixtures.tidy import close, signals, tidy

from otolith.core.errors import FileFormatError
from otolith.datasets import basicmotions
from otolith.recordings import Gravity


def read(root):
    return list(basicmotions.recordings(basicmotions.Config(root=root)))


def write(root, samples, labels):
    for part in ("train", "test"):
        path = layouts.write_basicmotions(root, part, samples, labels)
    return path


def test_signals_names_and_unknown_people(tmp_path):
    samples = np.random.default_rng(0).normal(size=(2, 100, 6))
    write(tmp_path, samples, ["Running", "Badminton"])
    found = read(tmp_path)
    assert [r.id for r in found] == ["train00", "train01", "test00", "test01"]
    assert {r.subject for r in found} == {""}
    assert found[0].streams["imu"].gravity is Gravity.REMOVED
    close(found[1].streams["imu"].samples_TC, samples[1])
    assert found[1].annotations[0].labels == ("badminton",)


@pytest.mark.parametrize(
    ("old", "new"),
    [(":Running", ":Flying"), (":Running", ""), ("@dimensions 6", "@dimensions 3"),
     ("@data", "@date"), (",", ",x", )],
)  # fmt: skip
def test_damaged_rows_are_refused(tmp_path, old, new):
    path = write(tmp_path, np.ones((1, 100, 6)), ["Running"])
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(FileFormatError, match="BasicMotions_TEST.ts"):
        read(tmp_path)


def test_split_is_by_recording():
    split = basicmotions.splits()["official"]
    assert split.by == "recording"
    assert (split.train[0], split.train[-1], len(split.test)) == ("train00", "train39", 40)


def test_real_recordings_come_back(tmp_path):
    table = tidy("basicmotions/basicmotions.parquet")
    ids = table["recording_id"].drop_duplicates().tolist()
    for part in ("train", "test"):
        rows = table[table["part"] == part]
        first = rows[rows["sample"] == 0]["label"]
        samples = signals(rows).reshape(-1, 100, 6)
        layouts.write_basicmotions(tmp_path, part, samples, [x.capitalize() for x in first])
    found = read(tmp_path)
    assert sorted(r.id for r in found) == sorted(ids)
    by_id = dict(list(table.groupby("recording_id")))
    for recording in found:
        close(recording.streams["imu"].samples_TC, signals(by_id[recording.id]))
        assert recording.annotations[0].labels == (by_id[recording.id]["label"].iloc[0],)


def test_an_installed_package_is_found_without_importing_it(tmp_path, monkeypatch):
    folder = tmp_path / "sktime" / "datasets" / "data" / "BasicMotions"
    (folder.parents[2]).mkdir(parents=True)
    (tmp_path / "sktime" / "__init__.py").write_text("raise RuntimeError('imported')")
    write(folder, np.ones((1, 100, 6)), ["Running"])
    monkeypatch.syspath_prepend(tmp_path)
    assert next(r.id for r in read(None)) == "train00"
