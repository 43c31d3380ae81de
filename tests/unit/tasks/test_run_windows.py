"""How a model's training cut its windows, and what evaluations take from it."""

import pytest
from tests.support.tasks_data import statistics

from otolith.core.config import to_plain
from otolith.core.errors import ConfigError
from otolith.tasks._model import Model
from otolith.tasks._run_windows import (
    about_length,
    common_joint_windows,
    described,
    trained_windows,
    usual_windows,
    windows_of_run,
    with_usual,
)
from otolith.windows.spec import WindowSpec

JOINT = WindowSpec(
    window_s=2.0, streams=("arm", "camera"), channels=("acc_*",), video_fps=8.0, video_size_px=(36, 48)
)  # fmt: skip
ALONE = WindowSpec(window_s=2.0, streams=("imu",))


def model(spec=None, path=None):
    provenance = {} if spec is None else {"window": to_plain(spec)}
    return Model("toy", statistics().system, provenance, path)


def test_provenance_or_the_run_around_says_how_windows_were_cut(tmp_path):
    folder = tmp_path / "checkpoints" / "best"
    folder.mkdir(parents=True)
    assert trained_windows(model()) is None
    assert trained_windows(model(path=folder)) is None
    (tmp_path / "config.yaml").write_text("data: {window: {window_s: 3.0}}\n")
    assert trained_windows(model(path=folder)).window_s == 3.0
    assert trained_windows(model(JOINT, folder)) == JOINT
    elsewhere = tmp_path / "models" / "mine"
    elsewhere.mkdir(parents=True)
    assert trained_windows(model(path=elsewhere)) is None
    with pytest.raises(ConfigError, match="lies in no run"):
        windows_of_run(model(path=elsewhere))


def test_streams_are_named_where_the_model_needs_several():
    assert usual_windows(model()) == {}
    assert usual_windows(model(WindowSpec(window_s=9.0, whole=True))) == {}
    assert usual_windows(model(ALONE)) == {"window_s": 2.0, "channels": ()}
    assert usual_windows(model(WindowSpec(separate=True, streams=("a", "b")))) == {
        "window_s": 5.0, "channels": ()
    }  # fmt: skip
    assert usual_windows(model(JOINT)) == {
        "window_s": 2.0, "channels": ("acc_*",), "joint": True, "streams": ("arm", "camera"),
        "video_fps": 8.0, "video_size_px": (36, 48),
    }  # fmt: skip


def test_what_is_given_counts_and_the_rest_is_said():
    usual = usual_windows(model(JOINT))
    assert with_usual({"window_s": 4.0}, usual) == {**usual, "window_s": 4.0}
    apart = with_usual({"joint": False}, usual)
    assert apart["joint"] is False
    assert "streams" not in apart
    (note,) = described(usual, {})
    assert note.endswith("2 s; channels acc_*; streams arm, camera; all streams together.")
    (note,) = described(usual, {"window_s": 4.0, "streams": ["arm"], "channels": ["gyro_*"]})
    assert note.endswith("model: all streams together.")
    assert described({}, {}) == ()
    assert described({"window_s": 2.0, "channels": ()}, {"window_s": 2.0}) == ()


def test_models_of_one_table_share_joint_windows_only_if_they_agree():
    assert common_joint_windows([model(JOINT), model()]) == usual_windows(model(JOINT))
    assert common_joint_windows([model(JOINT), model(ALONE)]) == {}
    assert common_joint_windows([model(ALONE)]) == {}
    assert common_joint_windows([model()]) == {}


def test_another_length_than_in_training_is_said():
    (note,) = about_length(model(ALONE), WindowSpec(window_s=5.0))
    assert "5 s long, but toy learned from windows of 2 s" in note
    assert about_length(model(ALONE), WindowSpec(window_s=2.0)) == ()
    assert about_length(model(ALONE), WindowSpec(whole=True)) == ()
    assert about_length(model(), WindowSpec(window_s=5.0)) == ()
