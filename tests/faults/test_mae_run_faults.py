"""HIMU-MAE and EVI-MAE on data or weights that do not fit: one sentence, and no run folder."""

import os
import shutil
import signal

import numpy as np
import pytest
from tests.fixtures.official_layouts import write_synthetic
from tests.support.command_line import otolith, refused

from otolith.datasets import prepare
from otolith.recipes import load_recipe
from otolith.training import runs
from otolith.training.callbacks import Callback
from otolith.training.interrupts import InterruptedRunError
from otolith.training.logs import read_records

WEAR = (
    "himu_mae/wear", "data.validation_fraction=0.4", "training.num_workers=0",
    "system.encoder={preset: debug, processor: {num_channels: 12, spectrogram: {num_rows: 32, "
    "num_columns: 64, mean_db: [-30.0], std_db: [27.0]}}}",
    "system.decoder={kind: plain, width: 32, num_heads: 4, num_layers: 2}",
    "training.batch_size=16", "training.epochs=1", "training.checkpoint={every_epochs: 1}",
)  # fmt: skip
EVI = ("evi_mae/pretrain_debug", "training.epochs=1")
TUNE = ("evi_mae/finetune_debug", "training.epochs=1")
PROCESSOR = "system.encoder.processor"
CONTEXT = ("data.window.streams=[imu, i3d]",)
REFUSED = {
    "himu no stream": ((*WEAR, "data.window.streams=[wrist]"), '"wrist"'),
    "himu one stream missing": ((*WEAR, "data.window.streams=[imu, wrist]"), '"wrist"'),
    "himu no channel": ((*WEAR, "data.window.channels=['mag_*']"), "mag_*"),
    "himu few channels": ((*WEAR, f"{PROCESSOR}.num_channels=6"), "12 channels, the model needs 6"),
    "himu wrong rate": ((*WEAR, f"{PROCESSOR}.rate_hz=800"), "has 50 Hz, the model needs at least"),
    "himu short": ((*WEAR, "data.window.window_s=1000"), "No window of 1000 s"),
    "himu no feature": ((*WEAR, "system.context={stream: i3d, width: 2048}"), '"i3d"'),
    "himu other width": (
        (*WEAR, *CONTEXT, "system.context={stream: i3d, width: 1536}"), "2048 columns",
    ),
    "himu no data": ((*WEAR, "data.datasets=[nothing]"), '"nothing"'),
    "evi no sensor": ((*EVI, "data.window.streams=[camera]"), '"left_foot"'),
    "evi one sensor missing": (
        (*EVI, "data.window.streams=[left_foot, right_foot, left_upper_leg, camera]"),
        '"right_upper_leg"',
    ),
    "evi no camera": (
        (*EVI, "data.window.streams=[left_foot, right_foot, left_upper_leg, right_upper_leg]"),
        '"camera"',
    ),
    "evi nobody has video": (
        (*EVI, "data.datasets=[{name: revalexo, subjects: [Subject04]}]"), '"camera"',
    ),
    "evi short": ((*EVI, "data.window.window_s=60"), "No window of 60 s"),
    "evi few samples": ((*EVI, "data.window.window_s=0.05"), "needed"),
    "evi few frames": ((*EVI, "data.window.video_fps=2.0"), "4 video frames, fewer than 16"),
    "evi channels": ((*EVI, "system.decoder.num_channels=9"), "12 motion channels"),
    "evi labels": ((*TUNE, "system.labels=[x, y]"), '"x"'),
    "evi no target": ((*TUNE, "data.window.targets=[]"), '"multi_label"'),
}  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTOLITH_HOME", str(folder))
        for name in ("revalexo", "cmu_mmac", "wear"):
            made = write_synthetic(name, folder / "releases" / name)
            prepare(name, made.config.root, folder / "data" / name, progress=False)
        for name, words in (("himu", WEAR), ("evi", EVI)):
            ran = otolith("train", *words, "--folder", folder / name)
            assert ran.code == 0, ran.err
        yield folder


def refusal(*words):
    """The message of a refused command; words about the run may stand before it."""
    ran = otolith(*words)
    assert ran.code == 2, ran
    assert "Traceback" not in ran.err
    return ran.err[ran.err.index("Error: ") :].strip().splitlines()


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_and_leaves_nothing(home, tmp_path, case):
    words, what = REFUSED[case]
    fact, remedy = refusal("train", *words, "--folder", tmp_path / "new" / "run")
    assert fact.startswith("Error: ")
    assert what in fact
    assert remedy.endswith(".")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("recipe", "source", "what"),
    [
        (WEAR, "evi", "do not fit"),
        (EVI, "himu", "do not fit"),
        ((*WEAR, "system.encoder.width=64"), "himu", "do not fit"),
        ((*WEAR, f"{PROCESSOR}.num_channels=7"), "himu", "for 12 channels and the model has 7"),
        (WEAR, "none", "There is no folder"),
        (WEAR, "releases", "has no model.json"),
    ],
    ids=["other system", "other system 2", "other size", "12 to 7", "absent", "no model"],
)
def test_weights_that_do_not_fit_are_refused(home, tmp_path, recipe, source, what):
    lines = refused("train", *recipe, "--folder", tmp_path / "run", "--init-from", home / source)
    assert what in lines[0]
    assert source in lines[0]
    assert len(lines) == 2
    assert not list(tmp_path.iterdir())


