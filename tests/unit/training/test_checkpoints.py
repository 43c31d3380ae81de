"""Model folders and checkpoints."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.support.training_toys import NAME, ToyLoader, make_system

from otolith.core.errors import CheckpointError, TrainingError
from otolith.core.files import write_manifest
from otolith.training.checkpoints import (
    find_folder,
    load_model_folder,
    load_weights,
    new_folder,
    point,
    prune,
    save_model,
)


def saved(folder, **changes):
    system = make_system(**changes)
    save_model(folder, NAME, system, {"recipe": "toy", "subjects": ("s1",)})
    return system


def test_a_model_comes_back_with_settings_weights_and_origin(tmp_path):
    system = saved(tmp_path / "m", width=5)
    back, card = load_model_folder(tmp_path / "m")
    assert back.config == system.config
    assert card["provenance"] == {"recipe": "toy", "subjects": ["s1"]}
    assert card["system"]["name"] == NAME
    assert not back.training
    for name, value in system.state_dict().items():
        assert torch.equal(back.state_dict()[name], value)
    batch = next(ToyLoader().batches(0))
    assert torch.equal(back.embed(batch), system.eval().embed(batch))


def test_saving_again_replaces_the_model_and_leaves_nothing_else(tmp_path):
    saved(tmp_path / "m", width=5)
    saved(tmp_path / "m", width=6)
    assert load_model_folder(tmp_path / "m")[0].config.width == 6
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_files_have_the_mode_of_the_user(tmp_path):
    saved(tmp_path / "m")
    modes = {p.stat().st_mode & 0o777 for p in (tmp_path / "m").iterdir()}
    assert len(modes) == 1


def test_tied_weights_can_be_saved(tmp_path):
    system = make_system()
    system.tied = system.head
    save_model(tmp_path / "m", NAME, system, {})
    stored = load_file(tmp_path / "m" / "model.safetensors")
    assert torch.equal(stored["tied.weight"], stored["head.weight"])


def test_state_that_is_no_tensor_is_refused(tmp_path):
    class Stateful(torch.nn.Linear):
        def get_extra_state(self):
            return {"a": 1}

    system = make_system()
    system.head = Stateful(8, 2)
    with pytest.raises(CheckpointError, match="head._extra_state"):
        save_model(tmp_path / "m", NAME, system, {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["model.safetensors", "model.json"])
def test_a_changed_file_is_noticed(tmp_path, name):
    saved(tmp_path / "m")
    path = tmp_path / "m" / name
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="changed"):
        load_model_folder(tmp_path / "m")


def test_a_folder_that_was_never_finished_is_refused(tmp_path):
    saved(tmp_path / "m")
    (tmp_path / "m" / "MANIFEST.json").unlink()
    with pytest.raises(CheckpointError, match="never finished"):
        load_model_folder(tmp_path / "m")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, "format 2"),
        ({"system": {"name": "toy_clasifier"}}, "toy_classifier"),
        ({"system": {"name": NAME, "depth": 3}}, "depth"),
    ],
)
def test_a_card_that_does_not_fit_this_version_is_refused(tmp_path, change, words):
    saved(tmp_path / "m")
    path = tmp_path / "m" / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    write_manifest(tmp_path / "m")
    with pytest.raises(CheckpointError, match=words):
        load_model_folder(tmp_path / "m")


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_what_is_no_model_is_refused(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=name):
        load_model_folder(tmp_path / name)


def test_every_key_that_does_not_fit_is_reported():
    system = make_system()
    state = dict(make_system(width=4).state_dict())
    state["extra"] = state.pop("scale")
    with pytest.raises(CheckpointError, match=r"extra.*head.weight is \(2, 4\) there and \(2, 8\)"):
        load_weights(system, state, source="here")
    report = load_weights(system, state, source="here", strict=False)
    assert set(report.loaded) == {"head.bias", "num_steps"}
    assert set(report.missing) == {"scale", "body.0.weight", "body.0.bias", "head.weight"}
    assert set(report.unexpected) == {"extra", "body.0.weight", "body.0.bias", "head.weight"}


def test_weights_of_which_nothing_fits_are_refused_even_if_not_strict():
    with pytest.raises(CheckpointError, match="0 keys fit"):
        load_weights(make_system(), {"x": torch.zeros(1)}, source="here", strict=False)


def test_a_failure_while_writing_leaves_the_old_folder(tmp_path):
    saved(tmp_path / "m", width=5)
    with pytest.raises(RuntimeError), new_folder(tmp_path / "m") as folder:
        save_file({}, folder / "half")
        raise RuntimeError
    assert load_model_folder(tmp_path / "m")[0].config.width == 5
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_the_old_folder_returns_if_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    system, rename = saved(tmp_path / "m"), Path.rename

    def refuse(self, target):
        if self.name.startswith(".tmp-") and not self.name.endswith("-old"):
            raise OSError("no room")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(TrainingError, match="no room"):
        saved(tmp_path / "m", width=6)
    monkeypatch.undo()
    assert load_model_folder(tmp_path / "m")[0].config == system.config
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_a_link_is_switched(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        point(tmp_path, "latest", name)
        assert find_folder(tmp_path / "latest").name == name
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "latest"]


def test_without_links_a_note_leads_to_the_folder(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError("no links here")

    saved(tmp_path / "epoch_0001")
    monkeypatch.setattr("pathlib.Path.symlink_to", refuse)
    point(tmp_path, "latest", "epoch_0001")
    assert (tmp_path / "latest.txt").is_file()
    assert find_folder(tmp_path / "latest").name == "epoch_0001"
    assert load_model_folder(tmp_path / "latest")[0].config.width == 8
    prune(tmp_path, every_epochs=1, keep=0)
    assert (tmp_path / "epoch_0001").is_dir()


def folders(path):
    return {p.name for p in path.iterdir()}


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        (None, {"epoch_0002", "epoch_0004", "epoch_0006"}),
        (2, {"epoch_0004", "epoch_0006"}),
        (5, {"epoch_0002", "epoch_0004", "epoch_0006"}),
        (0, set()),
    ],
)
def test_pruning_keeps_links_and_the_newest_periodic_ones(tmp_path, keep, expected):
    names = ["epoch_0002", "epoch_0003", "epoch_0004", "epoch_0005", "epoch_0006"]
    for name in [*names, "step_0000007", "step_0000009", ".tmp-epoch_0007-abc", "mine"]:
        (tmp_path / name).mkdir()
    point(tmp_path, "latest", "step_0000009")
    point(tmp_path, "best", "epoch_0003")
    prune(tmp_path, every_epochs=2, keep=keep)
    assert folders(tmp_path) == expected | {"epoch_0003", "step_0000009", "latest", "best", "mine"}
