"""Broken and hostile checkpoint files end in one sentence, never in running code."""

import json
import pickle

import pytest
import torch
from safetensors.torch import save_file

from otolith.core.errors import CheckpointError
from otolith.systems._official import read_official_checkpoint, read_official_settings


class Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code ran')",))


def test_sections_wrappers_and_settings(tmp_path):
    path = tmp_path / "best.pt"
    content = {
        "epoch": 3,
        "model_state_dict": {"module.a": torch.ones(2), "note": "text"},
        "config": {"d_model": 8},
        "optimizer_state_dict": {"state": {}},
    }
    torch.save(content, path)
    sections = read_official_checkpoint(path)
    assert list(sections) == ["model_state_dict"]
    assert sections["model_state_dict"]["a"].tolist() == [1, 1]
    assert read_official_settings(path) == {"d_model": 8}
    (tmp_path / "hyperparameters.json").write_text(json.dumps({"num_heads": 4}))
    assert read_official_settings(path) == {"num_heads": 4}


def test_a_bare_state_dict_and_safetensors(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "a.pth")
    save_file({"a": torch.ones(2)}, tmp_path / "a.safetensors")
    for name in ("a.pth", "a.safetensors"):
        assert list(read_official_checkpoint(tmp_path / name)["model_state_dict"]) == ["a"]
    assert read_official_settings(tmp_path / "a.pth") == {}


def write_truncated(path):
    torch.save({"a": torch.randn(1000)}, path)
    path.write_bytes(path.read_bytes()[:-700])


def write_hostile(path):
    path.write_bytes(pickle.dumps({"a": Bomb()}))


def write_hostile_zip(path):
    torch.save({"a": torch.ones(1), "b": Bomb()}, path)


@pytest.mark.parametrize(
    "write",
    [
        write_truncated,
        write_hostile,
        write_hostile_zip,
        lambda p: p.write_bytes(b""),
        lambda p: p.write_text("not a checkpoint at all"),
        lambda p: torch.save([1, 2], p),
        lambda p: torch.save({"epoch": 1}, p),
    ],
    ids=["truncated", "hostile", "hostile_zip", "empty", "text", "list", "no_weights"],
)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_bad_files_are_refused(tmp_path, write, suffix):
    path = tmp_path / f"x{suffix}"
    write(path)
    with pytest.raises(CheckpointError, match=r"x\.(pt|safetensors)"):
        read_official_checkpoint(path)


def test_missing_files_and_broken_settings(tmp_path):
    with pytest.raises(CheckpointError, match="There is no file"):
        read_official_checkpoint(tmp_path / "none.pt")
    torch.save({"a": torch.ones(1)}, tmp_path / "a.pt")
    (tmp_path / "hyperparameters.json").write_text("{")
    with pytest.raises(CheckpointError, match="holds no settings"):
        read_official_settings(tmp_path / "a.pt")
