"""What every task promises."""

import dataclasses
import inspect
import json

import pytest
from tests.support.tasks_data import (
    ToyClassifier,
    ToyConfig,
    make_part,
    statistics,
    toy_model,
    trained_on,
)

from otolith.core.config import parse, to_plain
from otolith.core.errors import ConfigError, OtolithError
from otolith.tasks import TASKS
from otolith.tasks._model import Model
from otolith.tasks._result import Result

NAMES = TASKS.names()
MEASURING = [name for name in NAMES if hasattr(TASKS.get(name), "evaluate")]
QUICK = {"epochs": 1, "batch_size": 16, "device": "cpu"}
SETTINGS = {
    "fine_tune": {"training": QUICK, "folds": 2},
    "classify": {"split": "all", "windows": {"window_s": 5.0, "separate": True}},
    "tsfm_supervised": {"training": QUICK},
    "tsfm_seed_linear": {"measure": "label_rate", "label_rate": 0.2, "linear": {"epochs": 2}},
}
LABELS = ("walking", "walking_upstairs", "walking_downstairs", "standing")


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    return make_part(tmp_path_factory.mktemp("data"), 3, labels=LABELS)


def test_the_issues_tasks_are_there():
    assert {"zero_shot", "few_shot", "probe", "fine_tune", "knn", "label"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_settings_have_defaults_and_survive_a_round_trip(name):
    settings = TASKS.get(name).Config()
    assert parse(TASKS.get(name).Config, to_plain(settings)) == settings
    with pytest.raises(ConfigError, match="unknown key"):
        parse(TASKS.get(name).Config, {"no_such_setting": 1})


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_is_explained(name):
    module = TASKS.get(name)
    for field in dataclasses.fields(module.Config):
        assert f"{field.name}:" in inspect.getdoc(module.Config), field.name
    assert TASKS.describe(name).endswith((".", ""))


@pytest.mark.parametrize("name", MEASURING)
def test_a_result_is_complete_and_repeatable(part, name):
    module = TASKS.get(name)
    settings = parse(module.Config, SETTINGS.get(name, {}))
    model = toy_model(trained_on(other=["x"]))
    if name == "classify":
        model = Model("toy", ToyClassifier(ToyConfig()).eval(), trained_on(other=["x"]))
    results = [module.evaluate(model, part, settings) for _ in range(2)]
    result = results[0]
    assert isinstance(result, Result)
    assert (result.task, result.data, result.model) == (name, "toy", "toy")
    assert len(result.confusion) == len(result.labels) == len(result.per_class)
    assert result.counts["test_windows"] > 0
    assert result.protocol
    plain = result.to_json()
    assert plain == results[1].to_json()
    assert json.loads(json.dumps(plain)) == plain


NEEDS_WEIGHTS = {
    "classify",
    "fine_tune",
    "zero_shot",
    "tsfm_zero_shot",
    "tsfm_still",
    "tsfm_supervised",
}


@pytest.mark.parametrize("name", sorted(set(MEASURING) - NEEDS_WEIGHTS))
def test_the_baseline_stands_in_every_table(part, name):
    module = TASKS.get(name)
    settings = parse(module.Config, SETTINGS.get(name, {}))
    assert module.evaluate(statistics(), part, settings).model == "statistics"


@pytest.mark.parametrize("name", sorted(NEEDS_WEIGHTS))
def test_the_baseline_says_what_to_do_where_weights_or_words_are_needed(part, name):
    with pytest.raises(OtolithError) as caught:
        TASKS.get(name).evaluate(statistics(), part, TASKS.get(name).Config())
    assert "probe" in caught.value.remedy


@pytest.mark.parametrize("name", [n for n in MEASURING if "zero_shot" in n or n == "tsfm_still"])
def test_nothing_seen_is_called_zero_shot(part, name):
    module = TASKS.get(name)
    with pytest.raises(OtolithError, match="not zero-shot"):
        module.evaluate(toy_model(trained_on(toy=["p0"])), part, module.Config())
