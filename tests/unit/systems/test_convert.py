"""Official checkpoints to systems and back, at every size and in every kind of file."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from otolith.core.config import parse
from otolith.core.errors import CheckpointError, UnknownNameError
from otolith.encoders.imu_tsfm import PRESETS
from otolith.systems import SYSTEMS, statistics, tsfm_pretrain
from otolith.systems._convert import export_official, import_official

SIZES = [name for name in PRESETS if name not in {"medium", "large"}]


def make(preset="debug"):
    settings = {"encoder": {"preset": preset}, "projection_hidden_width": 16, "projection_width": 8}  # fmt: skip
    torch.manual_seed(0)
    return tsfm_pretrain.System(parse(tsfm_pretrain.Config, settings)).eval()


@pytest.fixture(scope="module")
def system():
    return make()


@pytest.fixture
def official(system, tmp_path):
    path = tmp_path / "official.safetensors"
    export_official(system, path)
    return path


def same(one, two):
    one, two = one.state_dict(), two.state_dict()
    return one.keys() == two.keys() and all(
        torch.equal(one[k], two[k]) for k in one if not k.startswith("balance.")
    )


@pytest.mark.parametrize("preset", SIZES)
def test_every_size_goes_there_and_back(preset, tmp_path):
    system = make(preset)
    path = tmp_path / "official.safetensors"
    assert export_official(system, path) == len(load_file(path))
    back, report = import_official(path, "", {"num_heads": PRESETS[preset]["num_heads"]})
    assert (report.missing, report.unexpected) == ((), ())
    assert same(system, back)
    assert not back.training


@pytest.mark.parametrize("preset", [name for name in PRESETS if name not in SIZES])
def test_the_names_of_large_sizes_are_unique(preset):
    with torch.device("meta"):
        system = tsfm_pretrain.System(parse(tsfm_pretrain.Config, {"encoder": {"preset": preset}}))
    names = system.official_names()
    official = [name for key in system.state_dict() for name in names(key)]
    assert len(official) == len(set(official)) > 100


@pytest.mark.parametrize("wrap", [False, True])
def test_torch_files_are_read_without_running_code(system, official, tmp_path, wrap):
    state = load_file(official)
    content = {"model_state_dict": {f"_orig_mod.{k}": v for k, v in state.items()}, "epoch": 3}
    path = tmp_path / "checkpoint.pt"
    torch.save(content if wrap else state, path)
    back, report = import_official(path, "tsfm_pretrain", {"num_heads": 2})
    assert same(system, back)
    assert not report.missing


class _Trap:
    def __reduce__(self):
        return (open, ("trap.txt", "w"))


def test_a_file_that_would_run_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model_state_dict": {"w": torch.zeros(1)}, "extra": _Trap()}, "bad.pt")
    with pytest.raises(CheckpointError, match="cannot be read as plain weights") as caught:
        import_official(tmp_path / "bad.pt", "tsfm_pretrain")
    assert "weights_only" not in str(caught.value)
    assert not (tmp_path / "trap.txt").exists()


def test_settings_come_from_the_file_beside_or_from_the_user(system, official):
    with pytest.raises(CheckpointError, match="attention heads") as caught:
        import_official(official, "")
    assert "--setting num_heads=N" in caught.value.remedy
    (official.parent / "hyperparameters.json").write_text(json.dumps({"num_heads": 2}))
    assert same(system, import_official(official, "")[0])
    assert import_official(official, "", {"num_heads": 4})[0].config.encoder.num_heads == 4


def test_the_system_is_guessed_or_asked_for(official, tmp_path):
    save_file({"something.weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="does not say which system") as caught:
        import_official(tmp_path / "other.safetensors", "")
    assert "--system" in caught.value.remedy
    with pytest.raises(CheckpointError):
        import_official(tmp_path / "other.safetensors", "tsfm_pretrain")
    with pytest.raises(CheckpointError, match="no official form"):
        import_official(official, "statistics")
    with pytest.raises(UnknownNameError, match="tsfm_pretrain"):
        import_official(official, "tsfm_pretrian")


def test_systems_without_an_official_form_are_not_exported(tmp_path):
    assert "statistics" in SYSTEMS.names()
    system = statistics.System(statistics.Config())
    with pytest.raises(CheckpointError, match="statistics has no official form"):
        export_official(system, tmp_path / "out.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_targets_that_cannot_hold_weights_are_refused(system, tmp_path):
    (tmp_path / "folder.safetensors").mkdir()
    for name in ("out.pt", "folder.safetensors", "out"):
        with pytest.raises(CheckpointError, match="cannot hold"):
            export_official(system, tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == ["folder.safetensors"]
