"""Features of WEAR's rows in WEAR's tree."""

import numpy as np
import pytest
import torch
from tests.support.himu_data import DECODER, ENCODER

from otolith.core.config import parse
from otolith.core.errors import DataError, FileFormatError
from otolith.systems.himu_mae import Config, System
from otolith.tasks._wear_features import CLIP, write_wear_features


@pytest.fixture
def system():
    torch.manual_seed(0)
    processor = {**ENCODER["processor"], "num_channels": 12}
    plain = {"encoder": {**ENCODER, "processor": processor}, "decoder": DECODER}
    return System(parse(Config, plain))


@pytest.fixture
def processed(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "combined_features" / CLIP
    folder.mkdir(parents=True)
    for person, count in (("sbj_0", 5), ("sbj_1", 3)):
        rows = rng.normal(size=(count, 3248))
        rows[1, 100:130] = np.nan
        np.save(folder / f"{person}.npy", rows)
    return tmp_path


def test_both_trees_are_written(system, processed):
    files = write_wear_features(system, processed, "imu/split_1", batch_size=2)
    assert [f.name for f in files] == ["sbj_0.npy", "sbj_1.npy"]
    for path in files:
        source = np.load(processed / "combined_features" / CLIP / path.name)
        both = np.load(path)
        alone = np.load(
            processed / "inertial_features" / CLIP / "mae" / "imu" / "split_1" / path.name
        )
        assert both.dtype == np.float64
        assert both.shape == (len(source), 32 + 2048)
        assert np.array_equal(both[:, 32:], source[:, 1200:])
        assert np.array_equal(both[:, :32], alone)
        motion = np.nan_to_num(source[:, :1200]).reshape(-1, 12, 100).astype(np.float32)
        expected = system.embed_signals(torch.from_numpy(motion) * 9.80665, 50.0)
        np.testing.assert_allclose(alone, expected.detach().numpy(), atol=1e-5)


def test_a_second_run_does_not_read_its_own_files(system, processed):
    first = write_wear_features(system, processed, "imu")
    again = write_wear_features(system, processed, "imu")
    assert first == again


def test_mistakes_are_named(system, processed, tmp_path):
    with pytest.raises(DataError, match="holds no rows"):
        write_wear_features(system, tmp_path / "nowhere", "imu")
    path = processed / "combined_features" / CLIP / "sbj_1.npy"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(FileFormatError, match=r"sbj_1\.npy"):
        write_wear_features(system, processed, "imu")
    np.save(path, np.zeros((2, 77)))
    with pytest.raises(DataError, match="no windows of 100"):
        write_wear_features(system, processed, "imu")
