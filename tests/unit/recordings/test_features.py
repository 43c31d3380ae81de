"""Features are read with their own width, from every supported file type, without running code."""

import os

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from otolith.core.errors import DataError, FileFormatError
from otolith.recordings.features import read_features
from otolith.recordings.recording import Recording
from otolith.recordings.store import write_data_folder

VALUES = np.random.default_rng(0).normal(size=(9, 24)).astype(np.float32)


def save(path, values=VALUES):
    tensor = torch.from_numpy(values)
    match path.name:
        case name if name.endswith(".npy"):
            np.save(path, values)
        case name if name.endswith(".npz"):
            np.savez(path, features=values)
        case "dict.pt":
            torch.save({"features": tensor, "fps": 30}, path)
        case name if name.endswith(".safetensors"):
            save_file({"features": tensor}, path)
        case _:
            torch.save(tensor, path)
    return path


def read(path, **kwargs):
    return read_features(path, extractor="i3d", window_s=0.64, stride_s=0.16, **kwargs)


NAMES = ["x.npy", "x.npz", "x.pt", "x.PTH", "dict.pt", "x.safetensors"]


@pytest.mark.parametrize("name", NAMES)
def test_every_file_type_gives_the_same(tmp_path, name):
    stream = read(save(tmp_path / name))
    np.testing.assert_array_equal(stream.values_ND, VALUES)
    assert stream.values_ND.dtype == np.float32
    assert (stream.name, stream.extractor) == ("i3d", "i3d")
    assert stream.duration_s == pytest.approx(8 * 0.16 + 0.64)
    assert stream.quality.flag == "good"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int32])
def test_other_number_types_become_float32(tmp_path, dtype):
    tensor = torch.arange(6).reshape(2, 3).to(dtype)
    torch.save(tensor, tmp_path / "x.pt")
    save_file({"a": tensor}, tmp_path / "x.safetensors")
    for name in ("x.pt", "x.safetensors"):
        values = read(tmp_path / name).values_ND
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, np.arange(6).reshape(2, 3))


def test_one_of_several_arrays_is_named(tmp_path):
    np.savez(tmp_path / "x.npz", left=VALUES, right=-VALUES)
    np.testing.assert_array_equal(read(tmp_path / "x.npz", key="right").values_ND, -VALUES)
    with pytest.raises(DataError, match=r"2 arrays.*left, right"):
        read(tmp_path / "x.npz")
    with pytest.raises(DataError, match='Did you mean "right"'):
        read(tmp_path / "x.npz", key="rihgt")
    with pytest.raises(DataError, match="without a name"):
        read(save(tmp_path / "x.npy"), key="left")
    assert read(save(tmp_path / "x.npy"), name="hands").name == "hands"


def test_rows_that_are_not_finite_are_said(tmp_path):
    values = VALUES.copy()
    values[[2, 5], [0, 3]] = np.nan, np.inf
    quality = read(save(tmp_path / "x.npy", values)).quality
    assert quality.flag == "suspect"
    assert quality.valid_fraction == pytest.approx(7 / 9)
    assert quality.notes == ("2 of 9 rows are not finite",)


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), ()])
def test_other_shapes_are_refused(tmp_path, shape):
    with pytest.raises(DataError, match="windows, width"):
        read(save(tmp_path / "x.npy", np.zeros(shape, np.float32)))


def test_no_windows_are_fine(tmp_path):
    stream = read(save(tmp_path / "x.npy", np.zeros((0, 7), np.float32)))
    assert stream.values_ND.shape == (0, 7)
    assert stream.duration_s == 0.0


def test_text_arrays_are_refused(tmp_path):
    with pytest.raises(DataError, match="Give numbers"):
        np.save(tmp_path / "x.npy", np.array([["a"]]))
        read(tmp_path / "x.npy")
    torch.save([1, 2], tmp_path / "x.pt")
    with pytest.raises(DataError, match="holds a list"):
        read(tmp_path / "x.pt")


class Bomb:
    """Would create a file if it were unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.pt"])
def test_files_never_run_code(tmp_path, name):
    bomb = np.array([[Bomb(tmp_path / "exploded")]], dtype=object)
    if name == "x.npy":
        np.save(tmp_path / name, bomb)
    elif name == "x.npz":
        np.savez(tmp_path / name, a=bomb)
    else:
        torch.save(Bomb(tmp_path / "exploded"), tmp_path / name)
    with pytest.raises(FileFormatError, match="not a readable"):
        read(tmp_path / name)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("name", NAMES)
def test_cut_off_files_are_one_clear_error(tmp_path, name):
    path = save(tmp_path / name)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(FileFormatError, match="not a readable"):
        read(path)


def test_mistakes_in_the_call(tmp_path):
    with pytest.raises(DataError, match="no file"):
        read(tmp_path / "x.npy")
    with pytest.raises(DataError, match=r"Allowed: \.npy"):
        read(tmp_path / "x.csv")
    for window_s, stride_s in [(0.0, 1.0), (1.0, -1.0), (float("nan"), 1.0)]:
        with pytest.raises(DataError, match="positive"):
            read_features(tmp_path / "x.npy", extractor="i3d", window_s=window_s, stride_s=stride_s)


def test_features_go_through_the_store_beside_others(tmp_path):
    wide = read(save(tmp_path / "x.npy"), name="wide")
    narrow = read(save(tmp_path / "y.npy", VALUES[:, :3]), name="narrow")
    recordings = [Recording(id=i, streams={"wide": wide, "narrow": narrow}) for i in "ab"]
    folder = write_data_folder(tmp_path / "d", recordings, name="d", card={}, progress=False)
    assert len(list((folder.path / "signals").iterdir())) == 2
    got = folder.recording("b").streams["narrow"]
    np.testing.assert_array_equal(got.values_ND, VALUES[:, :3])
    assert (got.window_s, got.stride_s) == (0.64, 0.16)
