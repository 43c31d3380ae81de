"""UCI HAR: windows, their source recordings, and the real test part."""

import numpy as np
import pytest
from tests.fixtures import official_layouts as layouts
from tests.fixtures.tidy import G, close, signals, tidy

from otolith.core.errors import FileFormatError
from otolith.datasets import uci_har
from otolith.recordings import Gravity


def read(root, **settings):
    return list(uci_har.recordings(uci_har.Config(root=root, **settings)))


def test_overlapping_windows_share_their_source_recording(tmp_path):
    layouts.write_synthetic("uci_har", tmp_path)
    found = read(tmp_path)
    sources = [r.attributes["source_recording"] for r in found]
    assert sources == [
        *["train_s01_r0000"] * 3, *["train_s01_r0001"] * 2, *["train_s03_r0002"] * 3,
        *["train_s03_r0003"] * 2, *["test_s02_r0000"] * 3, *["test_s02_r0001"] * 2,
    ]  # fmt: skip
    assert [r.attributes["window_in_source"] for r in found[:5]] == ["0", "1", "2", "0", "1"]
    assert [r.annotations[0].labels for r in found[:5]] == [("walking",)] * 3 + [("standing",)] * 2


def test_chains_end_where_the_person_changes():
    windows = np.zeros((4, 128, 3))
    assert uci_har.chains(windows, np.array([1, 1, 2, 2])).tolist() == [0, 0, 1, 1]
    windows[3] = 1.0
    assert uci_har.chains(windows, np.array([1, 1, 1, 1])).tolist() == [0, 0, 0, 1]


def test_parts_and_gravity_free_stream_on_request(tmp_path):
    layouts.write_synthetic("uci_har", tmp_path)
    found = read(tmp_path, parts=("test",), body_acc=True)
    assert {r.attributes["part"] for r in found} == {"test"}
    assert found[0].streams["body"].gravity is Gravity.REMOVED
    assert found[0].streams["imu"].gravity is Gravity.INCLUDED
    assert "body" not in read(tmp_path, parts=("test",))[0].streams


@pytest.mark.parametrize("file", ["y_test.txt", "subject_test.txt"])
def test_files_of_different_length_are_refused(tmp_path, file):
    layouts.write_synthetic("uci_har", tmp_path)
    path = tmp_path / "UCI HAR Dataset" / "test" / file
    path.write_text("\n".join(path.read_text().split()[:-1]) + "\n")
    with pytest.raises(FileFormatError, match="windows but"):
        read(tmp_path)


def test_unknown_activity_is_refused(tmp_path):
    layouts.write_synthetic("uci_har", tmp_path)
    path = tmp_path / "UCI HAR Dataset" / "test" / "y_test.txt"
    path.write_text(path.read_text().replace("5", "7"))
    with pytest.raises(FileFormatError, match="unknown activity"):
        read(tmp_path)


def test_real_windows_come_back(tmp_path):
    table = tidy("uci_har_test/uci_har_test_windows.parquet", ("subject", "in", (2, 4)))
    table = table[table["window_id"] < 420]
    shape = (-1, 128, 3)
    total, body, gyro = (
        signals(table, [f"{s}_{a}" for a in "xyz"]).reshape(shape)
        for s in ("acc", "bodyacc", "gyro")
    )
    first = table[table["sample"] == 0]
    codes = [uci_har.LABELS.index(label) + 1 for label in first["label"]]
    layouts.write_uci_har(tmp_path, "test", total, gyro, body, first["subject"], codes)
    found = read(tmp_path, parts=("test",), body_acc=True)
    assert len(found) == len(first) > 300
    samples = np.stack([r.streams["imu"].samples_TC for r in found])
    close(samples, np.concatenate([total * G, gyro], axis=2))
    close(np.stack([r.streams["body"].samples_TC for r in found]), body * G)
    assert [r.subject for r in found] == [str(s) for s in first["subject"]]
    assert [r.annotations[0].labels[0] for r in found] == list(first["label"])
    sources = {}
    for recording in found:
        sources.setdefault(recording.attributes["source_recording"], set()).add(
            (recording.subject, recording.annotations[0].labels)
        )
    assert all(len(v) == 1 for v in sources.values())
    assert len(sources) < len(found) / 5
