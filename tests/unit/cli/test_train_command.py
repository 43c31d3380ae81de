"""`otolith train`, `resume`, `config`, `checkpoint` and `doctor` on a made-up data set."""

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.support.command_line import otolith, refused, walk_csv

from otolith.training.logs import read_records

TINY = (
    "data.datasets=[{name: mine}]",
    "data.window={window_s: 2.0, stride_s: 2.0}",
    "training.epochs=2",
    "training.batch_size=8",
    "training.num_workers=0",
    "training.plots_every_epochs=null",
    "training.checkpoint.keep=5",
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A home folder with a data set of four people, and a finished run."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "files").mkdir()
    for person in range(4):
        walk_csv(folder / "files" / f"walk{person}.csv", seed=person, subject=f"p{person}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTOLITH_HOME", str(folder / "home"))
        patch.setenv("COLUMNS", "100")
        assert otolith("data", "import", folder / "files", "--name", "mine").code == 0
        ran = otolith(
            "train", "tsfm/pretrain_debug", *TINY, "--folder", folder / "run", "--tensorboard"
        )
        assert ran.code == 0, ran
        assert "finished" in ran.out
        yield folder


def test_a_run_leaves_weights_records_plots_and_events(place):
    run = place / "run"
    assert (run / "checkpoints" / "best" / "model.safetensors").is_file()
    kinds = [record["kind"] for record in read_records(run)]
    assert kinds.count("epoch") == 2
    assert list((run / "plots").glob("*.png"))
    assert list(run.rglob("events.out.tfevents*"))


def test_resume_of_a_finished_run_says_so_and_changes_nothing(place):
    before = (place / "run" / "metrics.jsonl").read_bytes()
    ran = otolith("resume", place / "run")
    assert ran.code == 0
    assert "finished" in ran.out
    assert (place / "run" / "metrics.jsonl").read_bytes() == before


def test_resume_goes_on_from_an_earlier_checkpoint_to_the_same_bits(place, tmp_path):
    shutil.copytree(place / "run", tmp_path / "run", symlinks=True)
    kept = load_file(place / "run" / "checkpoints" / "epoch_0002" / "model.safetensors")
    ran = otolith("resume", tmp_path / "run", "--checkpoint", "epoch_0001")
    assert ran.code == 0, ran
    again = load_file(tmp_path / "run" / "checkpoints" / "epoch_0002" / "model.safetensors")
    assert all(torch.equal(again[key], value) for key, value in kept.items())


def test_dry_run_builds_everything_and_writes_nothing(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = otolith("train", "tsfm/pretrain_debug", *TINY, "--dry-run")
    assert ran.code == 0
    assert "training windows" in ran.out
    assert not list(tmp_path.iterdir())


def test_dry_run_looks_at_the_weights_to_start_from(place, tmp_path):
    start = ("train", "tsfm/pretrain_debug", *TINY, "--dry-run", "--init-from")
    assert otolith(*start, place / "run").code == 0
    assert "nope" in refused(*start, "nope")[0]
    wider = ("system.encoder.preset=tiny",)
    assert "do not fit" in refused(*start[:2], *wider, *start[2:], place / "run")[0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["training.epochs=x"], "training.epochs"),
        (["trainig.epochs=3"], 'did you mean "training"?'),
        (["training.epochs"], "key=value"),
        (["training.epochs=[1"], "not YAML"),
        (["system.encoder.num_heads=7"], "system.encoder"),
        (["data.datasets=[{name: mnie}]"], '"mine"'),
        (["data.window.window_s=1000"], "1000 s"),
    ],
)
def test_wrong_settings_start_no_run(place, tmp_path, changes, words):
    lines = refused(
        "train", "tsfm/pretrain_debug", *TINY, *changes, "--folder", tmp_path / "run", "--dry-run"
    )
    assert words in "\n".join(lines)
    assert not (tmp_path / "run").exists()


def test_a_recipe_with_many_mistakes_names_them_all(place, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "extends: demo/pretrain\nseed: x\n"
        "data: {datasets: [{name: mine, split: trian}], window: {window_s: -1}}\n"
        "system: {encoder: {num_heads: 7}, pooling: none}\n"
        "training: {batch_sze: 3, optimizer: {lr: fast}}\n"
    )
    text = "\n".join(refused("train", path))
    for part in ("7 mistakes", "seed", 'did you mean "train"?', "window_s", "system.encoder",
                 "system.pooling", '"batch_size"', "optimizer.lr"):  # fmt: skip
        assert part in text


def test_folders_that_hold_something_are_not_taken(place, tmp_path):
    assert "holds a run already" in refused("train", "tsfm/pretrain_debug", *TINY, "--folder", place / "run")[0]  # fmt: skip
    (tmp_path / "file").write_text("mine")
    assert str(tmp_path / "file") in refused("train", "tsfm/pretrain_debug", *TINY, "--folder", tmp_path / "file")[0]  # fmt: skip
    assert (tmp_path / "file").read_text() == "mine"


def test_resume_of_what_is_no_run_is_refused(place, tmp_path):
    (tmp_path / "empty").mkdir()
    for target in (tmp_path / "empty", tmp_path / "nope", place / "files" / "walk0.csv"):
        assert "no run" in refused("resume", target)[0]
    assert "nope" in refused("resume", place / "run", "--checkpoint", "nope")[0]


