"""Pictures of reconstructions: by command, while training, and how good they are."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from tests.support.himu_data import BATCH, DECODER, ENCODER
from tests.support.tasks_data import make_part
from typer.testing import CliRunner

from otolith import api
from otolith.cli.main import app
from otolith.core.config import parse
from otolith.core.errors import CheckpointError, ConfigError, DataError
from otolith.encoders._mae_masks import Config as Masking
from otolith.reports.reconstruction_picture import draw_reconstruction, hidden_error_db
from otolith.reports.reconstructions import draw_progress, draw_windows, first_windows
from otolith.systems import plain_encoder
from otolith.systems.himu_mae import Config, Reconstruction, System

SMALL = (
    "system.encoder.processor.num_channels=3", "data.window.channels=['acc_*']",
    "system.encoder.processor.lowest_rate_hz=10", "data.window.stride_s=4", "training.epochs=2", "training.plots_every_epochs=1",
)  # fmt: skip


def make(**changes):
    torch.manual_seed(0)
    plain = {"encoder": ENCODER, "decoder": DECODER, "masking": {"share": 0.75}, **changes}
    return System(parse(Config, plain)).train()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small run on a small data set, with its pictures."""
    folder = tmp_path_factory.mktemp("run")
    part = make_part(folder, 3)
    changes = (*SMALL, f"data.datasets=['{part.folder.path}']")
    return api.train("himu_mae/pretrain_debug", *changes, folder=folder / "run"), part


def cli(*words):
    return CliRunner().invoke(app, ["reconstruct", *(str(word) for word in words)])


def test_a_run_draws_the_same_window_every_epoch(run):
    folder = run[0].folder / "plots"
    drawn = [folder / f"reconstruction_epoch_000{i}.png" for i in (1, 2)]
    first, second = (imread(path)[..., :3] for path in drawn)
    assert first.shape == second.shape
    # input and masked input stay, the reconstruction changes
    half = first.shape[1] // 2
    changed = np.abs(first - second).max(axis=2)[60:] > 0.02
    assert not changed[:, : half - 20].any()
    assert changed[:, half:].any()


def test_the_command_draws_the_windows_that_are_wanted(run, tmp_path):
    result, part = run
    words = (result.folder, "--data", part.folder.path, "--out", tmp_path / "a")
    said = cli(*words, "--count", 3, "--recording", "r1", "--start", 8)
    assert said.exit_code == 0, said.output
    assert "error of hidden pixels" in said.output
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == [f"reconstruction_00{i}.png" for i in range(3)]
    sizes = {imread(path).shape for path in (tmp_path / "a").iterdir()}
    assert len(sizes) == 1
    other = cli(*words[:3], "--out", tmp_path / "b", "--masking", "kind=time", "--masking", "share=0.5",
                "--count", 1, "--recording", "r1", "--start", 8)  # fmt: skip
    assert other.exit_code == 0, other.output
    one, two = (imread(tmp_path / k / "reconstruction_000.png") for k in "ab")
    assert not np.array_equal(one, two)


def test_a_recording_file_is_drawn(run, tmp_path):
    times = np.arange(400) / 50.0
    rows = np.c_[times, np.sin(times), np.cos(times), 9.81 + 0 * times]
    path = tmp_path / "walk.csv"
    np.savetxt(path, rows, delimiter=",", header="time,acc_x,acc_y,acc_z", comments="", fmt="%.5f")
    said = cli(run[0].folder, "--data", path, "--out", tmp_path / "out", "--count", 2)
    assert said.exit_code == 0, f"{said.output} {said.exception!r}"
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_mistakes_are_named_and_leave_nothing(run, tmp_path):
    result, part = run
    words = ("--data", part.folder.path, "--out", tmp_path / "out")
    for wrong, kind, words_of in (
        (cli(result.folder, *words, "--start", 1e6), DataError, "no such window"),
        (cli(result.folder, *words, "--masking", "kind=rows"), ConfigError, "rows"),
        (cli(result.folder, *words, "--rate", 50), ConfigError, "states its rates itself"),
        (cli("statistics", *words), CheckpointError, "reconstructs no spectrograms"),
    ):
        assert isinstance(wrong.exception, kind), wrong.output
        assert words_of in wrong.exception.fact
    assert not (tmp_path / "out").exists()


def test_the_model_stays_as_it_is(tmp_path):
    system = make()
    before = {key: value.clone() for key, value in system.state_dict().items()}
    drawn = draw_windows(system, BATCH, (tmp_path / "a.png", tmp_path / "b.png"))
    assert system.training
    assert all(torch.equal(before[key], value) for key, value in system.state_dict().items())
    assert len(drawn.paths) == 2
    assert drawn.error_db > 0
    assert len(first_windows(BATCH, 2)) == 2
    assert first_windows(BATCH, 2).streams["imu"].channels == BATCH.streams["imu"].channels[:2]


def test_other_systems_are_left_alone(tmp_path):
    def preview():
        raise AssertionError("nothing is to be drawn")

    draw_progress(SimpleNamespace(), preview, tmp_path / "a.png")
    assert plain_encoder.System is not System
    assert not list(tmp_path.iterdir())


def test_errors_are_in_decibels():
    system = make(is_target_normalised=False)
    config = system.encoder.config.processor.spectrogram
    image = torch.zeros(1, 2, 32, 64)
    hidden = torch.zeros(1, 32, 64, dtype=torch.bool)
    hidden[:, :8, :8] = True
    wrong = image.clone()
    wrong[:, :, :8, :8] += 0.1  # of a standard deviation of 27 dB
    found = Reconstruction(
        signal_BCT=torch.zeros(1, 2, 320), image_BCHW=image, predicted_BCHW=wrong, hidden_BHW=hidden
    )
    error, guess = hidden_error_db(found, config)
    assert error == pytest.approx(2.7, rel=1e-5)
    assert guess == pytest.approx(0.0, abs=1e-5)


def test_words_of_a_user_are_drawn_as_they_are(tmp_path):
    found = make().eval().reconstruct(BATCH, Masking(share=0.5))
    assert found.hidden_BHW.float().mean() == pytest.approx(0.5)
    config = make().encoder.config.processor.spectrogram
    path = draw_reconstruction(
        found, config, tmp_path / "a.png", title="$x_1$ costs $5", channels=("$a$", "b_c", "d"),
        units=("m/s^2",) * 3, note="100 % $",
    )  # fmt: skip
    assert imread(path).shape[1] > 1000
