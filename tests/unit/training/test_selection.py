"""Best epoch and early stop."""

import pytest
from tests.support.training_toys import make_config

from otolith.core.errors import TrainingError
from otolith.training.selection import best_metric, judge_epoch
from otolith.training.state import LoopState


def judged(values, **changes):
    """Judge epochs with these validation losses (None = not validated, "nan" = not finite)."""
    config, state = make_config(**changes), LoopState()
    found = []
    for epoch, value in enumerate(values):
        record = {"epoch": epoch, "train": {"loss": 1.0}}
        if value is not None:
            record["validation"] = {"loss": None if value == "nan" else value}
        found.append(judge_epoch(record, state, config, has_validation=True))
        if state.is_stopped_early:
            break
    return found, state


def test_the_first_value_is_the_best_and_equal_ones_are_not():
    found, state = judged([2.0, 2.0, 1.0, 3.0])
    assert found == [True, False, True, False]
    assert (state.best_value, state.best_epoch) == (1.0, 2)


def test_larger_can_be_better():
    assert judged([2.0, 3.0, 1.0], best={"goal": "max"})[0] == [True, True, False]


def test_epochs_without_validation_neither_win_nor_cost_patience():
    found, state = judged([2.0, None, None, 1.9], early_stop={"patience": 1})
    assert found == [True, False, False, True]
    assert not state.is_stopped_early


def test_a_value_that_is_no_number_costs_patience():
    found, state = judged(["nan", "nan", 1.0], early_stop={"patience": 2})
    assert found == [False, False]
    assert state.is_stopped_early


def test_the_early_stop_follows_the_goal_of_the_selecting_metric():
    _, state = judged([1.0, 2.0, 3.0], best={"goal": "max"}, early_stop={"patience": 1})
    assert not state.is_stopped_early


def test_without_validation_the_training_loss_selects():
    assert best_metric(make_config(), has_validation=False) == "train/loss"
    state = LoopState()
    record = {"epoch": 0, "train": {"loss": 1.0}}
    assert judge_epoch(record, state, make_config(), has_validation=False)


def test_a_validation_metric_without_validation_data_is_refused():
    config = make_config(best={"metric": "validation/loss"})
    record = {"epoch": 0, "train": {"loss": 1.0}}
    with pytest.raises(TrainingError, match="validation/loss"):
        judge_epoch(record, LoopState(), config, has_validation=False)
