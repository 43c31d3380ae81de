"""The public words of Python: lazy, typed by settings, and clear about mistakes."""

import subprocess
import sys

import numpy as np
import pytest
from tests.support.command_line import walk_csv

import otolith
from otolith.core.errors import ConfigError, DataError, LeakageError, OtolithError, UnknownNameError
from otolith.recordings.store import write_data_folder

TINY = (
    "data.window={window_s: 2.0, stride_s: 2.0}",
    "training.epochs=1",
    "training.batch_size=8",
    "training.num_workers=0",
)


@pytest.fixture
def walk(tmp_path):
    return walk_csv(tmp_path / "walk.csv")


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Four people as a data folder."""
    folder = tmp_path_factory.mktemp("people")
    for i in range(4):
        walk_csv(folder / f"walk{i}.csv", seed=i, subject=f"p{i}", seconds=40)
    found = otolith.open_all(folder, dataset="mine")
    return write_data_folder(folder / "mine", found, name="mine", card={}).path


@pytest.fixture(scope="module")
def run(people, tmp_path_factory):
    return otolith.train(
        "tsfm/pretrain_debug",
        f"data.datasets=[{{name: '{people}', subjects: [p0, p1, p2]}}]",
        *TINY,
        folder=tmp_path_factory.mktemp("runs") / "run",
        callbacks=[],
    )


def test_importing_the_package_loads_no_part_of_it():
    code = "import sys, otolith; print([m for m in sys.modules if m.startswith('otolith.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_word_is_there_and_others_are_not():
    assert dir(otolith) == sorted(otolith.__all__)
    assert all(callable(getattr(otolith, word)) for word in otolith.__all__)
    with pytest.raises(AttributeError, match="opne"):
        otolith.opne  # noqa: B018  # the access is what is tested


def test_open_reads_one_recording_in_si_units(walk):
    recording = otolith.open(walk)
    samples = np.asarray(recording.imus["imu"].samples_TC)
    assert abs(np.median(samples[:, 2]) - 9.81) < 0.2
    assert {f.check for f in recording.findings} >= {"units.acc", "units.gyro", "gravity", "rate"}
    assert otolith.open(str(walk), unit_acc="m/s2", gravity="included")


def test_open_refuses_several_recordings_and_wrong_options(walk):
    walk_csv(walk.with_name("more.csv"), seed=1)
    with pytest.raises(DataError, match="holds 2 recordings") as caught:
        otolith.open(walk.parent)
    assert "open_all" in caught.value.remedy
    assert len(otolith.open_all(walk.parent)) == 2
    with pytest.raises(ConfigError, match='did you mean "rate_hz"'):
        otolith.open(walk, rate=50)
    with pytest.raises(ConfigError, match="2 mistakes"):
        otolith.open(walk, unit_acc="kg", on_gap="jump")
    with pytest.raises(DataError, match="no file"):
        otolith.open(walk.with_name("none.csv"))


def test_load_dataset_takes_names_and_folders(people):
    assert otolith.load_dataset(people).subjects == ("p0", "p1", "p2", "p3")
    assert otolith.load_dataset(people, subjects=["p1"]).subjects == ("p1",)
    with pytest.raises(UnknownNameError, match='Did you mean "hapt"'):
        otolith.load_dataset("hatp")


def test_train_gives_a_run_that_can_be_loaded_and_resumed(run):
    assert run.metrics["status"] == "finished"
    model = otolith.load_model(run.folder)
    assert model.provenance["recipe"] == "tsfm/pretrain_debug"
    again = otolith.resume(run.folder)
    assert again.metrics["epochs"] == 1


def test_train_refuses_wrong_settings_before_it_writes(tmp_path):
    with pytest.raises(ConfigError, match="training.epochs"):
        otolith.train("tsfm/pretrain_debug", "training.epochs=no", root=tmp_path / "runs")
    with pytest.raises(ConfigError, match="no recipe"):
        otolith.train("tsfm/pretrain_debgu", root=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_evaluate_takes_names_and_objects(people, run):
    settings = {"windows": {"window_s": 2.0}, "folds": 2}
    by_name = otolith.evaluate("probe", "statistics", people, settings)
    by_object = otolith.evaluate(
        "probe", otolith.load_model("statistics"), otolith.load_dataset(people), settings
    )
    assert by_name.macro_f1 == by_object.macro_f1 > 0.9
    own = otolith.evaluate("probe", run.folder, otolith.load_dataset(people), settings)
    assert 0.0 <= own.macro_f1 <= 1.0


def test_evaluate_names_what_is_wrong(people, run):
    with pytest.raises(UnknownNameError, match='"probe"'):
        otolith.evaluate("prob", "statistics", people)
    with pytest.raises(ConfigError, match="gives no numbers"):
        otolith.evaluate("label", "statistics", people)
    with pytest.raises(ConfigError, match="fold"):
        otolith.evaluate("probe", "statistics", people, {"fold": 3})
    with pytest.raises(OtolithError, match="text"):
        otolith.evaluate("zero_shot", run.folder, people)
    assert issubclass(LeakageError, OtolithError)
