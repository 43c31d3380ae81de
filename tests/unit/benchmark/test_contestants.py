"""What stands in the rows: features with shallow classifiers, encoders from scratch."""

import numpy as np
import pytest
import torch
from tests.support.benchmark_data import arena_of, tiny_encoder
from tests.support.tasks_data import make_part, toy_model

from otolith.benchmark._runner import make_contestant
from otolith.benchmark._settings import Learning
from otolith.benchmark.contestants import CONTESTANTS, Lesson
from otolith.benchmark.contestants._scaling import measure_scale, real_values
from otolith.benchmark.contestants._training import _class_weights
from otolith.core.errors import CheckpointError, ConfigError, DataError

QUICK = Learning(strengths=(0.1, 1.0), num_trees=5, epochs=15, batch_size=8, lr=0.02, device="cpu")


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    return make_part(tmp_path_factory.mktemp("data"), 4, name="toy")


def fitted_of(part, model, learning=QUICK, seed=0):
    arena = arena_of(part, model=model, learning=learning)
    labelled = arena.data["toy"].labelled
    rows = {p: np.flatnonzero(labelled.subject_N == p) for p in ("p0", "p1", "p2", "p3")}
    lesson = arena.lesson("toy", np.concatenate([rows["p0"], rows["p1"]]), rows["p2"])
    return arena, arena.contestant.fit([lesson], 3, seed), lesson, rows["p3"]


def test_the_folder_is_the_registry():
    assert CONTESTANTS.names() == [
        "evi_mae",
        "motion_net",
        "scratch",
        "statistics_lr",
        "statistics_rf",
    ]
    assert all(CONTESTANTS.describe(name).endswith(".") for name in CONTESTANTS.names())


@pytest.mark.parametrize("name", ["statistics_lr", "statistics_lr:gravity", "statistics_rf:device"])
def test_statistics_learn(part, name):
    arena, fitted, lesson, test = fitted_of(part, name)
    assert arena.contestant.name == name
    scores = fitted.scores(lesson.inputs, test)
    labels = arena.data["toy"].labelled.label_N[test]
    assert scores.shape == (len(test), 3)
    np.testing.assert_allclose(scores.sum(1), 1.0)
    assert (scores.argmax(1) == labels).mean() > 0.9
    assert fitted.num_parameters > 10
    assert fitted.features(lesson.inputs, test).shape[0] == len(test)
    assert fitted.scores(lesson.inputs, test[:0]).shape == (0, 3)


def test_an_encoder_learns_from_scratch(part):
    with tiny_encoder() as name:
        arena, fitted, lesson, test = fitted_of(part, f"scratch:{name}")
        scores = fitted.scores(lesson.inputs, test)
        labels = arena.data["toy"].labelled.label_N[test]
        assert (scores.argmax(1) == labels).mean() > 0.9
        np.testing.assert_allclose(scores.sum(1), 1.0)
        assert fitted.num_parameters == 12 * 8 + 8 + 8 * 3 + 3
        assert fitted.features(lesson.inputs, test).shape == (len(test), 8)
        assert 1 <= fitted.chosen["epoch"] <= 15


def test_training_repeats_and_leaves_other_draws_alone(part):
    with tiny_encoder() as name:
        torch.manual_seed(7)
        expected = torch.rand(3)
        torch.manual_seed(7)
        _, first, lesson, test = fitted_of(part, f"scratch:{name}")
        assert torch.equal(torch.rand(3), expected)
        _, second, _, _ = fitted_of(part, f"scratch:{name}")
        _, other, _, _ = fitted_of(part, f"scratch:{name}", seed=1)
    scores = first.scores(lesson.inputs, test)
    assert (scores == second.scores(lesson.inputs, test)).all()
    assert not (scores == other.scores(lesson.inputs, test)).all()


def test_patience_ends_training(part):
    learning = Learning(epochs=40, batch_size=8, lr=0.02, patience=1, device="cpu")
    with tiny_encoder() as name:
        _, fitted, _, _ = fitted_of(part, f"scratch:{name}", learning)
    assert fitted.chosen["epoch"] < 39


def test_a_real_encoder_trains_by_name(part):
    settings = Learning(
        epochs=1, batch_size=24, encoders={"imu_tsfm": {"preset": "debug", "channel_text_width": None}},
        device="cpu",
    )  # fmt: skip
    _, fitted, lesson, test = fitted_of(part, "scratch:imu_tsfm", settings)
    assert np.isfinite(fitted.scores(lesson.inputs, test)).all()


def test_settings_of_an_encoder_reach_it(part):
    settings = Learning(epochs=1, encoders={"imu_tiny_test": {"width": 3}}, device="cpu")
    with tiny_encoder():
        _, fitted, lesson, test = fitted_of(part, "scratch:imu_tiny_test", settings)
    assert fitted.features(lesson.inputs, test).shape[1] == 3


