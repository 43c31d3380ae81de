"""Official checkpoints of HIMU-MAE and EVI-MAE that are damaged, hostile, or of something else."""

import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.support.command_line import otolith, refused
from tests.support.evi_data import DEBUG
from tests.support.himu_data import DECODER, ENCODER

from otolith.core.config import parse
from otolith.systems import evi_mae, himu_mae
from otolith.systems._convert import export_official
from otolith.systems._official import settings_path

SETTINGS = {
    "himu_mae": ("img_size=[32, 64]", "num_heads=4"),
    "evi_mae": (
        "imu.encoder_num_heads=2", "imu.target_length=64", "imu.plot_height=32",
        "video.encoder_num_heads=2", "video.img_size=32", "video.decode_num_heads=2",
    ),
}  # fmt: skip
SYSTEMS = tuple(SETTINGS)


class Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code ran')",))


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    folder = tmp_path_factory.mktemp("official")
    torch.manual_seed(0)
    made = {
        "himu_mae": himu_mae.System(
            parse(himu_mae.Config, {"encoder": ENCODER, "decoder": DECODER})
        ),
        "evi_mae": evi_mae.System(parse(evi_mae.Config, DEBUG)),
    }
    for name, system in made.items():
        path = folder / f"{name}.safetensors"
        export_official(system, path)
        settings_path(path).unlink()  # the authors' files have none
    return folder


def words(source, system, out, settings=None):
    given = SETTINGS[system] if settings is None else settings
    options = (word for text in given for word in ("--setting", text))
    return ("checkpoint", "convert", source, out, "--system", system, *options)


def check(tmp_path, source, system, what, settings=None):
    lines = refused(*words(source, system, tmp_path / "model", settings))
    text = " ".join(lines)
    assert what in text
    assert source.name in text
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("system", SYSTEMS)
def test_whole_weights_are_taken(official, tmp_path, system):
    ran = otolith(*words(official / f"{system}.safetensors", system, tmp_path / "model"))
    assert ran.code == 0, ran.err


def cut(path, weights):
    save_file(weights, path)
    path.write_bytes(path.read_bytes()[:-1000])


def flat(path, weights):
    save_file({k: v.flatten() for k, v in weights.items()}, path)


def smaller(path, weights):
    save_file({k: v[..., :-1].contiguous() if v.ndim else v for k, v in weights.items()}, path)


def no_numbers(path, weights):
    save_file({k: v * torch.nan if v.is_floating_point() else v for k, v in weights.items()}, path)


DAMAGES = {
    "truncated": (".safetensors", cut),
    "flat": (".safetensors", flat),
    "smaller": (".safetensors", smaller),
    "no numbers": (".safetensors", no_numbers),
    "hostile zip": (".pth", lambda p, w: torch.save({"model": w, "x": Bomb()}, p)),
    "hostile pickle": (".pth", lambda p, w: p.write_bytes(pickle.dumps({"a": Bomb()}))),
    "keys are numbers": (".pth", lambda p, w: torch.save({"model": {1: torch.ones(2)}}, p)),
    "empty": (".pth", lambda p, w: p.write_bytes(b"")),
}


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("case", DAMAGES)
def test_damaged_weights_are_refused(official, tmp_path, system, case, recwarn):
    suffix, damage = DAMAGES[case]
    path = tmp_path / f"damaged{suffix}"
    damage(path, load_file(official / f"{system}.safetensors"))
    check(tmp_path, path, system, "weights")
    assert not recwarn.list


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_missing_key_is_named(official, tmp_path, system):
    """Not one of them ends in a traceback, whatever sizes are read from it."""
    whole = load_file(official / f"{system}.safetensors")
    path = tmp_path / "missing.safetensors"
    for key in sorted(whole)[::3]:
        if "num_batches_tracked" in key:
            continue
        save_file({k: v for k, v in whole.items() if k != key}, path)
        check(tmp_path, path, system, "weights")


def test_a_superfluous_key_is_refused(official, tmp_path):
    weights = load_file(official / "himu_mae.safetensors")
    save_file({**weights, "extra.weight": torch.ones(2)}, tmp_path / "extra.safetensors")
    check(tmp_path, tmp_path / "extra.safetensors", "himu_mae", "extra.weight")


@pytest.mark.parametrize(
    ("source", "system"),
    [
        ("himu_mae", "evi_mae"),
        ("evi_mae", "himu_mae"),
        ("himu_mae", "himu_mae_classifier"),
        ("evi_mae", "himu_mae_classifier"),
        ("evi_mae", "evi_mae_classifier"),
        ("himu_mae", "evi_mae_classifier"),
    ],
)
def test_weights_of_another_system_are_refused(official, tmp_path, source, system):
    settings = SETTINGS[system.removesuffix("_classifier")]
    check(tmp_path, official / f"{source}.safetensors", system, "The weights h", settings)


@pytest.mark.parametrize(
    ("system", "settings", "what"),
    [
        ("himu_mae", (), "img_size=[rows, columns]"),
        ("himu_mae", ("img_size=[32, 64]",), "num_heads=N"),
        ("himu_mae", ("img_size=abc",), "img_size"),
        ("himu_mae", ("img_size=[32]",), "img_size"),
        ("himu_mae", ("img_size=[32, 64]", "num_heads=abc"), "num_heads"),
        ("himu_mae", ("img_size=[32, 64]", "num_heads=5"), "num_heads 5"),
        ("himu_mae", (*SETTINGS["himu_mae"], "spectrogram=abc"), "spectrogram"),
        ("himu_mae", (*SETTINGS["himu_mae"], "spectrogram.sampling_rate=0"), "sampling_rate"),
        ("himu_mae", (*SETTINGS["himu_mae"], "mean=[1, 2]", "std=[1, 2]"), "2 values for 3"),
        ("evi_mae", (), "video.encoder_num_heads=N"),
        ("evi_mae", (*SETTINGS["evi_mae"], "imu.mask_mode=all"), "mask_mode"),
        ("evi_mae", (*SETTINGS["evi_mae"], "dataset_std=0"), "dataset_std"),
        ("evi_mae", (*SETTINGS["evi_mae"], "video.pretrain_modality=audio"), "pretrain_modality"),
    ],
)
def test_wrong_settings_are_named(official, tmp_path, system, settings, what):
    check(tmp_path, official / f"{system}.safetensors", system, what, settings)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_setting_that_nothing_reads_is_refused(official, tmp_path, system):
    source = official / f"{system}.safetensors"
    given = (*SETTINGS[system], "nonsense=1")
    assert '"nonsense"' in refused(*words(source, system, tmp_path / "model", given))[0]
    assert not (tmp_path / "model").exists()


def test_an_occupied_target_is_kept(official, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.txt").write_text("mine")
    source = official / "himu_mae.safetensors"
    assert "exists already" in refused(*words(source, "himu_mae", tmp_path / "model"))[0]
    assert [p.name for p in (tmp_path / "model").iterdir()] == ["mine.txt"]