def test_a_damaged_checkpoint_is_named(place, tmp_path):
    shutil.copytree(place / "run", tmp_path / "run", symlinks=True)
    weights = tmp_path / "run" / "checkpoints" / "epoch_0002" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    assert "damaged" in refused("resume", tmp_path / "run")[0]
    assert "damaged" in refused("checkpoint", "show", tmp_path / "run" / "checkpoints" / "latest")[0]  # fmt: skip


def test_weights_go_to_the_authors_form_and_back(place, tmp_path):
    official = tmp_path / "official.safetensors"
    ran = otolith("checkpoint", "convert", place / "run", official)
    assert ran.code == 0, ran
    assert "num_heads" in refused("checkpoint", "convert", official, tmp_path / "model")[0].replace("attention heads", "num_heads")  # fmt: skip
    ran = otolith("checkpoint", "convert", official, tmp_path / "model", "--setting", "num_heads=2")
    assert ran.code == 0, ran
    assert "missing     none" in ran.out
    again = tmp_path / "again.safetensors"
    assert otolith("checkpoint", "convert", tmp_path / "model", again).code == 0
    one, two = load_file(official), load_file(again)
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[k], two[k]) for k in one)
    assert "tsfm_pretrain" in otolith("checkpoint", "show", tmp_path / "model").out


def test_what_cannot_be_converted_is_refused(place, tmp_path):
    (tmp_path / "junk.pt").write_bytes(b"\x00junk" * 50)
    (tmp_path / "junk.safetensors").write_bytes(b"\xffjunk" * 50)
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    for name in ("junk.pt", "junk.safetensors", "empty.pt", "nope.pt", "empty"):
        lines = refused("checkpoint", "convert", tmp_path / name, out)
        assert name in lines[0]
        assert "weights_only" not in "\n".join(lines)
    for target in ("out.pt", "empty"):
        assert target in refused("checkpoint", "convert", place / "run", tmp_path / target)[0]
    assert not out.exists()
    official = tmp_path / "official.safetensors"
    assert otolith("checkpoint", "convert", place / "run", official).code == 0
    for system, words in (("nope", "no system"), ("statistics", "no official form"),
                          ("tsfm_align", "no weight")):  # fmt: skip
        arguments = ("--system", system, "--setting", "num_heads=2")
        assert words in refused("checkpoint", "convert", official, out, *arguments)[0]
    arguments = ("--setting", "num_heads=2")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    refused("checkpoint", "convert", official, tmp_path / "full", *arguments)
    assert (tmp_path / "full" / "notes.txt").read_text() == "mine"


def test_a_model_with_parts_of_our_own_has_no_official_form(place, tmp_path):
    run = tmp_path / "levels"
    changes = (*TINY, "training.epochs=1", "system.encoder.has_levels=true")
    assert otolith("train", "tsfm/pretrain_debug", *changes, "--folder", run).code == 0
    lines = refused("checkpoint", "convert", run, tmp_path / "official.safetensors")
    assert "has_levels" in lines[0]
    assert not (tmp_path / "official.safetensors").exists()


def test_show_of_what_is_no_model_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    assert "no model" in refused("checkpoint", "show", tmp_path / "empty")[0]
    assert "no model" in refused("checkpoint", "show", "nope")[0]


def test_config_lists_prints_and_explains(place):
    listed = otolith("config").out
    assert "tsfm/pretrain_debug" in listed
    assert sum("tsfm/pretrain_debug" in line for line in listed.splitlines()) == 1
    printed = otolith("config", "demo/pretrain", "training.epochs=3").out
    assert "epochs: 3" in printed
    explained = otolith("config", "demo/pretrain", "training.epochs=3", "--origin").out
    assert "training.epochs: 3  # override" in explained
    assert "training.batch_size: 64  # recipe" in explained
    assert "# default" in explained


def test_a_printed_recipe_repeats_itself(place, tmp_path):
    first = otolith("config", "tsfm/pretrain_debug").out
    (tmp_path / "saved.yaml").write_text(first)
    assert otolith("config", tmp_path / "saved.yaml").out == first


@pytest.mark.parametrize(
    ("content", "words"),
    [("a: [1,\n b: :", "not YAML"), ("- 1\n", "no mapping"), ("", "no mapping"),
     ("extends: demo/pretrian\n", "demo/pretrian"), ("training: 3\nextends: demo/pretrain\n", "training")],
)  # fmt: skip
def test_files_that_are_no_recipes_are_refused(tmp_path, content, words):
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    assert words in "\n".join(refused("config", path))
    path.write_bytes(b"\xff\xfe\x00")
    assert "not YAML" in refused("config", path)[0]


def test_doctor_finds_this_installation_usable(place):
    ran = otolith("doctor")
    assert ran.code == 0, ran
    assert str(place / "home") in ran.out
    assert "Everything needed is here." in ran.out


def test_doctor_names_what_is_missing(place, monkeypatch):
    from otolith.cli import doctor

    monkeypatch.setattr(doctor, "_PACKAGES", ("numpy", "no-such-package-of-ours"))
    ran = otolith("doctor")
    assert ran.code == 1
    assert "Problem: no-such-package-of-ours is not installed." in ran.out