def test_an_encoder_measures_its_input_on_all_training_windows_first(part):
    learning = Learning(epochs=1, encoders={"imu_cnn_har": {"preset": "debug"}}, device="cpu")
    _, fitted, _, _ = fitted_of(part, "scratch:imu_cnn_har", learning)
    standardise = fitted._model.encoder.input.standardise
    assert bool(standardise.is_fitted)
    # The channels were scaled by the same windows before.
    torch.testing.assert_close(standardise.mean_C, torch.zeros(6), atol=1e-4, rtol=0)
    torch.testing.assert_close(standardise.scale_C, torch.ones(6), atol=1e-3, rtol=0)


def test_identity_tells_settings_apart():
    with tiny_encoder() as name:
        one = make_contestant(f"scratch:{name}", Learning())
        two = make_contestant(f"scratch:{name}", Learning(encoders={name: {"width": 3}}))
    assert one.identity != two.identity
    assert one.model is None


@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        ("scratch:imu_nothing", ConfigError, "no encoder"),
        ("scratch", ConfigError, "no encoder"),
        ("statistics_lr:sideways", CheckpointError, "no model"),
        ("statistics_lx", CheckpointError, "no model"),
    ],
)
def test_wrong_names_are_refused_with_a_suggestion(model, error, words):
    with pytest.raises(error, match=words) as caught:
        make_contestant(model, Learning())
    assert "Allowed:" in caught.value.remedy


def test_wrong_encoder_settings_are_refused():
    with pytest.raises(ConfigError, match=r"learning.encoders.imu_tsfm"):
        make_contestant("scratch:imu_tsfm", Learning(encoders={"imu_tsfm": {"widht": 3}}))


def test_an_encoder_with_nothing_to_train_is_refused(part):
    with pytest.raises(ConfigError, match="nothing to train"):
        fitted_of(part, "scratch:imu_statistics")


@pytest.mark.parametrize("name", ["statistics_lr", "scratch:imu_tiny_test"])
def test_nothing_to_learn_from_is_said(part, name):
    with tiny_encoder():
        arena = arena_of(part, model=name)
        lesson = arena.lesson("toy", np.zeros(0, int), np.zeros(0, int))
        with pytest.raises(DataError, match="no window to learn from"):
            arena.contestant.fit([lesson], 3, 0)


def test_one_class_can_be_learned(part):
    arena = arena_of(part)
    labelled = arena.data["toy"].labelled
    rows = np.flatnonzero(labelled.label_N == 1)
    fitted = arena.contestant.fit([arena.lesson("toy", rows, rows[:0])], 3, 0)
    scores = fitted.scores(arena.inputs("toy"), np.arange(4))
    assert scores.tolist() == [[0.0, 1.0, 0.0]] * 4


def test_a_loaded_model_gets_a_classifier_on_its_features(part):
    _, fitted, lesson, test = fitted_of(part, toy_model())
    assert fitted.scores(lesson.inputs, test).shape == (12, 3)


def test_the_scale_is_that_of_the_rows(part):
    windows = arena_of(part).data["toy"].labelled.windows
    rows = np.arange(0, len(windows), 2)
    scale = measure_scale([(windows, rows)])
    stream = scale.apply(windows.batch(rows, 0).streams["imu"])
    values = stream.values[real_values(stream)].reshape(-1, 6).double()
    np.testing.assert_allclose(values.mean(0).numpy(), 0.0, atol=1e-3)
    np.testing.assert_allclose(values.std(0).numpy(), 1.0, atol=1e-2)


def test_lessons_of_several_data_sets_are_joined(tmp_path, part):
    other = make_part(tmp_path, 2, name="other", rate_hz=25.0)
    with tiny_encoder() as name:
        arena = arena_of(part, other, model=f"scratch:{name}", learning=QUICK)
        lessons = []
        for data in ("toy", "other"):
            labelled = arena.data[data].labelled
            rows = np.arange(len(labelled.label_N))
            lessons.append(arena.lesson(data, rows[::2], rows[1::2]))
        fitted = arena.contestant.fit(lessons, 3, 0)
        found = fitted.scores(lessons[1].inputs, np.arange(len(lessons[1].label_N)))
    assert isinstance(lessons[0], Lesson)
    assert (found.argmax(1) == lessons[1].label_N).mean() > 0.9


def test_class_weights_are_inverse_frequencies():
    weights = _class_weights(np.array([0, 0, 0, 2]), 4, "balanced")
    np.testing.assert_allclose(weights.numpy(), [4 / 3 / 2, 0, 2.0, 0], rtol=1e-6)
    assert _class_weights(np.array([0]), 2, "none").tolist() == [1.0, 1.0]
