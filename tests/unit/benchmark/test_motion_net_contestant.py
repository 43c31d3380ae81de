"""The contestant that describes windows once and trains two small networks."""

import numpy as np
import pytest
import torch
from tests.support.benchmark_data import arena_of, two_parts
from tests.support.tasks_data import make_part

from otolith.benchmark import Unit, zero_shot
from otolith.benchmark._runner import make_contestant
from otolith.benchmark._settings import Learning
from otolith.benchmark.contestants._training import Course, Trainer
from otolith.benchmark.contestants.motion_net import _one_lesson
from otolith.core.errors import ConfigError, DataError

OWN = {
    "epochs": 2,
    "min_steps": 40,
    "batch_size": 16,
    "encoder": {"conv_width": 4, "slots": 4, "signal_width": 8},
    "system": {"hidden_width": 16},
}
QUICK = Learning(contestants={"motion_net": OWN}, device="cpu")


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    return make_part(tmp_path_factory.mktemp("data"), 4, name="toy")


def rows_of(labelled):
    return [np.flatnonzero(labelled.subject_N == p) for p in ("p0", "p1", "p2", "p3")]


def fitted_of(part, seed=0):
    arena = arena_of(part, model="motion_net", learning=QUICK)
    rows = rows_of(arena.data["toy"].labelled)
    lesson = arena.lesson("toy", np.concatenate(rows[:2]), rows[2])
    return arena, arena.contestant.fit([lesson], 3, seed), lesson, rows[3]


def test_it_learns_and_repeats(part):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    arena, fitted, lesson, test = fitted_of(part)
    assert torch.equal(torch.rand(3), expected), "other draws are left alone"
    scores = fitted.scores(lesson.inputs, test)
    truth = arena.data["toy"].labelled.label_N[test]
    assert (scores.argmax(1) == truth).mean() > 0.9
    np.testing.assert_allclose(scores.sum(1), 1.0)
    assert fitted.features(lesson.inputs, test).shape == (len(test), 24)
    assert fitted.num_parameters > 1000
    assert fitted.scores(lesson.inputs, test[:0]).shape == (0, 3)
    assert (fitted_of(part)[1].scores(lesson.inputs, test) == scores).all()
    assert not (fitted_of(part, seed=1)[1].scores(lesson.inputs, test) == scores).all()


def test_who_would_choose_is_learned_from_and_nobody_else(part):
    arena = arena_of(part, model="motion_net", learning=QUICK)
    labelled = arena.data["toy"].labelled
    rows = rows_of(labelled)
    lesson = arena.lesson("toy", rows[0], rows[2])
    whole = _one_lesson([lesson, lesson])
    people = labelled.subject_N[np.concatenate([rows[0], rows[2]])]
    assert sorted(set(whole.person_N)) == ["p0", "p2"]
    assert len(whole.train) == 2 * len(people) == len(whole.inputs)
    assert not len(whole.validation)
    assert (
        whole.label_N[: len(people)].tolist()
        == labelled.label_N[np.sort(np.concatenate([rows[0], rows[2]]))].tolist()
    )


def test_it_learns_from_several_data_sets(tmp_path):
    arena = arena_of(*two_parts(tmp_path), model="motion_net", learning=QUICK)
    outcome = zero_shot.run(arena, Unit(data="toy_a", fold=0, seed=0), zero_shot.Config())
    people = outcome.tallies["closed"].people
    right = sum(n for own in people.values() for a, b, n in own if a == b)
    assert right / sum(n for own in people.values() for *_, n in own) > 0.7


def test_nothing_to_learn_from_is_said(part):
    arena = arena_of(part, model="motion_net", learning=QUICK)
    nothing = np.zeros(0, np.int64)
    with pytest.raises(DataError, match="no window to learn from"):
        arena.contestant.fit([arena.lesson("toy", nothing, nothing)], 3, 0)


def test_settings_reach_it_and_change_its_identity():
    plain, quick = make_contestant("motion_net", Learning()), make_contestant("motion_net", QUICK)
    assert plain.identity != quick.identity
    assert plain.model is None
    wrong = Learning(contestants={"motion_net": {"epcohs": 3}})
    with pytest.raises(ConfigError, match=r"learning.contestants.motion_net"):
        make_contestant("motion_net", wrong)
    wrong = Learning(contestants={"motion_net": {"system": {"drop": 3}}})
    with pytest.raises(ConfigError, match=r"motion_net.system"):
        make_contestant("motion_net", wrong)
    with pytest.raises(ConfigError, match="no kind"):
        make_contestant("motion_net:big", Learning())


class Line(torch.nn.Linear):
    """The least that the loop asks of what it trains."""

    def parameter_groups(self, lr):
        return [{"params": list(self.parameters()), "lr": lr}]


def plan_of(part, **course):
    arena = arena_of(part, model="motion_net", learning=QUICK)
    labelled = arena.data["toy"].labelled
    rows = np.flatnonzero((labelled.label_N < 2) | (np.arange(len(labelled.label_N)) % 4 == 0))
    lesson = arena.lesson("toy", rows, rows[:0])
    settings = {"epochs": 1, "batch_size": 8, "lr": 0.1, "weight_decay": 0.0, **course}
    trainer = Trainer(Line(1, 1), [lesson], 3, 0, Course(**settings), "cpu")
    drawn = [np.concatenate([at for _, at in trainer._plan(e)]) for e in range(200)]
    return trainer, rows, labelled.label_N, drawn


def test_every_window_once_unless_classes_are_balanced(part):
    _, rows, label_N, drawn = plan_of(part)
    assert all(np.array_equal(np.sort(one), rows) for one in drawn)
    _, rows, label_N, drawn = plan_of(part, draw_exponent=0.5)
    counts = np.bincount(label_N[rows], minlength=3)
    share = np.bincount(label_N[np.concatenate(drawn)], minlength=3) / sum(map(len, drawn))
    np.testing.assert_allclose(share, np.sqrt(counts) / np.sqrt(counts).sum(), atol=0.03)


def test_few_windows_get_the_wanted_steps(part):
    trainer, *_ = plan_of(part, min_steps=100)
    assert trainer.epochs * len(trainer._plan(0)) >= 100
    assert (trainer.epochs - 1) * len(trainer._plan(0)) < 100
