"""Every published run of HIMU-MAE, made small, learns from files in the official layouts."""

import math

import numpy as np
import pytest
from tests.fixtures.official_layouts_himu import (
    wear_signals,
    write_egoexo4d,
    write_wear,
    write_window_list,
)
from typer.testing import CliRunner

from otolith import api
from otolith.cli.main import app
from otolith.core.errors import ConfigError, DataError, LeakageError
from otolith.core.files import read_json
from otolith.datasets import make_dataset, prepare
from otolith.recipes import load_recipe, read_recipe, recipe_names

NAMES = [
    name
    for name in recipe_names()
    if name.startswith("himu_mae/") and read_recipe(name)["about"]["size"] == "paper"
]
PRETRAINING = [n for n in NAMES if read_recipe(n)["system"]["name"] == "himu_mae"]
CONTINUED = [n for n in NAMES if n.endswith("_continued")]
CLASSIFYING = sorted(set(NAMES) - set(PRETRAINING))
CLIP = "120_frames_60_stride"
SMALL = (
    "system.encoder.preset=''", "system.encoder.width=32", "system.encoder.num_layers=2",
    "system.encoder.num_heads=4", "training.epochs=1", "training.batch_size=4",
    "training.num_workers=0", "data.window.stride_s=8", "training.schedule.warmup_epochs=0",
)  # fmt: skip
DECODER = ("system.decoder.width=32", "system.decoder.num_heads=4", "system.decoder.num_layers=2")
LISTS = {
    "train": [(n, 2.0 + 1.5 * i, 4 if i % 2 else 16) for n in (1, 2) for i in range(12)],
    "val": [(3, 1.0 + i, 4 if i < 9 else 0) for i in range(18)],
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home folder with small releases of Ego-Exo4D and WEAR in their official layouts."""
    folder = tmp_path_factory.mktemp("himu")
    segments = [(0.0, 18.0, "Cut the onion"), (18.0, 40.0, "Stir the pan")]
    root = folder / "egoexo4d"
    write_egoexo4d(root, [(part, 40, segments) for part in ("train", "train", "val")])
    for name, rows in LISTS.items():
        entries = [
            (f"kitchen_{n:02d}_1", f"uid-{n}", 1500.0 * n, start, start + 2.0, i, label)
            for i, (n, start, label) in enumerate(rows)
        ]
        write_window_list(folder / f"{name}.pkl", entries)
    write_wear(folder / "wear", wear_signals(1500, people=(0, 7, 8, 13)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTOLITH_HOME", str(folder / "home"))
        patch.setenv("OTOLITH_OFFLINE", "1")
        for name, release in (("egoexo4d", root), ("wear", "wear"), ("wear_ssl", "wear")):
            prepare(name, folder / release, folder / "home" / "data" / name, progress=False)
        yield folder


def train(folder, name, *changes):
    """One small run; every loss is finite."""
    system = DECODER if name in PRETRAINING else ()
    if "finetune_intermediate" in name:
        system = ("system.head.hidden_widths=[8]",)
    run = api.train(name, *SMALL, *system, *changes, folder=folder, callbacks=[])
    assert run.status == "finished"
    assert run.metrics["steps"] >= 1
    for part in ("train", "validation"):
        assert math.isfinite(run.metrics["last"][part]["loss"])
    return run


@pytest.fixture(scope="module")
def pretrained(home):
    """A small run of Ego-Exo4D with Omnivore, from which the later runs start."""
    return train(home / "pretrained", "himu_mae/pretrain_omnivore").folder


def cli(*words):
    found = CliRunner().invoke(app, [str(word) for word in words])
    assert found.exit_code == 0, f"{found.output} {found.exception!r}"
    return found.output


@pytest.mark.parametrize("name", [n for n in PRETRAINING if n not in CONTINUED])
def test_pretraining_from_scratch(home, tmp_path, name):
    run = train(tmp_path / "run", name)
    data = run.system.config.encoder.processor.num_channels
    assert data == {"himu_mae/pretrain_visualization": 1}.get(name, 12 if "wear" in name else 3)


@pytest.mark.parametrize("name", CONTINUED)
@pytest.mark.parametrize("freeze", ["none", "decoder"])
def test_continued_pretraining_on_wear(home, pretrained, tmp_path, name, freeze):
    run = train(tmp_path / "run", name, f"init_from={pretrained}", f"system.freeze={freeze}")
    report = read_json(run.folder / "init_from.json")
    assert not report["missing"]
    assert not report["unexpected"]
    frozen = [p for p in run.system.decoder.blocks.parameters() if not p.requires_grad]
    assert bool(frozen) == (freeze == "decoder")
    assert load_recipe(name)[0].system.config.freeze == (
        "none" if name.endswith("wear_continued") else "decoder"
    )


@pytest.mark.parametrize("name", CLASSIFYING)
def test_probing_and_fine_tuning(home, pretrained, tmp_path, name):
    started = () if "scratch" in name else (f"init_from={pretrained}",)
    run = train(tmp_path / "run", name, *started)
    assert run.system.labels[4] == "cut"
    moves = any(p.requires_grad for p in run.system.encoder.parameters())
    assert moves == ("probe" not in name)


def test_every_script_that_is_named_has_a_recipe():
    short = {name.removeprefix("himu_mae/") for name in NAMES}
    assert short == {
        "pretrain", "pretrain_omnivore", "pretrain_visualization", "probe_imu", "probe_imu_balanced",
        "finetune_imu", "finetune_imu_balanced", "scratch_imu", "probe_late_fusion",
        "probe_late_fusion_learned", "probe_intermediate_fusion", "finetune_intermediate_fusion",
        "wear", "wear_continued", "wear_i3d", "wear_i3d_continued", "wear_i3d_rgb",
        "wear_i3d_rgb_continued",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["probe_imu_balanced", "probe_intermediate_fusion"])
def test_a_classifier_is_tested_on_the_validation_takes(home, pretrained, tmp_path, name):
    run = train(tmp_path / "run", f"himu_mae/{name}", f"init_from={pretrained}")
    out = tmp_path / "numbers.json"
    said = cli("evaluate", "classify", "--model", run.folder, "--data", "egoexo4d", "--json", out)
    assert "top-5" in said
    result = read_json(out)["results"][0]
    assert result["counts"]["test_subjects"] == 1
    assert result["counts"]["test_windows"] == 5
    assert len(result["labels"]) == 68
    with pytest.raises(LeakageError, match="part of the training"):
        api.evaluate("classify", run.folder, "egoexo4d", {"split": "train"})


def test_window_lists_of_the_authors(home, tmp_path):
    paths = ", ".join(str(home / f"{name}.pkl") for name in LISTS)
    where = f"root: {home / 'egoexo4d'}, settings: {{windows: [{paths}]}}"
    own = ("data.window.around=window", "data.window.label_track=window")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTOLITH_HOME", str(tmp_path / "home"))
        run = train(
            tmp_path / "run", "himu_mae/probe_imu", *own,
            f"data.datasets=[{{name: egoexo4d, split: train, {where}}}]",
        )  # fmt: skip
        found = api.evaluate("classify", run.folder, "egoexo4d")
        pretraining = train(
            tmp_path / "pre", "himu_mae/pretrain", own[0],
            f"data.datasets=[{{name: egoexo4d, {where}}}]",
        )  # fmt: skip
    assert found.counts["test_windows"] == len(LISTS["val"])
    assert sorted(r["support"] for r in found.per_class if r["support"]) == [9, 9]
    assert pretraining.metrics["num_samples"] == 12


@pytest.mark.parametrize(
    ("changes", "num_channels", "num_samples"),
    [
        (("data.window.streams=[imu_right]", "system.encoder.processor.stream=imu_right"), 3, 5),
        (("data.window.streams=[imu, imu_right]", "data.window.separate=true"), 3, 10),
        (
            (
                "data.window.streams=[imu, imu_right]",
                "system.encoder.processor.more_streams=[imu_right]",
                "system.encoder.processor.num_channels=6",
                "system.encoder.processor.spectrogram.mean_db=[-30]",
                "system.encoder.processor.spectrogram.std_db=[27]",
            ),
            6, 5,
        ),
    ],
    ids=["right", "both apart", "both together"],
)  # fmt: skip
def test_left_right_or_both_sensors(home, tmp_path, changes, num_channels, num_samples):
    target = home / "both"
    if not target.exists():
        cli(
            "data", "import", home / "egoexo4d", "--name", "egoexo4d", "--format", "egoexo4d",
            "--setting", "sensors=[left, right]", "--out", target,
        )  # fmt: skip
    run = train(tmp_path / "run", "himu_mae/pretrain", f"data.datasets=['{target}']", *changes)
    assert run.system.config.encoder.processor.num_channels == num_channels
    assert run.metrics["num_samples"] == num_samples


def test_another_split_of_wear_and_the_processed_windows(home, tmp_path):
    run = train(
        tmp_path / "run", "himu_mae/wear_i3d",
        "data.datasets=[{name: wear_ssl, split: train, division: split_2}]",
    )  # fmt: skip
    facts = read_json(run.folder / "checkpoints" / "best" / "model.json")["provenance"]["data"]
    people = facts["datasets"]["wear_ssl"]
    assert sorted(people["train_subjects"] + people["validation_subjects"]) == ["sbj_0", "sbj_13"]
    assert make_dataset("wear_ssl", split="test", division="split_2").subjects == ("sbj_7", "sbj_8")


def test_features_of_a_run_make_the_tree_that_localisation_reads(home, tmp_path):
    run = train(tmp_path / "run", "himu_mae/wear")
    out = tmp_path / "processed"
    cli("features", "wear", "--model", run.folder, "--out", out)
    for kind, width in (("inertial_features", 32), ("combined_features", 32 + 2048)):
        folder = out / kind / CLIP / "mae"
        files = sorted(path.name for path in folder.iterdir())
        assert files == ["sbj_0.npy", "sbj_13.npy", "sbj_7.npy", "sbj_8.npy"]
        arrays = [np.load(folder / name) for name in files]
        assert {(a.shape, a.dtype.str) for a in arrays} == {((28, width), "<f4")}
        assert all(np.isfinite(a).all() for a in arrays)
    assert len({a.tobytes() for a in arrays}) == 4


def test_wrong_settings_are_named(home):
    with pytest.raises(ConfigError, match="settings holds root"):
        load_recipe("himu_mae/pretrain", ["data.datasets=[{name: wear, settings: {root: x}}]"])
    with pytest.raises(ConfigError, match="sensors"):
        make_dataset("egoexo4d", root=home / "egoexo4d", sensors=["top"])
    with pytest.raises(DataError, match="was converted with sensors"):
        make_dataset("egoexo4d", sensors=["right"])
    wrong = CliRunner().invoke(
        app, ["data", "import", str(home), "--name", "wear", "--format", "wear", "--setting", "root=x"]
    )  # fmt: skip
    assert "no setting of a reader" in str(wrong.exception)