def test_three_channels_serve_twelve(home, tmp_path):
    three = [w.replace("num_channels: 12", "num_channels: 3") for w in WEAR]
    first = ("train", *three, "data.window.channels=['right_arm_acc_*']")
    assert otolith(*first, "--folder", tmp_path / "three").code == 0
    ran = otolith("train", *WEAR, "--folder", tmp_path / "b", "--init-from", tmp_path / "three")
    assert ran.code == 0, ran.err


def test_a_refused_run_keeps_what_was_in_its_folder(home, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    refusal("train", *WEAR, "data.window.streams=[wrist]", "--folder", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


class Stop(Callback):
    def __init__(self, step):
        self.step = step

    def on_step(self, run, record):
        if record["step"] == self.step:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("words", [WEAR, EVI], ids=["himu_mae", "evi_mae"])
def test_an_interrupted_run_goes_on_exactly(home, tmp_path, words):
    name, *changes = words
    recipe, _ = load_recipe(name, [*changes, "training.epochs=2", "training.log_every_steps=1"])
    with pytest.raises(InterruptedRunError, match="resume"):
        runs.train(recipe, name=name, folder=tmp_path / "a", callbacks=[Stop(2)])
    assert runs.resume(tmp_path / "a").status == "finished"
    runs.train(recipe, name=name, folder=tmp_path / "b")
    a, b = ([r["loss"] for r in read_records(tmp_path / run, "step")] for run in "ab")
    assert a == b
    assert len(a) > 4
    weights = "checkpoints/latest/model.safetensors"
    assert (tmp_path / "a" / weights).read_bytes() == (tmp_path / "b" / weights).read_bytes()


def features(home, out, *words, model="himu"):
    return ("features", "wear", "--model", home / model, "--out", out, *words)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--clip", "abc"), '"abc"'),
        (("--clip", "12000_frames_60_stride"), "No window of 200 s"),
        (("--clip", "60_frames_30_stride"), "describe 2 s every 1 s"),
        (("--video", "omnivore"), '"omnivore"'),
        (("--stream", "wrist"), '"wrist"'),
        (("--name", "../x"), '"../x"'),
    ],
)
def test_refused_features_leave_no_tree(home, tmp_path, words, what):
    assert what in refused(*features(home, tmp_path / "out", *words))[0]
    assert not list(tmp_path.iterdir())


def test_features_of_another_system_are_refused(home, tmp_path):
    assert '"left_foot"' in refused(*features(home, tmp_path / "out", model="evi"))[0]
    assert not list(tmp_path.iterdir())


def test_features_stay_until_new_ones_are_there(home, tmp_path):
    assert otolith(*features(home, tmp_path)).code == 0
    before = {p: p.read_bytes() for p in sorted(tmp_path.rglob("*")) if p.is_file()}
    assert "another model" in refused(*features(home, tmp_path, model="evi"))[0]
    refused(*features(home, tmp_path, "--overwrite", model="evi"))
    assert before == {p: p.read_bytes() for p in sorted(tmp_path.rglob("*")) if p.is_file()}


def test_a_disk_that_fills_leaves_whole_features_and_goes_on(home, tmp_path, monkeypatch):
    save, count = np.save, 0

    def fail_at_third(file, *words, **options):
        nonlocal count
        count += 1
        if count == 3:
            file.write_bytes(b"half")
            raise OSError(28, "No space left on device", str(file))
        save(file, *words, **options)

    monkeypatch.setattr(np, "save", fail_at_third)
    assert "No space left" in refused(*features(home, tmp_path))[0]
    files = sorted(tmp_path.rglob("*.npy"))
    assert [p.stem for p in files] == ["sbj_0", "sbj_0"]
    assert all(np.load(p).ndim == 2 for p in files)
    monkeypatch.undo()
    monkeypatch.setenv("OTOLITH_HOME", str(home))
    ran = otolith(*features(home, tmp_path))
    assert "5 computed, 1 kept" in ran.out, ran.err


@pytest.mark.parametrize("task", ["probe", "fine_tune"])
@pytest.mark.parametrize(("model", "what"), [("evi", "fits acc_*"), ("none", "There is no model")])
def test_evaluations_that_do_not_fit_leave_no_result(home, tmp_path, task, model, what):
    out = tmp_path / "found.json"
    words = ("--model", home / model, "--data", "wear", "--folds", "2", "--json", out)
    assert what in refused("evaluate", task, *words)[0]
    assert not out.exists()


def test_damaged_weights_are_refused(home, tmp_path):
    model = shutil.copytree(home / "himu" / "checkpoints" / "epoch_0001", tmp_path / "model")
    path = model / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    lines = refused("embed", "wear", "--model", model, "--out", tmp_path / "e.parquet")
    assert "model.safetensors has" in lines[0]
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
